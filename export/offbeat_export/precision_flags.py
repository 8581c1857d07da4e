"""What the flags of `offbeat export` say about precisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from rich.console import Console

from offbeat.data import ColumnSelection, Dataset, data_notes, read_dataset
from offbeat.errors import ConfigurationError, ExportError, require
from offbeat_export.precision import MAX_QUALITY_LOSS, Precision, parse_precisions

if TYPE_CHECKING:
    from offbeat.bundle import Manifest
    from offbeat_export.variant_attempt import VariantReport


class PrecisionFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The precisions asked for, in the words of `parse_precisions`, and the data to judge and to calibrate them with.

    Raises ConfigurationError.
    """

    precision: tuple[str, ...] = ()
    max_quality_loss: float = MAX_QUALITY_LOSS
    labelled: Path | None = None
    calibration: Path | None = None
    label_column: str | None = None
    normal_label: str = "0"
    delimiter: str | None = None
    key: str | None = None
    calibration_key: str | None = None
    layout: Literal["rows", "windows"] = "rows"

    def __post_init__(self) -> None:
        parse_precisions(self.precision)
        has_labels = self.label_column is not None
        if (self.labelled is None) == has_labels:
            seen, other = ("label_column", "labelled") if has_labels else ("labelled", "label_column")
            raise ConfigurationError(f"{seen} is given, {other} is not; expected both or neither")
        for field in ("labelled", "calibration"):
            path = getattr(self, field)
            require(path is None or bool(self.variants), field, str(path), "none where fp32 is the only precision")

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Each precision asked for, once; float32 where none is."""
        return parse_precisions(self.precision)

    @property
    def variants(self) -> tuple[Precision, ...]:
        """Those other than float32."""
        return tuple(precision for precision in self.precisions if precision != "fp32")

    def read_labelled(self, manifest: Manifest) -> Dataset | None:
        """The labelled data, the features taken by the model's names. Raises DataError."""
        columns = self._columns(manifest, self.key)
        columns = msgspec.structs.replace(columns, label_column=self.label_column, normal_label=self.normal_label)
        return None if self.labelled is None else _read(self.labelled, columns)

    def read_calibration(self, manifest: Manifest) -> Dataset | None:
        """The calibration data, likewise."""
        return (
            None if self.calibration is None else _read(self.calibration, self._columns(manifest, self.calibration_key))
        )

    def _columns(self, manifest: Manifest, key: str | None) -> ColumnSelection:
        return ColumnSelection(features=manifest.feature_names, delimiter=self.delimiter, key=key, layout=self.layout)


def write_variants(
    console: Console, flags: PrecisionFlags, checkpoint: Path, repository: Path, *, name: str, version: int | None
) -> None:
    """Writes the variants asked for beside the model's float32 version, prints their figures, and says what was written.

    Raises ExportError, with every reason, where any was refused; those that were not stay.
    """
    from offbeat_export.export_progress import ExportProgress
    from offbeat_export.precision_table import precision_table
    from offbeat_export.variant_export import export_variants, find_source
    from offbeat_training.checkpoint import Checkpoint

    loaded = Checkpoint.load(checkpoint)
    source = find_source(loaded, repository, name)
    labelled, calibration = flags.read_labelled(source.manifest), flags.read_calibration(source.manifest)
    with ExportProgress(console) as progress:
        reports = export_variants(
            loaded,
            source,
            flags.variants,
            labelled=labelled,
            calibration=calibration,
            max_quality_loss=flags.max_quality_loss,
            version=version,
            announce=progress.announce,
        )
    console.print(precision_table(reports))
    for report in reports:
        if report.folder is not None:
            console.print(f"wrote {report.folder}", style="green", highlight=False, markup=False, soft_wrap=True)
    _raise_refused(reports)


def _raise_refused(reports: tuple[VariantReport, ...]) -> None:
    refused = [f"{report.name} is refused: {report.refusal}" for report in reports if report.refusal is not None]
    if refused:
        raise ExportError("; ".join(refused))


def _read(path: Path, columns: ColumnSelection) -> Dataset:
    dataset = read_dataset(path, columns)
    for note in data_notes(dataset):
        Console(stderr=True).print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    return dataset
