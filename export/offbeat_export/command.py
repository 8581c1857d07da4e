"""`offbeat export`: from a checkpoint to a model version folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from offbeat.errors import MissingExtraError
from offbeat.flag_fields import made, with_fields
from offbeat_export.export_flags import FLAGS, KINDS, ExportFlags
from offbeat_export.precision_flags import PrecisionFlags, write_variants

if TYPE_CHECKING:
    from offbeat_export.exporter import ExportReport


@with_fields(KINDS, FLAGS)
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint written by `offbeat train`.")],
    model_repository: Annotated[
        Path,
        typer.Option(envvar="OFFBEAT_MODEL_REPOSITORY", help="A folder of models in Triton's layout; made if missing."),
    ],
    name: Annotated[str, typer.Option(envvar="OFFBEAT_NAME", help="The model's name, and its folder's.")],
    **given: Any,
) -> None:
    """Export a trained checkpoint as a new version of a model, which every backend loads and Triton reads as it is.

    The scores of every exported format are compared with the trained model's first; where they differ, nothing is written.
    Other precisions than fp32 are models of their own, `<name>-int8`, measured beside fp32 and refused where they bring nothing.

    Examples:

    - `offbeat export model.ckpt --model-repository models --name server-metrics`
    - beside it one in 8 bits: `offbeat export model.ckpt --model-repository models --name server-metrics --precision fp32,int8`
    """
    flags, precisions = made(ExportFlags, given), made(PrecisionFlags, given)
    try:
        from offbeat_export.export_progress import ExportProgress
        from offbeat_export.exporter import export_checkpoint
    except ImportError as error:
        raise MissingExtraError(f"offbeat export needs {error.name}; pip install 'offbeat[export]'") from error
    console = Console()
    if "fp32" in precisions.precisions:
        with ExportProgress(console) as progress:
            asked = msgspec.structs.asdict(flags)
            report = export_checkpoint(checkpoint, model_repository, name=name, announce=progress.announce, **asked)
        print_report(console, report)
    if precisions.variants:
        write_variants(console, precisions, checkpoint, model_repository, name=name, version=flags.version)


def print_report(console: Console, report: ExportReport) -> None:
    """Prints the parity table, what the exporters' graphs were like, the sizes of the files and where they are."""
    from offbeat_export.parity_table import parity_table

    console.print(parity_table(report.parity, report.unmeasured))
    _print_graph(console, report)
    for file_name, record in report.manifest.files.items():
        console.print(f"{record.n_bytes:>12,} bytes  {file_name}", highlight=False, markup=False)
    for folder in (report.triton_folder, report.folder):
        if folder is not None:
            console.print(f"wrote {folder}", style="green", highlight=False, markup=False, soft_wrap=True)


def _print_graph(console: Console, report: ExportReport) -> None:
    graph = report.manifest.graph
    if graph is None:
        return
    for exporter, figures in graph.candidates.items():
        found = "; ".join(figures.findings) or "no defects"
        counts = f"{figures.n_nodes} nodes, {figures.n_lstm_nodes} of them LSTM, opset {figures.opset}"
        console.print(f"{exporter} exporter: {counts}: {found}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"model.onnx is the {graph.exporter} one: {graph.reason}", highlight=False, markup=False, soft_wrap=True
    )
