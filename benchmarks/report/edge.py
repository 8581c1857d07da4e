"""`offbeat-edge` by model, and what it is in bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.report.results import Result, Results
from benchmarks.report.text import table, us

_ROWS = {
    "start and one score, from a folder": ("folder_ms", "ms"),
    "start and one score, from a file alone": ("file_ms", "ms"),
    "the fastest of them, from a folder": ("folder_fastest_ms", "ms"),
    "the fastest of them, from a file alone": ("file_fastest_ms", "ms"),
    "most memory ever resident, from a folder": ("folder_peak_mib", "MiB"),
    "a window by itself, the program running": ("window_us", "µs"),
}


def edge_table(result: Result) -> str:
    """A column for each model."""
    races = result.content["results"]
    rows = [(about, *(f"{_short(race[key], unit)} {unit}" for race in races)) for about, (key, unit) in _ROWS.items()]
    return table(("", *(race["model"] for race in races)), rows)


def _short(value: float, unit: str) -> str:
    return us(value) if unit == "µs" or value >= 100 else f"{value:.1f}"


def _size(name: str) -> Callable[[Results], str]:
    return lambda results: f"{results.the_newest('sizes').content['stripped'][name] / 1e6:.2f} MB"


def _window(model: str) -> Callable[[Results], str]:
    def told(results: Results) -> str:
        races = results.the_newest("edge").content["results"]
        return f"{us(next(race['window_us'] for race in races if race['model'] == model))} µs"

    return told


FIGURES: Mapping[str, Callable[[Results], str]] = {
    "size": _size("offbeat-edge"),
    "size_static": _size("offbeat-edge, static"),
    "size_arm": _size("offbeat-edge, static, aarch64"),
    "size_nothing": _size("an empty program, static"),
    "window_m1": _window("M1"),
    "window_m3": _window("M3"),
}
