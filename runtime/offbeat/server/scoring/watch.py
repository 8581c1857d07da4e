"""Noticing what hangs: a batch in a worker, and the event loop itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from time import monotonic

from offbeat.server.scoring.workers import WorkerPool

_logger = logging.getLogger("offbeat.server")
_N_LOOKS = 10
# The event loop is never busy for so long in one piece, unless an engine hangs there; told of again after as long.
_MAX_TURN_S = 5.0


class Watch:
    """Looks at the workers from the event loop, and at the event loop from a thread. Making it starts nothing.

    Looks are counted, not seconds: a process that was stopped for a while, and all its batches with it, is not called hung.
    `max_compute_s` 0 watches nothing.
    """

    def __init__(self, workers: WorkerPool, max_compute_s: float) -> None:
        self._workers = workers
        self._max_compute_s = max_compute_s
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = threading.Event()

    def start(self) -> None:
        """Begins to watch the running event loop and the workers."""
        if self._max_compute_s:
            loop = asyncio.get_running_loop()
            self._arm(loop)
            arguments = (loop, threading.current_thread(), self._has_ended)
            threading.Thread(target=_watch_loop, args=arguments, name="watch-loop", daemon=True).start()

    def stop(self) -> None:
        """Watches no more."""
        self._has_ended.set()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._max_compute_s / _N_LOOKS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # Before the look: whatever it meets, the next one is due.
        self._arm(loop)
        self._workers.look(_N_LOOKS, f"max_compute_s = {self._max_compute_s:g}")


def _watch_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, has_ended: threading.Event) -> None:
    """Logs where the loop's thread is when a turn takes too long. It cannot be helped from here: liveness probes fail."""
    turned = threading.Event()
    while not has_ended.is_set():
        turned.clear()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(turned.set)
        asked = monotonic()
        while not turned.wait(_MAX_TURN_S) and not has_ended.is_set() and not loop.is_closed():
            frame = sys._current_frames().get(thread.ident or 0)
            where = "".join(traceback.format_stack(frame)) if frame is not None else ""
            _logger.critical("the event loop has hung for %.0f s; it is at\n%s", monotonic() - asked, where)
        has_ended.wait(_MAX_TURN_S / 5)
