"""The servers under load, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.serving.load import Load, Measured

_START_S = 120


@contextmanager
def running(arguments: Sequence[str], core: int | None) -> Iterator[str]:
    """Starts `python -m ARGUMENTS`, on that core alone where one is given; gives the target it says to be ready on."""
    with started(arguments, core) as (target, _):
        yield target


@contextmanager
def started(arguments: Sequence[str], core: int | None) -> Iterator[tuple[str, int]]:
    """As `running`, with the process id beside the target."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    process = subprocess.Popen([*pinned, sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if " is ready on " in line:
                yield line.rsplit(maxsplit=1)[-1], process.pid
                return
        raise SystemExit(f"{' '.join(arguments)}: ended before it was ready, with {process.wait(_START_S)}")
    finally:
        process.terminate()
        process.wait(_START_S)
        process.stdout.close()


def offbeat_server(repository: Path, flags: Sequence[str]) -> list[str]:
    """The command of the server, on a free port."""
    return ["offbeat", "serve", str(repository), "--port", "0", *flags]


def echo_server(loop: str, n_bytes: int) -> list[str]:
    """The command of an echo with answers of so many bytes."""
    return ["benchmarks.serving.echo", loop, str(n_bytes)]


def measure(load: Load) -> Measured:
    """Runs the load from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving.load"]
    done = subprocess.run(command, input=msgspec.json.encode(load), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr.decode()}")
    return msgspec.json.decode(done.stdout, type=Measured)
