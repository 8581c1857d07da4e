"""The recorded figures as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_HEAD = (
    "| model | weights | arithmetic | size | backend | batch 1 | batch 64 | mean relative error | same decision | ROC-AUC | VUS-PR | |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each variant and backend; size, latency and quality beside float32's."""
    lines = [line for model, variants in results.items() for variant in variants for line in _lines(model, variant)]
    return "\n".join((*_HEAD, *lines))


def _lines(model: str, variant: dict[str, Any]) -> Iterator[str]:
    record, outcome = variant["record"], "refused" if variant["refusal"] else ""
    if record is None:
        yield f"| {model} | {variant['precision']} |{' |' * 9} refused |"
        return
    size = record["size"]
    for backend, engine in record["engines"].items():
        quality, is_first = engine["quality"], backend == "onnxruntime"
        cells = [
            model,
            record["weights"],
            record["arithmetic"] if is_first else "its own",
            f"{size['n_bytes'] / size['fp32_n_bytes']:.2f}",
            backend,
            *(f"{each['ratio']:.2f} ({each['median_us']:,.0f} µs)" for each in engine["latency"]),
            f"{engine['error']['mean_relative']:.1e}",
            f"{quality['decision_agreement']:.2%}",
            f"{quality['roc_auc']:.4f} of {quality['fp32_roc_auc']:.4f}",
            "" if quality["vus_pr"] is None else f"{quality['vus_pr']:.4f} of {quality['fp32_vus_pr']:.4f}",
            outcome,
        ]
        yield f"| {' | '.join(cells)} |"
