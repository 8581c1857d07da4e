"""Times a call in turns with a reference that never changes, so that both share the machine's mood."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import msgspec
import numpy as np

Call = Callable[[], object]
_BLOCK_NS = 2_000_000
_MAX_CALLS = 64
_N_TRIES = 6
# Fewer have no median worth the name.
_MIN_ROUNDS = 3
_N_PRODUCTS = 8


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one call, of the contender and of the reference around it, round by round."""

    times: list[float]
    references: list[float]


def reference_call() -> Call:
    """A fixed piece of work of some tens of µs for one core: products in its nearest cache, and hyperbolic tangents.

    The products are small enough for a BLAS library to compute on the calling thread.
    """
    random = np.random.default_rng(0)
    matrix = random.standard_normal((48, 48), dtype=np.float32)
    numbers = random.standard_normal(4096, dtype=np.float32)
    product, tangents = np.empty_like(matrix), np.empty_like(numbers)

    def work() -> None:
        for _ in range(_N_PRODUCTS):
            np.matmul(matrix, matrix, out=product)
        np.tanh(numbers, out=tangents)

    return work


def take_turns(call: Call, seconds: float, reference: Call | None = None) -> Turns:
    """Rounds of a block of the reference, a block of the call and another of the reference, for about so many seconds.

    A block is a few milliseconds, and one call at least; it counts with its median. At least three rounds are taken.
    """
    reference = reference or reference_call()
    n_calls, n_references = _block_size(call), _block_size(reference)
    turns = Turns(times=[], references=[])
    end = perf_counter_ns() + int(seconds * 1e9)
    before = _block_s(reference, n_references)
    while len(turns.times) < _MIN_ROUNDS or perf_counter_ns() < end:
        taken = _block_s(call, n_calls)
        after = _block_s(reference, n_references)
        turns.times.append(taken)
        turns.references.append((before + after) / 2)
        before = after
    return turns


def _block_size(call: Call) -> int:
    """How many calls make a block, by the quickest of a few: the first is slow, and others may be interrupted."""
    taken = []
    for _ in range(_N_TRIES):
        begin = perf_counter_ns()
        call()
        taken.append(perf_counter_ns() - begin)
        if taken[-1] > _BLOCK_NS * _N_TRIES:
            break
    return int(np.clip(_BLOCK_NS // max(1, min(taken)), 1, _MAX_CALLS))


def _block_s(call: Call, n_calls: int) -> float:
    """The median of the calls of one block, in seconds."""
    times = []
    for _ in range(n_calls):
        begin = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - begin)
    times.sort()
    middle = n_calls // 2
    return (times[middle] if n_calls % 2 else (times[middle - 1] + times[middle]) / 2) * 1e-9
