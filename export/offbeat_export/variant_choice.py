"""Which of a variant's graphs is taken, and whether the variant is worth having at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from offbeat.bundle.precision_record import Arithmetic, PrecisionLatency, PrecisionRecord

# Less than this is noise, or not worth a second model.
_NOTICEABLE = 0.05
# Integers cost exactness and portability: they have to save a tenth, and must not be slower at any batch size measured.
_WORTH_INTEGERS = 0.9
_NO_SLOWER = 1.05

Latency = Sequence[PrecisionLatency]


def preferred(latencies: Mapping[Arithmetic, Latency]) -> tuple[Arithmetic, ...]:
    """The arithmetics to try, best first: integers where they are faster than float32 by a tenth, the fastest first."""
    means = {arithmetic: _mean_ratio(latency) for arithmetic, latency in latencies.items()}
    worthwhile = [
        arithmetic
        for arithmetic, latency in latencies.items()
        if arithmetic != "float32"
        and means[arithmetic] <= _WORTH_INTEGERS * means["float32"]
        and all(figures.ratio <= _NO_SLOWER for figures in latency)
    ]
    return (*sorted(worthwhile, key=means.__getitem__), "float32")


def refusal(record: PrecisionRecord) -> str | None:
    """Why the variant is not worth having, with the figures; None where it is.

    It has to be smaller, or faster on some backend, and to lose no more on any than is allowed.
    """
    size = record.size
    measured = [(name, each) for name, figures in record.engines.items() for each in figures.latency]
    name, fastest = min(measured, key=lambda each: each[1].ratio)
    is_smaller = size.n_bytes <= (1 - _NOTICEABLE) * size.fp32_n_bytes
    if not is_smaller and fastest.ratio > 1 - _NOTICEABLE:
        return (
            f"neither smaller nor faster: {size.n_bytes:,} bytes, float32 {size.fp32_n_bytes:,}; at best {fastest.ratio:.2f} "
            f"of float32's latency, on {name} at a batch of {fastest.batch}; expected {1 - _NOTICEABLE:.2f} of either at most"
        )
    for name, figures in record.engines.items():
        quality = figures.quality
        if not quality.is_allowed:
            return (
                f"ROC-AUC on {name} falls by {quality.roc_auc_loss:.4f}, from {quality.fp32_roc_auc:.4f} to "
                f"{quality.roc_auc:.4f}; expected at most {quality.max_loss:g}"
            )
    return None


def _mean_ratio(latency: Iterable[PrecisionLatency]) -> float:
    """The geometric mean over batch sizes."""
    logarithms = [math.log(figures.ratio) for figures in latency]
    return math.exp(sum(logarithms) / len(logarithms))
