"""The loop of `offbeat listen`: whoever has lines is read in turn, and nobody while the reader of the alarms is slow."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from time import monotonic

from offbeat.cli.listen_feed import Feed
from offbeat.cli.listen_gaps import GapFilling
from offbeat.cli.listen_output import LineOutput
from offbeat.cli.listen_rows import RowFormat
from offbeat.cli.listen_state import ListenState
from offbeat.cli.listen_watch import FeedRow, Watch
from offbeat.errors import DataError

# Rows scored at once: a long batch would keep a row waiting that came alone.
_ROWS_AT_ONCE = 256
_GRACE_S = 2.0


class ListenLoop:
    """Feeds a `watch` from standard input or from clients of a listening socket, and writes its lines to a file descriptor.

    One thread does all, so that a slow reader holds back whoever sends, by the means that pipes and TCP have for that. `gaps`
    fills missing values; `state` keeps series over a restart. With `is_strict` a bad line is the end of its feed, and of standard
    input an error. `stop` may be called from anywhere.
    """

    def __init__(
        self,
        watch: Watch,
        format_: RowFormat,
        output: int,
        tell: Callable[[str], None],
        *,
        gaps: GapFilling | None = None,
        state: ListenState | None = None,
        is_strict: bool = False,
        max_clients: int = 1000,
    ) -> None:
        self.n_bad = 0
        self._gaps = gaps
        self._state = state
        self._watch = watch
        self._format = format_
        self._tell = tell
        self._is_strict = is_strict
        self._max_clients = max_clients
        self._is_stopping = False
        self.output = LineOutput(output, lambda: self._is_stopping, _GRACE_S)
        self._selector = selectors.PollSelector()
        self._feeds: dict[str, Feed] = {}
        self._server: socket.socket | None = None
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def stop(self) -> None:
        """Has `run` return once what was read is scored and told."""
        self._is_stopping = True
        # It may have ended by itself.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def add_standard_input(self, descriptor: int) -> None:
        """Reads that file until it ends."""
        self._add(Feed("standard input", descriptor, self._format, self._tell, self._gaps))

    def add_server(self, server: socket.socket) -> None:
        """Takes clients of a socket that listens, until `stop`."""
        server.setblocking(False)
        self._server = server
        self._selector.register(server, selectors.EVENT_READ)

    def run(self) -> None:
        """Works until every feed has ended and there is no server, or until `stop`. Raises DataError for a bad line of a strict
        standard input, BackendError, and BrokenPipeError where the reader of the alarms has left.
        """
        try:
            while not self._is_stopping and (self._feeds or self._server is not None):
                rows: list[FeedRow] = []
                for key, _ in self._selector.select(None if self._state is None else self._state.interval_s):
                    if isinstance(key.data, Feed):
                        rows += self._rows(key.data)
                    elif key.fileobj is self._server:
                        self._accept()
                self._score(rows)
                if self._state is not None:
                    self._state.keep()
                self._drop_ended()
        finally:
            if self._state is not None:
                self._state.keep(is_end=True)
            self._close()

    def summary(self) -> str:
        """What was done, in words."""
        watch = self._watch
        words = f"{watch.n_rows:,} rows of {watch.n_series:,} series, {watch.n_windows:,} windows, {watch.n_alarms:,} alarms"
        n_filled = 0 if self._gaps is None else self._gaps.n_filled
        words += f", {n_filled:,} missing values filled" if n_filled else ""
        words += f", {self.n_bad:,} bad lines" if self.n_bad else ""
        return words + (f", {self.output.n_lost:,} lines that nobody read" if self.output.n_lost else "")

    def _rows(self, feed: Feed) -> list[FeedRow]:
        rows: list[FeedRow] = []
        for row in feed.rows():
            if self._is_strict and feed.n_bad:
                break
            rows.append(row)
        return rows

    def _score(self, rows: list[FeedRow]) -> None:
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            lines = b"".join(self._watch.take(rows[begin : begin + _ROWS_AT_ONCE], monotonic()))
            if lines:
                self.output.write(lines)
        for row, reason in self._watch.refused:
            self._feeds[row.feed].refuse(row.line, reason)
        self._watch.refused.clear()

    def _drop_ended(self) -> None:
        for feed in list(self._feeds.values()):
            is_refused = self._is_strict and feed.n_bad > 0
            if feed.is_open and not is_refused:
                continue
            self._selector.unregister(feed.origin)
            self._remove(feed)
            if is_refused and isinstance(feed.origin, int):
                raise DataError(f"{feed.name}: a line that is no row, and --strict; expected rows alone")
        if self._server is not None and len(self._feeds) < self._max_clients:
            self._watch_server()

    def _remove(self, feed: Feed) -> None:
        feed.close()
        self.n_bad += feed.n_bad
        if isinstance(feed.origin, socket.socket):
            # The next client of that address is another one; standard input has a next run.
            self._watch.forget(feed.name)
        if self._gaps is not None:
            self._gaps.forget(feed.name)
        del self._feeds[feed.name]

    def _accept(self) -> None:
        if self._server is None:
            return
        try:
            client, address = self._server.accept()
        except OSError as error:
            # The client has left meanwhile, or there are no descriptors left: then others must leave first.
            if not isinstance(error, BlockingIOError | ConnectionAbortedError):
                self._tell(f"no connection accepted: {error.strerror}")
                self._selector.unregister(self._server)
            return
        client.setblocking(False)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self._add(Feed(f"{host}:{address[1]}", client, self._format, self._tell, self._gaps))
        if len(self._feeds) >= self._max_clients:
            self._selector.unregister(self._server)

    def _watch_server(self) -> None:
        if self._server is not None and self._server not in self._selector.get_map():
            self._selector.register(self._server, selectors.EVENT_READ)

    def _add(self, feed: Feed) -> None:
        self._feeds[feed.name] = feed
        self._selector.register(feed.origin, selectors.EVENT_READ, feed)

    def _close(self) -> None:
        for feed in list(self._feeds.values()):
            self._remove(feed)
        for each in (self._selector, self._woken, self._wake, self._server):
            if each is not None:
                each.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises DataError where that cannot be."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise DataError(f"tcp {host}:{port}: cannot listen: {getattr(error, 'strerror', None) or error}") from error
