"""Named pipes and standard input, which may say nothing for hours."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def open_pipe(path: Path | None) -> Iterator[BinaryIO]:
    """A named pipe, or standard input without a path, which stays open.

    Inside, in the main thread, a signal that Python handles is handled at once, although a thread of pyarrow reads and the main thread
    waits for that; and at the end nobody waits for bytes any more. Raises OSError.
    """
    descriptor = 0 if path is None else os.open(path, os.O_RDONLY)
    pipe = _WakeablePipe(descriptor)
    try:
        with pipe.woken_by_signals(), io.BufferedReader(pipe) as file:
            try:
                yield file
            finally:
                # Before it is closed, which waits for whoever reads.
                pipe.wake()
    finally:
        if path is not None:
            os.close(descriptor)


class _WakeablePipe(io.RawIOBase):
    """Bytes of a descriptor. Other threads than the main one, which signals interrupt by themselves, get OSError once it is woken."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """The number of bytes that came, 0 at the end."""
        if threading.current_thread() is not threading.main_thread():
            self._await()
        content = os.read(self._descriptor, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def wake(self) -> None:
        """Has whoever waits for bytes wait no longer, now and later."""
        os.write(self._wake, b"\0")

    @contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """Where nobody else is told of signals, as asyncio is."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def close(self) -> None:
        """Leaves the descriptor open."""
        if not self.closed:
            os.close(self._woken)
            os.close(self._wake)
        super().close()

    def _await(self) -> None:
        poll = select.poll()
        for descriptor in (self._descriptor, self._woken):
            poll.register(descriptor, select.POLLIN)
        if any(descriptor == self._woken for descriptor, _ in poll.poll()):
            # Not EINTR, after which a buffered reader tries again.
            raise OSError(errno.ECANCELED, "the reading was ended by a signal")
