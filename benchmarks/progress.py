"""How far a long run is, on standard error, so that what it measures can be piped elsewhere."""

from __future__ import annotations

import sys


def tell(text: str) -> None:
    """One line, at once."""
    print(text, file=sys.stderr, flush=True)
