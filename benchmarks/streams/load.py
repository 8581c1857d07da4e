"""A load generator as a process of its own: a `Load` as JSON on stdin, its `Measured` as JSON on stdout."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks.generator import generate
from offbeat.v1.scoring_pb2 import PointsRequest, PointsResponse

_METHOD = "/offbeat.v1.AnomalyScoring/ScorePoints"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_FILL_ROWS = 1000
_FILL_IN_FLIGHT = 8


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Each of `n_series` series has a row a second, in messages of `rows` rows, over `n_streams` streams, evenly spread over the second."""

    target: str
    model: str
    length: int
    n_features: int
    n_series: int
    rows: int
    n_streams: int
    seconds: int
    answer_delay_us: int
    core: int | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in µs, from when a message was due until its answer was there. `late_s` is how far behind the last message was sent."""

    n_messages: int
    n_windows: int
    n_refused: int
    seconds: float
    p50: float
    p99: float
    p999: float
    longest: float
    late_s: float
    client_cpu_s: float


class _Stream:
    """One call: what was sent and is not answered, and how long the answers took."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._dues: deque[float] = deque()
        self._free = asyncio.Event()
        self.latencies: list[float] = []
        self.n_windows = 0
        self.n_refused = 0
        self.late_s = 0.0

    async def send(self, message: bytes, due: float) -> None:
        self._dues.append(due)
        await self._call.write(message)

    async def wait_for_room(self, n_in_flight: int) -> None:
        while len(self._dues) >= n_in_flight:
            self._free.clear()
            await self._free.wait()

    async def read(self) -> None:
        while (data := await self._call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            now, answers = time.perf_counter(), PointsResponse.FromString(data)
            for answer in answers.scores:
                self.latencies.append(now - self._dues.popleft())
                self.n_windows += len(answer.rows) // 4
            for _ in answers.refusals:
                self._dues.popleft()
                self.n_refused += 1
            self._free.set()


def _messages(load: Load, names: list[str], n_rows: int, seconds: range) -> Iterator[bytes]:
    """The messages of one stream, second after second, each of the next `n_rows` series."""
    rng = np.random.default_rng(1)
    for second in seconds:
        for begin in range(0, len(names), n_rows):
            series = names[begin : begin + n_rows]
            yield PointsRequest(
                model=load.model,
                series=series,
                values=rng.standard_normal((len(series), load.n_features), dtype=np.float32).tobytes(),
                timestamps=np.full(len(series), second, "<i8").tobytes(),
                answer_delay_us=load.answer_delay_us,
            ).SerializeToString()


async def _fill(load: Load, stream: _Stream, names: list[str]) -> None:
    """Has every window full, as fast as it goes."""
    for message in _messages(load, names, _FILL_ROWS, range(load.length)):
        await stream.wait_for_room(_FILL_IN_FLIGHT)
        await stream.send(message, time.perf_counter())
    await stream.wait_for_room(1)


async def _feed(load: Load, stream: _Stream, messages: list[bytes], n_a_second: int, begin: float) -> None:
    """Sends each when it is due; those that are due already without a pause."""
    for number, message in enumerate(messages):
        due = begin + number / n_a_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        await stream.send(message, due)
        stream.late_s = time.perf_counter() - due
    await stream.wait_for_room(1)


async def run(load: Load) -> Measured:
    """Fills every window, and then sends rows as they are due."""
    parts = [
        [f"series-{number}" for number in range(part, load.n_series, load.n_streams)] for part in range(load.n_streams)
    ]
    later = range(load.length, load.length + load.seconds)
    async with grpc.aio.insecure_channel(load.target, options=_OPTIONS) as channel:
        streams = [_Stream(channel.stream_stream(_METHOD)()) for _ in parts]
        readers = [asyncio.create_task(stream.read()) for stream in streams]
        await asyncio.gather(*(_fill(load, *pair) for pair in zip(streams, parts, strict=True)))
        plans = [list(_messages(load, names, min(load.rows, len(names)), later)) for names in parts]
        for stream in streams:
            stream.latencies.clear()
            stream.n_windows = 0
        cpu, started = time.process_time(), time.perf_counter() + 0.1
        n_each = [len(plan) // load.seconds for plan in plans]
        # Streams take turns within the time between two messages of one.
        begins = [started + part / n_each[part] / load.n_streams for part in range(load.n_streams)]
        print(f"begin {time.time()}", file=sys.stderr, flush=True)
        await asyncio.gather(*(_feed(load, *each) for each in zip(streams, plans, n_each, begins, strict=True)))
        ended, cpu = time.perf_counter(), time.process_time() - cpu
        for reader in readers:
            reader.cancel()
    latencies = np.concatenate([stream.latencies for stream in streams]) * 1e6
    p50, p99, p999 = np.percentile(latencies, [50, 99, 99.9]).tolist()
    return Measured(
        n_messages=len(latencies),
        n_windows=sum(stream.n_windows for stream in streams),
        n_refused=sum(stream.n_refused for stream in streams),
        seconds=ended - started,
        p50=p50,
        p99=p99,
        p999=p999,
        longest=float(latencies.max()),
        late_s=max(stream.late_s for stream in streams),
        client_cpu_s=cpu,
    )


if __name__ == "__main__":
    generate(Load, run)
