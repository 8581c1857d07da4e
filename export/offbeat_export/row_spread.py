"""Whether a row is scored by itself: its error must not depend on the batch that it comes in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.backends import Backend
from offbeat.bundle.tolerance import difference
from offbeat.result import FloatArray

_ERROR = "reconstruction_error"
# Rows of a large batch that are also scored alone: some of its beginning, its middle and its end.
_N_ALONE = 9
# Batches up to this size are also scored in reverse, where every row has another place and other neighbours.
_MAX_REVERSED = 64


def row_spread(backend: Backend, window: FloatArray, error: NDArray[np.generic]) -> float:
    """The largest |Δerror| of one row, relative to max(1, error): in its batch, whose errors are given, alone, and in reverse."""
    rows = np.unique(np.linspace(0, len(window) - 1, _N_ALONE).astype(int))
    alone = np.concatenate([backend.run(window[row : row + 1], (_ERROR,))[_ERROR] for row in rows])
    spread = _largest(error[rows], alone)
    if 1 < len(window) <= _MAX_REVERSED:
        reverse = backend.run(np.ascontiguousarray(window[::-1]), (_ERROR,))[_ERROR]
        spread = max(spread, _largest(error, reverse[::-1]))
    return spread


def _largest(seen: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    unit = np.maximum(1.0, np.abs(np.where(np.isfinite(seen), seen, 1.0)))
    return float((difference(other, seen) / unit).max())
