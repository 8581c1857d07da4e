"""What becomes of missing values: a stated policy, never a silent repair."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray, FloatArray

MissingPolicy = Literal["reject", "forward-fill", "interpolate"]


def fill_missing(values: FloatArray, policy: MissingPolicy) -> tuple[FloatArray, int]:
    """The values with their gaps filled as the policy says, and how many values were filled.

    `values` are float [row, feature], or [window, time, feature], each window on its own; NaN is missing, infinity is
    not. `forward-fill` repeats the last value before a gap and so never looks ahead. `interpolate` draws the line, row by
    row, from the last value before a gap to the first after it; a gap at the end repeats the last value. What has no
    value before it stays NaN, under `reject` every NaN does. The input is not changed.
    """
    is_missing = np.isnan(values)
    if policy == "reject" or not is_missing.any():
        return values, 0
    before = _last_present(is_missing)
    filled = np.take_along_axis(values, before, axis=-2)
    if policy == "interpolate":
        filled = np.where(is_missing, _on_the_line(values, is_missing, before), values)
    filled = np.ascontiguousarray(filled, dtype=values.dtype)
    return filled, int(is_missing.sum() - np.isnan(filled).sum())


def _last_present(is_missing: BoolArray) -> NDArray[np.int64]:
    """For each place, the row of the last present value up to it; row 0 where there is none."""
    rows = np.arange(is_missing.shape[-2], dtype=np.int64)[:, None]
    return np.asarray(np.maximum.accumulate(np.where(is_missing, 0, rows), axis=-2))


def _on_the_line(values: FloatArray, is_missing: BoolArray, before: NDArray[np.int64]) -> NDArray[np.float64]:
    """v = v₀ + (v₁ − v₀) · (row − row₀) / (row₁ − row₀), of the neighbours v₀ before and v₁ after, in float64."""
    n_rows = values.shape[-2]
    after = n_rows - 1 - np.flip(_last_present(np.flip(is_missing, axis=-2)), axis=-2)
    first = np.take_along_axis(values, before, axis=-2).astype(np.float64)
    last = np.take_along_axis(values, after, axis=-2).astype(np.float64)
    part = (np.arange(n_rows)[:, None] - before) / np.maximum(after - before, 1)
    with np.errstate(invalid="ignore"):
        line = first + (last - first) * part
    # No value after the gap, or no line to an infinity: the last value before it.
    return np.asarray(np.where(np.isnan(line), first, line))
