"""Plots as SVG with words as words. The same figures give the same bytes, and each file names the digest of its figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.report.native import newest_races
from benchmarks.report.results import Results
from benchmarks.serving.shares import ECHO

# Of Okabe and Ito, whom the colour-blind can follow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")
# The limit of a race is told by each engine in it.
_MEASURED_ALWAYS = "onnxruntime"
_MODELS = ("M1", "M2", "M3", "M4", "M5")
_Points = Mapping[str, Sequence[tuple[float, float]]]


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Lines by name, (x, y); `marks` are points without a line, `bars` a height by group and name."""

    title: str
    x: str
    y: str
    lines: _Points = {}
    marks: _Points = {}
    bars: Mapping[str, Mapping[str, float]] = {}


def latency_panels(results: Results) -> list[Panel]:
    """Microseconds of a call against the windows in it, one thread, a panel for each model."""
    newest = results.newest("engines")
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for each in newest.content["benchmarks"] if newest else []:
        info = each["extra_info"]
        if info["threads"] == 1 and info["model"] in _MODELS:
            point = info["batch"], each["stats"]["median"] * 1e6
            lines_of = found.setdefault(info["model"], {})
            lines_of.setdefault(info["backend"], []).append(point)
            if info["backend"] == _MEASURED_ALWAYS and info.get("limit_us"):
                lines_of.setdefault("limit", []).append((info["batch"], info["limit_us"]))
    lines = {model: {name: sorted(points) for name, points in each.items()} for model, each in found.items()}
    return [Panel(title=model, x="windows in a call", y="µs of a call", lines=each) for model, each in lines.items()]


def limit_panels(results: Results) -> list[Panel]:
    """The core's share of what the processor could do at the same time, by model and batch."""
    bars: dict[str, dict[str, float]] = {}
    for (model, batch), (race, _) in newest_races(results).items():
        bars.setdefault(model, {})[f"{batch} windows" if batch > 1 else "1 window"] = 100 * race["share float32"]
    return [Panel(title="The native core, float32, one thread", x="", y="% of the limit", bars=bars)] if bars else []


def tail_panels(results: Results) -> list[Panel]:
    """The 99th percentile against the requests answered a second: lines of closed loops, points of random arrivals."""
    newest = results.newest("serving")
    lines = newest.content["lines"] if newest else []
    panels = []
    for n in sorted({line["case"]["n_windows"] for line in lines}):
        closed: dict[str, list[tuple[float, float]]] = {}
        opened: dict[str, list[tuple[float, float]]] = {}
        for line in lines:
            case = line["case"]
            is_shown = line["server"] == ECHO or not line["server"].startswith("echo")
            if case["protocol"] == "score" and case["n_windows"] == n and is_shown:
                into = closed if case["share"] is None else opened
                into.setdefault(line["server"], []).append((line["per_second"], line["p99"] / 1e3))
        title = f"Score, {n} windows" if n > 1 else "Score, 1 window"
        panels.append(Panel(title=title, x="requests a second", y="p99, ms", lines=closed, marks=opened))
    return panels


PLOTS: Mapping[str, tuple[Callable[[Results], list[Panel]], str]] = {
    "latency": (latency_panels, "Latency of a call against the windows in it, by engine, one thread"),
    "limit": (limit_panels, "Share of what the processor could do, by model and batch"),
    "tail": (tail_panels, "99th percentile against load, closed loops as lines and random arrivals as points"),
}


def digest(panels: Sequence[Panel]) -> str:
    """Of the figures that are drawn."""
    return hashlib.sha256(json.dumps(msgspec.to_builtins(panels), sort_keys=True).encode()).hexdigest()


def is_drawn_from(file: Path, panels: Sequence[Panel]) -> bool:
    """Whether the file says that it shows these figures."""
    return file.is_file() and digest(panels) in file.read_text()


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Writes the SVG; panels side by side."""
    import matplotlib
    from matplotlib.figure import Figure

    words = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"], "font.size": 8}
    style = {"svg.hashsalt": "offbeat", "axes.spines.top": False, "axes.spines.right": False, **words}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(max(4.5, 2.3 * len(panels)), 2.8), layout="constrained", facecolor="white")
        names = list(dict.fromkeys(name for panel in panels for name in _names(panel)))
        colours = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(names)}
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, panel, colours)
        shown = {
            label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=min(len(shown), 6), frameon=False)
        figure.savefig(file, metadata={"Date": None, "Creator": "benchmarks.report", "Description": digest(panels)})


def _names(panel: Panel) -> list[str]:
    return [*panel.lines, *panel.marks, *(name for each in panel.bars.values() for name in each)]


def _draw_panel(axes: Any, panel: Panel, colours: Mapping[str, str]) -> None:
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    for name, points in panel.lines.items():
        axes.plot(*zip(*points, strict=True), marker=".", linewidth=1, color=colours[name], label=name)
    for name, points in panel.marks.items():
        axes.plot(*zip(*points, strict=True), "o", markerfacecolor="none", color=colours[name])
    if panel.bars:
        _draw_bars(axes, panel, colours)
        return
    axes.set_yscale("log")
    if panel.y.startswith("µs"):
        axes.set_xscale("log")
        axes.set_xticks(sorted({x for points in panel.lines.values() for x, _ in points}))
        axes.xaxis.set_major_formatter("{x:.0f}")
    # Fewer marks, a file of a third of the size.
    axes.minorticks_off()


def _draw_bars(axes: Any, panel: Panel, colours: Mapping[str, str]) -> None:
    groups, names = list(panel.bars), list(dict.fromkeys(_names(panel)))
    width = 0.8 / len(names)
    for at, name in enumerate(names):
        places = [number + (at - (len(names) - 1) / 2) * width for number in range(len(groups))]
        axes.bar(places, [panel.bars[group].get(name, 0.0) for group in groups], width, color=colours[name], label=name)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylim(0, 100)
