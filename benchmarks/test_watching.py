"""What a request pays for being watched, beside its scoring: counts, histograms, and the sample for the drift.

pytest benchmarks/test_watching.py --benchmark-json result.json
"""

from __future__ import annotations

from time import monotonic

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from offbeat.server.observations import Observations
from offbeat.server.recent_windows import RecentWindows
from offbeat.server.traffic import MethodTraffic

N_REQUESTS = 2048


def test_count_requests(benchmark: BenchmarkFixture) -> None:
    """Divide by the requests in a round: 2,048, of one window each, as they are counted where they are received."""
    observations, traffic = Observations(RecentWindows(50, 1)), MethodTraffic()
    windows = np.zeros((1, 50, 1), np.float32)
    outputs = {"anomaly_score": np.array([0.3], np.float32)}

    def count_requests() -> None:
        for _ in range(N_REQUESTS):
            started = monotonic()
            observations.batch(1e-4)
            observations.request(0.0, windows, outputs, started)
            traffic.answer("M1", monotonic() - started)

    benchmark.group = "watching"
    benchmark.extra_info.update(n_requests=N_REQUESTS)
    benchmark(count_requests)
    observations.settle()
    counted = observations.scores.n_values
    assert counted == traffic.durations["M1"].n_values == observations.compute.n_values
    assert counted % N_REQUESTS == 0
