"""Where the lines of a score file lie along the x axis."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.times import elapsed_times
from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation.ranges import Ranges
from offbeat_training.report.chart import Area, Axis, Scale

Floats = NDArray[np.float64]

# A band of one row in a long series would be thinner than a pixel.
_MIN_BAND = 1 / 1000


class Timeline(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`x` [line] ascends: the time where there is one, else the number of the line; `edges` [line + 1] lie between."""

    x: Floats
    edges: Floats
    scale: Scale
    title: str

    @classmethod
    def of(cls, timestamps: NDArray[np.str_] | None, n_lines: int, unit: str) -> Timeline:
        """By `timestamps` [line] where they are times that ascend, else by number."""
        times = None if timestamps is None else _times(timestamps)
        if times is not None and (np.diff(times[0]) > 0).all():
            x, scale, title = times
            return cls(x=x, edges=_edges(x), scale=scale, title=title)
        return cls.numbered(0, n_lines, unit)

    @classmethod
    def numbered(cls, first: int, n_lines: int, unit: str) -> Timeline:
        """By the number of the line, from `first` on."""
        x = np.arange(first, first + n_lines, dtype=np.float64)
        return cls(x=x, edges=_edges(x), scale="linear", title=unit)

    @property
    def axis(self) -> Axis:
        """The whole of it."""
        return Axis(title=self.title, low=float(self.edges[0]), high=float(self.edges[-1]), scale=self.scale)

    def bands(self, name: str, rows: BoolArray, y: tuple[float, float], colour: str, opacity: float = 0.3) -> Area:
        """A rectangle from `y[0]` to `y[1]` over each run of True in `rows` [line], wide enough to be seen."""
        runs = Ranges.of(rows)
        begins, ends = _visible(self.edges[runs.first], self.edges[runs.last + 1], self.edges[-1] - self.edges[0])
        gap = np.full(begins.size, np.nan)
        low, high = np.full(begins.size, y[0]), np.full(begins.size, y[1])
        return Area(
            name=name,
            x=np.stack([begins, begins, ends, ends, begins, gap], axis=1).ravel(),
            y=np.stack([low, high, high, low, low, gap], axis=1).ravel(),
            colour=colour,
            opacity=opacity,
        )


def _visible(begins: Floats, ends: Floats, span: float) -> tuple[Floats, Floats]:
    """Widened about their middles, and those that then touch made one."""
    lacking = np.maximum(span * _MIN_BAND - (ends - begins), 0) / 2
    begins, ends = begins - lacking, ends + lacking
    is_apart = begins[1:] > ends[:-1]
    return begins[np.append(True, is_apart)[: begins.size]], ends[np.append(is_apart, True)[: ends.size]]


def _edges(x: Floats) -> Floats:
    """Halfway between neighbours; the outer ones half a usual step away."""
    half = float(np.median(np.diff(x))) / 2 if x.size > 1 else 0.5
    return np.concatenate([[x[0] - half], (x[1:] + x[:-1]) / 2, [x[-1] + half]])


def _times(timestamps: NDArray[np.str_]) -> tuple[Floats, Scale, str] | None:
    try:
        elapsed, unit = elapsed_times(timestamps)
    except DataError:
        return None
    first = str(timestamps[0])
    if not unit:
        return elapsed + float(first), "linear", "time"
    begin = datetime.fromisoformat(first)
    has_zone = begin.tzinfo is not None
    begin = begin if has_zone else begin.replace(tzinfo=UTC)
    return elapsed * 1000 + begin.timestamp() * 1000, "time", "UTC" if has_zone else ""
