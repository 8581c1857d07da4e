"""What was measured at export: how far each format is from the eager model."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from offbeat.bundle.record import Record, Size
from offbeat.errors import require
from offbeat.provenance import Count

# The largest |Δerror| / max(1, error) that a manifest may claim as its bound; float32 models use 1e-5.
MAX_PARITY_BOUND = 0.1

Figure = Annotated[float, Meta(ge=0)]


class OutputParity(Record, frozen=True, kw_only=True):
    """The differences from eager float32 seen for one output of one format: the largest, and the mean over its elements.

    Relative ones are in the output's units, which the bound limits. Means are None where they were not measured.
    """

    max_absolute: float
    max_relative: float
    mean_absolute: Figure | None = None
    mean_relative: Figure | None = None


class FormatParity(Record, frozen=True, kw_only=True):
    """One exported format against the eager model, over `n_windows` windows of `n_cases` cases.

    `batch_sizes` and `lengths` (steps; none for tables) are those tried. `row_spread` is how far the error of one and
    the same row moved with its batch-mates, its position and the batch's size, relative to max(1, error); None where that
    was not measured.
    """

    n_cases: Count
    n_windows: Count
    decision_flips: Count
    worst_case: str
    outputs: dict[str, OutputParity]
    batch_sizes: tuple[Size, ...] = ()
    lengths: tuple[Size, ...] = ()
    row_spread: Figure | None = None

    def __post_init__(self) -> None:
        expected = "reconstruction_error"
        require(expected in self.outputs, "parity outputs", sorted(self.outputs), f"{expected} among them")


class Parity(Record, frozen=True, kw_only=True):
    """Parity measured at export: |Δerror| ≤ bound · max(1, error) held for every format named."""

    bound: Annotated[float, Meta(gt=0, le=MAX_PARITY_BOUND)]
    formats: dict[str, FormatParity]
