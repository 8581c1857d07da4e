"""How many heaps the C library keeps for a server's threads, counted by the library itself in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps by thread")
_PROGRAM = """
import ctypes, sys, threading
from offbeat.server.heap import share_one_heap

if sys.argv[1] == "share":
    share_one_heap()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.fdopen.restype = ctypes.c_void_p

together = threading.Barrier(4)

def allocate():
    assert library.malloc(10_000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library.malloc_info(0, ctypes.c_void_p(library.fdopen(1, b"w")))
library.fflush(None)
"""


def _n_heaps(*, share: bool, **variables: str) -> int:
    inherited = {key: value for key, value in os.environ.items() if key not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    command = [sys.executable, "-c", _PROGRAM, "share" if share else "leave"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**inherited, **variables})
    return done.stdout.count("<heap nr=")


def test_all_threads_of_a_server_share_one_heap() -> None:
    assert _n_heaps(share=False) > 1
    assert _n_heaps(share=True) == 1


@pytest.mark.parametrize(
    "variables",
    [{"MALLOC_ARENA_MAX": "3"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=3"}],
    ids=["variable", "tunable"],
)
def test_what_the_environment_says_of_heaps_stands(variables: dict[str, str]) -> None:
    assert _n_heaps(share=True, **variables) == 3
