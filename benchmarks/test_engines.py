"""Latency of one call of each engine, scores out, one thread.

    pytest benchmarks/test_engines.py --benchmark-json result.json

The engines of one model and batch run one after the other and share a group, so that the table puts them side by side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.models import ARCHITECTURES, random_windows
from offbeat.backends import Backend
from offbeat.result import DEFAULT_OUTPUTS

BACKENDS = ("eager", "torchscript", "onnxruntime", "native")
BATCHES = (1, 8, 64, 512)
# The bound of offbeat_export.parity, for windows whose error is about 1.
PARITY_BOUND = 1e-5


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", ARCHITECTURES)
def test_score(
    benchmark: BenchmarkFixture, backend: Callable[[str, str], Backend], model: str, batch: int, name: str
) -> None:
    windows = random_windows(model, batch, seed=2)
    engine, eager = backend(model, name), backend(model, "eager")
    scored = engine.run(windows, DEFAULT_OUTPUTS)["reconstruction_error"]
    reference = eager.run(windows, DEFAULT_OUTPUTS)["reconstruction_error"]
    parity = float(np.abs(scored - reference).max())
    assert (np.abs(scored - reference) <= PARITY_BOUND * np.maximum(1.0, reference)).all()

    benchmark.group = f"{model} batch {batch}"
    benchmark.extra_info.update(model=model, batch=batch, backend=name, threads=1, parity_max_abs=parity)
    benchmark(engine.run, windows, DEFAULT_OUTPUTS)
