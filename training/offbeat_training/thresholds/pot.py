"""Peaks over threshold: a target false-alarm rate beyond what percentiles of few windows can tell."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import TrainingError
from offbeat.result import Threshold
from offbeat_training.thresholds.positive import positive

Floats = NDArray[np.float64]

# SPOT's initial quantile; a larger part of the windows where the rate is large or the windows are few.
_TAIL = 0.02
_MIN_EXCESSES = 10
_MIN_WINDOWS = 2 * _MIN_EXCESSES


def pot_threshold(errors: NDArray[np.floating], false_alarm_rate: float) -> Threshold:
    """The error that a share q, `false_alarm_rate`, of normal windows exceeds, by a generalised Pareto fit of the tail.

        z = t + σ/γ · ((q · n / n_t)^−γ − 1)

    for n `errors` [window] of held-out normal windows, n_t of which exceed the initial threshold t. The tail above t is
    the largest of 2 % (SPOT's initial quantile), 2 · q and 10 windows. γ and σ are fitted to the excesses by
    probability-weighted moments, which need no iteration and, on tens of excesses, vary less than maximum likelihood.
    Raises TrainingError for fewer than 20 windows, or a tail above half of them.

    Source: Siffer, Fouque, Termier, Largouet, "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017;
    moments: Hosking, Wallis, "Parameter and Quantile Estimation for the Generalized Pareto Distribution", 1987.
    """
    tail = max(_TAIL, 2 * false_alarm_rate, _MIN_EXCESSES / errors.size)
    if tail > 0.5:
        raise TrainingError(
            f"{errors.size} held-out windows, false_alarm_rate {false_alarm_rate:g}; "
            f"threshold method pot needs {_MIN_WINDOWS} windows and a rate of at most 0.25"
        )
    ordered = np.sort(errors.astype(np.float64))
    initial = float(np.quantile(ordered, 1 - tail))
    excesses = ordered[ordered > initial] - initial
    return Threshold(
        value=positive(initial + _exceeded_by(excesses, false_alarm_rate * errors.size / max(excesses.size, 1))),
        method="pot",
        n_windows=errors.size,
        false_alarm_rate=false_alarm_rate,
        initial_percentile=100 * (1 - tail),
    )


def _exceeded_by(excesses: Floats, share: float) -> float:
    """The excess that a `share` of the fitted distribution exceeds; `excesses` [excess] ascend."""
    if not excesses.size:
        return 0.0
    shape, scale = _fit(excesses)
    # Ties at the initial threshold can leave fewer excesses than are wanted; their quantile is then the threshold itself.
    share = min(share, 1.0)
    if abs(shape) < 1e-9:
        return -scale * math.log(share)
    return scale / shape * math.expm1(-shape * math.log(share))


def _fit(excesses: Floats) -> tuple[float, float]:
    """Shape γ and scale σ: γ = 2 − a₀ / (a₀ − 2a₁), σ = 2a₀a₁ / (a₀ − 2a₁), with aₛ the mean of x · (1 − F(x))ˢ."""
    n = excesses.size
    if excesses[0] == excesses[-1]:
        # All alike: the distribution that is uniform up to that excess.
        return -1.0, float(excesses[-1])
    a0 = float(excesses.mean())
    a1 = float(np.mean(excesses * (n - np.arange(1, n + 1)) / (n - 1)))
    return 2 - a0 / (a0 - 2 * a1), 2 * a0 * a1 / (a0 - 2 * a1)
