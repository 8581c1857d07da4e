"""What a report holds, prepared: charts, tables, and what had to be left out."""

from __future__ import annotations

import msgspec

from offbeat_training.evaluation import quality_tables
from offbeat_training.report.chart import Chart
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.panes.confusion import confusion_pane
from offbeat_training.report.panes.curves import precision_recall_pane, roc_pane
from offbeat_training.report.panes.errors import error_histogram
from offbeat_training.report.panes.reconstruction import reconstruction_pane
from offbeat_training.report.panes.series import series_pane
from offbeat_training.report.panes.training import training_pane
from offbeat_training.report.table import QualityTable
from offbeat_training.report.timeline import Timeline


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A pane that is not there, and why."""

    pane: str
    why: str


class Report(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A page, or a folder of pictures, before it is drawn."""

    title: str
    facts: tuple[tuple[str, str], ...]
    charts: tuple[Chart, ...]
    tables: tuple[QualityTable, ...]
    left_out: tuple[LeftOut, ...]


def prepare(inputs: ReportInputs) -> Report:
    """Every pane that there are values for, in the order of the page."""
    comparison = inputs.comparison
    timeline = Timeline.of(comparison.timestamps, comparison.labels.size, comparison.unit)
    charts = [series_pane(inputs, timeline)]
    if inputs.reconstruction is not None and comparison.unit in ("row", "window"):
        charts.append(reconstruction_pane(inputs))
    charts += [error_histogram(inputs), confusion_pane(inputs), roc_pane(inputs), precision_recall_pane(inputs)]
    if inputs.history is not None:
        charts.append(training_pane(inputs.history))
    return Report(
        title=inputs.title,
        facts=inputs.facts,
        charts=tuple(charts),
        tables=tuple(QualityTable.of(table) for table in quality_tables(comparison)),
        left_out=_left_out(inputs),
    )


def _left_out(inputs: ReportInputs) -> tuple[LeftOut, ...]:
    reasons = []
    if inputs.values is None:
        reasons.append(("features over time", "the data that were scored are not given line by line: --data"))
    elif inputs.values.ndim == 3:
        reasons.append(("features over time", "each line is a window of its own, with no place in time"))
    if inputs.threshold is None:
        reasons.append(("threshold", "the scores do not tell it: every one is 0 or at least twice the threshold"))
    if inputs.feature_error is None:
        reasons.append(("contribution of each feature", "no feature_error is given: --outputs"))
    elif inputs.threshold is None:
        reasons.append(("contribution of each feature", "without the threshold there is nothing to measure it by"))
    if inputs.reconstruction is None:
        reasons.append(("original and reconstruction", "no reconstruction is given: --outputs, and --data beside it"))
    elif inputs.comparison.unit not in ("row", "window"):
        reasons.append(("original and reconstruction", "samples of a table follow each other by chance"))
    if inputs.history is None:
        reasons.append(("training history", "no losses are given: --history"))
    return tuple(LeftOut(pane=pane, why=why) for pane, why in reasons)
