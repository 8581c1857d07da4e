"""A load generator as a process of its own: a `Load` as JSON on stdin, its `Measured` as JSON on stdout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks.generator import arrivals, closed_loops, generate
from offbeat.reply_timing import ReplyTiming

_SAMPLE_EVERY = 32
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and how: `concurrency` calls at a time, or, with `rate`, arrivals as a Poisson process of so many a second."""

    target: str
    method: str
    payload: bytes
    seconds: float
    concurrency: int
    rate: float = 0.0
    core: int | None = None
    seed: int = 0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in µs. Of an open loop they count from when a request was due, not from when it could be sent.

    `queue_us` and `compute_us` are medians of what the server told of a sample of the calls.
    """

    n_requests: int
    n_errors: int
    seconds: float
    p50: float
    p90: float
    p99: float
    p999: float
    queue_us: float | None
    compute_us: float | None

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.n_requests / self.seconds


class _Book:
    """Latencies as they come."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.n_errors = 0
        self.timings: list[tuple[float, ...]] = []

    async def call(self, send: Callable[[bytes], Any], payload: bytes, due: float) -> None:
        try:
            call = send(payload)
            await call
            self.latencies.append(time.perf_counter() - due)
            if len(self.latencies) % _SAMPLE_EVERY == 0:
                timing = ReplyTiming.of_metadata(await call.trailing_metadata())
                if timing is not None:
                    self.timings.append((timing.queue_us, timing.compute_us))
        except grpc.RpcError:
            self.n_errors += 1

    def measured(self, seconds: float) -> Measured:
        if not self.latencies:
            raise SystemExit(f"no request was answered; {self.n_errors} failed")
        p50, p90, p99, p999 = np.percentile(np.asarray(self.latencies) * 1e6, [50, 90, 99, 99.9]).tolist()
        queue_us, compute_us = np.median(self.timings, axis=0).tolist() if self.timings else (None, None)
        return Measured(
            n_requests=len(self.latencies),
            n_errors=self.n_errors,
            seconds=seconds,
            p50=p50,
            p90=p90,
            p99=p99,
            p999=p999,
            queue_us=queue_us,
            compute_us=compute_us,
        )


async def _closed(load: Load, channel: grpc.aio.Channel, book: _Book) -> None:
    call = partial(book.call, channel.unary_unary(load.method), load.payload)
    await closed_loops([call] * load.concurrency, load.seconds)


async def _open(load: Load, channel: grpc.aio.Channel, book: _Book) -> None:
    send, calls = channel.unary_unary(load.method), set[asyncio.Task[None]]()
    async for due in arrivals(load.rate, load.seconds, load.seed):
        task = asyncio.create_task(book.call(send, load.payload, due))
        calls.add(task)
        task.add_done_callback(calls.discard)
    await asyncio.gather(*calls)


async def _stream(load: Load, channel: grpc.aio.Channel, book: _Book) -> None:
    """One stream with `concurrency` requests in flight, whose answers come in order when all are alike."""
    places, sent = asyncio.Semaphore(load.concurrency), asyncio.Queue[float]()
    end = time.perf_counter() + load.seconds

    async def messages() -> AsyncIterator[bytes]:
        while True:
            await places.acquire()
            if (now := time.perf_counter()) >= end:
                return
            sent.put_nowait(now)
            yield load.payload

    async for _ in channel.stream_stream(load.method)(messages()):
        book.latencies.append(time.perf_counter() - sent.get_nowait())
        places.release()


async def _run(load: Load) -> Measured:
    book = _Book()
    way: Callable[[Load, grpc.aio.Channel, _Book], Awaitable[None]]
    way = _stream if load.method.endswith("Stream") else _open if load.rate else _closed
    async with grpc.aio.insecure_channel(load.target, options=_OPTIONS) as channel:
        # Connections, and code that is loaded when first used.
        await way(msgspec.structs.replace(load, seconds=min(0.3, load.seconds)), channel, _Book())
        started = time.perf_counter()
        await way(load, channel, book)
        return book.measured(time.perf_counter() - started)


if __name__ == "__main__":
    generate(Load, _run)
