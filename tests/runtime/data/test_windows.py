from __future__ import annotations

import numpy as np
import pytest

from offbeat.data import row_means, row_newest, sliding_windows, window_starts
from offbeat.errors import DataError


def test_windows_hold_the_rows_they_start_at() -> None:
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    windows = sliding_windows(values, 4, 3)
    assert windows.shape == (3, 4, 2)
    for index, start in enumerate((0, 3, 6)):
        np.testing.assert_array_equal(windows[index], values[start : start + 4])


def test_fewer_rows_than_a_window_is_refused_with_both_numbers() -> None:
    with pytest.raises(DataError, match="3 rows; expected at least 4"):
        sliding_windows(np.zeros((3, 1), np.float32), 4)


@pytest.mark.parametrize(("n_rows", "length", "stride"), [(10, 4, 3), (10, 10, 1), (11, 4, 4), (103, 10, 7), (5, 1, 1)])
def test_starts_cover_every_row_and_stay_inside(n_rows: int, length: int, stride: int) -> None:
    starts = window_starts(n_rows, length, stride)
    covered = {row for start in starts for row in range(start, start + length)}
    assert covered == set(range(n_rows))
    assert (np.diff(starts) > 0).all()


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_a_row_gets_the_mean_over_the_windows_that_cover_it(stride: int) -> None:
    n_rows, length = 103, 10
    starts = window_starts(n_rows, length, stride)
    values = np.random.default_rng(0).normal(size=len(starts))
    means = row_means(values, starts, length, n_rows)
    for row in range(n_rows):
        covering = [value for value, start in zip(values, starts, strict=True) if start <= row < start + length]
        assert means[row] == pytest.approx(np.mean(covering), rel=1e-12)


def test_one_huge_error_does_not_spoil_the_rows_after_it() -> None:
    values = np.full(50, 1e-3)
    values[10] = 1e15
    means = row_means(values, np.arange(50), 5, 54)
    assert means[20] == pytest.approx(1e-3, rel=1e-12)


def test_a_row_that_no_window_covers_has_no_mean() -> None:
    assert np.isnan(row_means(np.array([1.0]), np.array([0]), 2, 4)[2:]).all()


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_a_row_gets_the_value_of_the_last_window_that_had_ended(stride: int) -> None:
    n_rows, length = 103, 10
    starts = window_starts(n_rows, length, stride)
    values = np.random.default_rng(0).normal(size=len(starts))
    newest = row_newest(values, starts, length, n_rows)
    for row in range(n_rows):
        ended = [value for value, start in zip(values, starts, strict=True) if start + length - 1 <= row]
        assert newest[row] == (ended[-1] if ended else values[0])


def test_without_a_window_no_row_has_a_newest_one() -> None:
    with pytest.raises(DataError, match="no window"):
        row_newest(np.empty(0), np.empty(0, np.int64), 2, 4)
