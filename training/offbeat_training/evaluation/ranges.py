"""Runs of flagged or anomalous rows."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray

Indices = NDArray[np.int64]


class Ranges(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The first and the last row [range] of each run of True, ascending; no two of them touch."""

    first: Indices
    last: Indices

    @classmethod
    def of(cls, rows: BoolArray) -> Ranges:
        """The runs of True in `rows` [row]."""
        edges = np.diff(np.concatenate([[0], rows.astype(np.int8), [0]]))
        return cls(first=np.flatnonzero(edges == 1), last=np.flatnonzero(edges == -1) - 1)

    @property
    def lengths(self) -> Indices:
        """Rows in each [range]."""
        return self.last - self.first + 1

    def n_overlapping(self, others: Ranges) -> Indices:
        """How many of the others share a row with each [range]."""
        begun = np.searchsorted(others.first, self.last, side="right")
        ended = np.searchsorted(others.last, self.first, side="left")
        return begun - ended

    def n_rows_in(self, rows: BoolArray) -> Indices:
        """How many rows of each [range] are True in `rows` [row]."""
        before = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        return np.asarray(before[self.last + 1] - before[self.first])
