"""What `offbeat score` is to do, and the two ways of doing it: in a stream, or with all of the data in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from offbeat.bulk import BulkOptions, RowScoring, ScoreSource
from offbeat.cli.score_file import score_dataset
from offbeat.cli.score_progress import with_progress, with_sampling_note
from offbeat.cli.score_table import write_scores
from offbeat.data import ColumnSelection, Dataset, data_notes
from offbeat.data.dataset import Layout
from offbeat.data.formats import Format, TableFormat
from offbeat.data.missing import MissingPolicy
from offbeat.data.row_stream import open_rows


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
        parts = with_progress(scoring, rows, console)
        write_scores(parts, request.target, request.to, sys.stdout.buffer)
    if scoring.n_filled:
        n_values = scoring.n_rows * len(source.manifest.feature_names)
        _note(console, f"{rows.name}: {scoring.n_filled:,} of {n_values:,} values were missing and filled")
    if scoring.n_unscored:
        _note(
            console, f"{rows.name}: {scoring.n_unscored:,} rows are of series shorter than a window, and have no score"
        )
    unit = "sample" if source.manifest.window is None else options.per
    return f"{scoring.n_lines:,} {unit}s, {scoring.n_anomalies:,} anomalous"


def score_whole(source: ScoreSource, dataset: Dataset, request: ScoreRequest, console: Console) -> str:
    """Scores a data set that is in memory; returns what was scored, in words. Raises OffbeatError."""
    options = request.options
    if request.selection.missing == "interpolate" and options.row_score == "newest":
        _note(console, "--missing interpolate looks ahead, which newest does not: prefer forward-fill")
    for note in data_notes(dataset):
        _note(console, note)
    scores = score_dataset(
        source,
        dataset,
        per=options.per,
        row_score=options.row_score,
        stride=options.stride,
        batch_size=options.batch_size,
        console=console,
        outputs=request.outputs,
        columns=options.columns,
    )
    if options.rule is not None:
        scores = msgspec.structs.replace(scores, alarm=options.rule.alarms(scores.is_anomaly))
    write_scores([scores], request.target, request.to, sys.stdout.buffer)
    return f"{scores.n_lines:,} {scores.unit}s, {scores.n_anomalies:,} anomalous"


def _note(console: Console, note: str) -> None:
    console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
