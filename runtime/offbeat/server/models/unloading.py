"""Giving a model's memory back."""

from __future__ import annotations

import ctypes

from offbeat.scorer import Scorer


def release(scorer: Scorer) -> None:
    """Closes the scorer, and hands what it had used back to the system. Takes milliseconds.

    The C library keeps what is freed for the next who asks for it, by thread; with glibc it can be told to let go
    (https://man7.org/linux/man-pages/man3/malloc_trim.3.html). Other C libraries do so by themselves.
    """
    scorer.close()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
