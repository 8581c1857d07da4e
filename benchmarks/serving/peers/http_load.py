"""A closed loop of HTTP requests from a process of its own: a `Load` as JSON on stdin, its `Measured` as JSON on stdout.

`method` is the path and `payload` the JSON that is posted. Connections stay open and are read by hand, so that the load costs little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from benchmarks.generator import closed_loops, generate
from benchmarks.serving.load import Load, Measured

_WARM_UP_S = 0.3


class Connection:
    """One request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, target: str) -> Connection:
        """To host:port."""
        host, port = target.rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port)))

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer, which has to tell its length."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Without waiting for the other side."""
        self._writer.close()


def request_bytes(target: str, path: str, body: bytes) -> bytes:
    """A POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: {target}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _run(load: Load) -> Measured:
    connections = [await Connection.opened(load.target) for _ in range(load.concurrency)]
    request = request_bytes(load.target, load.method, load.payload)
    try:
        await _loop(connections, request, min(_WARM_UP_S, load.seconds))
        started = time.perf_counter()
        latencies, n_errors = await _loop(connections, request, load.seconds)
        seconds = time.perf_counter() - started
    finally:
        for connection in connections:
            connection.close()
    if not latencies:
        raise SystemExit(f"no request was answered; {n_errors} failed")
    p50, p90, p99, p999 = np.percentile(np.asarray(latencies) * 1e6, [50, 90, 99, 99.9]).tolist()
    return Measured(
        n_requests=len(latencies),
        n_errors=n_errors,
        seconds=seconds,
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        queue_us=None,
        compute_us=None,
    )


async def _loop(connections: list[Connection], request: bytes, seconds: float) -> tuple[list[float], int]:
    """Latencies in seconds of what was answered with 200, and how many were not."""
    latencies: list[float] = []
    n_errors = 0

    def caller(connection: Connection) -> Callable[[float], Awaitable[None]]:
        async def call(sent: float) -> None:
            nonlocal n_errors
            status, _ = await connection.post(request)
            if status == 200:
                latencies.append(time.perf_counter() - sent)
            else:
                n_errors += 1

        return call

    await closed_loops([caller(each) for each in connections], seconds)
    return latencies, n_errors


if __name__ == "__main__":
    generate(Load, _run)
