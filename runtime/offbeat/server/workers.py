"""The threads that compute."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")
_Task = Callable[[], None]


class WorkerPool:
    """`n_workers` threads for one event loop. Making it starts nothing.

    They are daemons, unlike those of concurrent.futures: an engine that hangs must not keep the process from ending.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"offbeat-worker-{number}", daemon=True)
            for number in range(n_workers)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Runs the function in the next free thread; the future belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def task() -> None:
            result: Result | None = None
            failure: BaseException | None = None
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the future
                failure = error
            # A loop that is closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, future, result, failure)

        self._tasks.put(task)
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


def _resolve(future: asyncio.Future[Result], result: Result | None, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)  # type: ignore[arg-type]
