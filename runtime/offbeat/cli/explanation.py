"""Errors and ends in one line, for whoever sits at the terminal."""

from __future__ import annotations

from rich.console import Console

from offbeat.telling import in_lines


def explain(error: object) -> None:
    """Prints an error on standard error."""
    tell(f"error: {error}")


def tell(line: str) -> None:
    """Prints a line on standard error. The words of a file or of a server that it repeats do not steer the terminal."""
    Console(stderr=True, soft_wrap=True).print(in_lines(line), style="red", markup=False, highlight=False)
