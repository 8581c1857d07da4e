"""The series over time: features, error, true and found anomalies, and who contributed."""

from __future__ import annotations

import numpy as np

from offbeat.result import BoolArray
from offbeat_training.report import palette
from offbeat_training.report.chart import Area, Axis, Chart, Floats, Line, Panel
from offbeat_training.report.envelope import MAX_DETAIL_ROWS, N_BUCKETS, detail, envelope
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.panes.contribution import MAX_DETAIL_COLUMNS, MAX_FEATURES, contribution_panel
from offbeat_training.report.panes.scale import error_axis, inside, span, value_axis
from offbeat_training.report.timeline import Timeline

MAX_SERIES = 8


def series_pane(inputs: ReportInputs, timeline: Timeline) -> Chart:
    """Panels that zoom together: a line per feature, the error with its threshold, the two lanes, the contributions."""
    labels, flagged = inputs.comparison.labels, inputs.model.is_flagged
    kept = detail(labels | flagged, labels)
    ranked = inputs.ranked_features()
    panels = [*_features(inputs, ranked, timeline, kept), _error(inputs, timeline, kept), _lanes(inputs, timeline)]
    if inputs.feature_error is not None and inputs.threshold is not None:
        shown = ranked[:MAX_FEATURES]
        names = tuple(inputs.feature_names[feature] for feature in shown)
        near = detail(labels | flagged, labels, n_most=MAX_DETAIL_COLUMNS)
        panels.append(contribution_panel(inputs.feature_error[:, shown], names, inputs.threshold, timeline, kept=near))
    return Chart(
        name="series",
        title="Series, error and anomalies",
        note=_note(inputs, kept),
        panels=tuple(panels),
        shares_x=True,
        is_wide=True,
    )


def _features(inputs: ReportInputs, ranked: tuple[int, ...], timeline: Timeline, kept: BoolArray) -> tuple[Panel, ...]:
    if inputs.values is None or inputs.values.ndim != 2:
        return ()
    shown = ranked[:MAX_SERIES]
    height_px = 170 if len(shown) == 1 else 110 if len(shown) < 5 else 84
    return tuple(
        _panel(inputs, timeline, inputs.values[:, feature], inputs.feature_names[feature], kept, height_px)
        for feature in shown
    )


def _panel(
    inputs: ReportInputs, timeline: Timeline, values: Floats, name: str, kept: BoolArray, height_px: int
) -> Panel:
    axis = value_axis("", values)
    marks = (_true(inputs, timeline, axis, values), _line(timeline, values, name, kept, palette.MODEL))
    return Panel(title=name, marks=marks, x=timeline.axis, y=axis, height_px=height_px)


def _error(inputs: ReportInputs, timeline: Timeline, kept: BoolArray) -> Panel:
    errors = inputs.model.scores.astype(np.float64)
    axis = error_axis("", errors, inputs.threshold)
    line = _line(timeline, inside(axis, errors), "reconstruction error", kept, palette.GREY)
    rule: list[Line] = []
    if inputs.threshold is not None:
        ends = np.array([timeline.edges[0], timeline.edges[-1]])
        name = f"threshold {inputs.threshold:.4g}"
        y = np.full(2, inputs.threshold)
        rule = [Line(name=name, x=ends, y=y, colour=palette.THRESHOLD, dash="dash")]
    return Panel(
        title="reconstruction error",
        marks=(_true(inputs, timeline, axis, errors), line, *rule),
        x=timeline.axis,
        y=axis,
        height_px=170,
    )


def _lanes(inputs: ReportInputs, timeline: Timeline) -> Panel:
    """Two lanes, named on the axis, so that true and found are told apart without colour."""
    true = timeline.bands("true anomaly", inputs.comparison.labels, (0.6, 1.4), palette.TRUE, opacity=0.9)
    found = timeline.bands("found", inputs.model.is_flagged, (-0.4, 0.4), palette.FOUND, opacity=0.9)
    axis = Axis(names=("found", "true"), low=-0.6, high=1.6)
    return Panel(title="true and found anomalies", marks=(true, found), x=timeline.axis, y=axis, height_px=56)


def _true(inputs: ReportInputs, timeline: Timeline, axis: Axis, values: Floats) -> Area:
    return timeline.bands("true anomaly", inputs.comparison.labels, span(axis, values), palette.TRUE)


def _line(timeline: Timeline, values: Floats, name: str, kept: BoolArray, colour: str) -> Line:
    rows = envelope(values, kept)
    y = values[rows].astype(np.float32)
    return Line(name=name, x=timeline.x[rows], y=y, colour=colour, in_legend=False)


def _note(inputs: ReportInputs, kept: BoolArray) -> str:
    sentences = ["Drag to zoom, double-click to see all again."]
    unit, n_lines, n_features = inputs.comparison.unit, inputs.comparison.labels.size, len(inputs.feature_names)
    if n_lines > 2 * N_BUCKETS:
        thinned = f"Lines show the lowest and the highest of each {-(-n_lines // N_BUCKETS)} {unit}s"
        too_many = f"there are more than {MAX_DETAIL_ROWS:,} in anomalies, too many to draw each"
        whole = f"{int(kept.sum()):,} in and near anomalies are drawn each"
        sentences.append(f"{thinned}; {whole if kept.any() else too_many}.")
    if inputs.values is not None and inputs.values.ndim == 2 and n_features > MAX_SERIES:
        which = "those that contribute most" if inputs.feature_error is not None else "the first"
        sentences.append(f"{MAX_SERIES} of {n_features} features are drawn: {which}.")
    if inputs.feature_error is not None and n_features > MAX_FEATURES:
        sentences.append(f"{MAX_FEATURES} of {n_features} contributions are shown, the largest.")
    return " ".join(sentences)
