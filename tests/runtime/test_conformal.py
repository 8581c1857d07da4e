from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offbeat.conformal import MAX_POINTS, Calibration, conformal_p_values
from offbeat.errors import ConfigurationError
from offbeat.result import Threshold


def float32_errors(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, size=n).astype(np.float32)


@given(
    st.lists(st.integers(0, 20).map(float), min_size=1, max_size=80),
    st.lists(st.integers(-1, 22).map(float), min_size=1, max_size=30),
)
def test_up_to_a_thousand_errors_are_all_kept_and_give_the_exact_p_values(
    calibration: list[float], errors: list[float]
) -> None:
    kept = Calibration.of(np.array(calibration), kept_rank=1)
    assert kept.errors == tuple(sorted(calibration))
    exact = conformal_p_values(np.array(calibration), np.array(errors))
    np.testing.assert_array_equal(kept.p_values(np.array(errors)), exact)


@pytest.mark.parametrize("n", [1001, 1500, 7919, 200_000])
def test_a_summary_of_more_is_exact_for_the_largest_and_never_promises_too_much_for_the_others(n: int) -> None:
    errors, new = float32_errors(n), float32_errors(5000, seed=1)
    kept = Calibration.of(errors, kept_rank=round(0.95 * n))
    assert len(kept.errors) <= MAX_POINTS
    assert kept.n_windows == n
    exact, summed = conformal_p_values(errors, new), kept.p_values(new)
    assert (summed >= exact).all()
    assert (summed - exact).max() < 1 / 498
    decides = exact <= 500 / (n + 1)
    assert decides.any()
    np.testing.assert_array_equal(summed[decides], exact[decides])


def test_a_summary_survives_a_manifest_bit_for_bit() -> None:
    kept = Calibration.of(float32_errors(3000), kept_rank=2000)
    read = msgspec.json.decode(msgspec.json.encode(kept), type=Calibration)
    assert read == kept
    assert 2000 in read.ranks
    assert len(msgspec.json.encode(kept)) < 40_000


def test_an_error_that_is_no_number_has_no_p_value_and_an_infinite_one_the_smallest() -> None:
    kept = Calibration.of(np.array([1.0, np.inf, 2.0]), kept_rank=1)
    assert kept.errors[-1] == np.finfo(np.float32).max
    np.testing.assert_array_equal(kept.p_values(np.array([np.nan, np.inf, 0.0])), [np.nan, 0.25, 1.0])


def test_a_calibration_goes_with_a_conformal_threshold_of_as_many_windows() -> None:
    kept = Calibration.of(np.array([1.0, 2.0, 3.0]), kept_rank=1)
    Threshold(value=3.0, method="conformal", n_windows=3, false_alarm_rate=0.25, calibration=kept)
    for change in ({"n_windows": 4}, {"method": "fixed", "false_alarm_rate": None}):
        fields = {"method": "conformal", "n_windows": 3, "false_alarm_rate": 0.25} | change
        with pytest.raises(ConfigurationError, match="expected one of as many, with 'conformal' alone"):
            Threshold(value=3.0, calibration=kept, **fields)  # type: ignore[arg-type]
