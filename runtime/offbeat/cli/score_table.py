"""The csv that `offbeat score` writes and `offbeat evaluate` reads."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal, TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.cli.target import write_target
from offbeat.result import BoolArray

# A row of a series, a window, or a sample of a table: samples have no order in time.
Unit = Literal["row", "window", "sample"]


class Scores(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One line for each row or window, in order.

    `timestamps` are the input's own words, or None where it had none; `alarm` is None without an alarm rule.
    `further` columns [line] are numbers by their headings, NaN where a line has none.
    """

    unit: Unit
    timestamps: NDArray[np.str_] | None
    reconstruction_error: NDArray[np.float64]
    anomaly_score: NDArray[np.float64]
    is_anomaly: BoolArray
    alarm: BoolArray | None = None
    further: Mapping[str, NDArray[np.float64]] = {}

    @property
    def n_lines(self) -> int:
        """Rows or windows scored."""
        return len(self.reconstruction_error)

    @property
    def n_anomalies(self) -> int:
        """How many are flagged."""
        return int(self.is_anomaly.sum())


def write_scores(scores: Scores, path: Path | None, standard_output: TextIO) -> None:
    """Writes a csv file, whole or not at all; to `standard_output` where there is no path. Raises DataError."""
    if path is None:
        _write(scores, standard_output)
    else:
        write_target(path, "w", lambda file: _write(scores, file))


def _write(scores: Scores, file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    with_alarm = [] if scores.alarm is None else ["alarm"]
    heading = [scores.unit, "timestamp", "reconstruction_error", "anomaly_score", "is_anomaly", *with_alarm]
    writer.writerow([*heading, *scores.further])
    timestamps = np.full(scores.n_lines, "") if scores.timestamps is None else scores.timestamps
    flags = [scores.is_anomaly] if scores.alarm is None else [scores.is_anomaly, scores.alarm]
    decisions = np.stack(flags, axis=1).astype(np.int8).tolist()
    further = zip(*scores.further.values(), strict=True) if scores.further else [()] * scores.n_lines
    columns = (timestamps, scores.reconstruction_error, scores.anomaly_score, decisions, further)
    for index, (timestamp, error, score, decided, more) in enumerate(zip(*columns, strict=True)):
        writer.writerow([index, timestamp, f"{error:.9g}", f"{score:.9g}", *decided, *map(_cell, more)])


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.9g}"
