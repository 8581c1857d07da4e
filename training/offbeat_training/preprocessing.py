"""Normalisation: what is done to raw values before the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offbeat.result import BoolArray, FloatArray

# A deviation of fewer steps than this is rounding to a fair part.
_N_STEPS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation:
    """(value − mean) / scale for each feature; `mean` and `scale` are float32 [feature], and scale is positive."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, values: FloatArray) -> Normalisation:
        """Mean and standard deviation of each feature over all other axes of `values` [..., feature], in float64.

        A feature that is constant gets scale 1, and no scale is below what float32 can tell apart at the feature's size: it
        is centred and never blown up.
        """
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        mean, deviation, rounding = rows.mean(axis=0), rows.std(axis=0), _rounding(rows)
        return cls._of(mean, np.where(deviation <= rounding, _coarse(rows), deviation))

    @classmethod
    def fit_range(cls, values: FloatArray, low: float, high: float) -> Normalisation:
        """What brings the least of `values` [..., feature] to `low` and the largest to `high`, feature by feature.

        For a network whose output cannot leave [low, high]. A feature that is constant, or whose range float32 cannot
        resolve, has its least become 0 and is never blown up.
        """
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        least, spread = rows.min(axis=0), np.ptp(rows, axis=0)
        scale = spread / (high - low)
        is_coarse = scale <= _rounding(rows)
        offset = np.where(is_coarse, least, least - low * scale)
        return cls._of(offset, np.where(is_coarse, np.maximum(_coarse(rows), spread), scale))

    @classmethod
    def _of(cls, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Normalisation:
        return cls(mean=torch.from_numpy(mean.astype(np.float32)), scale=torch.from_numpy(scale.astype(np.float32)))

    def apply(self, values: Tensor) -> Tensor:
        """Raw units [..., feature] to normalised ones."""
        return (values - self.mean) / self.scale


def unresolved(values: FloatArray) -> BoolArray:
    """True for each feature of `values` [..., feature] that varies by little more than the steps of float32 at its size.

    Its noise is rounding, and what is left of it is lost in the arithmetic of the model: an offset should come off first.
    """
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
    return np.asarray((np.ptp(rows, axis=0) > 0) & (rows.std(axis=0) <= _N_STEPS * _rounding(rows)))


def _rounding(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The widest step from one float32 to the next among the values of each feature; one to two of them, to be exact."""
    return np.asarray(np.maximum(np.finfo(np.float32).eps * np.abs(rows).max(axis=0), np.finfo(np.float32).tiny))


def _coarse(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scale of features that float32 does not resolve."""
    return np.where(np.ptp(rows, axis=0) > 0, np.maximum(_rounding(rows), 1.0), 1.0)
