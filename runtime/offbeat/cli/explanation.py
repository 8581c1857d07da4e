"""An error in one line, for whoever sits at the terminal."""

from __future__ import annotations

from rich.console import Console

from offbeat.errors import OffbeatError


def explain(error: OffbeatError) -> None:
    """Prints it on standard error."""
    Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
