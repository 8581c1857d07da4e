"""`python -m benchmarks.endurance`: each request is counted once as sent and once by its end, on whichever way it came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.endurance.load import Counted, Load, run
from benchmarks.endurance.messages import SCORE_POINTS, point_questions, questions
from benchmarks.endurance.phase import figures
from benchmarks.endurance.tally import Counts
from offbeat.result import FloatArray
from tests.runtime.folders import LENGTH, random_windows
from tests.runtime.server.fakes import FailingBackend, NumpyBackend, Outputs, make_scorer
from tests.runtime.server.live import LiveServer, Loop, serving


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def server(loop: Loop) -> Iterator[LiveServer]:
    with serving(loop) as serve:
        yield serve(make_scorer())


class SlowBackend(NumpyBackend):
    """Takes 20 ms for a batch."""

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        time.sleep(0.02)
        return super().run(window, outputs)


def load_of(server: LiveServer, **settings: Any) -> Load:
    asked = questions(server.target, "level", [random_windows(3, LENGTH, seed) for seed in range(4)])
    given: dict[str, Any] = {
        "target": server.target,
        "questions": asked,
        "seconds": 0.3,
        "deadline_s": 60.0,
        **settings,
    }
    return Load(**given)


def seen(load: Load) -> dict[str, Any]:
    return figures(load, [asyncio.run(run(load))])


def test_requests_on_streams_count_as_asked_sent_and_answered() -> None:
    latency = np.float32(0.001).tobytes()
    counted = Counted(
        seconds=2.0,
        calls=Counts(n_sent=10, n_right=7, n_unanswered=1, by_status={"DEADLINE_EXCEEDED": 2}, latencies=latency, latencies_from_due=latency),
        stream=Counts(n_sent=6, n_right=4, n_wrong=1, n_held_back=3, by_status={"RESOURCE_EXHAUSTED": 1}),
        late_s=0.0,
        cpu_s=0.1,
    )  # fmt: skip
    load = Load(target="", questions=[], seconds=2.0, deadline_s=1.0, rate=8.0, stream_rate=6.0)
    told = figures(load, [counted, counted])
    assert (told["asked_per_s"], told["sent_per_s"], told["right_per_s"]) == (14.0, 16.0, 11.0)
    assert (told["n_sent"], told["n_right"], told["n_wrong"], told["n_unanswered"]) == (32, 22, 2, 2)
    assert (told["n_held_back"], told["n_unaccounted"]) == (6, 0)
    assert told["by_status"] == {"DEADLINE_EXCEEDED": 4, "RESOURCE_EXHAUSTED": 2}
    assert told["stream"]["n_sent"] == 12
    lost = msgspec.structs.replace(counted, calls=msgspec.structs.replace(counted.calls, n_right=6))
    assert figures(load, [counted, lost])["n_unaccounted"] == 1


@pytest.mark.parametrize(
    "way",
    [
        {"concurrency": 4, "seconds": 1.0},
        {"rate": 200.0, "stream_rate": 100.0},
        {"stream_rate": 200.0},
        {"fills_stream": True, "seconds": 1.0},
    ],
    ids=["closed loops", "calls and a stream", "a stream", "a stream without a pause"],
)
def test_what_was_sent_was_answered_rightly(server: LiveServer, way: dict[str, Any]) -> None:
    told = seen(load_of(server, **way))
    assert told["n_sent"] == told["n_right"]
    assert told["n_right"] > 20
    assert told["n_unaccounted"] == told["n_unanswered"] == told["n_twice"] == 0


def test_an_answer_to_another_question_is_wrong(server: LiveServer) -> None:
    load = load_of(server, rate=100.0, stream_rate=100.0)
    swapped = [
        msgspec.structs.replace(each, answer=other.answer)
        for each, other in zip(load.questions, load.questions[1:] + load.questions[:1], strict=True)
    ]
    counted = asyncio.run(run(msgspec.structs.replace(load, questions=swapped)))
    for each in (counted.calls, counted.stream):
        assert each.n_wrong == each.n_sent > 5
        assert each.n_unaccounted == 0


def test_rows_of_series_have_answers_that_follow_from_those_before(server: LiveServer) -> None:
    rows = [random_windows(3, 1, seed)[:, 0] for seed in range(4)]
    asked = point_questions(server.target, "level", ["a", "b", "c"], LENGTH, rows)
    load = load_of(server, questions=asked, stream_method=SCORE_POINTS, fills_stream=True, seconds=1.0)
    told = seen(load)
    assert told["n_right"] == told["n_sent"] > 20


def test_rows_that_come_in_another_order_have_other_answers(server: LiveServer) -> None:
    rows = [random_windows(3, 1, seed)[:, 0] for seed in range(4)]
    asked = point_questions(server.target, "level", ["d", "e", "f"], LENGTH, rows)
    load = load_of(server, questions=asked[::-1], stream_method=SCORE_POINTS, fills_stream=True, seconds=1.0)
    counted = asyncio.run(run(load)).stream
    assert counted.n_wrong == counted.n_sent > 20


def test_what_a_stream_has_no_room_for_is_held_back_in_the_client(loop: Loop) -> None:
    with serving(loop) as serve:
        server = serve(make_scorer(SlowBackend()), max_batch_size=3)
        told = seen(load_of(server, stream_rate=500.0, stream_room=4))
    assert told["n_held_back"] > 50
    assert told["n_sent"] == told["n_right"]
    assert told["n_held_back"] + told["n_sent"] == pytest.approx(150, rel=0.4)


def test_refusals_count_by_their_status(loop: Loop) -> None:
    with serving(loop) as serve:
        server = serve(make_scorer(FailingBackend(99.0, RuntimeError("no"))))
        load = load_of(server, rate=100.0, stream_rate=100.0)
        bad = msgspec.structs.replace(load.questions[0], request=_wild(load.questions[0].request))
        told = seen(msgspec.structs.replace(load, questions=[load.questions[0], bad]))
    assert set(told["by_status"]) == {"INTERNAL"}
    assert told["n_right"] + told["by_status"]["INTERNAL"] == told["n_sent"]
    assert told["n_unaccounted"] == 0


def _wild(request: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The same with its last value 99."""
    return request[0], request[1][:-4] + np.float32(99).tobytes()
