"""Windows to try a model with: random, real, constant, zero, extreme and denormal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle.manifest import Manifest
from offbeat.result import FloatArray

KINDS = ("random", "real", "constant", "zero", "extreme", "denormal")
# Extreme windows hold outliers of this many scales, unless another size is asked for, at this share of their values.
OUTLIER = 1e6
_OUTLIER_SHARE = 0.1
# Raw values around this size are below the smallest normal float32, 1.2e-38.
_DENORMAL = 1e-40
_SEED = 20250101


class WindowSource:
    """Draws windows of a model, float32 [batch, time, feature] or [batch, feature], in raw units, finite and C-contiguous.

    `real` are held-out normal windows, of which at least one is needed. The same source draws the same windows in the
    same order.
    """

    def __init__(self, manifest: Manifest, real: FloatArray) -> None:
        self._mean = np.asarray(manifest.normalisation.mean)
        self._scale = np.asarray(manifest.normalisation.scale)
        self._length = None if manifest.window is None else manifest.window.length
        self._real = real
        self._random = np.random.default_rng(_SEED)

    def draw(self, kind: str, n_windows: int, length: int | None = None, outlier: float = OUTLIER) -> FloatArray:
        """`n_windows` of one of KINDS, of the trained length where none is given; rows of a table have none.

        Extreme windows are random ones with outliers of ± `outlier` scales.
        """
        length = length or self._length
        if kind == "real":
            return self._draw_real(n_windows, length)
        shape = (n_windows, self._mean.size) if length is None else (n_windows, length, self._mean.size)
        if kind == "zero":
            return np.zeros(shape, np.float32)
        if kind == "denormal":
            return (self._random.standard_normal(shape) * _DENORMAL).astype(np.float32)
        return self._to_raw(self._draw_normalised(kind, shape, outlier))

    def _draw_normalised(self, kind: str, shape: tuple[int, ...], outlier: float) -> NDArray[np.float64]:
        values = self._random.standard_normal(shape)
        if kind == "constant":
            return np.broadcast_to(values[:, :1], shape)
        if kind == "extreme":
            is_outlier = self._random.random(shape) < _OUTLIER_SHARE
            return np.where(is_outlier, outlier * np.sign(values), values)
        return values

    def _draw_real(self, n_windows: int, length: int | None) -> FloatArray:
        """Held-out windows in turn; where they are too short, one after another."""
        n_joined = 1 if length is None else -(-length // self._real.shape[1])
        picked: FloatArray = self._real[np.arange(n_windows * n_joined) % len(self._real)]
        if length is None:
            return picked
        return np.ascontiguousarray(picked.reshape(n_windows, -1, picked.shape[2])[:, :length])

    def _to_raw(self, normalised: NDArray[np.float64]) -> FloatArray:
        largest = float(np.finfo(np.float32).max)
        raw: NDArray[np.float64] = np.clip(normalised * self._scale + self._mean, -largest, largest)
        return raw.astype(np.float32, order="C")
