"""How long a call takes beside float32's: contenders in turns, in one run, since machines change their speed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from offbeat.backends import Backend
from offbeat.bundle.precision_record import Arithmetic, PrecisionLatency
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

BATCH_SIZES = (1, 64)
_MIN_TURNS, _MAX_TURNS = 5, 500
# For each batch size, or five turns where those take longer.
SECONDS = 1.0

Latencies = tuple[PrecisionLatency, ...]


def latencies(
    fp32: Backend, contenders: Mapping[Arithmetic, Backend], windows: FloatArray
) -> dict[Arithmetic, Latencies]:
    """By name, the latency of each contender at batches of 1 and 64 beside `fp32`'s; all of them on one thread.

    `windows` [64 or more, …] are in raw units.
    """
    measured: dict[Arithmetic, list[PrecisionLatency]] = {name: [] for name in contenders}
    for batch in BATCH_SIZES:
        window = np.ascontiguousarray(windows[:batch])
        times = _turns([fp32, *contenders.values()], window) * 1e6
        for name, own in zip(contenders, times[1:], strict=True):
            measured[name].append(_figures(batch, own, times[0]))
    return {name: tuple(figures) for name, figures in measured.items()}


def _figures(batch: int, own_us: NDArray[np.float64], fp32_us: NDArray[np.float64]) -> PrecisionLatency:
    return PrecisionLatency(
        batch=batch,
        median_us=float(np.median(own_us)),
        fp32_median_us=float(np.median(fp32_us)),
        ratio=float(np.median(own_us / fp32_us)),
    )


def _turns(backends: Sequence[Backend], window: FloatArray) -> NDArray[np.float64]:
    """Seconds of one call, [backend, turn]."""
    turns: list[list[float]] = []
    end = time.perf_counter() + SECONDS
    while len(turns) < _MIN_TURNS or (time.perf_counter() < end and len(turns) < _MAX_TURNS):
        turns.append([_call(backend, window) for backend in backends])
    return np.array(turns).T


def _call(backend: Backend, window: FloatArray) -> float:
    """Seconds of a call right after another, which brings the weights back into the caches that its rival used.

    They are the thread's own processor time: all engines compute on the calling thread here, and a busy machine that takes the
    processor away for a while says nothing of the model.
    """
    backend.run(window, DEFAULT_OUTPUTS)
    start = time.thread_time()
    backend.run(window, DEFAULT_OUTPUTS)
    return time.thread_time() - start
