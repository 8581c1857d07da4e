"""The native core beside ONNX Runtime, and beside what the processor can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.report.bars import FASTER, FASTER_NARROW, SHARE
from benchmarks.report.results import Result, Results
from benchmarks.report.text import against, percent, precise, table, us

MODELS = {
    "M1": "LSTM, 1 feature, 32 units, 50 steps",
    "M2": "LSTM, 2 features, 2 × 32 units, 60 steps",
    "M3": "LSTM, 1 feature, 64 and 32 units, 140 steps",
    "M4": "LSTM, 25 features, 2 × 256 units, 100 steps",
    "M5": "a table of 30 columns",
}


def newest_races(results: Results) -> dict[tuple[str, int], tuple[dict[str, Any], Result]]:
    """The newest race by model and batch: a later file of some models counts for these alone."""
    found: dict[tuple[str, int], tuple[dict[str, Any], Result]] = {}
    for result in results.with_parts("native"):
        for race in result.content["results"]:
            found[race["model"], race["batch"]] = race, result
    return dict(sorted(found.items()))


def native_table(results: Results, to_root: str) -> str:
    """All races, bars behind the figures, and the files they are from."""
    races = newest_races(results)
    head = ("model", "batch", "ONNX Runtime, µs", "float32, µs", "times as fast (bar)", "bfloat16", "int8")
    rows = [_row(*key, race) for key, (race, _) in races.items()]
    origins = dict.fromkeys(result.origin(to_root) for _, result in races.values())
    return "\n".join([table((*head, "share of the limit (bar)"), rows), "", *origins])


def _row(model: str, batch: int, race: dict[str, Any]) -> tuple[str, ...]:
    narrow = {name: race[f"faster {name}"] for name in ("bfloat16", "int8")}
    best = max(narrow, key=lambda name: narrow[name])
    bars = {best: FASTER_NARROW.get((model, batch))}
    return (
        model,
        str(batch),
        us(race["onnxruntime"]),
        us(race["float32"]),
        _faster(race["faster float32"], FASTER[model, batch]),
        *(_faster(ratio, bars.get(name)) for name, ratio in narrow.items()),
        _share(model, batch, race["share float32"]),
    )


def _faster(ratio: float, bar: float | None) -> str:
    return against(ratio, bar, precise(ratio, bar, 2), f"{bar:g}" if bar else "")


def _share(model: str, batch: int, share: float) -> str:
    bar = SHARE[model] if batch > 1 else None
    return against(share, bar, percent(share), percent(bar) if bar else "")


def native_summary(results: Results, to_root: str) -> str:
    """A line for each model, and the files they are from."""
    races = newest_races(results)
    rows = []
    for model, about in MODELS.items():
        alone, many = (races[model, batch][0] for batch in (1, 512))
        rows.append(
            (
                f"{model}: {about}",
                us(alone["float32"]),
                _faster(alone["faster float32"], FASTER[model, 1]),
                _faster(many["faster float32"], FASTER[model, 512]),
                _share(model, 512, many["share float32"]),
            )
        )
    head = ("one thread, float32", "one window, µs", "times as fast as ONNX Runtime (bar)", "with 512 windows")
    files = dict.fromkeys(result.link(to_root) for _, result in races.values())
    return table((*head, "of what the core could do"), rows) + f"\n\nFrom {' and '.join(files)}."


def _alone(tell: Callable[[dict[str, Any]], str]) -> Callable[[Results], str]:
    """What is told of M1's race with one window."""
    return lambda results: tell(newest_races(results)["M1", 1][0])


FIGURES: Mapping[str, Callable[[Results], str]] = {
    "window": _alone(lambda race: f"{us(race['float32'])} µs"),
    "faster": _alone(lambda race: f"{race['faster float32']:.1f}"),
}
