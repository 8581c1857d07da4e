"""ROC and precision-recall curves of the model and of what it must beat."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from offbeat.result import BoolArray
from offbeat_training.evaluation import Contender
from offbeat_training.report import palette
from offbeat_training.report.chart import Axis, Chart, Dash, Floats, Line, Panel, Points
from offbeat_training.report.inputs import ReportInputs

MAX_POINTS = 800
_SQUARE_PX = 320


def roc_pane(inputs: ReportInputs) -> Chart:
    """True-positive over false-positive rate, chance as the diagonal, the flags as a marker."""
    lines = []
    for each, (colour, dash) in _styled(inputs):
        false_rate, true_rate, _ = roc_curve(inputs.comparison.labels, each.scores)
        name = f"{each.name}, {each.quality.roc_auc:.3f}"
        lines.append(_curve(name, false_rate, true_rate, colour, dash))
    quality = inputs.model.quality
    point = _operating_point(quality.false_positive_rate, quality.recall)
    axes = _axis("false-positive rate"), _axis("recall")
    panel = Panel(marks=(*lines, point), x=axes[0], y=axes[1], height_px=_SQUARE_PX)
    return Chart(name="roc", title="ROC", note="Names with the area under the curve.", panels=(panel,))


def precision_recall_pane(inputs: ReportInputs) -> Chart:
    """Precision over recall, by steps: what lies between two thresholds can not be had."""
    lines = []
    for each, (colour, dash) in _styled(inputs):
        recall, precision = _precision_recall(inputs.comparison.labels, each)
        name = f"{each.name}, {each.quality.pr_auc:.3f}"
        lines.append(_curve(name, recall, precision, colour, dash))
    quality = inputs.model.quality
    point = _operating_point(quality.recall, quality.precision)
    panel = Panel(marks=(*lines, point), x=_axis("recall"), y=_axis("precision"), height_px=_SQUARE_PX)
    share = inputs.comparison.labels.mean()
    note = f"Names with the average precision; chance is at {share:.3f}, the share of anomalies."
    return Chart(name="precision-recall", title="Precision and recall", note=note, panels=(panel,))


def _styled(inputs: ReportInputs) -> list[tuple[Contender, tuple[str, Dash]]]:
    """The model first; more contenders than styles take them anew."""
    styles = palette.CONTENDERS
    return [(each, styles[i % len(styles)]) for i, each in enumerate(inputs.comparison.contenders)]


def _precision_recall(labels: BoolArray, contender: Contender) -> tuple[Floats, Floats]:
    """From recall 0 up; the corners of steps, each precision holding back to the recall before."""
    precision, recall, _ = precision_recall_curve(labels, contender.scores, drop_intermediate=True)
    precision, recall = precision[::-1], recall[::-1]
    if precision.size > 1:
        precision[0] = precision[1]
    return np.repeat(recall, 2)[:-1], np.repeat(precision, 2)[1:]


def _curve(name: str, x: Floats, y: Floats, colour: str, dash: Dash) -> Line:
    kept = np.unique(np.linspace(0, x.size - 1, min(x.size, MAX_POINTS)).round().astype(np.int64))
    return Line(name=name, x=x[kept].astype(np.float32), y=y[kept].astype(np.float32), colour=colour, dash=dash)


def _operating_point(x: float, y: float) -> Points:
    return Points(name="the flags", x=np.array([x]), y=np.array([y]), colour=palette.THRESHOLD, symbol="diamond")


def _axis(title: str) -> Axis:
    return Axis(title=title, low=-0.02, high=1.02)
