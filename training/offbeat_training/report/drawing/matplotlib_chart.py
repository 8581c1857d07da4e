"""A chart as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from offbeat.targets import write_target
from offbeat_training.report import palette
from offbeat_training.report.chart import Area, Axis, Chart, Floats, Heat, Line, Mark, Panel, Points, Scale
from offbeat_training.report.drawing.grid import inner_height_px, n_legend_rows
from offbeat_training.report.drawing.words import MAX_TICK_LENGTH, for_matplotlib, shortened

_DPI = 130
_PX_PER_INCH = 90
_SYMBOLS = {"circle": "o", "diamond": "D", "square": "s", "triangle-up": "^"}
_DASHES: dict[str, Any] = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def write_png(chart: Chart, path: Path) -> None:
    """Draws the chart on white and writes the file, whole or not at all. Raises DataError where it cannot be written."""
    figure = matplotlib_figure(chart)
    write_target(path, "wb", lambda file: figure.savefig(file, dpi=_DPI, format="png"))


def matplotlib_figure(chart: Chart) -> Figure:
    """The figure, without the state that pyplot keeps."""
    width_px = 1150 if chart.is_wide else 560
    height_px = inner_height_px(chart) + 20 * n_legend_rows(chart) + 110
    figure = Figure(figsize=(width_px / _PX_PER_INCH, height_px / _PX_PER_INCH), layout="constrained")
    n_rows = len(chart.panels) // chart.n_columns
    heights = [panel.height_px for panel in chart.panels[:: chart.n_columns]]
    sharing: Any = "col" if chart.shares_x else False
    axes = figure.subplots(n_rows, chart.n_columns, sharex=sharing, squeeze=False, height_ratios=heights)
    listed: dict[str, Any] = {}
    for panel, each in zip(chart.panels, axes.flat, strict=True):
        _draw(figure, panel, each, listed)
    for each in axes[:-1].flat if chart.shares_x else ():
        each.set_xlabel("")
    figure.suptitle(for_matplotlib(chart.title), x=0.01, horizontalalignment="left")
    if listed:
        n_columns = 3 if chart.is_wide else 2
        names = [for_matplotlib(name) for name in listed]
        figure.legend(
            list(listed.values()), names, loc="outside lower left", ncols=n_columns, frameon=False, fontsize=8
        )
    return figure


def _draw(figure: Figure, panel: Panel, axes: Any, listed: dict[str, Any]) -> None:
    for mark in panel.marks:
        drawn = _mark(figure, mark, panel.x.scale, axes)
        if not isinstance(mark, Heat) and mark.in_legend:
            listed.setdefault(mark.name, drawn)
    axes.set_title(for_matplotlib(panel.title), loc="left", fontsize=9)
    axes.tick_params(labelsize=8)
    if not panel.y.names:
        axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _set_axis(axes, "x", panel.x)
    _set_axis(axes, "y", panel.y)


def _mark(figure: Figure, mark: Mark, scale: Scale, axes: Any) -> Any:
    match mark:
        case Line():
            x, style = _on(scale, mark.x), _DASHES[mark.dash]
            return axes.plot(
                x, mark.y, color=mark.colour, linestyle=style, linewidth=1.0 if mark.dash == "solid" else 1.5
            )[0]
        case Points():
            x = _on(scale, mark.x)
            return axes.plot(x, mark.y, color=mark.colour, marker=_SYMBOLS[mark.symbol], linestyle="none", zorder=3)[0]
        case Area():
            colour: dict[str, Any] = {
                "facecolor": mark.colour,
                "edgecolor": mark.colour,
                "linewidth": 0.6,
                "alpha": mark.opacity,
            }
            axes.xaxis.update_units(_on(scale, mark.x[:1]))
            corners = np.stack([axes.convert_xunits(_on(scale, mark.x)), mark.y], axis=1)
            return axes.add_collection(PolyCollection(_polygons(mark, corners), **colour))
        case Heat():
            return _heat(figure, mark, scale, axes)


def _heat(figure: Figure, mark: Heat, scale: Scale, axes: Any) -> None:
    rows = np.arange(len(mark.values) + 1) - 0.5
    mesh = axes.pcolormesh(_on(scale, mark.edges), rows, mark.values, cmap=palette.HEAT, vmin=0, vmax=mark.high)
    if not mark.words:
        figure.colorbar(mesh, ax=axes, extend="max", aspect=10, pad=0.01)
    for row, words in enumerate(mark.words):
        for column, word in enumerate(words):
            colour = "black" if mark.values[row, column] > mark.high / 2 else "white"
            axes.text(column, row, word, color=colour, horizontalalignment="center", verticalalignment="center")


def _polygons(mark: Area, corners: Floats) -> list[Floats]:
    gaps = np.flatnonzero(np.isnan(mark.x))
    parts = np.split(corners, gaps)
    return [part[~np.isnan(part).any(axis=1)] for part in parts if len(part) > 1]


def _on(scale: Scale, x: Floats) -> Any:
    return x.astype("datetime64[ms]") if scale == "time" else x


def _set_axis(axes: Any, which: str, axis: Axis) -> None:
    if axis.scale == "log":
        axes.set(**{f"{which}scale": "log"})
    if axis.low is not None and axis.high is not None:
        axes.set(**{f"{which}lim": _on(axis.scale, np.array([axis.low, axis.high]))})
    if axis.names:
        names = [for_matplotlib(shortened(name, MAX_TICK_LENGTH)) for name in axis.names]
        axes.set(**{f"{which}ticks": range(len(names)), f"{which}ticklabels": names})
    if axis.scale == "time":
        locator = AutoDateLocator()
        axes.xaxis.set(major_locator=locator, major_formatter=ConciseDateFormatter(locator))
    axes.set(**{f"{which}label": for_matplotlib(axis.title)})
