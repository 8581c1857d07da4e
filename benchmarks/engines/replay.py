"""Gives pytest-benchmark what another process has measured, as if it had measured it itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class ReplayClock:
    """A timer that goes on by the next recorded duration whenever `replay` is called, and stands still otherwise."""

    def __init__(self) -> None:
        self._now = 0.0
        self._durations: Iterator[float] = iter(())

    def __call__(self) -> float:
        """Seconds since `load`."""
        return self._now

    def load(self, durations: Sequence[float]) -> None:
        """The durations that follow, in seconds."""
        self._now, self._durations = 0.0, iter(durations)

    def replay(self) -> None:
        """One round."""
        self._now += next(self._durations)
