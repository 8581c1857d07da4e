"""Axes that hold what is drawn on them."""

from __future__ import annotations

import numpy as np

from offbeat_training.report.chart import Axis, Floats

# Linear where all that matters is within this of the lowest; a logarithm spreads what is not.
_MIN_LOG_RATIO = 20.0
_PADDING = 0.06


def value_axis(title: str, *values: Floats) -> Axis:
    """A linear axis that holds all `values`, with a little room above and below."""
    low, high = min(float(each.min()) for each in values), max(float(each.max()) for each in values)
    room = (high - low) * _PADDING or max(abs(high), 1.0) * _PADDING
    return Axis(title=title, low=low - room, high=high + room)


def error_axis(title: str, errors: Floats, threshold: float | None) -> Axis:
    """An axis that holds all `errors` and the threshold: a logarithm where they are of very different sizes."""
    all_values = errors if threshold is None else np.append(errors, threshold)
    positive = all_values[all_values > 0]
    if not positive.size or positive.max() / np.quantile(positive, 0.01) < _MIN_LOG_RATIO:
        axis = value_axis(title, all_values)
        return Axis(title=title, low=min(0.0, float(all_values.min())), high=axis.high)
    low, high = float(np.quantile(positive, 0.001)), float(positive.max())
    return Axis(title=title, low=low / 1.5, high=high * 1.5, scale="log")


def inside(axis: Axis, values: Floats) -> Floats:
    """`values`, none below the axis: there are no logarithms below."""
    return values if axis.low is None else np.maximum(values, axis.low)


def span(axis: Axis, values: Floats) -> tuple[float, float]:
    """From the bottom of the axis to its top; of `values` where the axis fits itself."""
    low = float(values.min()) if axis.low is None else axis.low
    return low, float(values.max()) if axis.high is None else axis.high
