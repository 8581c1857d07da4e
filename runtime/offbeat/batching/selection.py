"""Which of the requests that could share a batch do so, when their deadlines are near."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic

import msgspec

from offbeat.batching.cost import BatchCost
from offbeat.batching.request import Completion, PendingRequest


class Selection(msgspec.Struct, Generic[Completion], frozen=True, kw_only=True, eq=False):
    """`taken` go into the batch, in the order of the queue; `late` cannot be answered in time any more."""

    taken: list[PendingRequest[Completion]]
    late: list[PendingRequest[Completion]]


def select(
    requests: Sequence[PendingRequest[Completion]], cost: BatchCost, now: float, *, is_crowded: bool
) -> Selection[Completion]:
    """Chooses among the oldest requests of one key, which fit into one batch.

    While all that wait fits (not `is_crowded`), the batch is made as large as the tightest deadline allows, and the rest
    follows in the next one. Under overload a small batch would only make the queue longer: the batch is made as large as half
    of the most time that anyone has left allows, and whoever cannot wait for it gives up the place. Without a measured cost
    everybody is taken.
    """
    if not cost.is_fresh(now) or all(request.deadline is None for request in requests):
        return Selection(taken=list(requests), late=[])
    return _under_overload(requests, cost, now) if is_crowded else _by_deadline(requests, cost, now)


def _by_deadline(requests: Sequence[PendingRequest[Completion]], cost: BatchCost, now: float) -> Selection[Completion]:
    late = {request for request in requests if _left(request, now) < cost.estimate(request.n_rows)}
    by_deadline = sorted(set(requests) - late, key=lambda each: _left(each, now))
    if not by_deadline:
        return Selection(taken=[], late=list(requests))
    tightest = _left(by_deadline[0], now)
    taken = set(by_deadline[:1])
    n_rows = by_deadline[0].n_rows
    for request in by_deadline[1:]:
        n_rows += request.n_rows
        if cost.estimate(n_rows) > tightest:
            break
        taken.add(request)
    return Selection(
        taken=[request for request in requests if request in taken],
        late=[request for request in requests if request in late],
    )


def _under_overload(
    requests: Sequence[PendingRequest[Completion]], cost: BatchCost, now: float
) -> Selection[Completion]:
    max_rows = sum(request.n_rows for request in requests)
    most_left = max(_left(request, now) for request in requests)
    while max_rows > 1 and cost.estimate(max_rows) > most_left / 2:
        max_rows //= 2
    seconds = cost.estimate(max_rows)
    taken: list[PendingRequest[Completion]] = []
    late: list[PendingRequest[Completion]] = []
    n_rows = 0
    for request in requests:
        if _left(request, now) < seconds:
            late.append(request)
        elif not taken or n_rows + request.n_rows <= max_rows:
            taken.append(request)
            n_rows += request.n_rows
        else:
            break
    return Selection(taken=taken, late=late)


def _left(request: PendingRequest[Completion], now: float) -> float:
    """Seconds until the deadline."""
    return math.inf if request.deadline is None else request.deadline - now
