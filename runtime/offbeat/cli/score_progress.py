"""What is told on standard error while a stream is scored, and of how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from offbeat.bulk import RowScoring, Scores
from offbeat.data.notes import sampling_note
from offbeat.data.row_stream import RowStream
from offbeat.data.table import Table
from offbeat.errors import OffbeatError

_NOTE_EVERY_S = 30.0
# Rows whose time stamps are judged. All of a stream's do not fit in memory.
_JUDGED_ROWS = 100_000


def with_progress(scoring: RowScoring, rows: RowStream, console: Console) -> Iterator[Scores]:
    """The scores; meanwhile the number of rows, in place on a terminal, else in a line every 30 seconds.

    Where scoring ends with an error, a line tells how far it was.
    """
    total = "" if rows.n_rows is None else f" of {rows.n_rows:,}"
    columns = (TextColumn("scoring"), TextColumn("{task.description}"), TimeElapsedColumn())
    begin = noted = monotonic()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=None)
            for scores in scoring:
                yield scores
                now = monotonic()
                words = f"{scoring.n_rows:,}{total} rows, {scoring.n_rows / max(now - begin, 1e-9):,.0f} a second"
                progress.update(task, description=words)
                if not console.is_terminal and now - noted > _NOTE_EVERY_S:
                    console.print(f"{words} so far", highlight=False)
                    noted = now
    except (OffbeatError, KeyboardInterrupt):
        if scoring.n_lines:
            console.print(
                f"stopped after {scoring.n_rows:,} rows read and {scoring.n_lines:,} lines scored", style="red"
            )
        raise


def with_sampling_note(name: str, tables: Iterator[Table], console: Console) -> Iterator[Table]:
    """The tables; irregular time stamps among the first 100,000 rows are told in a line."""
    judged: list[NDArray[np.str_]] = []
    n_judged, is_whole = 0, True
    for table in tables:
        yield table
        if table.timestamps is not None and n_judged < _JUDGED_ROWS:
            judged.append(table.timestamps[: _JUDGED_ROWS - n_judged])
            n_judged += len(judged[-1])
        is_whole = is_whole and n_judged < _JUDGED_ROWS
        if not is_whole and judged:
            _tell(name, judged, " of the first 100,000 rows", console)
            judged = []
    if judged:
        _tell(name, judged, "", console)


def _tell(name: str, judged: list[NDArray[np.str_]], which: str, console: Console) -> None:
    note = sampling_note(name, np.concatenate(judged), which)
    if note is not None:
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
