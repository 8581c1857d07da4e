"""Lines for a reader that may be slow, or gone."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic

from offbeat.errors import DataError

# What a pipe that is ready takes without blocking.
_PIPE_BYTES = 4096
_LOOK_EVERY_MS = 100


class LineOutput:
    """Writes to the file `descriptor` at once, and waits for a slow reader, but once `is_stopping` no longer than `grace_s`.

    `n_lost` counts lines that were given up then.
    """

    def __init__(self, descriptor: int, is_stopping: Callable[[], bool], grace_s: float) -> None:
        self._descriptor = descriptor
        self._is_stopping = is_stopping
        self._grace_s = grace_s
        self._give_up = float("inf")
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.n_lost = 0

    def write(self, lines: bytes) -> None:
        """All of the lines, each with its end. Raises BrokenPipeError where the reader has left, DataError for a full disk."""
        rest = memoryview(lines)
        while rest:
            if self._poll.poll(_LOOK_EVERY_MS):
                try:
                    rest = rest[os.write(self._descriptor, rest[:_PIPE_BYTES]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise
                except OSError as error:
                    raise DataError(f"standard output: cannot be written: {error.strerror}") from error
            elif self._is_stopping():
                self._give_up = min(self._give_up, monotonic() + self._grace_s)
                if monotonic() > self._give_up:
                    self.n_lost += bytes(rest).count(b"\n")
                    return
