"""The threads that compute."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")
_Outcome = tuple[Result | None, BaseException | None]


class WorkerPool:
    """`n_workers` threads for one event loop. Making it starts nothing.

    They are daemons, unlike those of concurrent.futures: an engine that hangs must not keep the process from ending.
    """

    def __init__(self, n_workers: int, name: str = "offbeat-worker") -> None:
        self.n_workers = n_workers
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(n_workers)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], Result], done: Callable[[Result], None]) -> None:
        """Runs the function, which must not raise, in the next free thread, and then `done` in the running event loop.

        Without a future between the two: it would cost one more turn of the loop for each batch.
        """
        self._tasks.put(partial(_run, function, done, asyncio.get_running_loop()))

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Runs the function in the next free thread; the future has what it returns or raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.submit(partial(_outcome_of, function), partial(_resolve, future))
        return future

    def stop(self) -> None:
        """Lets each thread end after the tasks before. Does not wait for them."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            # Or an idle thread would keep the last batch in memory.
            del task


def _run(function: Callable[[], Result], done: Callable[[Result], None], loop: asyncio.AbstractEventLoop) -> None:
    result = function()
    # A loop that is closed has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(done, result)


def _outcome_of(function: Callable[[], Result]) -> _Outcome[Result]:
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001 - raised again where the future is awaited
        return None, error


def _resolve(future: asyncio.Future[Result], outcome: _Outcome[Result]) -> None:
    result, failure = outcome
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)  # type: ignore[arg-type]
