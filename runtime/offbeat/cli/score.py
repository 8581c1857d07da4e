"""`offbeat score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console

from offbeat.cli.alarm_rule import AlarmRule
from offbeat.cli.options import BackendOption, DeviceOption, ThreadsOption
from offbeat.cli.score_file import RowScore, score_dataset
from offbeat.cli.score_flags import FLAG_USES, SERIES_USES
from offbeat.cli.score_security import (
    TlsCaOption,
    TlsClientCertOption,
    TlsClientKeyOption,
    TlsOption,
    TlsServerNameOption,
    TokenOption,
)
from offbeat.cli.score_source import open_source
from offbeat.cli.score_table import write_scores
from offbeat.cli.target import check_targets
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection, MissingPolicy, data_notes, read_dataset
from offbeat.errors import require
from offbeat.flag_use import refuse_unused
from offbeat.security_config import ClientSecurity


def score(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="csv, npz or Parquet file of raw values.")],
    model: Annotated[str, typer.Option(envvar="OFFBEAT_MODEL", help="Folder of a model; with --server, its name.")],
    server: Annotated[str | None, typer.Option(envvar="OFFBEAT_SERVER", help="host:port of a running server.")] = None,
    model_version: Annotated[
        int | None, typer.Option(envvar="OFFBEAT_MODEL_VERSION", min=1, help="With --server; the newest by default.")
    ] = None,
    out: Annotated[Path, typer.Option(envvar="OFFBEAT_OUT", help="csv file to write; - is standard output.")] = Path(
        "-"
    ),
    per: Annotated[
        Literal["row", "window"],
        typer.Option(envvar="OFFBEAT_PER", help="A line for each row of a series, or for each window."),
    ] = "row",
    row_score: Annotated[
        RowScore,
        typer.Option(
            envvar="OFFBEAT_ROW_SCORE",
            help="A row's error: the mean over all windows that cover it, or the newest window's, without look ahead.",
        ),
    ] = "mean",
    alarm_k: Annotated[
        int | None, typer.Option(envvar="OFFBEAT_ALARM_K", help="Adds a column alarm: at least so many flagged ...")
    ] = None,
    alarm_n: Annotated[
        int | None, typer.Option(envvar="OFFBEAT_ALARM_N", help="... of so many last rows, this one included.")
    ] = None,
    stride: Annotated[
        int, typer.Option(envvar="OFFBEAT_SCORE_STRIDE", min=1, help="Rows from the start of one window to the next.")
    ] = 1,
    batch_size: Annotated[
        int, typer.Option(envvar="OFFBEAT_SCORE_BATCH_SIZE", min=1, help="Windows in one call.")
    ] = 256,
    timestamp_column: Annotated[
        str | None, typer.Option(envvar="OFFBEAT_TIMESTAMP_COLUMN", help="Recognised where it is not given.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(envvar="OFFBEAT_DELIMITER", help="Of a csv file; recognised where it is not given.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="OFFBEAT_KEY", help="Array of an npz file.")] = None,
    layout: Annotated[
        Literal["rows", "windows"],
        typer.Option(envvar="OFFBEAT_LAYOUT", help="What a line of the data is: a step, or a window of one feature."),
    ] = "rows",
    missing: Annotated[
        MissingPolicy, typer.Option(envvar="OFFBEAT_MISSING", help="What becomes of NaN and empty cells.")
    ] = "reject",
    outputs: Annotated[
        Path | None,
        typer.Option(
            envvar="OFFBEAT_OUTPUTS",
            help="npz file for each line's feature_error, reconstruction and what else there is.",
        ),
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            envvar="OFFBEAT_COLUMNS",
            help="Adds columns, with commas between: p_value, error_std, class_probability, forecast.",
        ),
    ] = "",
    timeout_s: Annotated[
        float, typer.Option(envvar="OFFBEAT_TIMEOUT_S", min=0.001, help="For each call of the server.")
    ] = 30.0,
    tls: TlsOption = False,
    tls_ca: TlsCaOption = None,
    tls_client_cert: TlsClientCertOption = None,
    tls_client_key: TlsClientKeyOption = None,
    tls_server_name: TlsServerNameOption = None,
    token: TokenOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    n_threads: ThreadsOption = 1,
) -> None:
    """Score a file and write a csv: row, window or sample, timestamp, reconstruction_error, anomaly_score, is_anomaly.

    The features are taken by the names the model was trained with. A row of a series gets the mean error of all windows
    that cover it, or the error of the newest window. Values that were filled, and irregular time stamps, are told on standard error.

    Examples: `offbeat score metrics.csv --model models/server-metrics --out scores.csv`, and against a server
    `offbeat score metrics.csv --server 127.0.0.1:8001 --model server-metrics --out scores.csv`
    """
    refuse_unused(context, FLAG_USES)
    rule, target = AlarmRule.of(alarm_k, alarm_n), None if out == Path("-") else out
    check_targets({"out": target, "outputs": outputs}, [data] if server else [data, Path(model)])
    require(
        outputs is None or row_score == "mean", "outputs", str(outputs), "none with --row-score newest: they are means"
    )
    console = Console(stderr=True)
    config = BackendConfig(backend=backend, device=device, n_threads=n_threads)
    security = ClientSecurity(
        tls=tls,
        tls_ca=tls_ca,
        tls_client_cert=tls_client_cert,
        tls_client_key=tls_client_key,
        tls_server_name=tls_server_name,
        token=token,
    )
    with open_source(model, server, model_version, config, timeout_s, security) as source:
        selection = ColumnSelection(
            features=source.manifest.feature_names,
            timestamp_column=timestamp_column,
            delimiter=delimiter,
            key=key,
            layout=layout,
            missing=missing,
        )
        dataset = read_dataset(data, selection)
        refuse_unused(context, SERIES_USES, is_series=source.manifest.window is not None and dataset.values.ndim == 2)
        if missing == "interpolate" and row_score == "newest":
            console.print(
                "--missing interpolate looks ahead, which newest does not: prefer forward-fill", style="yellow"
            )
        for note in data_notes(dataset):
            console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
        scores = score_dataset(
            source,
            dataset,
            per=per,
            row_score=row_score,
            stride=stride,
            batch_size=batch_size,
            console=console,
            outputs=outputs,
            columns=tuple(dict.fromkeys(name.strip() for name in columns.split(",") if name.strip())),
        )
    if rule is not None:
        scores = msgspec.structs.replace(scores, alarm=rule.alarms(scores.is_anomaly))
    write_scores(scores, target, sys.stdout)
    console.print(
        f"{scores.n_lines:,} {scores.unit}s, {scores.n_anomalies:,} anomalous, by {source.backend}", highlight=False
    )
