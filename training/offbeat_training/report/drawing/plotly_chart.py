"""A chart as a figure of plotly, in JSON that its JavaScript draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from plotly import graph_objects

from offbeat_training.report import palette
from offbeat_training.report.chart import Axis, Chart, Heat
from offbeat_training.report.drawing.grid import (
    Place,
    above_px,
    below_px,
    inner_height_px,
    places,
)
from offbeat_training.report.drawing.plotly_marks import traces
from offbeat_training.report.drawing.words import MAX_TICK_LENGTH, distinct, for_plotly, shortened

# Readable on white and on black; the page's style sheet gives the words more contrast.
INK = "#767676"
GRID = "rgba(128,128,128,0.25)"
_CLEAR = "rgba(0,0,0,0)"
_FONT = "system-ui, sans-serif"


def plotly_figure(chart: Chart) -> graph_objects.Figure:
    """The figure, checked by plotly; its height is fixed, its width that of where it is put."""
    listed: set[str] = set()
    data: list[dict[str, Any]] = []
    layout = _layout(chart)
    for number, place in enumerate(places(chart), start=1):
        data += traces(place.panel, number, listed, _colour_bar(place))
        suffix = "" if number == 1 else str(number)
        layout[f"xaxis{suffix}"] = _x_axis(chart, place, number)
        layout[f"yaxis{suffix}"] = _y_axis(place, number)
        layout["annotations"].extend(_title(place))
    layout["margin"]["l"] = _left_px(chart)
    return graph_objects.Figure(data=data, layout=layout)


def figure_json(chart: Chart) -> str:
    """The figure for a page: no <, > or / in it outside numbers, so it cannot end the element it stands in."""
    text: str = plotly_figure(chart).to_json()
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _layout(chart: Chart) -> dict[str, Any]:
    below, above, inner = below_px(chart), above_px(chart), inner_height_px(chart)
    return {
        "template": "none",
        "height": inner + above + below,
        "margin": {"t": above, "b": below, "r": 58 if _has_colour_bar(chart) else 12},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"color": INK, "family": _FONT, "size": 12},
        "hovermode": "closest",
        "dragmode": "zoom",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1 + 8 / inner, "yanchor": "bottom"},
        "modebar": {"bgcolor": _CLEAR, "color": INK, "activecolor": palette.MODEL},
        "annotations": [],
    }


def _left_px(chart: Chart) -> int:
    """Plotly's own measuring would move the panels while one zooms."""
    names = [shortened(name, MAX_TICK_LENGTH) for panel in chart.panels for name in panel.y.names]
    longest = max((len(name) for name in names), default=0)
    has_title = any(panel.y.title for panel in chart.panels)
    return min(max(56, 7 * longest + 16), 240) + (20 if has_title else 0)


def _axis(axis: Axis, low: float, high: float) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "domain": [low, high],
        "title": {"text": for_plotly(axis.title)},
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "showline": True,
        "type": {"linear": "linear", "log": "log", "time": "date"}[axis.scale],
    }
    if axis.low is not None and axis.high is not None:
        ends = [axis.low, axis.high]
        drawn["range"] = np.log10(ends).tolist() if axis.scale == "log" else ends
    if axis.scale == "log":
        drawn |= {"dtick": 1, "exponentformat": "power"}
    if axis.names:
        names = distinct(axis.names)
        drawn |= {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    return drawn


def _x_axis(chart: Chart, place: Place, number: int) -> dict[str, Any]:
    axis = _axis(place.panel.x, place.left, place.right) | {"anchor": f"y{number if number > 1 else ''}"}
    if not chart.shares_x:
        return axis
    if not place.is_lowest:
        axis |= {"showticklabels": False, "title": {"text": ""}}
    return axis | ({"matches": "x"} if number > 1 else {})


def _y_axis(place: Place, number: int) -> dict[str, Any]:
    axis = _axis(place.panel.y, place.bottom, place.top) | {"anchor": f"x{number if number > 1 else ''}"}
    if any(isinstance(mark, Heat) for mark in place.panel.marks):
        names = distinct(place.panel.y.names)
        return axis | {"type": "category", "tickvals": names, "ticktext": names, "fixedrange": True}
    if place.panel.y.names:
        return axis | {"fixedrange": True}
    return axis | {"nticks": 4 if place.panel.height_px < 200 else 8}


def _title(place: Place) -> list[dict[str, Any]]:
    if not place.panel.title:
        return []
    where = {"x": place.left, "y": place.top, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return [where | {"text": for_plotly(place.panel.title), "showarrow": False, "font": {"size": 12}}]


def _colour_bar(place: Place) -> dict[str, Any]:
    """As high as its panel, at its right."""
    return {
        "x": place.right + 0.005,
        "xanchor": "left",
        "y": (place.bottom + place.top) / 2,
        "len": place.top - place.bottom,
        "thickness": 10,
        "outlinewidth": 0,
    }


def _has_colour_bar(chart: Chart) -> bool:
    """Whether a heat map of it needs a scale beside it."""
    return any(isinstance(mark, Heat) and not mark.words for panel in chart.panels for mark in panel.marks)
