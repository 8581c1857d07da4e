"""Whether an idle worker should wait for more rows: the batching policy played through for measured times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from offbeat.bench.statistics import Array

# Shares of what the worker can do at most that arrive, one window at a time, as independent callers send them.
_LOADS = (0.2, 0.5, 0.8)
_N_ARRIVALS = 4_000
# Waiting makes a lone caller slower for certain: it must bring more than this to be advised.
_LEAST_GAIN = 0.05
_SHARES_OF_CALL = (0.25, 0.5, 1.0)
_KNEE = 0.9
# What a batch costs the server beside its engine: it is put together, handed to a thread, and answered.
_BATCH_S = 50e-6
_SEED = 3


def best_batch_size(seconds: Mapping[int, float]) -> int:
    """The smallest batch size that gives 90 % of the windows a second of the best: larger ones only take longer.

    `seconds` are those of one call of the engine, by batch size; what a batch costs the server comes on top.
    """
    rates = {batch: batch / (time + _BATCH_S) for batch, time in seconds.items()}
    best = max(rates.values())
    return min(batch for batch, rate in rates.items() if rate >= _KNEE * best)


def best_delay_us(seconds: Mapping[int, float], max_batch_size: int) -> int:
    """The wait with the lowest 99th percentile of latency, as a mean over loads; 0 unless another gains 5 %.

    Waits of a quarter, a half and the whole of one window's call are tried.
    """
    waits = [0.0, *(share * seconds[min(seconds)] for share in _SHARES_OF_CALL)]
    tails = {wait: _tail(seconds, max_batch_size, wait) for wait in waits}
    best = min(tails, key=tails.__getitem__)
    return round(best * 1e6) if tails[best] < (1 - _LEAST_GAIN) * tails[0.0] else 0


def _tail(seconds: Mapping[int, float], max_batch_size: int, wait_s: float) -> float:
    """The 99th percentile of latency, relative to one call alone, as a mean over the loads."""
    alone, capacity = seconds[min(seconds)], max_batch_size / seconds[max_batch_size]
    batches = sorted(seconds)
    sizes = np.arange(max_batch_size + 1)
    times = np.interp(sizes, batches, [seconds[batch] for batch in batches])
    random = np.random.default_rng(_SEED)
    gaps = random.exponential(1.0, _N_ARRIVALS)
    tails = [np.quantile(latencies(np.cumsum(gaps) / (load * capacity), times, wait_s), 0.99) for load in _LOADS]
    return float(np.mean(tails)) / alone


def latencies(arrivals: Array, times: Sequence[float] | Array, wait_s: float) -> Array:
    """Seconds from arrival to answer [arrival] with one worker.

    `times` are seconds of a call by batch size, from 0 on. A batch starts when the worker is free, and then once it is full or its
    first window has waited for `wait_s`.
    """
    max_batch_size, n_arrivals = len(times) - 1, len(arrivals)
    answered = np.empty(n_arrivals)
    free, first = 0.0, 0
    while first < n_arrivals:
        full = arrivals[first + max_batch_size - 1] if first + max_batch_size <= n_arrivals else np.inf
        start = max(free, arrivals[first], min(arrivals[first] + wait_s, full))
        last = min(int(np.searchsorted(arrivals, start, "right")), first + max_batch_size)
        free = start + float(times[last - first])
        answered[first:last] = free
        first = last
    latency: Array = answered - arrivals
    return latency
