"""Requests on their way, as those who wait for them see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec.structs import replace

from offbeat.batching import PendingRequest
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.served import Awaited, Reply, ServedModel


class Waiting(Protocol):
    """What somebody waits for."""

    def cancel(self) -> None:
        """Nobody waits any more: what is still in the queue leaves it."""


class Ticket(Waiting, Protocol):
    """A request in a queue: `reply` is the future of its scores."""

    reply: Reply


async def scores_of(ticket: Ticket) -> Scored:
    """The scores, or the error, that the ticket is for. A caller who goes away takes the request along."""
    try:
        return await ticket.reply
    except asyncio.CancelledError:
        ticket.cancel()
        raise
    finally:
        # Its future has the error, which has this frame.
        del ticket


class QueuedRequest:
    """A request that is in the queue as a whole."""

    __slots__ = ("_dispatcher", "_model", "_request", "reply")

    def __init__(self, dispatcher: Dispatcher, model: ServedModel, request: PendingRequest[Awaited]) -> None:
        self._dispatcher = dispatcher
        self._model = model
        self._request = request
        self.reply = request.completion.reply

    def cancel(self) -> None:
        """Takes it out of the queue, if it is still there."""
        self._dispatcher.cancel(self._model, self._request)


class SplitRequest:
    """A request of more rows than a batch may have: parts in the queue, whose scores are joined in their order.

    The first part that fails takes the others along.
    """

    def __init__(self, parts: Sequence[QueuedRequest], form: RequestForm) -> None:
        self._parts = parts
        self._form = form
        self.reply: Reply = asyncio.get_running_loop().create_future()
        self._n_open = len(parts)
        for part in parts:
            part.reply.add_done_callback(self._end_part)

    def cancel(self) -> None:
        """Takes the parts out of the queue that are still there."""
        self.reply.cancel()
        for part in self._parts:
            part.cancel()

    def _end_part(self, part: Reply) -> None:
        if part.cancelled():
            return
        error = part.exception()
        self._n_open -= 1
        if self.reply.done():
            return
        if error is not None:
            self.reply.set_exception(error)
            for each in self._parts:
                each.cancel()
        elif self._n_open == 0:
            self.reply.set_result(_joined([each.reply.result() for each in self._parts], self._form))


def _joined(parts: Sequence[Scored], form: RequestForm) -> Scored:
    """The parts as one: the first's wait, the sums of the others' times, the rows of the greatest batch."""
    first, timings = parts[0], [part.timing for part in parts]
    return Scored(
        model=first.model,
        form=form,
        outputs={name: np.concatenate([part.outputs[name] for part in parts]) for name in first.outputs},
        timing=replace(
            first.timing,
            batch_us=sum(timing.batch_us for timing in timings),
            compute_us=sum(timing.compute_us for timing in timings),
            size=max(timing.size for timing in timings),
        ),
    )
