"""What a request pays for being watched, beside its scoring: counts, histograms and the sample for the drift; a trace; its token.

pytest benchmarks/test_watching.py --benchmark-json benchmarks/results/<date>-watching.json
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_benchmark.fixture import BenchmarkFixture

from offbeat.server.access.tokens import Tokens
from offbeat.server.telemetry.observations import Observations
from offbeat.server.telemetry.recent_windows import RecentWindows
from offbeat.server.telemetry.tracing import Tracing
from offbeat.server.telemetry.traffic import MethodTraffic

Result = TypeVar("Result")
N_REQUESTS, N_TRACED, N_ROUNDS = 2048, 128, 150


def _timed(benchmark: BenchmarkFixture, call: Callable[[], Result]) -> Result:
    """So many rounds, however long they take, that a busy machine leaves some alone."""
    result: Result = benchmark.pedantic(call, rounds=N_ROUNDS, warmup_rounds=2)  # type: ignore[no-untyped-call]
    return result


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
    _timed(benchmark, count_requests)
    observations.settle()
    counted = observations.scores.n_values
    assert counted == traffic.durations["M1"].n_values == observations.compute.n_values
    assert counted % N_REQUESTS == 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_trace_request(benchmark: BenchmarkFixture, share: float) -> None:
    """A request without a trace of its caller's: looked at, or told with its queue, batch and computing in four spans."""
    tracing = Tracing(InMemorySpanExporter(), share)
    timing = "version=1;queue=0;batch=7;compute=7;size=1;backend=native (avx512)"

    def trace_requests() -> None:
        for _ in range(N_TRACED):
            span = tracing.begin("Score", {}, {"offbeat.model": "M1", "offbeat.windows": 1})
            if span is not None:
                span.tell_timing(timing)
                span.end("rpc.grpc.status_code", 0, is_error=False)

    benchmark.group = "watching"
    benchmark.extra_info.update(n_requests=N_TRACED)
    _timed(benchmark, trace_requests)
    tracing.close(1.0)


@pytest.mark.parametrize("n_tokens", [10, 100])
def test_check_token(benchmark: BenchmarkFixture, n_tokens: int) -> None:
    """One that is compared with all."""
    tokens = Tokens([f"a token of a user, {number}" for number in range(n_tokens)], [])

    def check_tokens() -> bool:
        return all(tokens.role("Bearer a token of a user, 0") for _ in range(N_REQUESTS))

    benchmark.group = "watching"
    benchmark.extra_info.update(n_requests=N_REQUESTS)
    assert _timed(benchmark, check_tokens)
