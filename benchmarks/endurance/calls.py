"""Unary calls, each of which has a deadline and an id."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc

from benchmarks.endurance.messages import SCORE
from benchmarks.endurance.tally import Counts, Tally
from benchmarks.generator import arrivals, closed_loops

if TYPE_CHECKING:
    from benchmarks.endurance.load import Load


class Calls:
    """Sends calls, holds every answer against what it must be, and counts."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        self._send: Any = channel.unary_unary(SCORE)
        self._open: set[asyncio.Task[None]] = set()
        self._tally = Tally()
        self.late_s = 0.0

    async def run(self) -> None:
        """Calls come as they are due, whether answers come or not; or, without a rate, so many at a time, one after the other."""
        load = self._load
        if not load.rate:
            await closed_loops([self._call] * load.concurrency, load.seconds)
            return
        async for due in arrivals(load.rate, load.seconds, load.seed):
            self.late_s = max(self.late_s, time.perf_counter() - due)
            task = asyncio.create_task(self._call(due))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def ended(self, within_s: float) -> Counts:
        """The counts, when every call has an end, or should have had one long ago."""
        if self._open:
            await asyncio.wait(self._open, timeout=within_s)
        return self._tally.counts(len(self._open))

    async def _call(self, due: float) -> None:
        """One request, whose number nobody else has."""
        load, tally, number = self._load, self._tally, self._tally.n_sent
        tally.n_sent += 1
        question, name = load.question(number), load.name(number)
        sent = time.perf_counter()
        try:
            answer = await self._send(question.asked(name), timeout=load.deadline_s)
        except grpc.RpcError as error:
            tally.by_status[error.code().name] += 1
            return
        now = time.perf_counter()
        tally.answer(is_right=question.is_answered_by(answer, name), latency_s=now - sent, from_due_s=now - due)
