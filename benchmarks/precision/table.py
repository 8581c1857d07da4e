"""The recorded figures as a Markdown table."""

from __future__ import annotations

from typing import Any

_BACKENDS = ("onnxruntime", "native")
_HEAD = (
    "| model | weights | size | arithmetic of ONNX Runtime | its batch 1 | its batch 64 | native batch 1 | native batch 64 "
    "| mean relative error | same decision | ROC-AUC | VUS-PR |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each variant; size, latency and quality beside float32's, quality on ONNX Runtime."""
    return "\n".join((*_HEAD, *(_line(model, variant) for model, variants in results.items() for variant in variants)))


def _line(model: str, variant: dict[str, Any]) -> str:
    record, refusal = variant["record"], variant["refusal"]
    if record is None:
        return f"| {model} | {variant['precision']} | refused: {refusal} |{' |' * 9}"
    size, engine = record["size"], record["engines"]["onnxruntime"]
    quality = engine["quality"]
    cells = [
        model,
        record["weights"] + (", refused" if refusal else ""),
        f"{size['n_bytes'] / size['fp32_n_bytes']:.2f}",
        record["arithmetic"],
        *(cell for backend in _BACKENDS for cell in _latencies(record["engines"].get(backend), len(engine["latency"]))),
        f"{engine['error']['mean_relative']:.1e}",
        f"{quality['decision_agreement']:.2%}",
        f"{quality['roc_auc']:.4f} ({quality['fp32_roc_auc']:.4f})",
        "" if quality["vus_pr"] is None else f"{quality['vus_pr']:.4f} ({quality['fp32_vus_pr']:.4f})",
    ]
    return f"| {' | '.join(cells)} |"


def _latencies(engine: dict[str, Any] | None, n_batches: int) -> list[str]:
    if engine is None:
        return [""] * n_batches
    return [f"{each['ratio']:.2f} ({each['median_us']:,.0f} µs)" for each in engine["latency"]]
