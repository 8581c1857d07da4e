from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offbeat.conformal import conformal_p_values
from offbeat.errors import TrainingError
from offbeat_training.thresholds import conformal_threshold


def test_p_values_worked_by_hand() -> None:
    calibration = np.array([3.0, 1.0, 2.0, 2.0])
    errors = np.array([0.5, 2.0, 2.5, 3.0, 9.0])
    # All 4, then 3, 1, 1 and 0 of the calibration errors are at least as large.
    assert conformal_p_values(calibration, errors).tolist() == [1.0, 0.8, 0.4, 0.4, 0.2]


def test_p_values_keep_the_shape_of_the_errors() -> None:
    assert conformal_p_values(np.arange(9.0), np.zeros((2, 3))).shape == (2, 3)


@given(
    st.lists(st.integers(0, 20).map(float), min_size=20, max_size=200),
    st.lists(st.integers(-1, 22).map(float), min_size=1, max_size=50),
    st.sampled_from([0.05, 0.07, 0.1, 0.2]),
)
def test_an_error_exceeds_the_threshold_exactly_where_its_p_value_is_at_most_the_rate(
    calibration: list[float], errors: list[float], rate: float
) -> None:
    held_out, new = 1 + np.array(calibration), 1 + np.array(errors)
    exceeds = new > conformal_threshold(held_out, rate).value
    assert (exceeds == (conformal_p_values(held_out, new) <= rate + 1e-12)).all()


@pytest.mark.parametrize(("n_windows", "rate"), [(199, 0.05), (1500, 0.01), (20_000, 0.05), (20_000, 0.2)])
def test_the_calibration_kept_agrees_with_the_threshold_for_every_error(n_windows: int, rate: float) -> None:
    random = np.random.default_rng(0)
    errors = random.gamma(2, size=n_windows).astype(np.float32)
    threshold = conformal_threshold(errors, rate)
    assert threshold.calibration is not None
    new = np.append(random.gamma(2, size=20_000).astype(np.float32), np.float32(threshold.value))
    exceeds = new > np.float32(threshold.value)
    assert (exceeds == (threshold.calibration.p_values(new) <= rate + 1e-12)).all()
    assert 0 < exceeds.mean() < 2 * rate


def test_p_values_of_normal_windows_are_at_most_each_rate_no_more_often_than_that() -> None:
    random = np.random.default_rng(0)
    p_values = np.concatenate(
        [conformal_p_values(random.gamma(2, size=199), random.gamma(2, size=50)) for _ in range(2000)]
    )
    for rate in (0.01, 0.05, 0.2, 0.5):
        assert (p_values <= rate + 1e-12).mean() == pytest.approx(rate, rel=0.1)


def test_the_smallest_rate_that_the_windows_can_show_takes_the_largest_error() -> None:
    errors = np.arange(1.0, 100.0)
    assert conformal_threshold(errors, 0.01).value == 99.0
    with pytest.raises(TrainingError, match=r"98 held-out windows; .* of 0.01 needs 99"):
        conformal_threshold(errors[:-1], 0.01)


def test_no_calibration_and_nan_are_errors() -> None:
    for calibration, errors in (([], [1.0]), ([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(TrainingError, match="calibration errors"):
            conformal_p_values(np.array(calibration), np.array(errors))
