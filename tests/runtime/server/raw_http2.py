"""HTTP/2 by hand, for clients that do what no library lets them do."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
_WINDOW, _FRAME_BYTES = 65535, 16384
_INITIAL_WINDOW_SIZE = 4
_CANCEL = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Of HPACK's static table, which both sides know: what every call has.
_POST, _HTTP = b"\x83", b"\x86"


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Length in 24 bits, kind, flags, stream, payload (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(content: bytes, *, claimed: int | None = None, flag: int = 0) -> bytes:
    """A gRPC message, whose prefix may claim another length than it has."""
    return struct.pack(">BI", flag, len(content) if claimed is None else claimed) + content


def call_headers(path: str) -> bytes:
    """The headers of a call, none compressed (RFC 7541, 6.2.2); every text is shorter than 127 bytes."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    named = b"".join(
        b"\0" + text(name) + text(value) for name, value in (("content-type", "application/grpc"), ("te", "trailers"))
    )
    return _POST + _HTTP + b"\x04" + text(path) + b"\x01" + text("localhost") + named


class RawClient:
    """A connection that has said hello, with windows of `window` bytes for each answer."""

    def __init__(self, port: int, window: int = 65535) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)
        self.socket.sendall(_PREFACE + frame(SETTINGS, 0, 0, settings))
        self._next_stream = 1

    def send(self, data: bytes) -> None:
        """Bytes as they are; where the server has closed the connection, they go nowhere."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def call(self, path: str, content: bytes = b"", *, end: bool = True) -> int:
        """Begins a call and sends those bytes of its body; gives its stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        body = frame(DATA, END_STREAM if end else 0, stream, content) if content or end else b""
        self.send(frame(HEADERS, END_HEADERS, stream, call_headers(path)) + body)
        return stream

    def fill(self, streams: list[int], n_bytes: int, patience_s: float = 0.5) -> int:
        """Sends so many zeros on each stream, as the server gives room for them, until it gives no more for a while; how many went.

        Of calls that go on, on a connection on which nothing was sent but a message's prefix for each.
        """
        room = {0: _WINDOW - 5 * len(streams)} | dict.fromkeys(streams, _WINDOW - 5)
        left, buffer, n_sent = dict.fromkeys(streams, n_bytes), b"", 0
        while any(left.values()):
            n_before = n_sent
            for stream, n_left in left.items():
                n_now = max(0, min(room[0], room[stream], n_left, _FRAME_BYTES))
                if n_now:
                    self.send(frame(DATA, 0, stream, bytes(n_now)))
                    room[0] -= n_now
                    room[stream] -= n_now
                    left[stream] -= n_now
                    n_sent += n_now
            is_waiting = n_sent == n_before
            if select.select([self.socket], [], [], patience_s if is_waiting else 0)[0]:
                received = self.socket.recv(65536)
                if not received:
                    break
                buffer = self._take_room(buffer + received, room, left)
            elif is_waiting:
                break
        return n_sent

    def _take_room(self, buffer: bytes, room: dict[int, int], left: dict[int, int]) -> bytes:
        """Counts the room that whole frames give, and forgets calls that they end; what is left of the bytes."""
        while len(buffer) >= 9 and len(buffer) >= 9 + (length := int.from_bytes(buffer[:3], "big")):
            kind, flags, stream = struct.unpack(">BBI", buffer[3:9])
            payload, buffer = buffer[9 : 9 + length], buffer[9 + length :]
            if kind == WINDOW_UPDATE:
                room[stream] += int.from_bytes(payload, "big")
            elif kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM):
                left.pop(stream, None)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                self.send(frame(kind, ACK, 0, payload if kind == PING else b""))
                settings = dict(struct.iter_unpack(">HI", payload)) if kind == SETTINGS else {}
                for each in left:
                    room[each] += settings.get(_INITIAL_WINDOW_SIZE, _WINDOW) - _WINDOW
        return buffer

    def reset(self, stream: int) -> None:
        """Takes a call back."""
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)))

    def frames(self) -> Iterator[Frame]:
        """What the server sends, until it closes the connection. Raises TimeoutError where nothing comes for a minute."""
        buffer = b""
        while True:
            while len(buffer) >= 9 and len(buffer) >= 9 + (length := int.from_bytes(buffer[:3], "big")):
                kind, flags, stream = struct.unpack(">BBI", buffer[3:9])
                yield Frame(kind, flags, stream, buffer[9 : 9 + length])
                buffer = buffer[9 + length :]
            try:
                received = self.socket.recv(65536)
            except ConnectionResetError:
                return
            if not received:
                return
            buffer += received

    def end_of(self, stream: int) -> bytes:
        """The headers or the reset that end the stream, or the connection's last words."""
        for each in self.frames():
            if each.stream == stream and (each.kind == RST_STREAM or each.flags & END_STREAM):
                return each.payload
            if each.kind == GOAWAY:
                return each.payload
        return b""

    def is_answered(self, stream: int) -> bool:
        """Whether a message comes on the stream before it ends."""
        return any(each.kind == DATA and each.stream == stream for each in self.frames())

    def vanish(self) -> None:
        """Goes without a word: the kernel answers the server with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
