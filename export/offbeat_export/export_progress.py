"""What `offbeat export` shows while it works: the step that runs, and how long each one before took."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console


class ExportProgress:
    """Prints a line for each step that is over; a context manager, whose end is the end of the last step.

    Details of a step follow a colon; they are shown while they last and get no line of their own.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.perf_counter) -> None:
        self._console = console
        self._clock = clock
        self._status = console.status("exporting")
        self._step = ""
        self._began_s = 0.0

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._status.stop()

    def announce(self, message: str) -> None:
        """Takes in that a step, or a detail of one, begins."""
        step, _, _ = message.partition(":")
        if step != self._step:
            self._finish()
            self._step, self._began_s = step, self._clock()
        self._status.update(message)

    def _finish(self) -> None:
        if self._step:
            seconds = self._clock() - self._began_s
            self._console.print(f"{seconds:>6.1f} s  {self._step}", style="dim", highlight=False, markup=False)
        self._step = ""
