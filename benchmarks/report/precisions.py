"""What lower precision costs and brings, in figures for sentences; the table is `benchmarks.precision`'s own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report.results import Result, Told, figures_of


def _records(result: Result) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """By model, of every variant that was measured."""
    for model, variants in result.content["results"].items():
        yield from ((model, variant["record"]) for variant in variants if variant["record"])


def _sizes(weights: str) -> Told:
    def told(result: Result) -> str:
        sizes = [each["size"] for _, each in _records(result) if each["weights"] == weights]
        shares = [100 * size["n_bytes"] / size["fp32_n_bytes"] for size in sizes]
        return f"{min(shares):.0f} to {max(shares):.0f} %"

    return told


def _moved(weights: str) -> Told:
    """The most that ROC-AUC moved, in any engine."""

    def told(result: Result) -> str:
        engines = (
            engine for _, each in _records(result) if each["weights"] == weights for engine in each["engines"].values()
        )
        return f"{max(abs(each['quality']['roc_auc'] - each['quality']['fp32_roc_auc']) for each in engines):.4f}"

    return told


def _times(result: Result, weights: str, backend: str, batch: int) -> dict[str, float]:
    """Of float32's time, by model."""
    return {
        model: latency["ratio"]
        for model, each in _records(result)
        if each["weights"] == weights and backend in each["engines"]
        for latency in each["engines"][backend]["latency"]
        if latency["batch"] == batch
    }


def _narrow_worst(result: Result) -> str:
    """Of 16 bits on the core, one window."""
    found = (ratio for weights in ("fp16", "bf16") for ratio in _times(result, weights, "native", 1).values())
    return f"{max(found):.2f} times"


def _row_by_row(result: Result) -> str:
    return f"{_times(result, 'int8', 'onnxruntime', 64)['M4']:.2f} times"


FIGURES = figures_of(
    "precisions",
    {
        "int8_sizes": _sizes("int8"),
        "int8_moved": _moved("int8"),
        "fp16_sizes": _sizes("fp16"),
        "narrow_worst": _narrow_worst,
        "int8_row_by_row": _row_by_row,
    },
)
