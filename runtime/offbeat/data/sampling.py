"""How evenly a series was sampled."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.times import Unit, elapsed_times

# A step this many times the median has lost at least half a row's worth of time.
_GAP = 1.5
_EVEN = 0.01


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Steps between the time stamps of consecutive rows; `median_step` and `largest_gap` in `unit`, `s` or none.

    `median_step` is over the steps forward in time. `n_gaps` counts steps longer than 1.5 times that, `largest_gap` is
    the longest of them (0 without any) and `largest_gap_row` the row before it, from 0. `n_uneven` counts the other steps
    that are off the median by more than 1 %. `n_duplicates` counts rows whose time an earlier row has too,
    `n_out_of_order` rows earlier than the row before.
    """

    n_rows: int
    unit: Unit
    median_step: float
    n_gaps: int
    largest_gap: float
    largest_gap_row: int | None
    n_uneven: int
    n_duplicates: int
    n_out_of_order: int

    @property
    def is_regular(self) -> bool:
        """Every row follows the one before after the same step."""
        return not (self.n_gaps or self.n_uneven or self.n_duplicates or self.n_out_of_order)

    def summary(self) -> str:
        """One line for people: the median step, and every irregularity that there is."""
        unit = f" {self.unit}" if self.unit else ""
        parts = [f"median step {self.median_step:g}{unit}"]
        if self.n_gaps:
            parts.append(
                f"{_count(self.n_gaps, 'gap')}, the largest {self.largest_gap:g}{unit} after row {self.largest_gap_row}"
            )
        counts = ((self.n_uneven, "uneven step"), (self.n_duplicates, "duplicate time stamp"))
        parts += [_count(number, noun) for number, noun in counts if number]
        if self.n_out_of_order:
            parts.append(f"{_count(self.n_out_of_order, 'row')} out of order")
        return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def describe_sampling(timestamps: NDArray[np.str_]) -> Sampling:
    """What the steps between the time stamps [row], in the order of the file, say of the sampling.

    Raises DataError for a time stamp that is neither ISO 8601 nor a number, naming its row.
    """
    times, unit = elapsed_times(timestamps)
    steps = np.diff(times)
    median = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    is_gap = steps > _GAP * median
    is_uneven = (steps > 0) & ~is_gap & (np.abs(steps - median) > _EVEN * median)
    return Sampling(
        n_rows=len(times),
        unit=unit,
        median_step=median,
        n_gaps=int(is_gap.sum()),
        largest_gap=float(steps.max()) if is_gap.any() else 0.0,
        largest_gap_row=int(steps.argmax()) if is_gap.any() else None,
        n_uneven=int(is_uneven.sum()),
        n_duplicates=len(times) - len(np.unique(times)),
        n_out_of_order=int((steps < 0).sum()),
    )
