"""What load generators have in common: a process of their own on a core of their own, arrivals, and closed loops."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from time import perf_counter
from typing import Any, Protocol, TypeVar

import msgspec

# Who is behind sends in bursts, and has to read answers between them.
_BURST = 16


class Load(Protocol):
    """What a generator is told, at least this."""

    @property
    def core(self) -> int | None:
        """Where to run; None for anywhere."""


Told = TypeVar("Told", bound=Load)


def generate(kind: type[Told], run: Callable[[Told], Coroutine[Any, Any, msgspec.Struct]]) -> None:
    """Runs the load that stdin describes as JSON, and writes what was measured, as JSON, to stdout."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(run(load))))


async def arrivals(rate: float, seconds: float, seed: int) -> AsyncIterator[float]:
    """A Poisson process of `rate` a second: yields each time of `perf_counter` when it has come, or, to who is behind, at once."""
    gaps = random.Random(seed)  # noqa: S311 - arrivals, not secrets
    due = perf_counter()
    end = due + seconds
    n_in_burst = 0
    while due < end:
        wait = due - perf_counter()
        n_in_burst += 1
        if wait > 0 or n_in_burst >= _BURST:
            await asyncio.sleep(max(0.0, wait))
            n_in_burst = 0
        yield due
        due += gaps.expovariate(rate)


async def closed_loops(callers: Iterable[Callable[[float], Awaitable[None]]], seconds: float) -> None:
    """Has each caller call again as soon as it has its answer; it is given the time of `perf_counter`."""
    end = perf_counter() + seconds

    async def repeat(call: Callable[[float], Awaitable[None]]) -> None:
        while (now := perf_counter()) < end:
            await call(now)

    await asyncio.gather(*(repeat(call) for call in callers))
