"""Scores of frames and tables, in code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offbeat.bulk.alarm_rule import AlarmRule
from offbeat.bulk.arrow_scores import arrow_batch
from offbeat.bulk.options import BulkOptions
from offbeat.bulk.row_scoring import RowScoring
from offbeat.bulk.series_lines import Per, RowScore
from offbeat.bulk.source import LocalSource
from offbeat.data import ColumnSelection, MissingPolicy
from offbeat.data.row_stream import rows_of_frame
from offbeat.data.table import pyarrow_module
from offbeat.errors import require
from offbeat.scorer import Scorer


def score_table(
    scorer: Scorer,
    frame: Any,
    *,
    per: Per = "row",
    row_score: RowScore = "mean",
    stride: int = 1,
    batch_size: int = 256,
    columns: Sequence[str] = (),
    alarm_k: int | None = None,
    alarm_n: int | None = None,
    timestamp_column: str | None = None,
    series_column: str | None = None,
    missing: MissingPolicy = "reject",
) -> Any:
    """The scores of a frame's rows, as `offbeat score` writes them, in a frame of the same kind.

    `frame` is one of pandas or polars, a pyarrow table, or anything else with `__arrow_c_stream__`, for which a pyarrow table
    comes back; its columns hold the model's features by name. Lines are in the order of the rows, whatever their series; of a pandas
    frame lines that are rows have the index of those.

    A line is a row of a series or, `per` "window", a window of it, one every `stride` rows; a row's error is the mean of the
    windows that cover it, or, `row_score` "newest", that of the window it ends. `columns` names outputs to add. With `alarm_k` and
    `alarm_n` there is an alarm where k of the last n lines are anomalous. Gaps are refused, or `missing` "forward-fill".
    Raises DataError, InvalidWindowError for a p-value that the model cannot give, ConfigurationError for other options out of range, and
    MissingExtraError without pyarrow.

        scores = offbeat.score_table(offbeat.load("models/server-metrics"), frame)
        frame[scores["is_anomaly"]]
    """
    require(not isinstance(columns, str), "columns", columns, "a sequence of names, such as ('p_value',)")
    options = BulkOptions(
        per=per,
        row_score=row_score,
        stride=stride,
        batch_size=batch_size,
        columns=tuple(columns),
        rule=AlarmRule.of(alarm_k, alarm_n),
        missing=missing,
    )
    selection = ColumnSelection(
        features=scorer.manifest.feature_names, timestamp_column=timestamp_column, series_column=series_column
    )
    scoring = RowScoring(
        LocalSource(scorer), rows_of_frame(frame, selection), options, has_series=series_column is not None
    )
    table = pyarrow_module().Table.from_batches([arrow_batch(scores) for scores in scoring])
    if series_column is not None:
        unit = table.column_names[0]
        table = table.sort_by([(unit, "ascending")] if per == "row" else [("series", "ascending"), (unit, "ascending")])
    return _like(frame, table, are_lines_rows=per == "row")


def _like(frame: Any, table: Any, *, are_lines_rows: bool) -> Any:
    """The table as the library of the frame has it; neither library is imported for that."""
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas":
        scores = table.to_pandas()
        # pandas joins by labels: without the frame's own, a mask of the scores would choose other rows than were scored.
        return scores.set_axis(frame.index) if are_lines_rows else scores
    return type(frame)(table) if library == "polars" and hasattr(frame, "columns") else table
