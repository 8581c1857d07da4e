"""Contenders in turns: medians over rounds of each one's time, and of its time by the native core's in the same round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.peers.contender import Contender
from offbeat.result import FloatArray

_MIN_ROUNDS = 5
_N_CALLS = 21
_LONG_NS = 1_000_000
# As far as float32 may be from eager's error, or from that share of it where it is more than 1.
_BOUND = 1e-4


def largest_differences(contenders: Sequence[Contender], eager: FloatArray) -> dict[str, float]:
    """|error - eager's| by max(1, eager's), the largest of the batch. Raises SystemExit where float32 is not the same."""
    differences = {}
    for contender in contenders:
        contender.call()
        computed = contender.errors()
        difference = float(np.max(np.abs(computed - eager) / np.maximum(1.0, eager)))
        # Not the other way round: NaN is no agreement.
        if not (contender.is_reduced or difference <= _BOUND):
            raise SystemExit(
                f"{contender.name}: errors are {difference:.1e} from eager's; expected at most {_BOUND:.0e}"
            )
        differences[contender.name] = difference
    return differences


def race(contenders: Sequence[Contender], reference: str, batch: int, seconds: float) -> dict[str, dict[str, float]]:
    """By contender `us`, `ratio` to the reference, and its quartiles; in another order each round."""
    rounds: list[dict[str, float]] = []
    order = np.random.default_rng(0)
    end = time.perf_counter() + seconds
    while len(rounds) < _MIN_ROUNDS or time.perf_counter() < end:
        times = {contenders[at].name: _call_us(contenders[at].call, batch) for at in order.permutation(len(contenders))}
        rounds.append(times)
    return {each.name: _summary(each.name, reference, rounds) for each in contenders}


def _summary(name: str, reference: str, rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    ratios = [times[name] / times[reference] for times in rounds]
    low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return {
        "us": float(np.median([times[name] for times in rounds])),
        "ratio": float(median),
        "ratio_low": float(low),
        "ratio_high": float(high),
        "n_rounds": len(rounds),
    }


def _call_us(call: Callable[[], object], batch: int) -> float:
    """The median of a few calls at once, the first left out, so that each begins with warm caches.

    Calls of a millisecond and more are likely to be interrupted: of them it is the process's time on the processor, of all its
    threads, since not every engine computes in the thread that calls it.
    """
    begin = time.perf_counter_ns()
    call()
    clock = time.perf_counter_ns if time.perf_counter_ns() - begin < _LONG_NS else time.process_time_ns
    times = []
    for _ in range(_N_CALLS if batch == 1 else 1):
        begin = clock()
        call()
        times.append((clock() - begin) / 1000)
    return float(np.median(times))
