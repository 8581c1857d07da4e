"""Rows that come at about the same time are taken and scored together; to each caller it is as if nobody else were there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import grpc
import msgspec
import numpy as np
import pytest

from offbeat.errors import UnknownModelError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat.series_config import SeriesConfig
from offbeat.server.rpc import point_stream
from offbeat.server.rpc.point_batch import Batch, PointBatches
from offbeat.server.scoring.served import ServedModel
from offbeat.v1 import scoring_pb2 as v1
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub
from tests.runtime.folders import LENGTH, MEAN, SCALE, expected_outputs, random_windows

from .calls import arrays
from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Serve, eventually
from .points import Answer, Feed, alarms, points_request, rows

# Long enough for all that a test sends to be read before; what is awaited comes when it is over.
DELAY_US = 200_000
# The longest there is, where a test looks before it is over.
PATIENT_US = 1_000_000


@pytest.fixture
def feeds() -> Iterator[Callable[[LiveServer], Feed]]:
    made: list[Feed] = []

    def feed(server: LiveServer) -> Feed:
        made.append(Feed(server.channel))
        return made[-1]

    yield feed
    for each in made:
        each.close()


Feeds = Callable[[LiveServer], Feed]


def full(name: str, seed: int, n_windows: int = 1, **fields: object) -> tuple[v1.PointsRequest, FloatArray]:
    """A request that fills so many windows of a series, and the windows."""
    values = random_windows(1, LENGTH + n_windows - 1, seed)[0]
    windows = np.stack([values[start : start + LENGTH] for start in range(n_windows)])
    return points_request(name, values, **{"answer_delay_us": DELAY_US, **fields}), windows  # type: ignore[arg-type]


def scores_of(answer: Answer) -> FloatArray:
    assert isinstance(answer, v1.PointScores), answer
    return arrays(v1.ScoreResponse(outputs=answer.outputs))["reconstruction_error"].astype(np.float32)


def n_read(server: LiveServer) -> int:
    """Requests of all streams that were read and have no answer yet."""
    return server.server._boundary.stream_room.n_requests


def status(answer: Answer) -> tuple[str, bool]:
    assert isinstance(answer, v1.PointsRefusal), answer
    return next(each.name for each in grpc.StatusCode if each.value[0] == answer.code), answer.rows_kept


def test_requests_of_one_stream_and_of_several_are_scored_as_one_batch(serve: Serve, feeds: Feeds) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend))
    backend.batches.clear()
    streams = [feeds(server) for _ in range(3)]
    asked = [
        [
            full(f"pump-{n}-{m}", 10 * n + m, n_windows=1 + m, id=f"{n}-{m}", answer_delay_us=PATIENT_US)
            for m in range(4)
        ]
        for n in range(3)
    ]
    for stream, requests in zip(streams, asked, strict=True):
        for request, _ in requests:
            stream.send(request)
    for stream, requests in zip(streams, asked, strict=True):
        for request, windows in requests:
            answer = stream.take()
            assert isinstance(answer, v1.PointScores)
            assert (answer.id, answer.n_started, answer.model, answer.version) == (request.id, 1, "level", 1)
            assert rows(answer) == list(range(LENGTH - 1, LENGTH - 1 + len(windows)))
            np.testing.assert_array_equal(scores_of(answer), expected_outputs(windows)["reconstruction_error"])
    # 30 windows; the first requests may have been scored before the last came.
    assert sum(backend.batches) == 30
    assert len(backend.batches) <= 3


def test_a_request_that_is_wrong_is_refused_alone(serve: Serve, feeds: Feeds) -> None:
    feed = feeds(serve(make_scorer()))
    good, windows = full("a", 1)
    late = points_request("a", windows[0, :1], [5], answer_delay_us=DELAY_US)
    first = points_request("b", windows[0], range(LENGTH), answer_delay_us=DELAY_US)
    again = points_request("b", windows[0, :1], [LENGTH - 1], answer_delay_us=DELAY_US)
    odd = points_request(["a", "b"], np.zeros((3, 2), np.float32), answer_delay_us=DELAY_US)
    last = points_request("b", windows[0, :1], [LENGTH], answer_delay_us=DELAY_US)
    for request in (good, late, first, again, odd, last):
        feed.send(request)
    answers = [feed.take() for _ in range(6)]
    assert [isinstance(answer, v1.PointScores) for answer in answers] == [True, True, True, False, False, True]
    assert status(answers[3]) == status(answers[4]) == ("INVALID_ARGUMENT", False)
    assert isinstance(answers[3], v1.PointsRefusal)
    assert "which is not later" in answers[3].message
    np.testing.assert_array_equal(scores_of(answers[0]), expected_outputs(windows)["reconstruction_error"])


def test_requests_that_ask_for_other_things_keep_their_order(serve: Serve, feeds: Feeds) -> None:
    feed = feeds(serve(make_scorer()))
    values = random_windows(1, 60)[0]
    for row in range(60):
        asked = {} if row % 3 else {"outputs": ["reconstruction_error", "step_error"]}
        stamp = [row] if row % 2 else None
        feed.send(points_request("a", values[row : row + 1], stamp, id=str(row), answer_delay_us=DELAY_US, **asked))
    answers = [feed.take() for _ in range(60)]
    windows = np.stack([values[start : start + LENGTH] for start in range(60 - LENGTH + 1)])
    assert [answer.id for answer in answers] == [str(row) for row in range(60)]
    seen = np.concatenate([scores_of(answer) for answer in answers[LENGTH - 1 :]])
    np.testing.assert_array_equal(seen, expected_outputs(windows)["reconstruction_error"])
    for row, answer in enumerate(answers[LENGTH - 1 :], LENGTH - 1):
        assert isinstance(answer, v1.PointScores)
        assert ("step_error" in {output.name for output in answer.outputs}) == (row % 3 == 0)


def test_alarms_count_over_requests_that_come_together(serve: Serve, feeds: Feeds) -> None:
    feed = feeds(serve(make_scorer(), series=SeriesConfig(alarm_k=2, alarm_n=3)))
    feed.scores(points_request(["a", "b"], np.tile(MEAN, (2, 1))))
    wild = np.asarray(MEAN + 10 * SCALE, np.float32)
    for value in [MEAN] * (LENGTH - 1) + [wild] * 4:
        feed.send(points_request(["a", "b"], np.stack([value, MEAN]), answer_delay_us=DELAY_US))
    answers = [feed.take() for _ in range(LENGTH + 3)]
    told = [alarms(answer) for answer in answers if isinstance(answer, v1.PointScores)]
    # The window before them is calm; of a's next ones the second anomalous one is an alarm.
    assert told[-4:] == [[False, False], [True, False], [True, False], [True, False]]


def test_rows_of_a_caller_who_goes_are_remembered_and_others_are_answered(serve: Serve, feeds: Feeds) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend))
    leaving, staying = feeds(server), feeds(server)
    leaving.send(full("a", 1, answer_delay_us=PATIENT_US)[0])
    request, windows = full("b", 2, answer_delay_us=PATIENT_US)
    staying.send(request)
    eventually(lambda: n_read(server) == 2, "both are read")
    leaving.close()
    np.testing.assert_array_equal(scores_of(staying.take()), expected_outputs(windows)["reconstruction_error"])
    assert staying.scores(points_request("a", windows[0, :1])).n_started == 0


def test_what_nobody_waits_for_any_more_is_not_scored(serve: Serve, feeds: Feeds) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_inline_us=0)
    busy, leaving = feeds(server), [feeds(server) for _ in range(2)]
    busy.send(points_request("running", random_windows(1)[0]))
    assert backend.entered.acquire(timeout=60)
    for number, feed in enumerate(leaving):
        feed.send(full(f"pump-{number}", number)[0])
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) > 0, "they are queued")
    for feed in leaving:
        feed.close()
    eventually(lambda: len(queue) == 0, "they have left the queue")
    backend.gate.set()
    assert isinstance(busy.take(), v1.PointScores)
    assert sum(backend.batches) == 1


def test_a_caller_with_a_deadline_does_not_share_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # So long that only the end of their streams ends the waiting.
    delay_us, n_members, run = 10**9, [], PointBatches.run
    monkeypatch.setattr(point_stream, "_MAX_DELAY_US", delay_us)

    def count_and_run(batches: PointBatches, batch: Batch) -> None:
        n_members.append(len(batch.members))
        run(batches, batch)

    monkeypatch.setattr(PointBatches, "run", count_and_run)
    server = serve(make_scorer())
    stub = AnomalyScoringStub(server.channel)  # type: ignore[no-untyped-call]
    answers: dict[str, list[v1.PointsResponse]] = {}
    all_wait = threading.Event()

    def asked(name: str) -> Iterator[v1.PointsRequest]:
        yield full(name, 1, answer_delay_us=delay_us)[0]
        all_wait.wait(60)

    def ask(name: str, timeout: float | None) -> None:
        answers[name] = list(stub.ScorePoints(asked(name), timeout=timeout))

    threads = [threading.Thread(target=ask, args=each) for each in (("a", 120.0), ("b", None), ("c", 240.0))]
    for thread in threads:
        thread.start()
    eventually(lambda: n_read(server) == 3, "all are read")
    all_wait.set()
    for thread in threads:
        thread.join(60)
    assert all(len(rows(answers[name][0].scores[0])) == 1 for name in "abc")
    assert n_members == [1, 1, 1]


def test_a_failure_or_an_overload_is_told_to_each_and_keeps_the_rows(serve: Serve, feeds: Feeds) -> None:
    server = serve(make_scorer(FailingBackend(99.0, RuntimeError("no"))))
    streams = [feeds(server) for _ in range(2)]
    for number, stream in enumerate(streams):
        stream.send(points_request(f"pump-{number}", np.full((LENGTH, 2), 99.0), answer_delay_us=DELAY_US))
        stream.send(points_request(f"pump-{number}", np.full((1, 2), 99.0), answer_delay_us=DELAY_US))
    assert {status(stream.take()) for stream in streams for _ in range(2)} == {("INTERNAL", True)}
    backend = GatedBackend()
    full_server = serve(make_scorer(backend), max_queue_size=1, max_inline_us=0)
    busy = feeds(full_server)
    for name in ("running", "waiting"):
        busy.send(points_request(name, random_windows(1)[0]))
        if name == "running":
            assert backend.entered.acquire(timeout=60)
    eventually(lambda: len(full_server.server._models.find("level").queue) == 1, "the queue is full")
    others = [feeds(full_server) for _ in range(2)]
    for number, stream in enumerate(others):
        stream.send(full(f"pump-{number}", number)[0])
    assert {status(stream.take()) for stream in others} == {("RESOURCE_EXHAUSTED", True)}
    backend.gate.set()


def test_rows_that_wait_are_taken_before_a_snapshot_and_a_reset_are_made(serve: Serve, feeds: Feeds) -> None:
    server = serve(make_scorer())
    feed, stub = feeds(server), AnomalyScoringStub(server.channel)  # type: ignore[no-untyped-call]
    request = full("a", 1)[0]
    request.answer_delay_us = PATIENT_US
    feed.send(request)
    eventually(lambda: n_read(server) == 1, "it is read")
    assert stub.ResetSeries(v1.ResetSeriesRequest(model="level", series=["a"])).n_series == 1
    assert isinstance(feed.take(), v1.PointScores)


def test_rows_that_wait_are_answered_when_the_server_drains(serve: Serve, feeds: Feeds) -> None:
    server = serve(make_scorer())
    feed = feeds(server)
    request, windows = full("a", 1)
    request.answer_delay_us = PATIENT_US
    feed.send(request)
    eventually(lambda: n_read(server) == 1, "it is read")
    server.drain()
    np.testing.assert_array_equal(scores_of(feed.take()), expected_outputs(windows)["reconstruction_error"])


def test_rows_that_wait_go_to_the_version_that_is_served_when_they_are_taken(serve: Serve, feeds: Feeds) -> None:
    server = serve(make_scorer())
    feed, models = feeds(server), server.server._models
    request = full("a", 1, answer_delay_us=PATIENT_US)[0]
    feed.send(request)
    eventually(lambda: n_read(server) == 1, "it is read")
    scorer = make_scorer(version=2)
    assert scorer.manifest.window is not None
    window = msgspec.structs.replace(scorer.manifest.window, length=LENGTH - 1)
    shorter = Scorer(msgspec.structs.replace(scorer.manifest, window=window), NumpyBackend())
    batching = models.find("level").batching
    server._loop.run(_do(lambda: models.add(ServedModel(shorter, batching))))
    answer = feed.take()
    assert isinstance(answer, v1.PointScores)
    assert (answer.version, rows(answer)) == (2, [LENGTH - 2, LENGTH - 1])
    feed.send(request)
    eventually(lambda: n_read(server) == 1, "it is read")
    server._loop.run(_do(lambda: [models.remove("level", version) for version in (1, 2)]))
    assert status(feed.take()) == ("NOT_FOUND", False)
    with pytest.raises(UnknownModelError):
        models.find("level")


async def _do(change: Callable[[], object]) -> None:
    change()
