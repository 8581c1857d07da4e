"""Normalisation: what is done to raw values before the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offbeat.result import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation:
    """(value − mean) / scale for each feature; `mean` and `scale` are float32 [feature], and scale is positive."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, values: FloatArray) -> Normalisation:
        """Mean and standard deviation of each feature over all other axes of `values` [..., feature], in float64.

        A feature that is constant, up to the rounding of float32, gets scale 1: it is centred and never blown up.
        """
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        rounding = np.finfo(np.float32).eps * np.abs(rows).max(axis=0)
        constant = deviation <= np.maximum(rounding, np.finfo(np.float32).tiny)
        return cls._of(mean, np.where(constant, 1.0, deviation))

    @classmethod
    def fit_range(cls, values: FloatArray, low: float, high: float) -> Normalisation:
        """What brings the least of `values` [..., feature] to `low` and the largest to `high`, feature by feature.

        For a network whose output cannot leave [low, high]. A constant feature becomes 0 and is never blown up.
        """
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        least, largest = rows.min(axis=0), rows.max(axis=0)
        rounding = np.finfo(np.float32).eps * np.abs(rows).max(axis=0)
        constant = largest - least <= np.maximum(rounding, np.finfo(np.float32).tiny)
        scale = np.where(constant, 1.0, (largest - least) / (high - low))
        return cls._of(np.where(constant, least, least - low * scale), scale)

    @classmethod
    def _of(cls, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Normalisation:
        return cls(mean=torch.from_numpy(mean.astype(np.float32)), scale=torch.from_numpy(scale.astype(np.float32)))

    def apply(self, values: Tensor) -> Tensor:
        """Raw units [..., feature] to normalised ones."""
        return (values - self.mean) / self.scale

    def invert(self, normalised: Tensor) -> Tensor:
        """Normalised units [..., feature] back to raw ones."""
        return normalised * self.scale + self.mean
