"""`offbeat recalibrate`: a new threshold for a model, and no new weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from offbeat.bundle import Manifest, ModelVersion, open_version
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection, Dataset, data_notes, read_dataset
from offbeat.errors import ConfigurationError, MissingExtraError
from offbeat.flag_fields import made, with_fields
from offbeat.provenance import DataSource
from offbeat.scorer import Scorer
from offbeat_export.calibration_flags import FLAGS, KINDS, CalibrationFlags
from offbeat_training.config import TrainingConfig

if TYPE_CHECKING:
    from offbeat_export.calibration_errors import CalibrationErrors
    from offbeat_export.recalibration import RecalibrationReport


@with_fields(KINDS, FLAGS)
def recalibrate(
    model: Annotated[Path, typer.Argument(help="A version of a model in its repository, or the model: its newest.")],
    data: Annotated[
        Path | None,
        typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of normal data; none with --threshold."),
    ] = None,
    **given: Any,
) -> None:
    """Write a new version of a model with a new threshold and the same weights, bit for bit.

    The threshold is taken from the errors of new normal data, by the model's present method unless flags say otherwise.
    Parity is measured and the golden windows are replayed with it first; where they disagree, nothing is written.

    Examples:

    - `offbeat recalibrate models/server-metrics last-week.csv`
    - for fewer alarms: `offbeat recalibrate models/server-metrics last-week.csv --false-alarm-rate 0.001`
    """
    flags, columns = made(CalibrationFlags, given), made(ColumnSelection, given)
    opened = open_version(model)
    config, console = flags.config(opened.manifest), Console()
    dataset = _read(data, columns, opened.manifest, config)
    try:
        from offbeat_export.calibration_errors import CalibrationErrors
        from offbeat_export.recalibration import check_place
        from offbeat_export.recalibration import recalibrate as write_version
        from offbeat_training.thresholds import choose_threshold
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"offbeat recalibrate rewrites every format of the model, and needs {error.name} for that; pip install 'offbeat[export]'"
        ) from error
    check_place(opened, flags.version)
    with console.status("scoring the data") as status:
        errors = CalibrationErrors.none() if dataset is None else _score(opened, dataset, flags.stride)
        chosen = choose_threshold(errors.normal, config, errors.anomalous)
        report = write_version(opened, chosen, source=_source(dataset), version=flags.version, announce=status.update)
    _print(console, opened.manifest, report, errors)


def _read(data: Path | None, columns: ColumnSelection, manifest: Manifest, config: TrainingConfig) -> Dataset | None:
    if data is None:
        if config.threshold is None:
            method = config.chosen_threshold_method
            raise ConfigurationError(f"data is not given; expected a file, which threshold_method {method} needs")
        return None
    dataset = read_dataset(data, msgspec.structs.replace(columns, features=manifest.feature_names))
    for note in data_notes(dataset):
        Console(stderr=True).print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    return dataset


def _score(opened: ModelVersion, dataset: Dataset, stride: int | None) -> CalibrationErrors:
    from offbeat_export.calibration_errors import calibration_errors

    with Scorer.open(opened, BackendConfig(device="cpu")) as scorer:
        return calibration_errors(scorer, dataset, stride)


def _source(dataset: Dataset | None) -> DataSource | None:
    if dataset is None:
        return None
    return DataSource(name=dataset.name, sha256=dataset.sha256, n_rows=dataset.n_rows)


def _print(console: Console, old: Manifest, report: RecalibrationReport, errors: CalibrationErrors) -> None:
    manifest = report.manifest
    table = Table(
        "", f"version {old.version}", f"version {manifest.version}", title=manifest.name, title_justify="left"
    )
    thresholds = (old.threshold, manifest.threshold)
    table.add_row("threshold", *(f"{each.value:.6g}" for each in thresholds))
    table.add_row("chosen by", *(each.how for each in thresholds))
    for what, given in (("normal", errors.normal), ("anomalous", errors.anomalous)):
        if given.size:
            shares = (np.mean(given > np.float32(each.value)) for each in thresholds)
            table.add_row(f"flagged of {given.size:,} {what} windows", *(f"{share:.2%}" for share in shares))
    console.print(table)
    for measured in report.parity:
        worst = 0.0 if measured.worst is None else measured.worst.relative / manifest.parity.bound
        console.print(f"{measured.format}: at most {worst:.1%} of the parity bound, weights unchanged", highlight=False)
    console.print(f"wrote {report.folder}", style="green", highlight=False, markup=False, soft_wrap=True)
