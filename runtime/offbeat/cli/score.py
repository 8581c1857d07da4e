"""`offbeat score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console

from offbeat.bulk import AlarmRule, BulkOptions
from offbeat.bulk.series_lines import RowScore
from offbeat.cli.options import (
    BackendOption,
    DeviceOption,
    IsaOption,
    KeyOption,
    LayoutOption,
    MissingOption,
    StrideOption,
    ThreadsOption,
)
from offbeat.cli.score_flags import FLAG_USES, SERIES_USES
from offbeat.cli.score_folder import FOLDER_USES, EngineOption, score_folder
from offbeat.cli.score_formats import FormatOption, SeriesColumnOption, ToOption, written_as
from offbeat.cli.score_request import READ_WHOLE, ScoreRequest, is_streamed, score_stream, score_whole
from offbeat.cli.score_security import (
    TlsCaOption,
    TlsClientCertOption,
    TlsClientKeyOption,
    TlsOption,
    TlsServerNameOption,
    TokenOption,
)
from offbeat.cli.score_source import open_source
from offbeat.cli.target import check_targets
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection, read_dataset
from offbeat.data.formats import format_of
from offbeat.errors import require
from offbeat.flag_use import is_npz, refuse_unused
from offbeat.security_config import ClientSecurity


def score(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of raw values; - is standard input.")
    ],
    model: Annotated[str, typer.Option(envvar="OFFBEAT_MODEL", help="Folder of a model; with --server, its name.")],
    server: Annotated[
        str | None,
        typer.Option(envvar="OFFBEAT_SERVER", help="host:port of a running server; in this process unless given."),
    ] = None,
    model_version: Annotated[
        int | None, typer.Option(envvar="OFFBEAT_MODEL_VERSION", min=1, help="With --server; the newest by default.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", envvar="OFFBEAT_OUT", help="File to write; - is standard output.")
    ] = Path("-"),
    format_: FormatOption = None,
    to: ToOption = None,
    series_column: SeriesColumnOption = None,
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
        int | None, typer.Option(envvar="OFFBEAT_ALARM_K", help="Adds a column alarm: true while at least so many ...")
    ] = None,
    alarm_n: Annotated[
        int | None,
        typer.Option(envvar="OFFBEAT_ALARM_N", help="... of so many last lines, this one included, are anomalous."),
    ] = None,
    stride: StrideOption = 1,
    batch_size: Annotated[
        int, typer.Option(envvar="OFFBEAT_SCORE_BATCH_SIZE", min=1, help="Windows in one call.")
    ] = 256,
    timestamp_column: Annotated[
        str | None,
        typer.Option(envvar="OFFBEAT_TIMESTAMP_COLUMN", help="Column of times; recognised where it is not given."),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(envvar="OFFBEAT_DELIMITER", help="Of a csv file; recognised where it is not given.")
    ] = None,
    key: KeyOption = None,
    layout: LayoutOption = "rows",
    missing: MissingOption = "reject",
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
        float, typer.Option(envvar="OFFBEAT_TIMEOUT_S", min=0.001, help="With --server: seconds for each call.")
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
    isa: IsaOption = "auto",
    engine: EngineOption = "local",
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
    refuse_unused(context, FOLDER_USES)
    read_as = format_ or ("parquet" if engine == "ray" else "csv" if data == Path("-") else format_of(data))
    refuse_unused(context, FLAG_USES, read_as=read_as)
    console = Console(stderr=True)
    config = BackendConfig(backend=backend, device=device, n_threads=n_threads, isa=isa)
    options = BulkOptions(
        per=per,
        row_score=row_score,
        stride=stride,
        batch_size=batch_size,
        columns=tuple(name.strip() for name in columns.split(",") if name.strip()),
        rule=AlarmRule.of(alarm_k, alarm_n),
    )
    if engine == "ray":
        options = msgspec.structs.replace(options, missing=missing)
        done = score_folder(context, data, out, model, timestamp_column, series_column, options, config, console)
        console.print(done, highlight=False)
        return
    is_whole = not is_streamed(read_as, layout, outputs, missing)
    require(not (is_whole and data == Path("-")), "data", "-", f"a file: {READ_WHOLE}")
    is_by_ending = not is_whole or format_ is None or format_ == format_of(data)
    require(is_by_ending, "format", format_, f"a file whose ending says that: {READ_WHOLE}")
    target = None if out == Path("-") else out
    check_targets({"out": target, "outputs": outputs}, [data] if server else [data, Path(model)])
    require(outputs is None or is_npz(outputs), "outputs", str(outputs), "a file whose name ends in .npz")
    require(
        outputs is None or row_score == "mean", "outputs", str(outputs), "none with --row-score newest: they are means"
    )
    security = ClientSecurity(
        tls=tls,
        tls_ca=tls_ca,
        tls_client_cert=tls_client_cert,
        tls_client_key=tls_client_key,
        tls_server_name=tls_server_name,
        token=token,
    )
    with open_source(model, server, model_version, config, timeout_s, security) as source:
        request = ScoreRequest(
            data=data,
            read_as=read_as,
            selection=ColumnSelection(
                features=source.manifest.feature_names,
                timestamp_column=timestamp_column,
                series_column=series_column,
                delimiter=delimiter,
                key=key,
                layout=layout,
                missing=missing,
            ),
            options=options,
            outputs=outputs,
            target=target,
            to=written_as(target, to),
        )
        dataset = None if request.is_streamed else read_dataset(data, request.selection)
        is_series = source.manifest.window is not None and (dataset is None or dataset.values.ndim == 2)
        refuse_unused(context, SERIES_USES, is_series=is_series)
        whole = None if dataset is None else score_whole(source, dataset, request, console)
        summary = whole or score_stream(source, request, console)
    console.print(f"{summary}, by {source.backend}", highlight=False)
