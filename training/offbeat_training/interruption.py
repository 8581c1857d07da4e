"""Ends a command that trains as a shell expects when the command is told to stop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import typer
from rich.console import Console


class _Terminated(BaseException):
    """SIGTERM has come."""


@contextlib.contextmanager
def told_of_interruption(console: Console, kept: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C and SIGTERM inside end the command with 130 and 143, after one line on `console` that adds what is `kept`.

    For the main thread, where Python receives signals.
    """
    received = [signal.SIGINT]

    def stop(number: int, _: FrameType | None) -> None:
        received.append(signal.Signals(number))
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, _Terminated) as interruption:
        line = f"training was interrupted; {kept()}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(128 + received[-1]) from interruption
    finally:
        signal.signal(signal.SIGTERM, before)
