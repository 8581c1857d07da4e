from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from offbeat.errors import TrainingError
from offbeat_training.thresholds import pot_threshold


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_it_finds_the_quantile_of_a_generalised_pareto_distribution(shape: float) -> None:
    errors = genpareto.rvs(shape, scale=2.0, loc=1.0, size=400_000, random_state=0)
    assert pot_threshold(errors, 1e-3).value == pytest.approx(1 + genpareto.isf(1e-3, shape, scale=2.0), rel=0.02)


@pytest.mark.parametrize(("n_windows", "rate", "percentile"), [(10_000, 0.001, 98), (10_000, 0.05, 90), (40, 0.01, 75)])
def test_the_tail_is_two_percent_or_twice_the_rate_or_ten_windows(
    n_windows: int, rate: float, percentile: float
) -> None:
    threshold = pot_threshold(np.random.default_rng(0).random(n_windows), rate)
    assert threshold.initial_percentile == pytest.approx(percentile)
    assert (threshold.method, threshold.false_alarm_rate, threshold.n_windows) == ("pot", rate, n_windows)


def test_a_smaller_rate_has_a_higher_threshold() -> None:
    errors = np.random.default_rng(0).gamma(2, size=3000)
    values = [pot_threshold(errors, rate).value for rate in (1e-2, 1e-3, 1e-4)]
    assert values == sorted(values)
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize(
    ("errors", "low", "high"),
    [
        (np.zeros(100), 0, 1e-30),
        (np.full(100, 0.5), 0.5, 0.5),
        (np.repeat([1.0, 3.0], [980, 20]), 1.0, 3.0),
        (np.repeat([1.0, 3.0], [995, 5]), 1.0, 3.0),
        (np.append(np.ones(99), 2.0), 1.0, 2.0),
    ],
)
def test_errors_that_are_alike_give_a_threshold_among_them(errors: np.ndarray, low: float, high: float) -> None:
    assert low <= pot_threshold(errors, 0.01).value <= high


@pytest.mark.parametrize(("n_windows", "rate"), [(19, 0.01), (1000, 0.3)])
def test_too_few_windows_or_too_large_a_rate_is_an_error(n_windows: int, rate: float) -> None:
    with pytest.raises(TrainingError, match=r"needs 20 windows and a rate of at most 0.25"):
        pot_threshold(np.random.default_rng(0).random(n_windows), rate)


@pytest.mark.parametrize("n_windows", [40, 1000, 30_000])
def test_a_rate_beyond_what_the_tail_can_tell_is_an_error_that_says_what_is_possible(n_windows: int) -> None:
    errors = np.random.default_rng(0).gamma(2, size=n_windows)
    smallest = 1 / (100 * n_windows)
    assert np.isfinite(pot_threshold(errors, smallest).value)
    for rate in (smallest * 0.99, 1e-30, 5e-324):
        with pytest.raises(
            TrainingError, match=rf"is {rate:g}; .* can tell {smallest:.3g} from {n_windows:,} held-out"
        ):
            pot_threshold(errors, rate)
