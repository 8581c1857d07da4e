"""What one price more or less means, learnt from the training part alone."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import FloatArray


class PriceScale(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """(price − mean) / deviation; a price that never changes has deviation 1."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def fit(cls, prices: NDArray[np.floating], axis: int | None) -> PriceScale:
        """Mean and standard deviation along `axis`, or of all prices where it is None."""
        exact = prices.astype(np.float64)
        mean, deviation = np.asarray(exact.mean(axis=axis)), np.asarray(exact.std(axis=axis))
        # Below the rounding of float32 a deviation is no movement of the price.
        rounding = np.finfo(np.float32).eps * np.abs(mean)
        return cls(mean=mean, deviation=np.where(deviation > rounding, deviation, 1.0))

    def apply(self, prices: NDArray[np.floating]) -> FloatArray:
        """Scaled prices, of the same shape."""
        return np.ascontiguousarray((prices - self.mean) / self.deviation, dtype=np.float32)
