"""`offbeat score --engine ray`: a folder of Parquet files on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from offbeat.bulk import BulkOptions
from offbeat.bundle import open_version
from offbeat.cli.score_flags import SERIES_USES
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.errors import DataError, MissingExtraError, require
from offbeat.flag_use import FlagUse, refuse_unused

Engine = Literal["local", "ray"]
EngineOption = Annotated[
    Engine,
    typer.Option(
        envvar="OFFBEAT_ENGINE",
        help="ray scores a folder of Parquet files into a folder, on the cluster of RAY_ADDRESS or on this machine.",
    ),
]
FOLDER_USES = (
    FlagUse(
        flags=("server", "format_", "to", "outputs", "delimiter", "key", "layout"),
        goes_with="--engine local",
        is_used=lambda call: call["engine"] == "local",
    ),
)
_MAX_TOLD = 10


def score_folder(
    context: typer.Context,
    data: Path,
    out: Path,
    model: str,
    timestamp_column: str | None,
    series_column: str | None,
    options: BulkOptions,
    backend: BackendConfig,
    console: Console,
) -> str:
    """Scores what has no output yet; returns what there is then, in words.

    Raises MissingExtraError without ray, DataError where files could not be scored, once the others are, and what else
    `offbeat.ray` raises.
    """
    try:
        from offbeat.ray.file_scoring import FolderRequest
        from offbeat.ray.folder_scoring import score_folder as score_on_ray
    except ImportError as error:
        raise MissingExtraError(f"--engine ray needs {error.name}; pip install 'offbeat[ray]'") from error
    require(out != Path("-"), "out", str(out), "a folder, with --engine ray")
    version = open_version(model)
    refuse_unused(context, SERIES_USES, is_series=version.manifest.window is not None)
    options.check(version.manifest)
    selection = ColumnSelection(
        features=version.manifest.feature_names,
        timestamp_column=timestamp_column,
        series_column=series_column,
        missing=options.missing,
    )
    request = FolderRequest(
        data=str(data.absolute()),
        out=str(out.absolute()),
        model=str(version.path.absolute()),
        selection=selection,
        options=options,
        backend=backend,
    )
    columns = (TextColumn("scoring files"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=None)
        summary = score_on_ray(request, lambda n_done, n: progress.update(task, completed=n_done, total=n))
    for outcome in summary.failed[:_MAX_TOLD]:
        console.print(outcome.error, style="red", markup=False, highlight=False, soft_wrap=True)
    words = (
        f"{summary.n_scored:,} files scored, {summary.n_kept:,} kept from before, {summary.n_empty:,} without rows; "
        f"{summary.n_rows:,} rows, {summary.n_anomalies:,} anomalous, {summary.n_unscored:,} without a score"
    )
    if summary.failed:
        n_failed = len(summary.failed)
        raise DataError(
            f"{n_failed:,} files could not be scored, the first {summary.failed[0].name}; otherwise {words}"
        )
    return words
