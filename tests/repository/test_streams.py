"""`python -m benchmarks.streams`: every row is answered and timed, by the server and by the bare one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report.results import Results
from benchmarks.report.streams import streams_table
from benchmarks.serving.servers import started
from benchmarks.streams.__main__ import _answer
from benchmarks.streams.load import Load, run
from offbeat.v1.scoring_pb2 import PointsResponse
from tests.runtime.folders import LENGTH
from tests.runtime.server.fakes import make_scorer
from tests.runtime.server.live import Loop, serving

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def load_of(target: str, rows: int) -> Load:
    return Load(
        target=target,
        model="level",
        length=LENGTH,
        n_features=2,
        n_series=60,
        rows=rows,
        n_streams=3,
        seconds=1,
        answer_delay_us=2000,
    )


@pytest.fixture
def target() -> Iterator[str]:
    loop = Loop()
    with serving(loop) as serve:
        yield serve(make_scorer()).target
    loop.close()


@pytest.mark.parametrize("rows", [1, 20])
def test_every_row_is_answered_by_the_server(target: str, rows: int) -> None:
    seen = asyncio.run(run(load_of(target, rows)))
    assert (seen.n_messages, seen.n_windows, seen.n_refused) == (60 // rows, 60, 0)
    assert 0 < seen.p50 <= seen.p99 <= seen.longest


def test_the_bare_server_answers_as_much_with_as_many_bytes() -> None:
    answer = _answer(load_of("", 20))
    [scores] = PointsResponse.FromString(answer).scores
    assert [len(output.data) for output in scores.outputs] == [80, 80, 20]
    with started(["benchmarks.streams.echo", answer.hex(), "2000"], None) as (target, _):
        seen = asyncio.run(run(load_of(target, 20)))
    assert (seen.n_messages, seen.n_windows) == (3, 60)


def test_results_with_and_without_a_bare_server_are_told() -> None:
    result = Results(RESULTS).newest("streams")
    assert result is not None
    lines: list[dict[str, Any]] = result.content["lines"]
    for line in lines:
        line.pop("echo", None)
    assert "a bare grpcio server" not in streams_table(result)
    for line in lines:
        line |= {"echo": line["measured"], "echo_cpu_s": 0.123 * line["measured"]["seconds"]}
    table = streams_table(result)
    assert "a bare grpcio server" in table
    assert table.count("12 %") >= len(lines)
