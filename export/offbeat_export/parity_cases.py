"""The cases that parity is measured on: kinds of windows, batch sizes, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from offbeat.bundle.manifest import Manifest, WindowSpec
from offbeat.result import FloatArray
from offbeat_export.window_source import KINDS, WindowSource

BATCH_SIZES = (1, 2, 3, 7, 64)
# Other lengths than the trained one are tried with this many windows.
_BATCH_SIZE_OF_LENGTHS = 3


@dataclass(frozen=True, kw_only=True)
class ParityCase:
    """One batch, float32 in raw units, and what to call it."""

    name: str
    window: FloatArray


def parity_cases(manifest: Manifest, source: WindowSource) -> Iterator[ParityCase]:
    """Every kind at every batch size, and at every other length where time is dynamic."""
    for kind in KINDS:
        for size in BATCH_SIZES:
            yield ParityCase(name=f"{kind}, batch {size}", window=source.draw(kind, size))
        for length in _other_lengths(manifest.window):
            window = source.draw(kind, _BATCH_SIZE_OF_LENGTHS, length)
            yield ParityCase(name=f"{kind}, batch {_BATCH_SIZE_OF_LENGTHS}, {length} steps", window=window)


def _other_lengths(window: WindowSpec | None) -> list[int]:
    """The shortest ones, and one that is no multiple of the trained length."""
    if window is None or not window.is_time_dynamic:
        return []
    lengths = {window.min_length, window.min_length + 1, 2 * window.length + 1} - {window.length}
    return sorted(lengths)
