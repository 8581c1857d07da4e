"""Refused requests in the log, however many there are."""

from __future__ import annotations

import logging
from collections import Counter
from time import monotonic

from offbeat.errors import BackendError, OffbeatError

_logger = logging.getLogger("offbeat.server")
_INTERVAL_S = 1.0


class RefusalLog:
    """At most one line in a second, which counts the refusals since the line before."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._next_line = 0.0

    def record(self, error: OffbeatError) -> None:
        """Counts a refusal. Incidents are not counted: each has a line of its own already."""
        if isinstance(error, BackendError):
            return
        self._counts[type(error).__name__] += 1
        now = monotonic()
        if now < self._next_line:
            return
        self._next_line = now + _INTERVAL_S
        counts = ", ".join(f"{name} {n}" for name, n in self._counts.items())
        _logger.warning("refused: %s; the last: %.200s", counts, error, extra={"refused": dict(self._counts)})
        self._counts.clear()
