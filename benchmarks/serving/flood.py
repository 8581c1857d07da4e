"""More unary calls than a server can answer, from less than a core: HTTP/2 frames that were made before, answers that are only counted.

Python's gRPC client needs more time for a call than the server does, and so cannot overload it. A `Flood` as JSON on stdin, its
`Flooded` as JSON on stdout.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque

import msgspec

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_CANCEL = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_BYTES, _WINDOW = 16384, 65535
_AT_ONCE = 1 << 18
_BURST, _PATIENCE_S = 64, 0.005


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one message: Poisson arrivals at `rate` a second, or, with rate 0, `concurrency` at a time."""

    target: str
    method: str
    message: bytes
    seconds: float
    deadline_s: float
    rate: float = 0.0
    concurrency: int = 64
    connections: int = 2
    core: int | None = None


class Flooded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of them. Refused are those that ended without a message; late, those given up at their deadline."""

    seconds: float
    n_sent: int
    n_answered: int
    n_refused: int
    n_late: int
    p50_ms: float
    p99_ms: float


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(flood: Flood) -> bytes:
    """POST and http by their numbers in HPACK's static table; the rest as literals that no table remembers."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    timeout = f"{round(flood.deadline_s * 1e3)}m"
    return (
        b"\x83\x86\x04" + text(flood.method) + b"\x01" + text("localhost") + b"\x0f\x10" + text("application/grpc")
        + b"\x00" + text("te") + text("trailers") + b"\x00" + text("grpc-timeout") + text(timeout)
    )  # fmt: skip


class _Connection:
    """One connection's calls, by their streams."""

    def __init__(self, flood: Flood) -> None:
        host, port = flood.target.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = _headers(flood)
        body = b"\0" + struct.pack(">I", len(flood.message)) + flood.message
        self._chunks = [body[start : start + _FRAME_BYTES] for start in range(0, len(body), _FRAME_BYTES)]
        self._n_bytes = len(body)
        self._deadline_s = flood.deadline_s
        settings = _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 20))
        self.out = bytearray(_PREFACE + settings + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
        self._in = bytearray()
        self._stream, self._window, self._n_unread = 1, _WINDOW, 0
        self._waiting: deque[float] = deque()
        self._sent: dict[int, float] = {}
        self._with_message: set[int] = set()
        self._by_age: deque[tuple[float, int]] = deque()
        self.n_refused = self.n_late = 0
        self.latencies: list[float] = []
        self.socket.setblocking(False)

    @property
    def n_open(self) -> int:
        return len(self._sent) + len(self._waiting)

    def call(self, due: float) -> None:
        """Sends a call, as soon as the server's window has room for it."""
        self._waiting.append(due)
        self._send()

    def _send(self) -> None:
        while self._waiting and self._window >= self._n_bytes:
            due, stream = self._waiting.popleft(), self._stream
            self._stream += 2
            self._window -= self._n_bytes
            self.out += _frame(_HEADERS, _END_HEADERS, stream, self._head)
            for chunk in self._chunks[:-1]:
                self.out += _frame(_DATA, 0, stream, chunk)
            self.out += _frame(_DATA, _END_STREAM, stream, self._chunks[-1])
            self._sent[stream] = due
            self._by_age.append((due + self._deadline_s, stream))

    def give_up(self, now: float) -> None:
        """Cancels what has passed its deadline, as every client does."""
        while self._waiting and self._waiting[0] + self._deadline_s <= now:
            self._waiting.popleft()
            self.n_late += 1
        while self._by_age and self._by_age[0][0] <= now:
            _, stream = self._by_age.popleft()
            if self._sent.pop(stream, None) is not None:
                self.n_late += 1
                self._with_message.discard(stream)
                self.out += _frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL))

    def flush(self) -> None:
        """Hands the socket as much as it takes."""
        while self.out:
            try:
                del self.out[: self.socket.send(self.out[:_AT_ONCE])]
            except BlockingIOError:
                return

    def read(self) -> None:
        """Takes what has come."""
        data = self.socket.recv(_AT_ONCE)
        if not data:
            raise SystemExit("the server has closed the connection")
        self._in += data
        start = 0
        while len(self._in) >= start + 9:
            n_bytes = int.from_bytes(self._in[start : start + 3], "big")
            if len(self._in) < start + 9 + n_bytes:
                break
            kind, flags, stream = struct.unpack_from(">BBI", self._in, start + 3)
            self._take(kind, flags, stream, bytes(self._in[start + 9 : start + 9 + n_bytes]))
            start += 9 + n_bytes
        del self._in[:start]
        self._send()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA and payload:
            self._with_message.add(stream)
            self._n_unread += len(payload)
            if self._n_unread > _AT_ONCE:
                self.out += _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._n_unread))
                self._n_unread = 0
        elif kind == _WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload, "big")
        elif kind in (_SETTINGS, _PING) and not flags & _ACK:
            self.out += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        elif kind == _GOAWAY:
            raise SystemExit(f"the server wants no more calls: {payload!r}")
        elif kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM):
            self._end(stream)

    def _end(self, stream: int) -> None:
        sent = self._sent.pop(stream, None)
        if sent is None:
            return
        if stream in self._with_message:
            self._with_message.discard(stream)
            self.latencies.append(time.perf_counter() - sent)
        else:
            self.n_refused += 1


def _run(flood: Flood) -> Flooded:
    connections = [_Connection(flood) for _ in range(flood.connections)]
    gaps = random.Random(0)  # noqa: S311 - arrivals, not secrets
    began = due = now = time.perf_counter()
    n_sent = 0
    while (now := time.perf_counter()) < began + flood.seconds:
        if flood.rate:
            for _ in range(_BURST):
                if due > now:
                    break
                connections[n_sent % len(connections)].call(due)
                n_sent += 1
                due += gaps.expovariate(flood.rate)
        else:
            for each in connections:
                while each.n_open < flood.concurrency // len(connections):
                    each.call(now)
                    n_sent += 1
        _exchange(connections, min(_PATIENCE_S, max(0.0, due - now)) if flood.rate else _PATIENCE_S)
    latencies = sorted(latency for each in connections for latency in each.latencies) or [0.0]
    return Flooded(
        seconds=now - began,
        n_sent=n_sent,
        n_answered=sum(len(each.latencies) for each in connections),
        n_refused=sum(each.n_refused for each in connections),
        n_late=sum(each.n_late for each in connections),
        p50_ms=round(1e3 * latencies[len(latencies) // 2], 2),
        p99_ms=round(1e3 * latencies[int(0.99 * len(latencies))], 2),
    )


def _exchange(connections: list[_Connection], patience_s: float) -> None:
    for each in connections:
        each.give_up(time.perf_counter())
        each.flush()
    sockets = {each.socket: each for each in connections}
    readable, _, _ = select.select(sockets, [each.socket for each in connections if each.out], [], patience_s)
    for ready in readable:
        sockets[ready].read()
        sockets[ready].flush()


def main() -> None:
    """Runs the flood that stdin describes."""
    flood = msgspec.json.decode(sys.stdin.buffer.read(), type=Flood)
    if flood.core is not None:
        os.sched_setaffinity(0, {flood.core})
    sys.stdout.buffer.write(msgspec.json.encode(_run(flood)))


if __name__ == "__main__":
    main()
