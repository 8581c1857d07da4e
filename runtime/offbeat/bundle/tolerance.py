"""How far an output may be from the eager model's: the parity bound, carried from the error to what follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle.manifest import Manifest
from offbeat.result import FloatArray

Outputs = Mapping[str, NDArray[np.generic]]
Floats = NDArray[np.float64]
# Rounding to float32 in raw units, which no engine can avoid: two units in the last place.
_RAW_ROUNDING = 2 * float(np.finfo(np.float32).eps)
# A recurrent layer carries its rounding from step to step and may amplify it: on windows unlike those it was trained on,
# single values of an eager float32 reconstruction were 8e-5 of a scale from another engine's and 2e-5 from float64, while
# the error, a mean over the window, kept the bound. The bound is the error's; what is drawn from it may be this much looser.
_RECURRENT_AMPLIFICATION = 100.0


def difference(seen: NDArray[np.generic], expected: NDArray[np.generic]) -> Floats:
    """|seen − expected| in float64; equal infinities do not differ, and a NaN on one side alone is infinitely far."""
    with np.errstate(invalid="ignore"):
        delta = np.abs(seen.astype(np.float64) - expected.astype(np.float64))
    is_same = (seen == expected) | (np.isnan(seen) & np.isnan(expected))
    return np.where(is_same, 0.0, np.nan_to_num(delta, nan=np.inf, posinf=np.inf))


def unit(name: str, eager: Outputs, window: FloatArray, manifest: Manifest) -> Floats:
    """What a difference in this output is measured in, element by element: it is allowed the parity bound times this.

    `reconstruction_error`: max(1, error). `feature_error`, `step_error`, `error_std`: the same, since they are shares of
    it, or its spread over draws.
    `anomaly_score`: max(1, 1 / (2 · threshold)), since it is error / (2 · threshold). `reconstruction`, `forecast`: the feature's
    scale times max(1, largest normalised value of the window, of its reconstruction), since a layer's rounding grows with
    its inputs, a hundredfold where time lets it accumulate; and no less than float32 can resolve in raw units. Others:
    max(1, |value|).
    """
    expected = eager[name]
    if name in ("reconstruction_error", "feature_error", "step_error", "error_std"):
        return _by_row(np.maximum(1.0, eager["reconstruction_error"].astype(np.float64)), expected)
    if name == "anomaly_score":
        return np.full(expected.shape, max(1.0, 0.5 / manifest.threshold.value))
    if name in ("reconstruction", "forecast"):
        return _reconstruction_unit(expected, window, manifest)
    others: Floats = np.maximum(1.0, np.abs(expected.astype(np.float64)))
    return others


def may_flip(error: NDArray[np.generic], manifest: Manifest) -> NDArray[np.bool_]:
    """Where the error is so near the threshold that the bound lets the decision differ."""
    values = error.astype(np.float64)
    near: NDArray[np.bool_] = np.abs(values - manifest.threshold.value) <= manifest.parity.bound * np.maximum(
        1.0, values
    )
    return near


def _reconstruction_unit(reconstruction: NDArray[np.generic], window: FloatArray, manifest: Manifest) -> Floats:
    mean, scale = np.asarray(manifest.normalisation.mean), np.asarray(manifest.normalisation.scale)
    raw = reconstruction.astype(np.float64)
    # A reconstruction may have fewer steps than its window.
    largest = [np.abs((each - mean) / scale).reshape(len(window), -1).max(axis=1) for each in (window, raw)]
    resolution = np.abs(raw) * (_RAW_ROUNDING / manifest.parity.bound)
    amplification = 1.0 if manifest.window is None else _RECURRENT_AMPLIFICATION
    by_layers: Floats = _by_row(np.maximum(1.0, np.maximum(*largest)), reconstruction) * scale * amplification
    result: Floats = np.maximum(by_layers, resolution)
    return result


def _by_row(values: Floats, like: NDArray[np.generic]) -> Floats:
    """One value for each row [batch], spread over the other axes of `like`."""
    spread: Floats = np.broadcast_to(values.reshape(-1, *(1,) * (like.ndim - 1)), like.shape)
    return spread
