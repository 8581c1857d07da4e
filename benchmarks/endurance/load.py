"""One client of the endurance run, in a process of its own: a `Load` as JSON on stdin, its `Counted` as JSON on stdout."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks.endurance.messages import Question
from offbeat.v1.scoring_pb2 import ScoreStreamResponse

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
_SCORE, _STREAM = "/offbeat.v1.AnomalyScoring/Score", "/offbeat.v1.AnomalyScoring/ScoreStream"
# A generator that is behind sends in bursts, and has to read answers between them.
_BURST = 16
_MAX_ON_STREAM = 32
_GRACE_S = 5.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one client sends: calls at `rate` a second as a Poisson process, or, with rate 0, `concurrency` at a time.

    A stream beside them takes `stream_rate` requests a second, of which at most 32 wait for their answers.
    """

    target: str
    questions: list[Question]
    seconds: float
    deadline_s: float
    rate: float = 0.0
    concurrency: int = 0
    stream_rate: float = 0.0
    core: int | None = None
    seed: int = 0


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests. Latencies in seconds, of those answered: from sending, and from when they were due."""

    seconds: float
    n_sent: int
    n_right: int
    n_wrong: int
    n_unanswered: int
    by_status: dict[str, int]
    stream: dict[str, int]
    latencies: bytes
    latencies_from_due: bytes
    late_s: float
    cpu_s: float


def _name(load: Load, number: int) -> bytes:
    """An id that no other request of any client has."""
    return f"{load.seed:03}{number:09}".encode()


class _Client:
    """Sends calls, holds every answer against what it must be, and counts."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        self._send: Any = channel.unary_unary(_SCORE)
        self._calls: set[asyncio.Task[None]] = set()
        self.n_sent = self.n_right = self.n_wrong = 0
        self.by_status: Counter[str] = Counter()
        self.latencies, self.latencies_from_due = array("d"), array("d")
        self.late_s = 0.0

    async def call(self, due: float) -> None:
        """One request, whose number nobody else has."""
        number, questions = self.n_sent, self._load.questions
        self.n_sent += 1
        question, name = questions[number % len(questions)], _name(self._load, number)
        sent = time.perf_counter()
        try:
            answer = await self._send(question.asked(name), timeout=self._load.deadline_s)
        except grpc.RpcError as error:
            self.by_status[error.code().name] += 1
            return
        now = time.perf_counter()
        if question.is_answered_by(answer, name):
            self.n_right += 1
            self.latencies.append(now - sent)
            self.latencies_from_due.append(now - due)
        else:
            self.n_wrong += 1

    async def open_loop(self) -> None:
        """Poisson arrivals, whether answers come or not."""
        gaps = random.Random(self._load.seed)  # noqa: S311 - arrivals, not secrets
        due = time.perf_counter()
        end = due + self._load.seconds
        n_in_burst = 0
        while due < end:
            now = time.perf_counter()
            n_in_burst += 1
            if due > now or n_in_burst >= _BURST:
                await asyncio.sleep(max(0.0, due - now))
                n_in_burst = 0
            self.late_s = max(self.late_s, time.perf_counter() - due)
            task = asyncio.create_task(self.call(due))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            due += gaps.expovariate(self._load.rate)

    async def closed_loop(self) -> None:
        """A call after the other, so many at a time."""
        end = time.perf_counter() + self._load.seconds

        async def caller() -> None:
            while (now := time.perf_counter()) < end:
                await self.call(now)

        await asyncio.gather(*(caller() for _ in range(self._load.concurrency)))

    async def unanswered(self) -> int:
        """How many calls have no end long after their deadline."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=self._load.deadline_s + _GRACE_S)
        return len(self._calls)


class _Stream:
    """One ScoreStream for the whole run, on which every id must be answered once."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        stream: Any = channel.stream_stream(_STREAM)
        self._call = stream(self._messages())
        self._n_sent = self._n_ended = self._n_held_back = self._n_wrong = self._n_refused = 0
        self._answers: Counter[str] = Counter()

    async def _messages(self) -> AsyncIterator[bytes]:
        gaps = random.Random(self._load.seed + 1000)  # noqa: S311 - arrivals, not secrets
        due = time.perf_counter()
        end = due + self._load.seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += gaps.expovariate(self._load.stream_rate)
            if self._n_sent - self._n_ended >= _MAX_ON_STREAM:
                self._n_held_back += 1
                continue
            self._n_sent += 1
            number = self._n_sent - 1
            yield self._question(number).asked(_name(self._load, number))

    def _question(self, number: int) -> Question:
        return self._load.questions[number % len(self._load.questions)]

    async def read(self) -> dict[str, int]:
        """Until the server has answered everything and ends the stream."""
        async for data in self._call:
            reply = ScoreStreamResponse.FromString(data)
            self._n_ended += 1
            if reply.HasField("refusal"):
                self._answers[reply.refusal.id] += 1
                self._n_refused += 1
                continue
            name = reply.response.id
            self._answers[name] += 1
            right = self._question(int(name[3:])).is_answered_by(reply.response.SerializeToString(), name.encode())
            self._n_wrong += not right
        return {
            "sent": self._n_sent,
            "held_back": self._n_held_back,
            "answered_once": sum(n == 1 for n in self._answers.values()),
            "answered_twice": sum(n > 1 for n in self._answers.values()),
            "answered_never": self._n_sent - len(self._answers),
            "refused": self._n_refused,
            "wrong": self._n_wrong,
        }


async def _nothing() -> dict[str, int]:
    return {}


async def _run(load: Load) -> Counted:
    async with grpc.aio.insecure_channel(load.target, options=_OPTIONS) as channel:
        await channel.channel_ready()
        client = _Client(load, channel)
        began, cpu = time.perf_counter(), time.process_time()
        stream = asyncio.create_task(_Stream(load, channel).read() if load.stream_rate else _nothing())
        await (client.open_loop() if load.rate else client.closed_loop())
        seconds = time.perf_counter() - began
        n_unanswered = await client.unanswered()
        streamed = await asyncio.wait_for(stream, load.deadline_s + _GRACE_S)
    return Counted(
        seconds=seconds,
        n_sent=client.n_sent,
        n_right=client.n_right,
        n_wrong=client.n_wrong,
        n_unanswered=n_unanswered,
        by_status=dict(client.by_status),
        stream=streamed,
        latencies=np.asarray(client.latencies, np.float32).tobytes(),
        latencies_from_due=np.asarray(client.latencies_from_due, np.float32).tobytes(),
        late_s=client.late_s,
        cpu_s=time.process_time() - cpu,
    )


def main() -> None:
    """Runs the load that stdin describes."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(_run(load))))


if __name__ == "__main__":
    main()
