"""What waits in a queue, and what leaves it."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from offbeat.result import FloatArray

Completion = TypeVar("Completion")
Key = tuple[tuple[int, ...], tuple[str, ...]]


class PendingRequest(msgspec.Struct, Generic[Completion], frozen=True, kw_only=True, eq=False):
    """Checked windows that wait for a batch.

    `windows` is float32 [batch, time, feature] or [batch, feature]. `arrival` and `deadline` are seconds on the clock whose
    `now` the batcher is given; a `deadline` of None never passes. `level` 0 goes before 1, and so on. `completion` is the owner's, and the batcher never looks
    at it.
    """

    windows: FloatArray
    outputs: tuple[str, ...]
    arrival: float
    completion: Completion
    deadline: float | None = None
    level: int = 0

    @property
    def n_rows(self) -> int:
        """The number of windows."""
        return len(self.windows)

    @property
    def key(self) -> Key:
        """Only requests of one key share a batch: the window's shape without the batch axis, and the outputs."""
        return self.windows.shape[1:], self.outputs


class Batch(msgspec.Struct, Generic[Completion], frozen=True, kw_only=True, eq=False):
    """Requests of one key to run together, oldest first; `n_rows` windows in all."""

    requests: tuple[PendingRequest[Completion], ...]
    n_rows: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that every request of the batch asks for."""
        return self.requests[0].outputs
