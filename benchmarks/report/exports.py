"""Exports of every preset, and what rewriting their graphs brings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.report.results import Result, Told, figures_of
from benchmarks.report.text import percent, table

_FORMATS = {"onnx": "ONNX Runtime", "native": "native core", "torchscript": "TorchScript"}
_BASE, _ALL = "none of them", "all, classic"
_REWRITES = {
    "repeat_in_place": "the latent vector is repeated over [time, batch] at once, not over [batch, time] and then turned",
    "turn_late": "the output layer's values are turned to [batch, time], not the hidden ones it takes",
    "narrow_zero_inputs": "zero inputs (`state`) are one column wide",
    _ALL: "all of these",
    "latent one wide (wrong scores)": "not done: a decoder with an input one wide, which no graph can beat",
    "without normalisation (wrong scores)": "not done: normalisation left out",
}


def exports_table(result: Result) -> str:
    """A row for each shape: nodes of both graphs, and the largest differences from eager."""
    rows = []
    for export in result.content["exports"]:
        if "error" in export:
            rows.append((export["shape"], "", "", f"**refused**: {export['error']}", *[""] * (len(_FORMATS) + 1)))
            continue
        graph, verified = export["graph"], export["verified"].values()
        of_bound = [each for each in verified if isinstance(each, float)]
        rows.append(
            (
                export["shape"],
                *_nodes(graph),
                graph["exporter"],
                *(f"{_difference(export, name):.1e}" if name in export["parity"] else "" for name in _FORMATS),
                percent(max(of_bound, default=0.0)) if len(of_bound) == len(verified) else "**missed**",
            )
        )
    head = ("shape", "nodes, classic", "dynamo", "taken", *(f"|Δerror| of {name}" for name in _FORMATS.values()))
    return table((*(cell.replace("|", "\\|") for cell in head), "golden windows, of the bound"), rows)


def nodes_table(result: Result) -> str:
    """Nodes of both exporters' graphs, of the presets at their default size."""
    found: dict[tuple[str, str], list[str]] = {}
    for export in result.content["exports"]:
        preset, _, size = export["shape"].partition(", ")
        if size == "default":
            found.setdefault(_nodes(export["graph"]), []).append(preset)
    return table(("preset", "classic", "dynamo"), [(", ".join(presets), *nodes) for nodes, presets in found.items()])


def _nodes(graph: Mapping[str, Any]) -> tuple[str, str]:
    classic, dynamo = (str(graph["candidates"][name]["n_nodes"]) for name in ("classic", "dynamo"))
    return classic, dynamo


def _difference(export: Mapping[str, Any], name: str) -> float:
    return float(export["parity"][name]["outputs"]["reconstruction_error"]["max_relative"])


def _exports(result: Result) -> Sequence[Mapping[str, Any]]:
    return [each for each in result.content["exports"] if "error" not in each]


def _worst(name: str) -> Told:
    def told(result: Result) -> str:
        found = {each["shape"]: _difference(each, name) for each in _exports(result) if name in each["parity"]}
        shape = max(found, key=lambda each: found[each])
        return f"{found[shape]:.1e} ({shape})"

    return told


def _n_passed(result: Result) -> str:
    exports = result.content["exports"]
    passed = [each for each in exports if all(isinstance(of, float) for of in each.get("verified", {"": ""}).values())]
    return f"{len(passed)} of {len(exports)}"


def _worst_replay(result: Result) -> str:
    return percent(max(of for each in _exports(result) for of in each["verified"].values() if isinstance(of, float)))


def _row_spread(result: Result) -> str:
    found = (each["row_spread"] or 0.0 for export in _exports(result) for each in export["parity"].values())
    return f"{max(found):.1e}"


def _n_defects(result: Result) -> str:
    candidates = (each["graph"]["candidates"][each["graph"]["exporter"]] for each in _exports(result))
    return str(sum(len(each["findings"]) for each in candidates))


def _n_flips(result: Result) -> str:
    return str(sum(each["decision_flips"] for export in _exports(result) for each in export["parity"].values()))


def graphs_table(result: Result) -> str:
    """A row for each rewrite, a column for each model and batch: the time that it saves; what it cannot change is the noise."""
    races = {_race_name(race): race["graphs"] for race in result.content["results"] if "graphs" in race}
    rows = [
        (about, *(_saved(graphs[name]["ratio"]) if name in graphs else "" for graphs in races.values()))
        for name, about in _REWRITES.items()
    ]
    return table(("rewrite", *races), rows)


def _race_name(race: Mapping[str, Any]) -> str:
    return f"{race['model']}, {race['batch']}"


def _saved(ratio: float) -> str:
    return f"{100 * (1 - ratio):.0f} %".replace("-0 %", "0 %").replace("-", "−")


def loading_table(result: Result) -> str:
    """Milliseconds of making a session, of the graph and of what ONNX Runtime made of it for the machine."""
    loads = [race for race in result.content["results"] if "load_ms" in race]
    rows = [
        (label, *(f"{race['load_ms'][name]:.1f}" for race in loads))
        for name, label in (("graph", "the graph"), ("optimised", "as ONNX Runtime optimised it"))
    ]
    return table(("loading, ms", *(race["model"] for race in loads)), rows)


def _all_figures() -> Iterator[tuple[str, Told]]:
    yield from ((f"worst_{name}", _worst(name)) for name in _FORMATS)
    yield from (("passed", _n_passed), ("worst_replay", _worst_replay), ("row_spread", _row_spread))
    yield from (("defects", _n_defects), ("flips", _n_flips))


FIGURES = figures_of("exports", dict(_all_figures()))
