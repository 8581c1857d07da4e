"""Marks as the traces of plotly."""

from __future__ import annotations

from typing import Any

from offbeat_training.report import palette
from offbeat_training.report.chart import Area, Axis, Heat, Line, Mark, Panel, Points
from offbeat_training.report.drawing.words import distinct, for_plotly

_HOVER = "%{x}<br>%{y:.5g}"


def traces(panel: Panel, number: int, listed: set[str], colour_bar: dict[str, Any]) -> list[dict[str, Any]]:
    """The traces of panel `number`, from 1; names in `listed` are in the legend already, and new ones are added."""
    drawn = []
    for mark in panel.marks:
        trace = _trace(mark, panel, colour_bar)
        if not isinstance(mark, Heat):
            is_new = mark.in_legend and mark.name not in listed
            trace |= {"name": for_plotly(mark.name), "legendgroup": for_plotly(mark.name), "showlegend": is_new}
            listed.update([mark.name] if is_new else [])
        suffix = "" if number == 1 else str(number)
        drawn.append(trace | {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"})
    return drawn


def _trace(mark: Mark, panel: Panel, colour_bar: dict[str, Any]) -> dict[str, Any]:
    match mark:
        case Line():
            pen: dict[str, Any] = {"color": mark.colour, "dash": mark.dash, "width": 1.3 if mark.dash == "solid" else 2}
            return {
                "type": "scatter",
                "mode": "lines",
                "x": mark.x,
                "y": mark.y,
                "line": pen,
                "hovertemplate": _HOVER,
            }
        case Area():
            return _area(mark)
        case Points():
            style: dict[str, Any] = {
                "color": mark.colour,
                "symbol": mark.symbol,
                "size": 11,
                "line": {"color": "white", "width": 1},
            }
            return {
                "type": "scatter", "mode": "markers", "x": mark.x, "y": mark.y, "marker": style, "hovertemplate": _HOVER
            }  # fmt: skip
        case Heat():
            return _heat(mark, panel.y, colour_bar)


def _area(mark: Area) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "x": mark.x,
        "y": mark.y,
        "fillcolor": mark.colour,
        # Of the trace, not the fill: the entry in the legend then has the very same colour.
        "opacity": mark.opacity,
        "line": {"width": 0.8, "color": mark.colour},
        "hoverinfo": "skip",
    }


def _heat(mark: Heat, y: Axis, colour_bar: dict[str, Any]) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": mark.edges,
        "y": distinct(y.names),
        "z": mark.values,
        "zmin": 0,
        "zmax": mark.high,
        "colorscale": palette.HEAT.capitalize(),
    }
    if mark.words:
        words = [[for_plotly(word) for word in row] for row in mark.words]
        font = {"textfont": {"size": 17}}
        return trace | {"text": words, "texttemplate": "%{text}", "showscale": False, "hoverinfo": "skip"} | font
    scale = {"tickvals": [0, mark.high / 2, mark.high], "ticktext": ["0", f"{mark.high / 2:g}", f"≥ {mark.high:g}"]}
    return trace | {
        "colorbar": colour_bar | scale,
        "hovertemplate": f"%{{x}}<br>%{{y}}<br>{mark.name} %{{z:.3g}}<extra></extra>",
    }
