"""One feed of lines: standard input, or a client that has connected."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import msgspec

from offbeat.cli.listen_gaps import GapFilling
from offbeat.cli.listen_lines import LineCutter
from offbeat.cli.listen_rows import RowFormat, RowReader
from offbeat.cli.listen_watch import FeedRow
from offbeat.data.json_lines import MAX_LINE_BYTES
from offbeat.errors import DataError, InvalidWindowError

_BYTES_AT_ONCE = 65_536
# Of a feed of junk more would drown what others say.
_MAX_TOLD = 100


class Feed:
    """Reads what is there of a file descriptor or socket, and tells lines that are no rows, with their numbers. `gaps` fills those of rows."""

    def __init__(
        self,
        name: str,
        origin: int | socket.socket,
        format_: RowFormat,
        tell: Callable[[str], None],
        gaps: GapFilling | None = None,
    ) -> None:
        self.name = name
        self.origin = origin
        self.n_bad = 0
        self.is_open = True
        self._cutter = LineCutter()
        self._reader = RowReader(format_)
        self._tell = tell
        self._gaps = gaps

    def rows(self) -> Iterator[FeedRow]:
        """The rows that are there now. At the end of the feed, or where it is torn off, `is_open` is false afterwards."""
        try:
            content = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.is_open = False
            self._tell(f"{self.name}: torn off: {error.strerror}")
            return
        self.is_open = bool(content)
        for number, line in self._cutter.add(content) if content else self._cutter.end():
            row = self._row(number, line)
            if row is not None:
                yield row

    def refuse(self, number: int, reason: str) -> None:
        """Tells of a line that cannot be used, and counts it; of very many only the first ones are told."""
        self.n_bad += 1
        if self.n_bad <= _MAX_TOLD:
            self._tell(f"{self.name}: line {number}: {reason}")
        elif self.n_bad == _MAX_TOLD + 1:
            self._tell(f"{self.name}: further lines of that kind are counted only")

    def close(self) -> None:
        """Closes a client's connection; standard input is not ours."""
        self.is_open = False
        if isinstance(self.origin, socket.socket):
            self.origin.close()

    def _receive(self) -> bytes:
        if isinstance(self.origin, int):
            return os.read(self.origin, _BYTES_AT_ONCE)
        return self.origin.recv(_BYTES_AT_ONCE)

    def _row(self, number: int, line: bytes | None) -> FeedRow | None:
        try:
            if line is None:
                raise DataError(f"longer than {MAX_LINE_BYTES:,} bytes")
            row = self._reader.read(line)
            return None if row is None else self._whole(FeedRow(feed=self.name, line=number, row=row))
        except (DataError, InvalidWindowError) as error:
            self.refuse(number, str(error))
            return None

    def _whole(self, row: FeedRow) -> FeedRow:
        """Without gaps, where those are filled."""
        if self._gaps is None:
            return row
        values = self._gaps.filled(row.series, row.row.values)
        return msgspec.structs.replace(row, row=msgspec.structs.replace(row.row, values=values))
