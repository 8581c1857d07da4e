"""The C library's heap in a server's process."""

from __future__ import annotations

import ctypes
import os

# glibc's malloc.h.
_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Has all threads that start from now on allocate from one heap, where the C library is glibc and nobody has told it otherwise.

    glibc gives each thread a heap of its own, which keeps the most that this thread ever needed at once. Batches are computed now
    in the loop's thread and now in a worker's, and a rare company of large requests raises one of those marks: the server's memory
    creeps. From the end of the one heap, which is free between batches, memory goes back.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_M_ARENA_MAX, 1)
