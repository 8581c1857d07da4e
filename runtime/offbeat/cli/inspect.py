"""`offbeat inspect`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from offbeat.bundle import Manifest, ModelVersion, TensorSpec, open_version
from offbeat.cli.options import JsonOption, ModelArgument


def inspect(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Check a model version folder and show what it holds: tensors, threshold, training, metrics, parity, files.

    Every file's digest is checked and the golden windows are read; nothing is executed.

    Example: `offbeat inspect models/server-metrics`
    """
    version = open_version(model)
    version.golden()
    if as_json:
        sys.stdout.write(version.manifest.to_json().decode())
        return
    console = Console()
    for table in (_summary(version), _tensors(version.manifest), _parity(version.manifest), _files(version.manifest)):
        console.print(table)


def _summary(version: ModelVersion) -> Table:
    manifest = version.manifest
    window, training, threshold = manifest.window, manifest.training, manifest.threshold
    rows = {
        "folder": str(version.path),
        "description": manifest.description or "-",
        "architecture": f"{manifest.architecture.kind} {manifest.architecture.settings}",
        "parameters": f"{manifest.architecture.n_parameters:,}",
        "features": ", ".join(manifest.feature_names),
        "window": "-"
        if window is None
        else f"{window.length} steps" + (", any length" if window.is_time_dynamic else ""),
        "threshold": f"{threshold.value:.6g} ({threshold.how})",
        "trained": f"{training.trained_at} on {training.source.name}, {training.n_training_windows:,} windows, "
        f"{training.n_epochs} epochs, seed {training.seed}",
        "metrics": ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items()) or "-",
    }
    table = Table(title=f"{manifest.name} version {manifest.version}", show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _tensors(manifest: Manifest) -> Table:
    table = Table("tensor", "direction", "type", "shape")
    for direction, specs in (("in", manifest.inputs), ("out", manifest.outputs)):
        for spec in specs:
            table.add_row(spec.name, direction, spec.dtype, _shape(spec))
    return table


def _shape(spec: TensorSpec) -> Text:
    return Text(f"[{', '.join(map(str, spec.shape))}]")


def _parity(manifest: Manifest) -> Table:
    bound = manifest.parity.bound
    table = Table("format", "windows", "max |Δerror| / max(1, error)", f"of the bound {bound:g}", "flips", "worst case")
    for name, parity in manifest.parity.formats.items():
        error = parity.outputs["reconstruction_error"]
        figures = (f"{error.max_relative:.2g}", f"{error.max_relative / bound:.1%}", str(parity.decision_flips))
        table.add_row(Text(name), f"{parity.n_windows:,}", *figures, Text(parity.worst_case))
    return table


def _files(manifest: Manifest) -> Table:
    table = Table("file", "bytes", "SHA-256")
    for name, record in manifest.files.items():
        table.add_row(name, f"{record.n_bytes:,}", record.sha256[:16] + "…")
    return table
