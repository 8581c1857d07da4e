"""Which rows of a long series to draw, so that no spike is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray
from offbeat_training.report.chart import Floats

Indices = NDArray[np.int64]

# More than a wide screen has pixels.
N_BUCKETS = 1500
MAX_DETAIL_ROWS = 8000
# Rows to either side of what is kept whole, tried from the widest.
_MARGINS = (200, 50, 10, 0)


def envelope(values: Floats, kept: BoolArray | None = None, n_buckets: int = N_BUCKETS) -> Indices:
    """Rows, ascending, whose line looks like that through all `values` [row]: of each bucket of consecutive rows the
    lowest and the highest, the first row, the last, and those `kept` [row].
    """
    n_rows = values.size
    if n_rows <= 2 * n_buckets:
        return np.arange(n_rows)
    size = -(-n_rows // n_buckets)
    padded = np.pad(values, (0, -n_rows % size), mode="edge").reshape(-1, size)
    begins = np.arange(len(padded)) * size
    extremes = [begins + padded.argmin(axis=1), begins + padded.argmax(axis=1), [0, n_rows - 1]]
    extra = [] if kept is None else [np.flatnonzero(kept)]
    return np.unique(np.minimum(np.concatenate([*extremes, *extra]), n_rows - 1))


def detail(*choices: BoolArray, n_most: int = MAX_DETAIL_ROWS) -> BoolArray:
    """True for the rows of the first choice [row] that `n_most` allows, and as many beside them; for none where none fits.

    What is drawn whole can be zoomed into.
    """
    for rows in choices:
        for margin in _MARGINS:
            near = _widened(rows, margin)
            if np.count_nonzero(near) <= n_most:
                return near
    return np.zeros(choices[0].size, dtype=np.bool_)


def _widened(rows: BoolArray, margin: int) -> BoolArray:
    """True within `margin` rows of one that is."""
    before = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
    position = np.arange(rows.size)
    first, end = np.maximum(position - margin, 0), np.minimum(position + margin + 1, rows.size)
    return np.asarray(before[end] > before[first])
