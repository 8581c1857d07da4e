from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offbeat.errors import TrainingError
from offbeat_training.split import split_samples, split_series


@given(
    n_rows=st.integers(40, 300),
    length=st.integers(1, 20),
    stride=st.integers(1, 25),
    fraction=st.floats(0.01, 0.9),
    anomalies=st.lists(st.integers(0, 39), max_size=3),
)
def test_no_row_lies_in_windows_of_both_parts_and_no_window_holds_an_anomaly(
    n_rows: int, length: int, stride: int, fraction: float, anomalies: list[int]
) -> None:
    labels = np.zeros(n_rows, dtype=np.bool_)
    labels[anomalies] = True
    try:
        training, validation = split_series(n_rows, length, stride, fraction, labels)
    except TrainingError:
        return
    assert training.size
    assert validation.size
    rows = [{row for start in part for row in range(start, start + length)} for part in (training, validation)]
    assert not rows[0] & rows[1]
    assert max(rows[0]) < min(rows[1])
    assert max(rows[1]) < n_rows
    assert not labels[sorted(rows[0] | rows[1])].any()
    assert not np.concatenate([training, validation]) @ np.ones(training.size + validation.size) % 1
    assert (np.concatenate([training, validation]) % stride == 0).all()


def test_the_tail_of_the_normal_windows_is_held_out() -> None:
    training, validation = split_series(100, 10, 1, 0.2)
    assert validation[0] == 91 - 18
    assert validation[-1] == 90
    assert training[-1] + 10 == validation[0]


def test_an_error_says_how_many_rows_the_labels_take_away() -> None:
    labels = np.arange(40) % 5 == 0
    with pytest.raises(TrainingError, match="40 rows, 8 of them labelled anomalous, hold no window of 5 normal rows"):
        split_series(40, 5, 1, 0.2, labels)


def test_two_windows_end_to_end_are_enough() -> None:
    training, validation = split_series(20, 10, 1, 0.5)
    assert (training.tolist(), validation.tolist()) == ([0], [10])


def test_anomalies_at_the_end_leave_the_normal_windows_before_them_to_hold_out() -> None:
    labels = np.zeros(200, dtype=np.bool_)
    labels[150:] = True
    training, validation = split_series(200, 10, 1, 0.2, labels)
    assert validation[-1] + 10 == 150
    assert training[-1] + 10 <= validation[0]


@pytest.mark.parametrize(("n_rows", "length"), [(5, 10), (10, 10), (19, 10)])
def test_too_few_rows_for_both_parts_are_an_error(n_rows: int, length: int) -> None:
    with pytest.raises(TrainingError, match=f"{n_rows} rows"):
        split_series(n_rows, length, 1, 0.2)


def test_a_series_of_anomalies_alone_is_an_error() -> None:
    with pytest.raises(TrainingError, match="normal rows"):
        split_series(50, 10, 1, 0.2, np.ones(50, dtype=np.bool_))


def test_samples_are_split_at_random_by_the_seed_and_without_anomalies() -> None:
    labels = np.zeros(100, dtype=np.bool_)
    labels[::10] = True
    training, validation = split_samples(100, 0.2, 5, labels)
    assert validation.size == 18
    assert not labels[training].any()
    assert not labels[validation].any()
    assert sorted([*training, *validation]) == np.flatnonzero(~labels).tolist()
    assert np.array_equal(validation, split_samples(100, 0.2, 5, labels)[1])
    assert not np.array_equal(validation, split_samples(100, 0.2, 6, labels)[1])


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_either_part_keeps_samples_whatever_the_fraction(fraction: float) -> None:
    training, validation = split_samples(3, fraction, 0)
    assert (training.size, validation.size) == (2, 1)


def test_fewer_than_three_normal_samples_are_an_error() -> None:
    with pytest.raises(TrainingError, match="2 normal samples out of 3"):
        split_samples(3, 0.5, 0, np.array([False, False, True]))
