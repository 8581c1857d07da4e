"""The realised false-alarm rate on held-out normal data lies within ±20 % of the nominal one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from offbeat.result import Threshold
from offbeat_training.thresholds import conformal_threshold, percentile_threshold, pot_threshold

Floats = np.ndarray
Method = Callable[[Floats, float], Threshold]
# With n held-out windows the realised rate varies by 1 / √(n · rate) of itself: by 4.5 % for 50,000 and 1 %, so that
# ±20 % is more than four standard deviations of a right method, and a method that is 30 % off does not pass.
N_HELD_OUT = 50_000
N_FRESH = 200_000

METHODS: dict[str, Method] = {
    "percentile": lambda errors, rate: percentile_threshold(errors, 100 * (1 - rate)),
    "pot": pot_threshold,
    "conformal": conformal_threshold,
}
ERRORS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "mean of squares": lambda random, n: random.chisquare(20, n) / 20,
    "heavy tail": lambda random, n: random.lognormal(-2, 1, n),
    # Without a mean, as the errors of an autoencoder on the set shuttle, γ = 1.25.
    "heaviest tail": lambda random, n: random.pareto(0.8, n),
    "bounded": lambda random, n: random.beta(2, 3, n),
}


@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("method", METHODS)
def test_for_each_of_five_seeds_and_any_shape_of_the_errors(method: str, kind: str, rate: float) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        threshold = METHODS[method](ERRORS[kind](random, N_HELD_OUT), rate)
        realised = float((ERRORS[kind](random, N_FRESH) > threshold.value).mean())
        assert 0.8 * rate < realised < 1.2 * rate


@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("method", METHODS)
def test_on_average_over_seeds_where_the_held_out_windows_are_a_thousand(method: str, rate: float) -> None:
    # One seed varies by 32 % at a rate of 1 %; the mean of 300 by 2 %, so that ±20 % bounds the method's own bias.
    realised = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        threshold = METHODS[method](random.chisquare(20, 1000), rate)
        realised.append((random.chisquare(20, 20_000) > threshold.value).mean())
    assert 0.8 * rate < np.mean(realised) < 1.2 * rate


def test_peaks_over_threshold_reach_rates_that_a_percentile_of_so_few_windows_cannot() -> None:
    errors = [np.random.default_rng(seed).exponential(size=2000) for seed in range(100)]
    # Of an exponential distribution a share e^−z exceeds z. The largest of 2,000 errors is exceeded by 1 in 2,000.
    realised = np.exp(-np.array([pot_threshold(each, 1e-4).value for each in errors]))
    assert 0.3e-4 < np.median(realised) < 3e-4
