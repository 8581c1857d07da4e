"""An error in one line, for whoever sits at the terminal."""

from __future__ import annotations

from rich.console import Console

from offbeat.errors import OffbeatError
from offbeat.telling import in_lines


def explain(error: OffbeatError) -> None:
    """Prints it on standard error. The words of a file or of a server that it repeats do not steer the terminal."""
    told = f"error: {in_lines(str(error))}"
    Console(stderr=True, soft_wrap=True).print(told, style="red", markup=False, highlight=False)
