"""The flags of `offbeat export`, in the order of its help."""

from __future__ import annotations

from pathlib import Path

import msgspec

from offbeat.flag_fields import Flags, flag
from offbeat_export.precision_flags import PrecisionFlags


class ExportFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What an export writes beside the formats that it always does, and what it says of the model: as of `export_checkpoint`."""

    version: int | None = None
    description: str = ""
    licence: str = ""
    exporter: str = "auto"
    torch_program: bool = False
    triton_pytorch: Path | None = None


KINDS = (ExportFlags, PrecisionFlags)
FLAGS: Flags = {
    "version": flag("The version to write; the next free one by default.", min=1),
    "description": flag("What the model is for; kept in its manifest."),
    "licence": flag("The model's licence, for example an SPDX identifier."),
    "exporter": flag(
        "Which of torch's exporters writes model.onnx: classic, dynamo, or auto for the one with the cleaner graph."
    ),
    "torch_program": flag("Write model.pt2, for torch.export.load, too.", "--torch-program"),
    "triton_pytorch": flag(
        "Another repository, to which the model is written for Triton's PyTorch backend too; made if missing."
    ),
    "precision": flag(
        "fp32 (the default), fp16, bf16, int8: several times, or with commas. Each is a model of its own."
    ),
    "max_quality_loss": flag("What a variant may lose of ROC-AUC.", min=0.0, max=1.0),
    "labelled": flag("csv, JSON Lines, Parquet, Arrow or npz file with labels that variants are judged on."),
    "label_column": flag("Of --labelled: column, or array of an npz file."),
    "normal_label": flag("Of --labelled: the label of normal lines."),
    "calibration": flag("Normal data for static scales of int8's large linear layers."),
    "key": flag("Array of an npz file given as --labelled."),
    "calibration_key": flag("Array of an npz file given as --calibration."),
    "layout": flag("What a line of the data is: a step, or a window of one feature."),
    "delimiter": flag("Of csv files; recognised where it is not given."),
}
