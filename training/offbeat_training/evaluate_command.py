"""`offbeat evaluate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from offbeat.errors import DataError
from offbeat.flag_fields import made, with_fields
from offbeat.flag_use import refuse_unused
from offbeat_training.evaluate_baselines import baseline_facts, baseline_scores
from offbeat_training.evaluate_flags import FLAGS, EvaluateFlags
from offbeat_training.flag_uses import EVALUATE_USES, SCORED_USES
from offbeat_training.given_flags import training_extra

if TYPE_CHECKING:
    from offbeat.result import BoolArray, FloatArray
    from offbeat_training.evaluation import Comparison, ScoreFile
    from offbeat_training.report import ReportTargets


@with_fields((EvaluateFlags,), FLAGS)
def evaluate(
    context: typer.Context,
    scores: Annotated[Path, typer.Argument(help="csv, JSON Lines, Parquet or Arrow file that offbeat score wrote.")],
    labels: Annotated[
        Path,
        typer.Option(
            envvar="OFFBEAT_LABELS",
            help="csv, JSON Lines, Parquet, Arrow or npz file with a label per line, or NAB's json of windows.",
        ),
    ],
    **given: Any,
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
        from offbeat_training.evaluation import read_scores
    asked = made(EvaluateFlags, given, scores=scores, labels=labels)
    targets = _report_targets(asked)
    scored = read_scores(scores, asked.flag_column)
    refuse_unused(context, SCORED_USES, unit=scored.unit)
    comparison = _compared(asked, scored)
    written = "" if targets is None else _written(asked, targets, comparison)
    if asked.json:
        sys.stdout.write(msgspec.json.encode(comparison.facts()).decode() + "\n")
    else:
        _print(comparison, written, has_training_data=asked.train is not None)


def _report_targets(asked: EvaluateFlags) -> ReportTargets | None:
    """Checked; None where no report is wanted, and nothing that draws is loaded."""
    if asked.report is None and asked.png is None:
        return None
    with training_extra("offbeat evaluate --report"):
        from offbeat_training.report import ReportTargets
    targets = ReportTargets(report=asked.report, png=asked.png)
    targets.check(asked.read)
    return targets


def _compared(asked: EvaluateFlags, scored: ScoreFile) -> Comparison:
    from offbeat_training.evaluation import compare

    truth = _truth(asked, scored)
    return compare(
        scored,
        truth,
        baseline_scores(asked, scored),
        asked.vus_window,
        baseline_facts=baseline_facts(asked, scored),
        calibration=None if asked.calibration is None else _calibration_errors(asked.calibration, scored),
    )


def _truth(asked: EvaluateFlags, scored: ScoreFile) -> BoolArray:
    """A label for each line of the scores."""
    from offbeat_training.evaluation import LabelSelection, read_labels

    truth = read_labels(asked.labels, made(LabelSelection, msgspec.structs.asdict(asked)), scored.timestamps)
    if truth.size != scored.errors.size:
        raise DataError(
            f"{asked.labels}: {truth.size} labels; {asked.scores} has {scored.errors.size} {scored.unit}s: "
            "expected a label for each"
        )
    return truth


def _calibration_errors(calibration: Path, scored: ScoreFile) -> FloatArray:
    """Errors of other normal data. Windows cannot judge rows: the mean over many windows spreads less than they do."""
    from offbeat_training.evaluation import read_scores

    normal = read_scores(calibration)
    if normal.unit != scored.unit:
        raise DataError(f"{calibration}: holds {normal.unit}s; expected {scored.unit}s, as {scored.name} does")
    return normal.errors


def _written(asked: EvaluateFlags, targets: ReportTargets, comparison: Comparison) -> str:
    """What is written of the report, in words."""
    from offbeat_training.report import ReportSources, prepare

    sources = made(ReportSources, msgspec.structs.asdict(asked), of_data=asked.of_data())
    return targets.write(prepare(sources.inputs(comparison, datetime.now(UTC))))


def _print(comparison: Comparison, written: str, *, has_training_data: bool) -> None:
    from offbeat_training.evaluation import quality_tables

    console = Console()
    console.print(*quality_tables(comparison), sep="\n")
    if not has_training_data:
        console.print("Beside the model stand random scores only: PCA and an isolation forest need --train.")
    if written:
        console.print(written, markup=False, highlight=False, soft_wrap=True)
