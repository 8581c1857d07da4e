"""How the errors of normal and of anomalous lines are spread, and where the threshold cuts."""

from __future__ import annotations

import numpy as np

from offbeat_training.report import palette
from offbeat_training.report.chart import Area, Axis, Chart, Floats, Line, Panel
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.panes.scale import error_axis, inside

N_BINS = 60
# Below one line, so that a bin of one has a height on a logarithmic axis.
_FLOOR = 0.6


def error_histogram(inputs: ReportInputs) -> Chart:
    """Counts of normal and anomalous lines over the error, the threshold as a vertical line."""
    errors, labels = inputs.model.scores.astype(np.float64), inputs.comparison.labels
    x = error_axis("reconstruction error", errors, inputs.threshold)
    edges = _bins(x)
    kept = inside(x, errors)
    counts = {name: np.histogram(kept[rows], edges)[0] for name, rows in (("normal", ~labels), ("anomalous", labels))}
    top = max(float(each.max()) for each in counts.values()) * 1.6
    unit = inputs.comparison.unit
    marks: list[Area | Line] = [
        _steps(f"{name} {unit}s", edges, counts[name].astype(np.float64), colour)
        for name, colour in (("normal", palette.NORMAL), ("anomalous", palette.VERMILLION))
    ]
    if inputs.threshold is not None:
        ends = np.array([_FLOOR, top])
        name = f"threshold {inputs.threshold:.4g}"
        marks.append(Line(name=name, x=np.full(2, inputs.threshold), y=ends, colour=palette.GREY, dash="dash"))
    y = Axis(title=f"{unit}s", low=_FLOOR, high=top, scale="log")
    panel = Panel(marks=tuple(marks), x=x, y=y, height_px=320)
    return Chart(name="errors", title="Errors and the threshold", note="", panels=(panel,))


def _bins(axis: Axis) -> Floats:
    low, high = axis.low or 0.0, axis.high or 1.0
    if axis.scale == "log":
        return np.geomspace(low, high, N_BINS + 1)
    return np.linspace(low, high, N_BINS + 1)


def _steps(name: str, edges: Floats, counts: Floats, colour: str) -> Area:
    heights = np.maximum(counts, _FLOOR)
    x = np.concatenate([edges[:1], np.repeat(edges, 2)[1:-1], edges[-1:], edges[:1]])
    y = np.concatenate([[_FLOOR], np.repeat(heights, 2), [_FLOOR, _FLOOR]])
    return Area(name=name, x=x, y=y, colour=colour, opacity=0.5)
