"""`offbeat export`: from a checkpoint to a model version folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from offbeat.errors import MissingExtraError

if TYPE_CHECKING:
    from offbeat_export.exporter import ExportReport


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint written by `offbeat train`.")],
    model_repository: Annotated[
        Path,
        typer.Option(envvar="OFFBEAT_MODEL_REPOSITORY", help="A folder of models in Triton's layout; made if missing."),
    ],
    name: Annotated[str, typer.Option(envvar="OFFBEAT_NAME", help="The model's name, and its folder's.")],
    version: Annotated[
        int | None,
        typer.Option(envvar="OFFBEAT_VERSION", min=1, help="The version to write; the next free one by default."),
    ] = None,
    description: Annotated[
        str, typer.Option(envvar="OFFBEAT_DESCRIPTION", help="What the model is for; kept in its manifest.")
    ] = "",
) -> None:
    """Exports a trained checkpoint as a new version of a model, which every backend loads and Triton reads as it is.

    The scores of every exported format are compared with the trained model's first; where they differ, nothing is written.

    Example: `offbeat export model.ckpt --model-repository models --name server-metrics`
    """
    try:
        from offbeat_export.exporter import export_checkpoint
    except ImportError as error:
        raise MissingExtraError(f"offbeat export needs {error.name}; pip install 'offbeat[export]'") from error
    console = Console()
    with console.status("exporting") as status:
        report = export_checkpoint(
            checkpoint, model_repository, name=name, version=version, description=description, announce=status.update
        )
    _print(console, report)


def _print(console: Console, report: ExportReport) -> None:
    from offbeat_export.parity_table import parity_table

    console.print(parity_table(report.parity))
    for file_name, record in report.manifest.files.items():
        console.print(f"{record.n_bytes:>12,} bytes  {file_name}", highlight=False, markup=False)
    console.print(f"wrote {report.folder}", style="green", highlight=False, markup=False, soft_wrap=True)
