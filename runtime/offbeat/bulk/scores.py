"""Scores line by line: what is written, and given back, of rows, windows or samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import Manifest
from offbeat.result import BoolArray

# A row of a series, a window, or a sample of a table: samples have no order in time.
Unit = Literal["row", "window", "sample"]
Floats = NDArray[np.float64]


class Scores(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One line for each row or window, in order.

    `timestamps` are the input's own words, or None where it had none; `alarm` is None without an alarm rule.
    `further` columns [line] are numbers by their headings, NaN where a line has none. `numbers` [line] count rows of the
    input, or windows of a series; None where they are 0, 1, …. `series` are their names, where there are several. The error
    of a row in a series that is shorter than a window is NaN.
    """

    unit: Unit
    timestamps: NDArray[np.str_] | None
    reconstruction_error: Floats
    anomaly_score: Floats
    is_anomaly: BoolArray
    alarm: BoolArray | None = None
    further: dict[str, Floats] = {}
    numbers: NDArray[np.int64] | None = None
    series: NDArray[np.str_] | None = None

    @classmethod
    def of(cls, unit: Unit, manifest: Manifest, errors: Floats, timestamps: NDArray[np.str_] | None) -> Scores:
        """Judges errors [line] by the model's threshold."""
        # The graph decides with the threshold as float32; a row's mean must be judged by the same number.
        threshold = float(np.float32(manifest.threshold.value))
        return cls(
            unit=unit,
            timestamps=timestamps,
            reconstruction_error=errors,
            anomaly_score=np.clip(errors / (2 * threshold), 0.0, 1.0),
            is_anomaly=errors > threshold,
        )

    @property
    def n_lines(self) -> int:
        """Rows or windows scored."""
        return len(self.reconstruction_error)

    @property
    def n_anomalies(self) -> int:
        """How many are flagged."""
        return int(self.is_anomaly.sum())

    @property
    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The columns [line] that there are, by their headings and in order."""
        numbers = np.arange(self.n_lines) if self.numbers is None else self.numbers
        scores = {name: getattr(self, name) for name in ("reconstruction_error", "anomaly_score", "is_anomaly")}
        some = {"timestamp": self.timestamps, "series": self.series, **scores, "alarm": self.alarm}
        return (
            {self.unit: numbers} | {name: column for name, column in some.items() if column is not None} | self.further
        )


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores of the same columns, one behind the other, in the order of their numbers; at least one part."""
    first = parts[0]
    together = {
        field: None if getattr(first, field) is None else np.concatenate([getattr(part, field) for part in parts])
        for field in ("timestamps", "reconstruction_error", "anomaly_score", "is_anomaly", "alarm", "numbers", "series")
    }
    further = {name: np.concatenate([part.further[name] for part in parts]) for name in first.further}
    scores = Scores(unit=first.unit, further=further, **together)  # type: ignore[arg-type]
    if scores.series is None or scores.unit == "window" or scores.numbers is None:
        return scores
    return taken(scores, np.argsort(scores.numbers))


def taken(scores: Scores, order: NDArray[np.int64]) -> Scores:
    """The lines of those indices."""
    arrays = {
        field: getattr(scores, field)[order]
        for field in scores.__struct_fields__
        if isinstance(getattr(scores, field), np.ndarray)
    }
    further = {name: column[order] for name, column in scores.further.items()}
    return msgspec.structs.replace(scores, further=further, **arrays)
