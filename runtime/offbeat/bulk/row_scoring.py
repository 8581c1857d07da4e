"""Rows in, scores of lines out, in a stream: what is in memory does not grow with the number of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.bulk.further_columns import columns_of
from offbeat.bulk.options import BulkOptions
from offbeat.bulk.row_series import RowSeries
from offbeat.bulk.scores import Scores, Unit, joined
from offbeat.bulk.series_lines import ERROR, Arrays, Lines
from offbeat.bulk.source import ScoreSource
from offbeat.bulk.window_batches import WindowBatches
from offbeat.data.row_stream import RowStream
from offbeat.data.table import Table
from offbeat.errors import DataError, require
from offbeat.result import P_VALUE, FloatArray, ScoreResult

# Windows whose scores are brought to lines at once.
_WINDOWS_AT_ONCE = 4096


class RowScoring:
    """Scores the rows of one series, or of several that take turns, and gives the lines as they are finished.

    The windows, their batches and the lines are those of the whole series in memory, to the bit. Where there are several
    series, lines come when they are finished: by their numbers within each part, and not from part to part. A series that is
    shorter than a window has no error, unless it is the only one: that is an error. Rows of a model of tables, and ready-made
    windows, are scored each by itself. Iterated once; `n_rows` and the other counts tell how far it is. Raises DataError, and
    what the source and `BulkOptions.check` raise.
    """

    def __init__(self, source: ScoreSource, rows: RowStream, options: BulkOptions, *, has_series: bool = False) -> None:
        manifest = source.manifest
        options.check(manifest, is_windows=rows.is_windows)
        require(
            not (has_series and manifest.window is None),
            "series_column",
            "given",
            "none: this model scores each row by itself",
        )
        if rows.is_windows and manifest.window is None:
            raise DataError(f"{rows.name}: holds windows; model {manifest.name!r} scores rows")
        self.unit: Unit = "sample" if manifest.window is None else "window" if rows.is_windows else options.per
        self.n_rows = 0
        self.n_lines = 0
        self.n_anomalies = 0
        self.n_unscored = 0
        self._source = source
        self._rows = rows
        self._options = options
        self._has_series = has_series
        self._length = None if manifest.window is None or rows.is_windows else manifest.window.length
        self._names = (ERROR, *(name for name in options.columns if name != P_VALUE))
        self._series: dict[str, RowSeries] = {}
        self._expected: deque[tuple[RowSeries, NDArray[np.int64]]] = deque()
        self._changed: dict[str, RowSeries] = {}

    @property
    def n_filled(self) -> int:
        """Values that were missing and filled."""
        return sum(series.n_filled for series in self._series.values())

    def __iter__(self) -> Iterator[Scores]:
        n_waiting = 0
        for result in self._source.score_all(self._batches(), self._names):
            n_waiting += self._take(result)
            if n_waiting >= _WINDOWS_AT_ONCE:
                yield from self._finished(self._changed.values(), is_end=False)
                self._changed, n_waiting = {}, 0
        self._check_length()
        yield from self._finished(self._series.values(), is_end=True)

    def _batches(self) -> Iterator[FloatArray]:
        batches = WindowBatches(min(self._options.batch_size, self._source.max_batch_size))
        for table in self._rows.tables:
            first = self.n_rows
            # Before their scores are told of: what is written of them is never more than what was read.
            self.n_rows += len(table.values)
            numbers = np.arange(first, self.n_rows, dtype=np.int64)
            for series, picked in self._by_series(table, first):
                values = self._filled(series, table.values[picked], numbers[picked])
                series.lines.add_rows(numbers[picked], None if table.timestamps is None else table.timestamps[picked])
                yield from batches.add(self._expect(series, *series.windows.add(values)))
        for series in self._series.values():
            yield from batches.add(self._expect(series, *series.windows.last()))
        yield from batches.rest()

    def _by_series(self, table: Table, first: int) -> Iterator[tuple[RowSeries, slice | NDArray[np.int64]]]:
        if table.series is None:
            yield self._named(""), slice(None)
            return
        names, positions, counts = np.unique(table.series, return_inverse=True, return_counts=True)
        if names[0] == "":
            row = first + int(np.argmax(table.series == ""))
            raise DataError(f"{self._rows.name}: {self._rows.place(row)} names no series; expected a name in every row")
        order = np.argsort(positions, kind="stable")
        ends = np.cumsum(counts).tolist()
        for name, end, count in zip(names.tolist(), ends, counts.tolist(), strict=True):
            yield self._named(name), order[end - count : end]

    def _named(self, name: str) -> RowSeries:
        if name not in self._series:
            self._series[name] = RowSeries(name, self._source.manifest, self._options, self._length)
        return self._series[name]

    def _filled(self, series: RowSeries, values: FloatArray, numbers: NDArray[np.int64]) -> FloatArray:
        try:
            return series.filled(values, numbers, self._rows.place)
        except DataError as error:
            raise DataError(f"{self._rows.name}: {error}") from None

    def _expect(self, series: RowSeries, starts: NDArray[np.int64], windows: FloatArray) -> FloatArray:
        if starts.size:
            self._expected.append((series, starts))
        # What is scored by itself is no window of one row to the model.
        return windows if self._length is not None else windows[:, 0]

    def _take(self, result: ScoreResult) -> int:
        """Hands each window's outputs to its series; returns how many windows there were."""
        outputs = self._outputs(result)
        n_windows, begin = len(outputs[ERROR]), 0
        while begin < n_windows:
            series, starts = self._expected.popleft()
            end = min(begin + len(starts), n_windows)
            series.lines.add_windows(starts[: end - begin], {name: part[begin:end] for name, part in outputs.items()})
            self._changed[series.name] = series
            if len(starts) > end - begin:
                self._expected.appendleft((series, starts[end - begin :]))
            begin = end
        return n_windows

    def _outputs(self, result: ScoreResult) -> Arrays:
        arrays = result.arrays()
        if ERROR in arrays:
            # Where float32 overflowed inside the model. NaN would say that there is no score, and call the window normal.
            arrays[ERROR] = np.nan_to_num(arrays[ERROR], nan=np.inf, posinf=np.inf)
        if absent := [name for name in self._names if name not in arrays]:
            raise DataError(f"the scorer left out {', '.join(absent)}")
        # Only the last step's forecast is wanted, which has seen the whole window.
        return {name: arrays[name][:, -1] if name == "forecast" else arrays[name] for name in self._names}  # type: ignore[misc]

    def _check_length(self) -> None:
        if not self.n_rows:
            raise DataError(f"{self._rows.name}: no rows; expected at least one")
        longest = max(series.windows.n_rows for series in self._series.values())
        # Without a window there is no line where lines are windows, of several series neither.
        if (
            self._length is not None
            and longest < self._length
            and not (self._has_series and self._options.per == "row")
        ):
            model = self._source.manifest.name
            where = " in the longest series" if self._has_series else ""
            raise DataError(f"{self._rows.name}: {longest} rows{where}; model {model!r} needs {self._length}")

    def _finished(self, all_series: Iterable[RowSeries], *, is_end: bool) -> Iterator[Scores]:
        parts = []
        for series in all_series:
            lines = series.lines.finished(is_end=is_end)
            if lines is not None:
                parts.append(self._scores(series, lines))
        if parts:
            scores = joined(parts)
            self.n_lines += scores.n_lines
            self.n_anomalies += scores.n_anomalies
            self.n_unscored += int(np.isnan(scores.reconstruction_error).sum())
            yield scores

    def _scores(self, series: RowSeries, lines: Lines) -> Scores:
        manifest = self._source.manifest
        scores = Scores.of(self.unit, manifest, lines.outputs[ERROR], lines.timestamps)
        further: dict[str, NDArray[np.float64]] = {}
        for name in self._options.columns:
            further |= self._column(name, lines)
        names = np.full(scores.n_lines, series.name) if self._has_series else None
        alarm = series.alarms(scores.is_anomaly)
        return msgspec.structs.replace(scores, further=further, alarm=alarm, numbers=lines.numbers, series=names)

    def _column(self, name: str, lines: Lines) -> dict[str, NDArray[np.float64]]:
        calibration = self._source.manifest.threshold.calibration
        if name == P_VALUE and calibration is not None:
            return {P_VALUE: calibration.p_values(lines.outputs[ERROR])}
        return columns_of(name, lines.outputs[name], self._source.manifest)
