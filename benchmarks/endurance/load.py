"""One client of the endurance run, in a process of its own: a `Load` as JSON on stdin, its `Counted` as JSON on stdout."""

from __future__ import annotations

import asyncio
import time

import grpc
import msgspec

from benchmarks.endurance.calls import Calls
from benchmarks.endurance.messages import SCORE_STREAM, Question
from benchmarks.endurance.stream import Stream
from benchmarks.endurance.tally import Counts
from benchmarks.generator import generate

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
_GRACE_S = 5.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one client sends: calls at `rate` a second as a Poisson process, or, with rate 0, `concurrency` at a time.

    A stream of `stream_method` takes `stream_rate` requests a second, of which at most `stream_room` wait for their answers: those that
    are due then are held back. With `fills_stream` there are always so many under way, whatever the rate.
    """

    target: str
    questions: list[Question]
    seconds: float
    deadline_s: float
    rate: float = 0.0
    concurrency: int = 0
    stream_rate: float = 0.0
    stream_room: int = 32
    stream_method: str = SCORE_STREAM
    fills_stream: bool = False
    core: int | None = None
    seed: int = 0

    @property
    def has_calls(self) -> bool:
        """Whether there are any."""
        return self.rate > 0 or self.concurrency > 0

    def name(self, number: int) -> bytes:
        """An id that no other request of any client has."""
        return f"{self.seed:03}{number:09}".encode()

    def question(self, number: int) -> Question:
        """What the request of that number asks."""
        return self.questions[number % len(self.questions)]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests, of calls and on the stream. `late_s` is how far behind the client was at most."""

    seconds: float
    calls: Counts
    stream: Counts
    late_s: float
    cpu_s: float


async def run(load: Load) -> Counted:
    """Sends for so long, and waits until what was sent is answered, or can be no more."""
    async with grpc.aio.insecure_channel(load.target, options=_OPTIONS) as channel:
        await channel.channel_ready()
        calls, stream = Calls(load, channel), Stream(load, channel)
        began, cpu = time.perf_counter(), time.process_time()
        streams = load.stream_rate > 0 or load.fills_stream
        streaming = asyncio.create_task(stream.run(load.deadline_s + _GRACE_S)) if streams else None
        if load.has_calls:
            await calls.run()
        elif streaming is not None:
            await stream.all_sent.wait()
        seconds = time.perf_counter() - began
        called = await calls.ended(load.deadline_s + _GRACE_S)
        streamed = Counts() if streaming is None else await streaming
    return Counted(
        seconds=seconds,
        calls=called,
        stream=streamed,
        late_s=max(calls.late_s, stream.late_s),
        cpu_s=time.process_time() - cpu,
    )


if __name__ == "__main__":
    generate(Load, run)
