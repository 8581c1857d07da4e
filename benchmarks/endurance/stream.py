"""One stream for the whole run, on which every id must be answered once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc

from benchmarks.endurance.messages import Answer, answers
from benchmarks.endurance.tally import Counts, Tally
from benchmarks.generator import arrivals

if TYPE_CHECKING:
    from benchmarks.endurance.load import Load

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
# Beside the arrivals of the calls, others.
_SEED = 1000


class Stream:
    """Sends requests as they are due while there is room, holds every answer against what it must be, and counts."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        self._channel = channel
        self._tally = Tally()
        self._waiting: dict[str, tuple[int, float, float]] = {}
        self._room = asyncio.Event()
        self.all_sent = asyncio.Event()
        self.late_s = 0.0

    async def run(self, patience_s: float) -> Counts:
        """Until the server has answered everything and ends the stream, or has had so long for it."""
        stream: Any = self._channel.stream_stream(self._load.stream_method)
        call = stream(self._messages())
        reading = asyncio.create_task(self._read(call))
        await asyncio.wait([reading, asyncio.create_task(self.all_sent.wait())], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([reading], timeout=patience_s)
        if not reading.done():
            call.cancel()
        else:
            reading.result()
        return self._tally.counts(len(self._waiting))

    async def _messages(self) -> AsyncIterator[bytes]:
        load, tally = self._load, self._tally
        dues = (
            self._whenever_there_is_room()
            if load.fills_stream
            else arrivals(load.stream_rate, load.seconds, load.seed + _SEED)
        )
        async for due in dues:
            now = time.perf_counter()
            self.late_s = max(self.late_s, now - due)
            if len(self._waiting) >= load.stream_room:
                tally.n_held_back += 1
                continue
            name = load.name(tally.n_sent)
            self._waiting[name.decode()] = tally.n_sent, now, due
            message = load.question(tally.n_sent).asked(name)
            tally.n_sent += 1
            yield message
        self.all_sent.set()

    async def _whenever_there_is_room(self) -> AsyncIterator[float]:
        end = time.perf_counter() + self._load.seconds
        while (now := time.perf_counter()) < end:
            if len(self._waiting) < self._load.stream_room:
                yield now
                continue
            self._room.clear()
            await self._room.wait()

    async def _read(self, call: Any) -> None:
        async for data in call:
            for answer in answers(self._load.stream_method, data):
                self._count(answer)
            self._room.set()

    def _count(self, answer: Answer) -> None:
        asked = self._waiting.pop(answer.id, None)
        if asked is None:
            # Also of an id that nobody has given.
            self._tally.n_twice += 1
            return
        number, sent, due = asked
        if answer.message is None:
            self._tally.by_status[_CODES[answer.code]] += 1
            return
        now = time.perf_counter()
        is_right = self._load.question(number).is_answered_by(answer.message, answer.id.encode())
        self._tally.answer(is_right=is_right, latency_s=now - sent, from_due_s=now - due)
