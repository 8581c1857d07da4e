"""The threads that compute."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

Result = TypeVar("Result")
Produced = TypeVar("Produced", covariant=True)
_Outcome = tuple[Result | None, BaseException | None]


class Task(Protocol[Produced]):
    """What a worker does, and what is to be said where the worker is lost over it."""

    def __call__(self) -> Produced:
        """Does it, in the worker's thread."""
        ...

    def failed(self, error: BaseException) -> Produced:
        """What stands for the result where there is none. In the event loop, like `lost` and `returned`."""
        ...

    def lost(self, error: BaseException) -> None:
        """It takes too long: its worker is given up, and its result with it; `failed` follows."""
        ...

    def returned(self) -> None:
        """It came back after all, after it was given up."""
        ...


class _Job(Generic[Result]):
    """A task from its submission until its result is in the event loop."""

    __slots__ = ("done", "is_lost", "is_over", "loop", "n_looks", "task", "thread")

    def __init__(self, task: Task[Result], done: Callable[[Result], None], loop: asyncio.AbstractEventLoop) -> None:
        self.task = task
        self.done = done
        self.loop = loop
        self.thread: threading.Thread | None = None
        self.n_looks = 0
        self.is_over = False
        self.is_lost = False


class WorkerPool:
    """`n_workers` threads for one event loop. Making it starts nothing.

    They are daemons, unlike those of concurrent.futures: an engine that hangs must not keep the process from ending.
    """

    def __init__(self, n_workers: int, name: str = "offbeat-worker") -> None:
        self.n_workers = n_workers
        self._name = name
        self._n_started = 0
        self._tasks: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        # Those that take tasks; belongs to the event loop, like the jobs.
        self._threads: set[threading.Thread] = set()
        self._jobs: set[_Job[Any]] = set()
        # Between the loop that gives a job up, and the thread that ends it.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the threads."""
        while len(self._threads) < self.n_workers:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._n_started}", daemon=True)
            self._n_started += 1
            self._threads.add(thread)
            thread.start()

    def submit(self, task: Task[Result], done: Callable[[Result], None]) -> None:
        """Runs the task in the next free thread, and then `done` in the running event loop.

        Without a future between the two: it would cost one more turn of the loop for each batch.
        """
        job = _Job(task, done, asyncio.get_running_loop())
        self._jobs.add(job)
        self._tasks.put(job)

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Runs the function in the next free thread; the future has what it returns or raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.submit(_Call(function), partial(_resolve, future))
        return future

    def look(self, max_looks: int, within: str) -> None:
        """Gives up tasks that more than `max_looks` looks have found unfinished, and replaces threads that hang or have ended.

        For pools that are given no more tasks than there are threads. `within` says how long the looks take, for people.
        """
        for job in tuple(self._jobs):
            job.n_looks += 1
            thread = job.thread
            if thread is not None and not thread.is_alive():
                self._give_up(job, RuntimeError(f"{thread.name} has ended over it"), is_hung=False)
            elif job.n_looks > max_looks:
                # Without a thread it was never begun: the one that took it has ended before it could say so.
                error = RuntimeError("its worker has ended") if thread is None else _hung(thread, within)
                self._give_up(job, error, is_hung=thread is not None)
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        self.start()

    def stop(self) -> None:
        """Lets each thread end after the tasks before. Does not wait for them."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        thread = threading.current_thread()
        while (job := self._tasks.get()) is not None:
            if not self._run(job, thread):
                return
            # Or an idle thread would keep the last batch in memory.
            del job

    def _run(self, job: _Job[Any], thread: threading.Thread) -> bool:
        """Whether the thread is to go on; one that was given up has a successor."""
        with self._lock:
            if job.is_lost:
                return True
            job.thread = thread
        result = failure = None
        try:
            result = job.task()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits; the thread goes on
            failure = error
        with self._lock:
            job.is_over = True
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            job.loop.call_soon_threadsafe(self._end, job, result, failure)
        return not job.is_lost

    def _end(self, job: _Job[Any], result: Any, failure: BaseException | None) -> None:
        if job.is_lost:
            job.task.returned()
            return
        self._jobs.discard(job)
        job.done(result if failure is None else job.task.failed(failure))

    def _give_up(self, job: _Job[Any], error: BaseException, *, is_hung: bool) -> None:
        with self._lock:
            if job.is_over:
                return
            job.is_lost = True
        self._jobs.discard(job)
        if job.thread is not None:
            self._threads.discard(job.thread)
        # The successor first: what is done next may have work for it.
        self.start()
        if is_hung:
            job.task.lost(error)
        job.done(job.task.failed(error))


class _Call(Generic[Result]):
    """A function as a task, whose result is its outcome: what it returned, or raised."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function

    def __call__(self) -> _Outcome[Result]:
        return self._function(), None

    def failed(self, error: BaseException) -> _Outcome[Result]:
        return None, error

    def lost(self, error: BaseException) -> None:
        pass

    def returned(self) -> None:
        pass


def _resolve(future: asyncio.Future[Result], outcome: _Outcome[Result]) -> None:
    result, failure = outcome
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)  # type: ignore[arg-type]


def _hung(thread: threading.Thread, within: str) -> TimeoutError:
    """What hangs, and where in its code."""
    error = TimeoutError(f"not done within {within}")
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is not None:
        error.add_note(f"{thread.name} is at\n{''.join(traceback.format_stack(frame))}")
    return error
