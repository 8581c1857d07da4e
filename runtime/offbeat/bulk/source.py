"""Who scores batches of windows: this process, or whatever else has the same methods."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from offbeat.bundle import Manifest
from offbeat.result import FloatArray, ScoreResult
from offbeat.scorer import Scorer


class ScoreSource(Protocol):
    """Scores batches of windows of one model version, in order."""

    manifest: Manifest
    backend: str
    max_batch_size: int

    def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
        """One result, with those outputs, for each batch. Raises OffbeatError."""
        ...


class LocalSource:
    """Scores in this process."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.manifest = scorer.manifest
        self.backend = scorer.backend.description
        self.max_batch_size = sys.maxsize

    def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
        """One result, with those outputs, for each batch. Raises OffbeatError."""
        return (self._scorer.score(batch, outputs) for batch in batches)
