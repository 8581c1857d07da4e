"""How long calls of several engines take in turns, and what one engine gives to several callers."""

from __future__ import annotations

import threading
import time

import numpy as np

from offbeat.backends import Backend
from offbeat.errors import OffbeatError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

REFERENCE = "eager"
_CALLS_A_TURN = 20


def latency(engines: dict[str, Backend], windows: FloatArray, seconds: float) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of a call by contender, in µs, in turns for `seconds` each, and times faster than eager."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        for _ in range(3):
            engine.run(windows, DEFAULT_OUTPUTS)
    end = time.perf_counter() + seconds * len(engines)
    while time.perf_counter() < end or not all(times.values()):
        for name, engine in engines.items():
            begin_of_turn = time.perf_counter()
            for _ in range(_CALLS_A_TURN):
                begin = time.perf_counter_ns()
                engine.run(windows, DEFAULT_OUTPUTS)
                times[name].append((time.perf_counter_ns() - begin) / 1000)
                if time.perf_counter() - begin_of_turn > seconds:
                    break
    medians = {name: float(np.median(values)) for name, values in times.items()}
    told = {
        name: {"n_calls": len(values), "p50_us": medians[name], "p99_us": float(np.percentile(values, 99))}
        for name, values in times.items()
    }
    if REFERENCE in medians:
        for name, figures in told.items():
            figures["times_eager"] = medians[REFERENCE] / medians[name]
    return told


def throughput(engine: Backend, windows: FloatArray, n_threads: int, seconds: float) -> float:
    """Windows per second that `n_threads` callers get from one backend together. Raises what a call raised."""
    counts, errors, may_start = [0] * n_threads, [], threading.Barrier(n_threads + 1)
    end = 0.0

    def call(number: int) -> None:
        may_start.wait()
        try:
            # Once at least: on a busy machine the time may be over before a thread has begun.
            while not counts[number] or time.perf_counter() < end:
                engine.run(windows, DEFAULT_OUTPUTS)
                counts[number] += 1
        except OffbeatError as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    end = begin + seconds
    may_start.wait()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if errors:
        raise errors[0]
    return sum(counts) * len(windows) / elapsed
