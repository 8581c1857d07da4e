"""Options of `offbeat serve` for the memory of series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offbeat.series_config import OutOfOrder

MaxSeriesOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_MAX_SERIES", min=1, help="Series remembered for each model, by ScorePoints.")
]
MaxSeriesBytesOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_MAX_SERIES_BYTES", min=1024, help="Memory for them, for each model.")
]
SeriesTtlOption = Annotated[
    float, typer.Option(envvar="OFFBEAT_SERIES_TTL_S", min=0.001, help="Forget a series without a row for so long.")
]
OutOfOrderOption = Annotated[
    OutOfOrder,
    typer.Option(
        envvar="OFFBEAT_OUT_OF_ORDER",
        help="A row that is not later than the one before: refuse its request, or drop it.",
    ),
]
AlarmKOption = Annotated[
    int,
    typer.Option(
        envvar="OFFBEAT_ALARM_K", min=1, help="Alarm where so many of a series' last windows are anomalous ..."
    ),
]
AlarmNOption = Annotated[int, typer.Option(envvar="OFFBEAT_ALARM_N", min=1, help="... of so many.")]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        envvar="OFFBEAT_STATE_DIR", help="Folder in which series survive a restart. Memory alone unless given."
    ),
]
SeriesSnapshotOption = Annotated[
    float, typer.Option(envvar="OFFBEAT_SERIES_SNAPSHOT_S", min=0.05, help="Seconds between two writings of it.")
]
