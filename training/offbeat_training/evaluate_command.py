"""`offbeat evaluate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console

from offbeat.data import ColumnSelection, MissingPolicy, read_dataset
from offbeat.data.dataset import Layout
from offbeat.errors import ConfigurationError, DataError
from offbeat.flag_use import refuse_unused
from offbeat_training.flag_uses import EVALUATE_USES, SCORED_USES
from offbeat_training.flags import flag
from offbeat_training.given_flags import training_extra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from offbeat.result import BoolArray, FloatArray
    from offbeat_training.evaluation import Comparison, LabelSelection, ScoreFile
    from offbeat_training.report import ReportTargets


def evaluate(
    context: typer.Context,
    scores: Annotated[Path, typer.Argument(help="csv, JSON Lines, Parquet or Arrow file that offbeat score wrote.")],
    labels: Annotated[
        Path,
        flag("labels", "csv, JSON Lines, Parquet, Arrow or npz file with a label per line, or NAB's json of windows."),
    ],
    label_column: Annotated[
        str | None, flag("label-column", "Column, or array of an npz file; not needed where it is the only one.")
    ] = None,
    normal_label: Annotated[str, flag("normal-label", "The label of normal lines.")] = "0",
    delimiter: Annotated[str | None, flag("delimiter", "Of csv files; recognised where it is not given.")] = None,
    series: Annotated[str | None, flag("series", "With NAB's json: which series.")] = None,
    flag_column: Annotated[
        Literal["is_anomaly", "alarm"], flag("flag-column", "Column of the scores that holds the flags to judge.")
    ] = "is_anomaly",
    vus_window: Annotated[
        int, flag("vus-window", "Rows of VUS-PR's widest buffer: the period of the series.", min=0, max=100_000)
    ] = 100,
    train: Annotated[
        Path | None, flag("train", "What the model was trained on; adds PCA and an isolation forest fitted on it.")
    ] = None,
    train_label_column: Annotated[
        str | None, flag("train-label-column", "Of --train: rows labelled otherwise than normal are left out.")
    ] = None,
    train_normal_label: Annotated[str, flag("train-normal-label", "Of --train: the label of normal rows.")] = "0",
    train_key: Annotated[
        str | None, flag("train-key", "Array of --train; that of --data where it is not given.")
    ] = None,
    data: Annotated[
        Path | None, flag("data", "The data that were scored, for the baselines; the file of labels by default.")
    ] = None,
    features: Annotated[
        str, flag("features", "With --train: names of the columns, with commas between; all numeric ones by default.")
    ] = "",
    timestamp_column: Annotated[str | None, flag("timestamp-column", "Recognised where it is not given.")] = None,
    key: Annotated[str | None, flag("key", "Array of --data, an npz file.")] = None,
    layout: Annotated[
        Layout, flag("layout", "What a line of --train and --data is: a step, or a window of one feature.")
    ] = "rows",
    missing: Annotated[MissingPolicy, flag("missing", "What becomes of NaN and empty cells.")] = "reject",
    seq_len: Annotated[
        int,
        flag("seq-len", "Rows in one window of the baselines; samples of a table go one by one.", min=1, max=1_000_000),
    ] = 50,
    calibration: Annotated[
        Path | None,
        flag("calibration", "What offbeat score wrote of other normal data: judges conformal p-values."),
    ] = None,
    report: Annotated[
        Path | None, flag("report", "HTML page to write: series, errors, curves, tables; docs/report.md.")
    ] = None,
    png: Annotated[Path | None, flag("png", "Folder for the pictures of the report, as PNG files.")] = None,
    model: Annotated[
        Path | None, flag("model", "Of the report: the folder of the model, or of its version, that scored.")
    ] = None,
    outputs: Annotated[
        Path | None, flag("outputs", "Of the report: npz file of feature_error and reconstruction, line by line.")
    ] = None,
    history: Annotated[Path | None, flag("history", "Of the report: csv file of losses, a line per epoch.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
) -> None:
    """Judge scores against labels, beside random scores and, given the training data, PCA and an isolation forest.

    The figures: VUS-PR, ROC-AUC, PR-AUC, best F1; and of the flags precision, recall, F1, false-positive rate, range-based
    and affiliation F1, confusion matrix, delay. Nothing is point-adjusted.

    Examples:

    - `offbeat evaluate scores.csv --labels test.csv --label-column label --train train.csv --seq-len 60`
    - to look at all of it: `offbeat evaluate scores.csv --labels test.csv --label-column label --report report.html`
    - a series of NAB: `offbeat evaluate scores.csv --labels combined_windows.json --series realKnownCause/nyc_taxi.csv --vus-window 125`
    """
    refuse_unused(context, EVALUATE_USES)
    with training_extra("offbeat evaluate"):
        from offbeat_training.evaluation import LabelSelection, compare, read_scores
    read = (scores, labels, data, train, calibration, outputs, history, model)
    targets = _report_targets(report, png, read)
    scored = read_scores(scores, flag_column)
    refuse_unused(context, SCORED_USES, unit=scored.unit)
    selection = LabelSelection(label_column=label_column, normal_label=normal_label, delimiter=delimiter, series=series)
    truth = _truth(labels, selection, scored, scores)
    of_data = ColumnSelection(
        features=tuple(name.strip() for name in features.split(",") if name.strip()),
        timestamp_column=timestamp_column,
        label_column=label_column if data in (None, labels) else None,
        normal_label=normal_label,
        delimiter=delimiter,
        key=key,
        layout=layout,
        missing=missing,
    )
    of_train = msgspec.structs.replace(
        of_data, label_column=train_label_column, normal_label=train_normal_label, key=train_key or key
    )
    sources = None
    if train is not None:
        sources = _Sources(train=train, of_train=of_train, data=data or labels, of_data=of_data, seq_len=seq_len)
    comparison = compare(
        scored,
        truth,
        _baseline_scores(scored, sources),
        vus_window,
        baseline_facts=_facts(sources, scored),
        calibration=None if calibration is None else _calibration_errors(calibration, scored),
    )
    written = ""
    if targets is not None:
        from offbeat_training.report import ReportSources, prepare

        files = ReportSources(
            scores=scores, labels=labels, data=data, of_data=of_data, model=model, outputs=outputs, history=history
        )
        written = targets.write(prepare(files.inputs(comparison, datetime.now(UTC))))
    if json:
        sys.stdout.write(msgspec.json.encode(comparison.facts()).decode() + "\n")
    else:
        _print(comparison, written, has_training_data=sources is not None)


def _truth(labels: Path, selection: LabelSelection, scored: ScoreFile, scores: Path) -> BoolArray:
    """A label for each line of the scores."""
    from offbeat_training.evaluation import read_labels

    truth = read_labels(labels, selection, scored.timestamps)
    if truth.size != scored.errors.size:
        raise DataError(
            f"{labels}: {truth.size} labels; {scores} has {scored.errors.size} {scored.unit}s: expected a label for each"
        )
    return truth


def _print(comparison: Comparison, written: str, *, has_training_data: bool) -> None:
    from offbeat_training.evaluation import quality_tables

    console = Console()
    console.print(*quality_tables(comparison), sep="\n")
    if not has_training_data:
        console.print("Beside the model stand random scores only: PCA and an isolation forest need --train.")
    if written:
        console.print(written, markup=False, highlight=False, soft_wrap=True)


def _calibration_errors(calibration: Path, scored: ScoreFile) -> FloatArray:
    """Errors of other normal data. Windows cannot judge rows: the mean over many windows spreads less than they do."""
    from offbeat_training.evaluation import read_scores

    normal = read_scores(calibration)
    if normal.unit != scored.unit:
        raise DataError(f"{calibration}: holds {normal.unit}s; expected {scored.unit}s, as {scored.name} does")
    return normal.errors


def _report_targets(report: Path | None, png: Path | None, read: tuple[Path | None, ...]) -> ReportTargets | None:
    """Checked; None where no report is wanted, and nothing that draws is loaded."""
    if report is None and png is None:
        return None
    with training_extra("offbeat evaluate --report"):
        from offbeat_training.report import ReportTargets
    targets = ReportTargets(report=report, png=png)
    targets.check(read)
    return targets


class _Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the baselines find the training part and what was scored."""

    train: Path
    of_train: ColumnSelection
    data: Path
    of_data: ColumnSelection
    seq_len: int

    def __post_init__(self) -> None:
        if self.data.suffix == ".json":
            raise ConfigurationError("data is not given, and labels is a json file; expected --data beside --train")


def _baseline_scores(scored: ScoreFile, sources: _Sources | None) -> dict[str, NDArray[np.float64]]:
    from offbeat_training.evaluation.baselines import fitted_scores, random_scores

    baselines = {"random scores": random_scores(scored.errors.size)}
    if sources is None:
        return baselines
    data = read_dataset(sources.data, sources.of_data)
    train = read_dataset(sources.train, msgspec.structs.replace(sources.of_train, features=data.feature_names))
    baselines |= fitted_scores(train, data, sources.seq_len, scored.unit)
    for name, each in baselines.items():
        if each.size != scored.errors.size:
            raise DataError(f"{sources.data}: {each.size} {scored.unit}s by {name}; {scored.errors.size} were scored")
    return baselines


def _facts(sources: _Sources | None, scored: ScoreFile) -> dict[str, Any]:
    from offbeat_training.evaluation.baselines import EXPLAINED_VARIANCE, N_TREES

    if sources is None:
        return {}
    return {
        "train": str(sources.train),
        "data": str(sources.data),
        "seq_len": 1 if scored.unit == "sample" else sources.seq_len,
        "explained_variance": EXPLAINED_VARIANCE,
        "n_trees": N_TREES,
    }
