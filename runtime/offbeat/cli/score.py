"""`offbeat score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from offbeat.bulk import AlarmRule, BulkOptions, ScoreSource
from offbeat.cli.score_flags import FLAGS, KINDS, ScoreFlags
from offbeat.cli.score_folder import score_folder
from offbeat.cli.score_request import ScoreRequest, score_stream, score_whole
from offbeat.cli.score_source import open_source
from offbeat.cli.score_uses import FLAG_USES, FOLDER_USES, SERIES_USES
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection, read_dataset
from offbeat.flag_fields import made, with_fields
from offbeat.flag_use import refuse_unused
from offbeat.security_config import ClientSecurity


@with_fields(KINDS, FLAGS)
def score(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of raw values; - is standard input.")
    ],
    model: Annotated[str, typer.Option(envvar="OFFBEAT_MODEL", help="Folder of a model; with --server, its name.")],
    **given: Any,
) -> None:
    """Score a file and write a table: row, window or sample, timestamp, reconstruction_error, anomaly_score, is_anomaly.

    The features are taken by the names the model was trained with. A row of a series gets the mean error of all windows
    that cover it, or the error of the newest window. Values that were filled, and irregular time stamps, are told on standard error.
    Rows are read, scored and written in a stream, so that a file may be larger than memory; `--outputs`, `--missing interpolate`,
    ready-made windows and npz files are read as a whole.

    With `--engine ray` data and out are folders of Parquet files; what has been scored before is left as it is.

    Examples:

    - `offbeat score metrics.csv --model models/server-metrics --out scores.csv`
    - by a server: `offbeat score metrics.csv --server 127.0.0.1:8001 --model server-metrics --out scores.csv`
    - as a filter: `zcat big.csv.gz | offbeat score - --model models/server-metrics -o scores.parquet`
    """
    asked = made(ScoreFlags, given, data=data, model=model)
    refuse_unused(context, FOLDER_USES)
    refuse_unused(context, FLAG_USES, read_as=asked.read_as)
    console, config = Console(stderr=True), made(BackendConfig, given)
    # Whether gaps may be filled depends on how rows are read, which the columns' policy decides.
    options = made(BulkOptions, given, rule=AlarmRule.of(asked.alarm_k, asked.alarm_n), missing="reject")
    columns = made(ColumnSelection, given)
    if asked.engine == "ray":
        console.print(score_folder(context, asked, columns, options, config, console), highlight=False)
        return
    asked.check(columns, options)
    with open_source(asked, config, made(ClientSecurity, given)) as source:
        columns = msgspec.structs.replace(columns, features=source.manifest.feature_names)
        summary = _scored(context, source, _request(asked, columns, options), console)
    console.print(f"{summary}, by {source.backend}", highlight=False)


def _request(asked: ScoreFlags, columns: ColumnSelection, options: BulkOptions) -> ScoreRequest:
    return ScoreRequest(
        data=asked.data,
        read_as=asked.read_as,
        selection=columns,
        options=options,
        outputs=asked.outputs,
        target=asked.target,
        to=asked.written_as,
    )


def _scored(context: typer.Context, source: ScoreSource, request: ScoreRequest, console: Console) -> str:
    """What was scored and written, in words."""
    dataset = None if request.is_streamed else read_dataset(request.data, request.selection)
    is_series = source.manifest.window is not None and (dataset is None or dataset.values.ndim == 2)
    refuse_unused(context, SERIES_USES, is_series=is_series)
    if dataset is None:
        return score_stream(source, request, console)
    return score_whole(source, dataset, request, console)
