"""Whether there is room for anything at all."""

from __future__ import annotations

from offbeat.batching import DynamicBatcher
from offbeat.errors import DeadlineExceededError, OffbeatError, OverloadedError
from offbeat.server.scoring.served import Awaited, ServedModels

# So long after the last refusal nobody is asked any more.
_HOLD_S = 0.5


class Overload:
    """Knows whether a request would be refused whatever it asks for, so that nobody need read it to refuse it. Pure; asks no clock.

    It `is_known` from a refusal on, where a request for any other model, of any priority, would have been refused then, too, until
    there is none for a while. Before and after that nobody asks, and nothing is refused that its queue would have taken. `left_s` is
    the time that the last request had left when it came, None without a deadline.
    """

    def __init__(self, models: ServedModels) -> None:
        self.is_known = False
        self.left_s: float | None = None
        self._models = models
        self._queues: tuple[DynamicBatcher[Awaited], ...] = ()
        self._ends = 0.0
        models.listen(self._look)

    def suspect(self, now: float, left_s: float | None) -> None:
        """A request that came with `left_s` seconds until its deadline is refused, for want of time or of room in its queue."""
        if self._refuses_all(now, left_s):
            self.is_known = True
            self._ends = now + _HOLD_S

    def is_likely(self, now: float) -> bool:
        """Whether the next request will be refused, should it have as much time left as the one before: both came by one line."""
        if now > self._ends:
            self.is_known = False
        return self.is_known and self._refuses_all(now, self.left_s)

    def refusal(self, now: float, left_s: float | None) -> OffbeatError | None:
        """Why a request with so much time left is refused unread; None for one that a queue might take."""
        self.left_s = left_s
        if not self._refuses_all(now, left_s):
            return None
        self._ends = now + _HOLD_S
        if left_s is None:
            return OverloadedError("every queue is full; back off before trying again")
        if left_s <= 0:
            return DeadlineExceededError("the deadline had passed when the request was reached; nothing was run")
        return OverloadedError(
            f"every queue is full, or too long for the {left_s * 1e3:.0f} ms until the deadline; back off before trying again"
        )

    def _refuses_all(self, now: float, left_s: float | None) -> bool:
        if left_s is not None and left_s <= 0:
            return True
        return bool(self._queues) and all(queue.refuses_all(now, left_s) for queue in self._queues)

    def _look(self) -> None:
        self._queues = tuple(model.queue for model in self._models.ready())
