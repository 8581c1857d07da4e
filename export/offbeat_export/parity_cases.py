"""The cases that parity is measured on: kinds of windows, batch sizes, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offbeat.bundle.manifest import Manifest, WindowSpec
from offbeat.result import FloatArray
from offbeat_export.window_source import KINDS, WindowSource

BATCH_SIZES = (1, 2, 3, 7, 64, 512)
# Other lengths than the trained one are tried with this many windows.
_BATCH_SIZE_OF_LENGTHS = 3
_TIMES_TRAINED = 4
# Products, about, that the windows of one batch size may take: with every kind in batches of its own, and in one batch.
# What is above is tried with all kinds in one batch, or left out, so that a model of a hundred million products a
# window is measured in half a minute, not in five.
_MAX_PRODUCTS_APART = 2e10
_MAX_PRODUCTS = 1e11
# These are tried whatever they cost.
_ALWAYS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class ParityCase:
    """One batch, float32 in raw units, and what to call it. `is_mixed` batches hold windows of every kind in turn."""

    name: str
    window: FloatArray
    is_mixed: bool = False


def parity_cases(manifest: Manifest, source: WindowSource) -> Iterator[ParityCase]:
    """Every kind at every batch size, and mixed with the others; and at every other length where time is dynamic.

    A large model is tried at the large batch sizes and lengths with mixed batches alone, or not at all.
    """
    trained = 1 if manifest.window is None else manifest.window.length
    for size in BATCH_SIZES:
        yield from _cases(manifest, source, size, None, trained)
    for length in _other_lengths(manifest.window):
        yield from _cases(manifest, source, _BATCH_SIZE_OF_LENGTHS, length, length)


def _cases(
    manifest: Manifest, source: WindowSource, size: int, length: int | None, n_steps: int
) -> Iterator[ParityCase]:
    products = size * n_steps * manifest.architecture.n_parameters
    name = f"batch {size}" if length is None else f"batch {size}, {length} steps"
    if products * len(KINDS) <= _MAX_PRODUCTS_APART:
        for kind in KINDS:
            yield ParityCase(name=f"{kind}, {name}", window=source.draw(kind, size, length))
    if products <= _MAX_PRODUCTS or size in _ALWAYS:
        yield ParityCase(name=f"mixed, {name}", window=_mixed(source, size, length), is_mixed=True)


def _mixed(source: WindowSource, size: int, length: int | None) -> FloatArray:
    """Windows of every kind in turn, beginning with another kind for each size, since few fit into the small ones."""
    first = BATCH_SIZES.index(size) if size in BATCH_SIZES else 0
    kinds = [KINDS[(first + index) % len(KINDS)] for index in range(size)]
    drawn = {kind: iter(source.draw(kind, kinds.count(kind), length)) for kind in sorted(set(kinds))}
    return np.stack([next(drawn[kind]) for kind in kinds])


def _other_lengths(window: WindowSpec | None) -> list[int]:
    """The shortest, one more, which is no divisor of most lengths, and four times the trained one."""
    if window is None or not window.is_time_dynamic:
        return []
    lengths = {window.min_length, window.min_length + 1, longest(window)} - {window.length}
    return sorted(lengths)


def longest(window: WindowSpec | None) -> int:
    """The most steps that are tried; 0 for tables."""
    if window is None:
        return 0
    return _TIMES_TRAINED * window.length if window.is_time_dynamic else window.length
