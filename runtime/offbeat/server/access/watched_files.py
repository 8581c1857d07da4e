"""Settings in files that may change while the server runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Generic, TypeAlias, TypeVar

from offbeat.errors import ConfigurationError

Value = TypeVar("Value")
_State: TypeAlias = "tuple[tuple[int, int, int, int] | None, ...]"
_logger = logging.getLogger("offbeat.server")
# What made a change useless may be over without another change: too many open files, a disk that was away.
_RETRY_S = 1.0


class WatchedFiles(Generic[Value]):
    """What `read` makes of the files, as they are now, or as they were when they last could be used.

    Made, it has read them; raises the ConfigurationError of `read` then, and never again. May be asked from any thread, and
    looks at the files at most once in `interval_s`.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], Value], interval_s: float = 0.0) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._interval_s = interval_s
        self._next_look = monotonic() + interval_s
        self._lock = threading.Lock()
        self._told = ""
        self._next_try = 0.0
        self._refused: _State | None = None
        self._state = _state(self._paths)
        self._value = read()

    def latest(self) -> Value:
        """The same object as before where no file has changed. A change that cannot be used is logged once."""
        now = monotonic()
        if now < self._next_look:
            return self._value
        with self._lock:
            self._next_look = now + self._interval_s
            state = _state(self._paths)
            if state != self._state and (state != self._refused or now >= self._next_try):
                self._follow(state, now)
            return self._value

    def _follow(self, state: _State, now: float) -> None:
        names = ", ".join(map(str, self._paths))
        try:
            value = self._read()
        except ConfigurationError as error:
            self._refused, self._next_try = state, now + _RETRY_S
            if str(error) != self._told:
                self._told = str(error)
                _logger.error("what was read before stays in use: %s", error)
            return
        # Of files that change while they are read nobody knows which version was seen: the next look decides.
        if state == _state(self._paths):
            self._value, self._state = value, state
            self._told = ""
            _logger.info("read again: %s", names)


def _state(paths: Sequence[Path]) -> _State:
    """Links are followed: that is how Kubernetes swaps secrets."""
    return tuple(map(_state_of, paths))


def _state_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    # The change of the inode, too: who may read a file is no change of its content.
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
