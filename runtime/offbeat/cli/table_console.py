"""Where tables are printed."""

from __future__ import annotations

import os
import sys

from rich.console import Console

# More than any table has: in a pipe or a file there is no edge to fit.
_NO_EDGE = 10_000


def table_console() -> Console:
    """Standard output, as wide as the terminal or as COLUMNS says; of any width where it is neither, so that nothing is cut."""
    is_bound = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console() if is_bound else Console(width=_NO_EDGE)
