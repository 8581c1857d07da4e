"""What became of the requests, method by method."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from offbeat.server.telemetry.buckets import DURATION_BOUNDS, Buckets


class MethodTraffic:
    """The requests of one method by model: how long the answered ones took, and the status of the others.

    Belongs to the event loop: there are no locks. A model must be one that is served, or "": names are the callers', and must
    not fill the memory.
    """

    __slots__ = ("durations", "refused")

    def __init__(self) -> None:
        self.durations: dict[str, Buckets] = {}
        self.refused: Counter[tuple[str, str]] = Counter()

    def answer(self, model: str, seconds: float) -> None:
        """Counts a request that was answered, `seconds` after its bytes were there."""
        self._of(model).add(seconds)

    def answer_all(self, model: str, seconds: NDArray[np.float64]) -> None:
        """Counts many requests that were answered."""
        self._of(model).add_all(seconds)

    def refuse(self, model: str, status: str) -> None:
        """Counts a request that ended with a status other than OK."""
        self.refused[model, status] += 1

    def _of(self, model: str) -> Buckets:
        durations = self.durations.get(model)
        if durations is None:
            durations = self.durations[model] = Buckets(DURATION_BOUNDS)
        return durations


class Traffic:
    """The traffic of each method."""

    def __init__(self) -> None:
        self.methods: dict[str, MethodTraffic] = {}

    def method(self, name: str) -> MethodTraffic:
        """The traffic of the method of that name."""
        return self.methods.setdefault(name, MethodTraffic())
