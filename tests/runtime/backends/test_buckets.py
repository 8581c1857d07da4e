from __future__ import annotations

import numpy as np
import pytest

from offbeat.backends.buckets import bucket_for, bucket_sizes, cut, fill


@pytest.mark.parametrize(
    ("max_rows", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (100, (1, 2, 4, 8, 16, 32, 64, 100))]
)
def test_buckets_are_powers_of_two_and_the_largest_batch(max_rows: int, sizes: tuple[int, ...]) -> None:
    assert bucket_sizes(max_rows) == sizes


@pytest.mark.parametrize("max_rows", [1, 7, 64, 100, 512])
def test_every_batch_has_a_bucket_of_less_than_twice_its_rows(max_rows: int) -> None:
    sizes = bucket_sizes(max_rows)
    for n_rows in range(1, max_rows + 1):
        assert n_rows <= bucket_for(n_rows, sizes) < 2 * n_rows or n_rows == 1
    assert bucket_for(1, sizes) == 1


@pytest.mark.parametrize("n_rows", [1, 7, 8, 9, 16, 17])
def test_large_batches_are_cut_into_parts_that_fit_and_leave_nothing_out(n_rows: int) -> None:
    parts = cut(n_rows, 8)
    assert [row for part in parts for row in range(n_rows)[part]] == list(range(n_rows))
    assert max(part.stop - part.start for part in parts) <= 8


def test_padding_repeats_the_last_row_over_whatever_lay_there() -> None:
    buffer = np.full((4, 2, 1), np.nan, np.float32)
    rows = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    fill(buffer, rows)
    np.testing.assert_array_equal(buffer, rows[[0, 1, 1, 1]])
