"""What became of requests, each of which is counted once, however it came."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were sent, and each once more by its end: answered rightly, wrongly, not at all, or refused with a status.

    Beside them those that were due and held back, since too many were under way, and second answers. `latencies` are float32
    seconds of what was answered rightly, from sending, and `latencies_from_due` from when it was due.
    """

    n_sent: int = 0
    n_right: int = 0
    n_wrong: int = 0
    n_unanswered: int = 0
    n_held_back: int = 0
    n_twice: int = 0
    by_status: dict[str, int] = {}
    latencies: bytes = b""
    latencies_from_due: bytes = b""

    @property
    def n_unaccounted(self) -> int:
        """Requests without an end of which nothing is known: none, unless the count itself is wrong."""
        return self.n_sent - self.n_right - self.n_wrong - self.n_unanswered - sum(self.by_status.values())


def together(counts: Sequence[Counts]) -> Counts:
    """All of them as one."""
    by_status: Counter[str] = Counter()
    for each in counts:
        by_status.update(each.by_status)
    return Counts(
        n_sent=sum(each.n_sent for each in counts),
        n_right=sum(each.n_right for each in counts),
        n_wrong=sum(each.n_wrong for each in counts),
        n_unanswered=sum(each.n_unanswered for each in counts),
        n_held_back=sum(each.n_held_back for each in counts),
        n_twice=sum(each.n_twice for each in counts),
        by_status=dict(by_status),
        latencies=b"".join(each.latencies for each in counts),
        latencies_from_due=b"".join(each.latencies_from_due for each in counts),
    )


class Tally:
    """Counts while requests go and answers come."""

    def __init__(self) -> None:
        self.n_sent = self.n_right = self.n_wrong = self.n_held_back = self.n_twice = 0
        self.by_status: Counter[str] = Counter()
        self._latencies, self._from_due = array("f"), array("f")

    def answer(self, *, is_right: bool, latency_s: float, from_due_s: float) -> None:
        """Counts an answer."""
        if not is_right:
            self.n_wrong += 1
            return
        self.n_right += 1
        self._latencies.append(latency_s)
        self._from_due.append(from_due_s)

    def counts(self, n_unanswered: int) -> Counts:
        """The counts at the end, when so many have none."""
        return Counts(
            n_sent=self.n_sent,
            n_right=self.n_right,
            n_wrong=self.n_wrong,
            n_unanswered=n_unanswered,
            n_held_back=self.n_held_back,
            n_twice=self.n_twice,
            by_status=dict(self.by_status),
            latencies=np.asarray(self._latencies, np.float32).tobytes(),
            latencies_from_due=np.asarray(self._from_due, np.float32).tobytes(),
        )
