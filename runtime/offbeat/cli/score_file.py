"""Scores a data set window by window and brings the errors back to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from offbeat.bulk import Scores, ScoreSource
from offbeat.bulk.further_columns import check_columns, columns_of
from offbeat.bulk.options import check_stride
from offbeat.bulk.series_lines import Per, RowScore
from offbeat.cli.score_outputs import LineOutputs, arrays_of, write_arrays
from offbeat.data import Dataset, row_means, row_newest, sliding_windows, window_starts
from offbeat.errors import DataError, require
from offbeat.result import P_VALUE, FloatArray

ERROR_ONLY = ("reconstruction_error",)
_TO_ROWS = {"mean": row_means, "newest": row_newest}


def score_dataset(
    source: ScoreSource,
    dataset: Dataset,
    *,
    per: Per,
    row_score: RowScore = "mean",
    stride: int,
    batch_size: int,
    console: Console,
    outputs: Path | None = None,
    columns: tuple[str, ...] = (),
) -> Scores:
    """Scores rows of a table, ready-made windows, or the sliding windows of a series, with a progress bar on `console`.

    Samples of a table and ready-made windows get a line each; a series gets one for each row or each window, as `per` says.
    A row's error is the mean over the windows that cover it or that of the newest window, as `row_score` says. `outputs`,
    where given, is the npz file that takes each line's `feature_error`, `reconstruction` and whatever else the model gives;
    `columns` are outputs to add to the scores, as `LineOutputs` brings them to lines.
    """
    check_columns(source.manifest, columns)
    windows, starts = _windows(source, dataset, stride)
    is_series = source.manifest.window is not None and dataset.values.ndim == 2
    row_length = _row_length(source, stride) if is_series and per == "row" else None
    is_line_of_data = not is_series or per == "row"
    require(outputs is None or is_line_of_data, "outputs", str(outputs), "none with --per window, for a series")
    arrays = () if outputs is None else arrays_of(source.manifest)
    names = tuple(dict.fromkeys((*arrays, *(name for name in columns if name != P_VALUE))))
    collected = LineOutputs(dataset, starts, row_length, names)
    errors = _errors(source, windows, starts, batch_size, console, collected)
    scores = _line_scores(source, dataset, errors, starts, per, row_score)
    calibration = source.manifest.threshold.calibration
    p_value = {} if calibration is None else {P_VALUE: calibration.p_values(scores.reconstruction_error)}
    if outputs is not None:
        write_arrays(outputs, {name: collected.lines(name) for name in arrays} | p_value, dataset.feature_names)
    further: dict[str, NDArray[np.float64]] = {}
    for name in columns:
        further |= p_value if name == P_VALUE else columns_of(name, collected.lines(name), source.manifest)
    return msgspec.structs.replace(scores, further=further)


def _line_scores(
    source: ScoreSource,
    dataset: Dataset,
    errors: NDArray[np.float64],
    starts: NDArray[np.int64],
    per: Per,
    row_score: RowScore,
) -> Scores:
    if source.manifest.window is None:
        return Scores.of("sample", source.manifest, errors, dataset.timestamps)
    if dataset.values.ndim == 3:
        return Scores.of("window", source.manifest, errors, dataset.timestamps)
    length = source.manifest.window.length
    if per == "row":
        row_errors = _TO_ROWS[row_score](errors, starts, length, dataset.n_rows)
        return Scores.of("row", source.manifest, row_errors, dataset.timestamps)
    last_timestamps = None if dataset.timestamps is None else dataset.timestamps[starts + length - 1]
    return Scores.of("window", source.manifest, errors, last_timestamps)


def _windows(source: ScoreSource, dataset: Dataset, stride: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """What to score, and the index in it of each thing scored."""
    window = source.manifest.window
    if window is None and dataset.values.ndim == 3:
        raise DataError(f"{dataset.name}: holds windows; model {source.manifest.name!r} scores rows")
    if window is None or dataset.values.ndim == 3:
        return dataset.values, np.arange(dataset.n_rows)
    if dataset.n_rows < window.length:
        raise DataError(f"{dataset.name}: {dataset.n_rows} rows; model {source.manifest.name!r} needs {window.length}")
    return sliding_windows(dataset.values, window.length), window_starts(dataset.n_rows, window.length, stride)


def _row_length(source: ScoreSource, stride: int) -> int | None:
    if source.manifest.window is None:
        return None
    check_stride(stride, source.manifest.window.length)
    return source.manifest.window.length


def _errors(
    source: ScoreSource,
    windows: FloatArray,
    starts: NDArray[np.int64],
    batch_size: int,
    console: Console,
    collected: LineOutputs,
) -> NDArray[np.float64]:
    errors = np.empty(len(starts))
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=len(starts))
        n_done = 0
        names = (*ERROR_ONLY, *collected.names)
        for result in source.score_all(_batches(windows, starts, min(batch_size, source.max_batch_size)), names):
            batch_errors = result.reconstruction_error
            if batch_errors is None:
                raise DataError("the scorer left out reconstruction_error")
            errors[n_done : n_done + len(batch_errors)] = batch_errors
            n_done += len(batch_errors)
            collected.add(result)
            progress.update(task, completed=n_done)
    return errors


def _batches(windows: FloatArray, starts: NDArray[np.int64], batch_size: int) -> Iterator[FloatArray]:
    for begin in range(0, len(starts), batch_size):
        yield np.ascontiguousarray(windows[starts[begin : begin + batch_size]])
