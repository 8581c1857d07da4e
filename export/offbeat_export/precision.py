"""The precisions a model is exported in, and what their variants are called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from offbeat.errors import require

Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# What a variant may lose of ROC-AUC, unless more is allowed.
MAX_QUALITY_LOSS = 0.005


def parse_precisions(words: Iterable[str]) -> tuple[Precision, ...]:
    """Each precision named, once, in the order of PRECISIONS; a word may be a list with commas. fp32 where none is named.

    Raises ConfigurationError for a word that is none.
    """
    named = {part.strip() for word in words for part in word.split(",")} or {"fp32"}
    for part in sorted(named):
        require(part in PRECISIONS, "precision", part, f"some of {', '.join(PRECISIONS)}")
    return tuple(precision for precision in PRECISIONS if precision in named)


def variant_name(name: str, precision: Precision) -> str:
    """The name of a model in a precision: a model of its own, since a greater version number means a newer one."""
    return name if precision == "fp32" else f"{name}-{precision}"
