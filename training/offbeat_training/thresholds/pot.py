"""Peaks over threshold: a target false-alarm rate beyond what percentiles of few windows can tell."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import genpareto

from offbeat.errors import TrainingError
from offbeat.result import Threshold
from offbeat_training.thresholds.positive import positive

Floats = NDArray[np.float64]

# SPOT's initial quantile; a larger part of the windows where the rate is large or the windows are few.
_TAIL = 0.02
_MIN_EXCESSES = 10
_MIN_WINDOWS = 2 * _MIN_EXCESSES
# How far beyond the largest error, which about one window in n exceeds, the fitted tail is believed.
_MAX_EXTRAPOLATION = 100


def pot_threshold(errors: NDArray[np.floating], false_alarm_rate: float) -> Threshold:
    """The error that a share q, `false_alarm_rate`, of normal windows exceeds, by a generalised Pareto fit to the tail.

        z = t + σ/γ · ((q · n / n_t)^−γ − 1)

    for n `errors` [window] of held-out normal windows, n_t of which exceed the initial threshold t. The tail above t is
    the largest of 2 % (SPOT's initial quantile), 2 · q and 10 windows. γ and σ are fitted to the excesses by maximum
    likelihood, which also follows the tails of real reconstruction errors, γ about 1.
    Raises TrainingError for fewer than 20 windows, a tail above half of them, or a rate below 1 / (100 · n): the logarithm
    of an excess has a standard error of about ln(n_t / (n · q)) / √n_t, so that by then 20 excesses leave it uncertain by
    a factor of 5 and 200 by one of 2, and soon after the threshold says nothing of the data.

    Source: Siffer, Fouque, Termier, Largouet, "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017; the
    standard error, for γ > 0 and without its factor 1 + γ: de Haan, Ferreira, "Extreme Value Theory", 2006, section 4.3.
    """
    tail = max(_TAIL, 2 * false_alarm_rate, _MIN_EXCESSES / errors.size)
    if tail > 0.5:
        raise TrainingError(
            f"{errors.size} held-out windows, false_alarm_rate {false_alarm_rate:g}; "
            f"threshold method pot needs {_MIN_WINDOWS} windows and a rate of at most 0.25"
        )
    smallest = 1 / (_MAX_EXTRAPOLATION * errors.size)
    # As many windows as the rate asks for, to a rounding, are enough.
    if false_alarm_rate < smallest * (1 - 1e-9):
        raise TrainingError(
            f"false_alarm_rate is {false_alarm_rate:g}; threshold method pot can tell {smallest:.3g} from "
            f"{errors.size:,} held-out windows, 1 / ({_MAX_EXTRAPOLATION} · n), and nothing smaller: "
            "expected a larger rate or more windows"
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
    """Shape γ and scale σ by maximum likelihood, γ ≥ −1: below that the likelihood has no bound."""
    largest = float(excesses[-1])
    if excesses[0] == largest:
        return -1.0, largest
    # In units of the median the search starts from the right magnitude, whatever that of the errors.
    unit = float(np.median(excesses))
    shape, _, scale = genpareto.fit(excesses / unit, floc=0)
    return (float(shape), float(scale) * unit) if shape > -1 else (-1.0, largest)
