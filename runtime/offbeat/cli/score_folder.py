"""`offbeat score --engine ray`: a folder of Parquet files on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from offbeat.bulk import BulkOptions
from offbeat.bundle import ModelVersion, open_version
from offbeat.cli.score_flags import STANDARD, ScoreFlags
from offbeat.cli.score_uses import SERIES_USES
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.errors import DataError, MissingExtraError, require
from offbeat.flag_use import refuse_unused

if TYPE_CHECKING:
    from offbeat.ray.file_scoring import FolderRequest
    from offbeat.ray.folder_scoring import FolderSummary

_MAX_TOLD = 10


def score_folder(
    context: typer.Context,
    asked: ScoreFlags,
    columns: ColumnSelection,
    options: BulkOptions,
    backend: BackendConfig,
    console: Console,
) -> str:
    """Scores what has no output yet; returns what there is then, in words.

    Raises MissingExtraError without ray, DataError where files could not be scored, once the others are, and what else
    `offbeat.ray` raises.
    """
    options = msgspec.structs.replace(options, missing=columns.missing)
    try:
        from offbeat.ray.folder_scoring import score_folder as score_on_ray
    except ImportError as error:
        raise MissingExtraError(f"--engine ray needs {error.name}; pip install 'offbeat[ray]'") from error
    require(asked.out != STANDARD, "out", str(asked.out), "a folder, with --engine ray")
    version = open_version(asked.model)
    refuse_unused(context, SERIES_USES, is_series=version.manifest.window is not None)
    options.check(version.manifest)
    request = _request(asked, version, columns, options, backend)
    bars = (TextColumn("scoring files"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=None)
        summary = score_on_ray(request, lambda n_done, n: progress.update(task, completed=n_done, total=n))
    return _told(summary, console)


def _request(
    asked: ScoreFlags, version: ModelVersion, columns: ColumnSelection, options: BulkOptions, backend: BackendConfig
) -> FolderRequest:
    from offbeat.ray.file_scoring import FolderRequest

    return FolderRequest(
        data=str(asked.data.absolute()),
        out=str(asked.out.absolute()),
        model=str(version.path.absolute()),
        # What is said of csv and npz files, by variables that serve other calls, is of no use here.
        selection=ColumnSelection(
            features=version.manifest.feature_names,
            timestamp_column=columns.timestamp_column,
            series_column=columns.series_column,
            missing=columns.missing,
        ),
        options=options,
        backend=backend,
    )


def _told(summary: FolderSummary, console: Console) -> str:
    """What was done, in words; of files that could not be scored the first ones' reasons are printed. Raises DataError for those."""
    for outcome in summary.failed[:_MAX_TOLD]:
        console.print(outcome.error, style="red", markup=False, highlight=False, soft_wrap=True)
    words = (
        f"{summary.n_scored:,} files scored, {summary.n_kept:,} kept from before, {summary.n_empty:,} without rows; "
        f"{summary.n_rows:,} rows, {summary.n_anomalies:,} anomalous, {summary.n_unscored:,} without a score"
    )
    if not summary.failed:
        return words
    n_failed = len(summary.failed)
    raise DataError(f"{n_failed:,} files could not be scored, the first {summary.failed[0].name}; otherwise {words}")
