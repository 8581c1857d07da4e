"""Options of `offbeat score` that say how rows come and how scores go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from offbeat.data.formats import Format, TableFormat, format_of
from offbeat.errors import require

FormatOption = Annotated[
    Format | None,
    typer.Option("--format", envvar="OFFBEAT_FORMAT", help="Of the data; by the ending, csv for standard input."),
]
ToOption = Annotated[
    TableFormat | None,
    typer.Option("--to", envvar="OFFBEAT_TO", help="Of the scores; by the ending, csv for standard output."),
]
SeriesColumnOption = Annotated[
    str | None,
    typer.Option(
        envvar="OFFBEAT_SERIES_COLUMN",
        help="Column that names each row's series, where rows of several take turns; lines come as they are finished.",
    ),
]


def written_as(target: Path | None, to: TableFormat | None) -> TableFormat:
    """What scores are written as. Raises ConfigurationError for an npz file."""
    if to is not None or target is None:
        return to or "csv"
    format_ = format_of(target)
    require(format_ != "npz", "out", str(target), "a csv, JSON Lines, Parquet or Arrow file, or another --to")
    return cast(TableFormat, format_)
