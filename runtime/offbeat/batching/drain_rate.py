"""How fast a queue empties, whatever empties it."""

from __future__ import annotations

# The weight of the newest batch: a change is followed within about ten batches.
_WEIGHT = 0.2
# Older figures do not justify refusing anyone.
_FRESH_S = 1.0


class DrainRate:
    """Seconds a row by which a queue got shorter while it was never empty: workers, other models and a slow machine are in it. Pure."""

    def __init__(self) -> None:
        self._s_per_row = 0.0
        self._began: float | None = None
        self._measured_at = 0.0

    def take(self, n_rows: int, now: float) -> None:
        """Learns that so many rows left at `now`, while others wait on."""
        if not n_rows:
            return
        if self._began is not None:
            measured = (now - self._began) / n_rows
            known = self._s_per_row or measured
            self._s_per_row = known + _WEIGHT * (measured - known)
            self._measured_at = now
        self._began = now

    def pause(self) -> None:
        """Nobody waits any more: the time until somebody does counts for nothing."""
        self._began = None

    def wait_s(self, n_rows: int, now: float) -> float:
        """How long the last of so many rows will wait; 0 where that is not known."""
        return n_rows * self._s_per_row if now - self._measured_at <= _FRESH_S else 0.0
