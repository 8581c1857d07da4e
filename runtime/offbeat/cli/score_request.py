"""What `offbeat score` is to do, and where its rows come from: a stream, or a data set that has to be in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from rich.console import Console

from offbeat.bulk import BulkOptions, RowScoring, Scores, ScoreSource
from offbeat.bulk.scores import joined
from offbeat.cli.score_outputs import CollectingSource, LineOutputs, write_arrays
from offbeat.cli.score_progress import with_progress, with_sampling_note
from offbeat.cli.score_table import write_scores
from offbeat.data import ColumnSelection, Dataset, data_notes
from offbeat.data.dataset import Layout
from offbeat.data.formats import Format, TableFormat
from offbeat.data.missing import MissingPolicy
from offbeat.data.row_stream import open_rows, rows_of_dataset
from offbeat.result import P_VALUE

READ_WHOLE = "with --outputs, --missing interpolate or --layout windows, and of an npz file, all rows are read before the first is scored"


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is a file or `-`, `read_as` a kind of file; scores are written `to` another kind, into `target` or standard output;
    `outputs` takes further arrays. The policy for gaps is that of `selection`.
    """

    data: Path
    read_as: Format
    selection: ColumnSelection
    options: BulkOptions
    outputs: Path | None
    target: Path | None
    to: TableFormat

    @property
    def is_streamed(self) -> bool:
        """Whether no more than a part of the data needs to be in memory."""
        return is_streamed(self.read_as, self.selection.layout, self.outputs, self.selection.missing)


def is_streamed(read_as: Format, layout: Layout, outputs: Path | None, missing: MissingPolicy) -> bool:
    """Rows of a table are, unless arrays of all lines are wanted, or gaps are filled by what comes behind them."""
    return read_as != "npz" and layout == "rows" and outputs is None and missing != "interpolate"


def score_stream(source: ScoreSource, request: ScoreRequest, console: Console) -> str:
    """Reads, scores and writes part by part; returns what was scored, in words. Raises OffbeatError."""
    selection = request.selection
    options = msgspec.structs.replace(request.options, missing=selection.missing)
    with open_rows(request.data, request.read_as, selection) as rows:
        has_series = selection.series_column is not None
        if not has_series:
            tables = with_sampling_note(rows.name, iter(rows.tables), console)
            rows = msgspec.structs.replace(rows, tables=tables)
        scoring = RowScoring(source, rows, options, has_series=has_series)
        summary = _written(scoring, with_progress(scoring, rows, console), request)
    if scoring.n_filled:
        n_values = scoring.n_rows * len(source.manifest.feature_names)
        _note(console, f"{rows.name}: {scoring.n_filled:,} of {n_values:,} values were missing and filled")
    if scoring.n_unscored:
        _note(
            console, f"{rows.name}: {scoring.n_unscored:,} rows are of series shorter than a window, and have no score"
        )
    return summary


def score_whole(source: ScoreSource, dataset: Dataset, request: ScoreRequest, console: Console) -> str:
    """Scores a data set that is in memory; returns what was scored, in words. Raises OffbeatError."""
    options = request.options
    if request.selection.missing == "interpolate" and options.row_score == "newest":
        _note(console, "--missing interpolate looks ahead, which newest does not: prefer forward-fill")
    for note in data_notes(dataset):
        _note(console, note)
    rows = rows_of_dataset(dataset)
    if request.outputs is None:
        scoring = RowScoring(source, rows, options)
        return _written(scoring, with_progress(scoring, rows, console), request)
    collecting = CollectingSource(source, LineOutputs.of(source.manifest, dataset, options))
    scoring = RowScoring(collecting, rows, options)
    scores = joined(list(with_progress(scoring, rows, console)))
    calibration = source.manifest.threshold.calibration
    p_values = {} if calibration is None else {P_VALUE: calibration.p_values(scores.reconstruction_error)}
    write_arrays(request.outputs, collecting.collected.arrays() | p_values, dataset.feature_names)
    return _written(scoring, [scores], request)


def _written(scoring: RowScoring, parts: Iterable[Scores], request: ScoreRequest) -> str:
    write_scores(parts, request.target, request.to, sys.stdout.buffer)
    return f"{scoring.n_lines:,} {scoring.unit}s, {scoring.n_anomalies:,} anomalous"


def _note(console: Console, note: str) -> None:
    console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
