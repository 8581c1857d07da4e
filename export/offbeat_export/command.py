"""`offbeat export`: from a checkpoint to a model version folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from offbeat.errors import MissingExtraError
from offbeat_export.precision import MAX_QUALITY_LOSS
from offbeat_export.precision_flags import (
    CalibrationKeyOption,
    CalibrationOption,
    DelimiterOption,
    KeyOption,
    LabelColumnOption,
    LabelledOption,
    LayoutOption,
    MaxQualityLossOption,
    NormalLabelOption,
    PrecisionFlags,
    PrecisionOption,
    write_variants,
)

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
    licence: Annotated[
        str, typer.Option(envvar="OFFBEAT_LICENCE", help="The model's licence, for example an SPDX identifier.")
    ] = "",
    exporter: Annotated[
        str,
        typer.Option(
            envvar="OFFBEAT_EXPORTER",
            help="Which of torch's exporters writes model.onnx: classic, dynamo, or auto for the one with the cleaner graph.",
        ),
    ] = "auto",
    torch_program: Annotated[
        bool,
        typer.Option(
            "--torch-program", envvar="OFFBEAT_TORCH_PROGRAM", help="Write model.pt2, for torch.export.load, too."
        ),
    ] = False,
    triton_pytorch: Annotated[
        Path | None,
        typer.Option(
            envvar="OFFBEAT_TRITON_PYTORCH",
            help="Another repository, to which the model is written for Triton's PyTorch backend too; made if missing.",
        ),
    ] = None,
    precision: PrecisionOption = None,
    max_quality_loss: MaxQualityLossOption = MAX_QUALITY_LOSS,
    labelled: LabelledOption = None,
    label_column: LabelColumnOption = None,
    normal_label: NormalLabelOption = "0",
    calibration: CalibrationOption = None,
    key: KeyOption = None,
    calibration_key: CalibrationKeyOption = None,
    layout: LayoutOption = "rows",
    delimiter: DelimiterOption = None,
) -> None:
    """Export a trained checkpoint as a new version of a model, which every backend loads and Triton reads as it is.

    The scores of every exported format are compared with the trained model's first; where they differ, nothing is written.
    Other precisions than fp32 are models of their own, `<name>-int8`, measured beside fp32 and refused where they bring nothing.

    Examples:

    - `offbeat export model.ckpt --model-repository models --name server-metrics`
    - beside it one in 8 bits: `offbeat export model.ckpt --model-repository models --name server-metrics --precision fp32,int8`
    """
    flags = PrecisionFlags.of(
        precision,
        max_quality_loss=max_quality_loss,
        labelled=labelled,
        label_column=label_column,
        normal_label=normal_label,
        calibration=calibration,
        key=key,
        calibration_key=calibration_key,
        layout=layout,
        delimiter=delimiter,
    )
    try:
        from offbeat_export.export_progress import ExportProgress
        from offbeat_export.exporter import export_checkpoint
    except ImportError as error:
        raise MissingExtraError(f"offbeat export needs {error.name}; pip install 'offbeat[export]'") from error
    console = Console()
    if "fp32" in flags.precisions:
        with ExportProgress(console) as progress:
            report = export_checkpoint(
                checkpoint,
                model_repository,
                name=name,
                version=version,
                description=description,
                licence=licence,
                exporter=exporter,  # type: ignore[arg-type]
                torch_program=torch_program,
                triton_pytorch=triton_pytorch,
                announce=progress.announce,
            )
        print_report(console, report)
    if flags.variants:
        write_variants(console, flags, checkpoint, model_repository, name=name, version=version)


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
