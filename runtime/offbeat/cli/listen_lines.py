"""Bytes as they come, cut into lines of bounded length."""

from __future__ import annotations

from collections.abc import Iterator

from offbeat.data.json_lines import MAX_LINE_BYTES


class LineCutter:
    """Gives whole lines with their numbers from 1, without their ends, `\\n` or `\\r\\n`.

    Of a line longer than 1 MiB None is given, once, and no more than that much is kept of it.
    """

    def __init__(self) -> None:
        self._begin = b""
        self._is_too_long = False
        self._number = 0

    def add(self, content: bytes) -> Iterator[tuple[int, bytes | None]]:
        """The lines that end in these bytes."""
        *whole, rest = content.split(b"\n")
        for part in whole:
            yield self._line(part)
        self._begin += rest
        if len(self._begin) > MAX_LINE_BYTES:
            self._begin, self._is_too_long = b"", True

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The line that was left without an end, if there was one."""
        if self._begin or self._is_too_long:
            yield self._line(b"")

    def _line(self, part: bytes) -> tuple[int, bytes | None]:
        line: bytes | None = self._begin + part
        if self._is_too_long or len(line or b"") > MAX_LINE_BYTES:
            line = None
        self._begin, self._is_too_long = b"", False
        self._number += 1
        return self._number, None if line is None else line.removesuffix(b"\r")
