"""What the model saw beside what it made of it."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.result import BoolArray
from offbeat_training.report import palette
from offbeat_training.report.chart import Area, Axis, Chart, Floats, Line, Panel
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.panes.scale import span, value_axis
from offbeat_training.report.timeline import Timeline

MAX_FEATURES = 4
# Of a series, about the line chosen.
N_ROWS = 240
# Beside the reason, in a quarter of the page.
MAX_NAME = 20


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A line worth a look, and why."""

    why: str
    line: int


def examples(errors: Floats, labels: BoolArray, is_flagged: BoolArray) -> tuple[Example, ...]:
    """The clearest anomaly found, the highest false alarm, the anomaly most overlooked, and a usual normal line.

    Those that there are; each is a line of `errors`, `labels` and flags [line].
    """
    found = (
        ("found, highest error", labels & is_flagged, np.argmax),
        ("false alarm, highest error", ~labels & is_flagged, np.argmax),
        ("overlooked, lowest error", labels & ~is_flagged, np.argmin),
        ("normal, median error", ~labels & ~is_flagged, _median_place),
    )
    chosen = []
    for why, rows, choose in found:
        lines = np.flatnonzero(rows)
        if lines.size:
            chosen.append(Example(why=why, line=int(lines[choose(errors[lines])])))
    return tuple(chosen)


def reconstruction_pane(inputs: ReportInputs) -> Chart:
    """A column per example, a row per feature, original and reconstruction in raw units; true anomalies are shaded."""
    if inputs.values is None or inputs.reconstruction is None:
        raise ValueError("no values or no reconstruction; expected both")
    chosen = examples(inputs.model.scores, inputs.comparison.labels, inputs.model.is_flagged)
    shown = inputs.ranked_features()[:MAX_FEATURES]
    panels = tuple(
        _panel(inputs, example, feature, _title(inputs, example, feature, is_first=feature == shown[0]))
        for feature in shown
        for example in chosen
    )
    unit, n_features = inputs.comparison.unit, len(inputs.feature_names)
    which = "those that contribute most" if inputs.feature_error is not None else "the first"
    note = f"{len(shown)} of {n_features} features: {which}." if len(shown) < n_features else ""
    if inputs.values.ndim == 2:
        note = f"{N_ROWS} {unit}s about the one chosen. {note}".strip()
    return Chart(
        name="reconstruction",
        title="Original and reconstruction",
        note=note,
        panels=panels,
        n_columns=len(chosen),
        is_wide=True,
    )


def _title(inputs: ReportInputs, example: Example, feature: int, is_first: bool) -> str:
    """A column's first panel says why the line was chosen; all say the feature, where there are several."""
    name = inputs.feature_names[feature]
    name = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
    why = f"{example.why}, {inputs.comparison.unit} {example.line:,}"
    if len(inputs.feature_names) == 1:
        return why
    return f"{why}: {name}" if is_first else name


def _panel(inputs: ReportInputs, example: Example, feature: int, title: str) -> Panel:
    x, original, rebuilt = _excerpt(inputs, example.line, feature)
    y = value_axis("", original, rebuilt)
    marks: tuple[Area | Line, ...] = (
        *_shading(inputs, x, span(y, original)),
        Line(name="original", x=x, y=original, colour=palette.MODEL),
        Line(name="reconstruction", x=x, y=rebuilt, colour=palette.VERMILLION, dash="dash"),
    )
    return Panel(
        title=title,
        marks=marks,
        x=Axis(title="" if inputs.values is not None and inputs.values.ndim == 2 else "step"),
        y=y,
        height_px=130,
    )


def _shading(inputs: ReportInputs, x: Floats, y: tuple[float, float]) -> tuple[Area, ...]:
    """True anomalies among the rows of a series; a window is one throughout or not at all."""
    if inputs.values is None or inputs.values.ndim == 3:
        return ()
    rows = Timeline.numbered(int(x[0]), x.size, "row")
    return (rows.bands("true anomaly", inputs.comparison.labels[int(x[0]) : int(x[-1]) + 1], y, palette.TRUE),)


def _excerpt(inputs: ReportInputs, line: int, feature: int) -> tuple[Floats, Floats, Floats]:
    """Steps of one window, or rows about one row."""
    values, rebuilt = np.asarray(inputs.values), np.asarray(inputs.reconstruction)
    if values.ndim == 3:
        return np.arange(values.shape[1], dtype=np.float64), values[line, :, feature], rebuilt[line, :, feature]
    first = max(0, min(line - N_ROWS // 2, len(values) - N_ROWS))
    rows = slice(first, first + N_ROWS)
    x = np.arange(len(values), dtype=np.float64)[rows]
    return x, values[rows, feature], rebuilt[rows, feature]


def _median_place(errors: Floats) -> int:
    return int(np.argsort(errors, kind="stable")[errors.size // 2])
