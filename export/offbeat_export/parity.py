"""Parity: how far an exported format's outputs may be from the eager model's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle.manifest import Manifest
from offbeat.result import FloatArray
from offbeat_export.eager import Outputs

# |Δerror| ≤ PARITY_BOUND · max(1, error) for every float32 format, against eager float32.
PARITY_BOUND = 1e-5
# Against float64, the root mean square of a format's error over all windows may be this many times eager's own, or a
# tenth of the bound. A mean, since the largest of 400 roundings is chance; a floor, since eager's LSTM kernel (oneDNN)
# rounds three to six times less than ONNX Runtime's at hidden size 256, both far within the bound.
FLOAT64_FACTOR = 2.0
FLOAT64_FLOOR = PARITY_BOUND / 10
# Rounding to float32 in raw units, which no format can avoid: two units in the last place.
_RAW_ROUNDING = 2 * float(np.finfo(np.float32).eps)

Floats = NDArray[np.float64]


def difference(seen: NDArray[np.generic], expected: NDArray[np.generic]) -> Floats:
    """|seen − expected| in float64; equal infinities do not differ, and a NaN on one side alone is infinitely far."""
    with np.errstate(invalid="ignore"):
        delta = np.abs(seen.astype(np.float64) - expected.astype(np.float64))
    is_same = (seen == expected) | (np.isnan(seen) & np.isnan(expected))
    return np.where(is_same, 0.0, np.nan_to_num(delta, nan=np.inf, posinf=np.inf))


def units(eager: Outputs, window: FloatArray, manifest: Manifest) -> dict[str, Floats]:
    """What a difference in each output is measured in, element by element: it is allowed the bound times this.

    `reconstruction_error`: max(1, error). `feature_error`, `step_error`: the same, since they are shares of it.
    `anomaly_score`: max(1, 1 / (2 · threshold)), since it is error / (2 · threshold). `reconstruction`: the feature's
    scale times max(1, largest normalised value of the window, of its reconstruction), since a layer's rounding grows with
    its inputs; and no less than float32 can resolve in raw units.
    """
    error = np.maximum(1.0, eager["reconstruction_error"].astype(np.float64))
    result: dict[str, Floats] = {
        name: _by_row(error, eager[name])
        for name in ("reconstruction_error", "feature_error", "step_error")
        if name in eager
    }
    result["anomaly_score"] = np.full(error.shape, max(1.0, 0.5 / manifest.threshold.value))
    result["reconstruction"] = _reconstruction_unit(eager["reconstruction"], window, manifest)
    return result


def _reconstruction_unit(reconstruction: NDArray[np.generic], window: FloatArray, manifest: Manifest) -> Floats:
    mean, scale = np.asarray(manifest.normalisation.mean), np.asarray(manifest.normalisation.scale)
    raw = np.stack([window.astype(np.float64), reconstruction.astype(np.float64)])
    largest: Floats = np.abs((raw - mean) / scale).max(axis=0).reshape(len(window), -1).max(axis=1)
    resolution = np.abs(raw[1]) * (_RAW_ROUNDING / manifest.parity.bound)
    by_layers: Floats = _by_row(np.maximum(1.0, largest), reconstruction) * scale
    unit: Floats = np.maximum(by_layers, resolution)
    return unit


def _by_row(values: Floats, like: NDArray[np.generic]) -> Floats:
    """One value for each row [batch], spread over the other axes of `like`."""
    spread: Floats = np.broadcast_to(values.reshape(-1, *(1,) * (like.ndim - 1)), like.shape)
    return spread


def may_flip(error: NDArray[np.generic], manifest: Manifest) -> NDArray[np.bool_]:
    """Where the error is so near the threshold that the bound lets the decision differ."""
    values = error.astype(np.float64)
    near: NDArray[np.bool_] = np.abs(values - manifest.threshold.value) <= manifest.parity.bound * np.maximum(
        1.0, values
    )
    return near
