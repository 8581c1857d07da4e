"""Latency of one call of each engine, scores out, with one thread and with two.

    pytest benchmarks/test_engines.py -k "M1 and 1-threads" --benchmark-json result.json

All engines of one model, batch and number of threads race in turns, and share a group, so that the table puts them side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.engines.race import ENGINES, REFERENCE, Race
from benchmarks.engines.replay import ReplayClock
from benchmarks.models import MODELS
from offbeat.bench.survey import REFERENCE as REFERENCE_NAME

BATCHES = (1, 8, 64, 512)
THREADS = tuple(n for n in (1, 2) if n <= len(os.sched_getaffinity(0)))
# The bound of offbeat_export.parity, for windows whose error is about 1; lower precisions are told and not held to it.
PARITY_BOUND = 1e-5
_CLOCK = ReplayClock()


@pytest.mark.benchmark(timer=_CLOCK)
# Of a race, which the first of its engines waits for: M4 at 512 windows on a busy machine.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("threads", THREADS, ids=lambda n: f"{n}-threads")
@pytest.mark.parametrize("batch", BATCHES, ids=lambda n: f"batch-{n}")
@pytest.mark.parametrize("model", MODELS)
def test_score(
    benchmark: BenchmarkFixture,
    raced: Callable[[str, int, int], Race],
    model: str,
    batch: int,
    threads: int,
    name: str,
) -> None:
    race = raced(model, batch, threads)
    if name not in race.times:
        pytest.skip(race.left_out[name])
    eager, scored = np.array(race.errors["eager"]), np.array(race.errors[name])
    is_float32 = "-" not in name
    assert not is_float32 or (np.abs(scored - eager) <= PARITY_BOUND * np.maximum(1.0, eager)).all()

    benchmark.group = f"{model} batch {batch} threads {threads}"
    benchmark.extra_info.update(
        model=model,
        batch=batch,
        backend=name,
        precision="float32" if is_float32 else name.partition("-")[2],
        threads=threads,
        windows_per_s=batch / float(np.median(race.times[name])),
        ratio_to_eager=_ratio(race, "eager", name),
        ratio_to_onnxruntime=_ratio(race, "onnxruntime", name),
        share_of_limit=_share(race, name) if is_float32 else None,
        limit_us=float(np.median(race.limits_us)) if race.limits_us else None,
        parity_max_abs=float(np.abs(scored - eager).max()),
        reference=REFERENCE_NAME,
        reference_data=race.times[REFERENCE],
    )
    _CLOCK.load(race.times[name])
    benchmark.pedantic(_CLOCK.replay, rounds=len(race.times[name]))


def _ratio(race: Race, other: str, name: str) -> float | None:
    """How many times as fast as the other: the median over rounds."""
    if other not in race.times:
        return None
    return float(np.median(np.divide(race.times[other], race.times[name])))


def _share(race: Race, name: str) -> float | None:
    """Of what the processor could do at most, measured in the same rounds; None where that is not known."""
    if not race.limits_us or name == "cuda":
        return None
    return float(np.median(np.divide(race.limits_us, race.times[name]) * 1e-6))
