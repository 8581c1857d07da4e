"""F1 of a precision and a recall, however those are defined."""

from __future__ import annotations


def harmonic_mean(precision: float, recall: float) -> float:
    """2 · P · R / (P + R), and 0 where both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
