"""Rows that come in, and what is to be done about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.errors import InvalidWindowError, quoted
from offbeat.result import FloatArray

Integers = NDArray[np.int64]


class Rows(Struct, frozen=True, kw_only=True, eq=False):
    """Rows as they came: the `series` of each, or one for all; `values` float32 [row, feature]; `timestamps` int64 [row]."""

    series: Sequence[str]
    values: FloatArray
    timestamps: Integers | None = None

    def series_of(self, row: int) -> str:
        """The series of a row."""
        return self.series[row if len(self.series) > 1 else 0]


class Taken(Struct, frozen=True, kw_only=True, eq=False):
    """What became of rows that are remembered now.

    `windows` float32 [window, time, feature] became full with the `rows` of those numbers. `dropped` are the numbers of the
    rows that were left out. Of `n_started` series nothing was known before. `slots` and `generations` [window] are the store's.
    """

    windows: FloatArray
    rows: Integers
    dropped: Integers
    n_started: int
    slots: Integers
    generations: Integers


def check_counts(rows: Rows, n_features: int) -> None:
    """Raises InvalidWindowError unless there are rows, and a series and a timestamp for each."""
    n_rows = len(rows.values)
    if rows.values.ndim != 2 or n_rows == 0 or rows.values.shape[1] != n_features:
        raise InvalidWindowError(
            f"values have shape {list(rows.values.shape)}; expected [row, {n_features}], with at least one row"
        )
    if len(rows.series) not in (1, n_rows):
        raise InvalidWindowError(f"{len(rows.series)} series for {n_rows} rows; expected one for each, or one for all")
    if rows.timestamps is not None and len(rows.timestamps) != n_rows:
        raise InvalidWindowError(f"{len(rows.timestamps)} timestamps for {n_rows} rows; expected one for each, or none")


def check_values(rows: Rows) -> None:
    """Raises InvalidWindowError for values that are not finite."""
    # Unlike numpy's other sums this one warns of nothing. It is not finite where a number is not, and where it leaves float32.
    if not math.isfinite(np.einsum("ij->", rows.values)):
        _check_finite(rows)


def _check_finite(rows: Rows) -> None:
    for row, feature in np.argwhere(~np.isfinite(rows.values))[:1]:
        raise InvalidWindowError(
            f"row {row}, of series {quoted(rows.series_of(row))}, is {rows.values[row, feature]} in feature {feature}; expected "
            "finite numbers; nothing was changed"
        )


def repetitions(slots: Integers) -> Integers | None:
    """How many rows before each are of the same slot [row]; None where no two are."""
    if len(slots) == 1:
        return None
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    is_first = np.ones(len(slots), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    if is_first.all():
        return None
    places = np.arange(len(slots))
    counted = np.empty(len(slots), np.int64)
    counted[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return counted
