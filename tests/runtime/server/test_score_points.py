from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import grpc
import msgspec
import numpy as np
import pytest

from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat.series_config import SeriesConfig
from offbeat.v1 import scoring_pb2 as v1
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub
from tests.runtime.folders import LENGTH, MEAN, SCALE, expected_outputs, random_windows

from .calls import arrays
from .fakes import FailingBackend, GatedBackend, NumpyBackend, Outputs, make_scorer
from .live import LiveServer, Serve, eventually
from .metrics_port import samples
from .points import Feed, alarms, dropped, points_request, rows


@pytest.fixture
def feeds() -> Iterator[list[Feed]]:
    made: list[Feed] = []
    yield made
    for feed in made:
        feed.close()


def feed_of(server: LiveServer, feeds: list[Feed]) -> Feed:
    feeds.append(Feed(server.channel))
    return feeds[-1]


def walk(n_rows: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return random_windows(1, n_rows, seed)[0]


def sliding(
    values: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.stack([values[start : start + LENGTH] for start in range(len(values) - LENGTH + 1)])


def code(refusal: v1.PointsRefusal) -> str:
    return next(each.name for each in grpc.StatusCode if each.value[0] == refusal.code)


def test_every_full_window_of_a_series_is_scored_as_if_it_had_been_sent(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer()), feeds)
    values, wanted = walk(40), ("reconstruction_error", "step_error", "is_anomaly")
    answers = [
        feed.scores(points_request("pump", values[row : row + 1], outputs=wanted, id=str(row))) for row in range(40)
    ]
    assert [answer.id for answer in answers] == [str(row) for row in range(40)]
    assert [len(rows(answer)) for answer in answers] == [0] * (LENGTH - 1) + [1] * (40 - LENGTH + 1)
    expected = expected_outputs(sliding(values))
    for name in wanted:
        seen = np.concatenate(
            [arrays(v1.ScoreResponse(outputs=answer.outputs))[name] for answer in answers[LENGTH - 1 :]]
        )
        np.testing.assert_array_equal(seen, expected[name])
    assert [answer.n_started for answer in answers] == [1] + [0] * 39


def test_rows_of_many_series_go_as_one_batch(serve: Serve, feeds: list[Feed]) -> None:
    backend = NumpyBackend()
    feed = feed_of(serve(make_scorer(backend)), feeds)
    names = [f"pump-{number}" for number in range(100)]
    values = np.stack([walk(LENGTH, seed) for seed in range(100)])
    for step in range(LENGTH - 1):
        assert feed.scores(points_request(names, values[:, step])).outputs == []
    answer = feed.scores(points_request(names, values[:, -1]))
    assert rows(answer) == list(range(100))
    scores = arrays(v1.ScoreResponse(outputs=answer.outputs))["reconstruction_error"]
    np.testing.assert_array_equal(scores, expected_outputs(values)["reconstruction_error"])
    assert backend.batches == [100]


def test_rows_of_one_series_may_come_all_at_once_and_among_others(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer()), feeds)
    values = walk(100)
    answer = feed.scores(points_request("pump", values))
    assert rows(answer) == list(range(LENGTH - 1, 100))
    mixed = feed.scores(points_request(["a", "b"] * 50, values))
    assert rows(mixed) == list(range(2 * LENGTH - 2, 100))
    seen = arrays(v1.ScoreResponse(outputs=mixed.outputs))["reconstruction_error"]
    np.testing.assert_array_equal(seen[::2], expected_outputs(sliding(values[::2]))["reconstruction_error"])


def test_of_a_model_without_a_time_axis_each_row_is_a_window(serve: Serve, feeds: list[Feed]) -> None:
    class Tabular(NumpyBackend):
        def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
            assert window.ndim == 2
            return super().run(window[:, None], outputs)

    manifest = make_scorer().manifest
    replace = msgspec.structs.replace
    one_each = tuple(each for each in manifest.outputs if each.shape == ("batch",))
    window = replace(manifest.inputs[0], shape=("batch", 2))
    tabular = Scorer(replace(manifest, window=None, inputs=(window,), outputs=one_each), Tabular())
    feed = feed_of(serve(tabular), feeds)
    values = walk(50)
    answer = feed.scores(points_request(["a", "b"] * 25, values))
    assert rows(answer) == list(range(50))
    scores = arrays(v1.ScoreResponse(outputs=answer.outputs))["reconstruction_error"]
    np.testing.assert_array_equal(scores, expected_outputs(values[:, None])["reconstruction_error"])


def test_a_stride_leaves_windows_out(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer()), feeds)
    assert rows(feed.scores(points_request("pump", walk(20), stride=4))) == [5, 9, 13, 17]
    assert rows(feed.scores(points_request("pump", walk(3), stride=4))) == [1]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            points_request(["a", "b", "c"], np.array([[1, 2], [3, np.nan], [5, 6]])),
            "row 1, of series 'b', is nan in feature 1",
        ),
        (points_request("a", np.zeros((0, 2))), "shape [0, 2]"),
        (points_request("a", np.zeros((1, 3))), "12 bytes; expected 8 a row"),
        (points_request(["a", "b"], np.zeros((3, 2))), "2 series for 3 rows"),
        (points_request([], np.zeros((3, 2))), "0 series for 3 rows"),
        (points_request("", np.zeros((1, 2))), "1 to 128 bytes"),
        (points_request("a" * 129, np.zeros((1, 2))), "1 to 128 bytes"),
        (points_request("a", np.zeros((2, 2)), [1]), "1 timestamps for 2 rows"),
        (
            v1.PointsRequest(model="level", series=["a"], values=bytes(8), timestamps=b"123"),
            "3 bytes; expected 8 a row",
        ),
        (points_request("a", np.zeros((2, 2)), [7, 7]), "row 1, of series 'a', has timestamp 7"),
        (points_request(["a", "b", "b", "a"], np.zeros((4, 2)), [7, 7, 9, 6]), "row 3, of series 'a', has timestamp 6"),
        (points_request("a", np.zeros((1, 2)), outputs=["colour"]), "output 'colour'"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(
    serve: Serve, feeds: list[Feed], request_: v1.PointsRequest, words: str
) -> None:
    server = serve(make_scorer())
    feed = feed_of(server, feeds)
    refusal = feed.refusal(request_)
    assert (code(refusal), refusal.rows_kept) == ("INVALID_ARGUMENT", False)
    assert words in refusal.message
    assert sum(len(store) for _, store in server.server._points.memory.stores()) == 0
    assert feed.scores(points_request("a", np.zeros((1, 2)), [1])).n_started == 1


def test_an_unknown_model_is_refused_and_the_stream_goes_on(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer()), feeds)
    assert code(feed.refusal(points_request("a", walk(1), model="absent"))) == "NOT_FOUND"
    assert feed.scores(points_request("a", walk(1))).n_started == 1


def test_late_rows_are_dropped_where_that_is_the_policy(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer(), series=SeriesConfig(out_of_order="drop")), feeds)
    values = walk(LENGTH + 2)
    answer = feed.scores(points_request("a", values, [1, 2, 2, 3, 4, 1, 5, 6]))
    assert (dropped(answer), rows(answer)) == ([2, 5], [7])
    expected = expected_outputs(np.delete(values, [2, 5], axis=0)[None])["reconstruction_error"]
    np.testing.assert_array_equal(arrays(v1.ScoreResponse(outputs=answer.outputs))["reconstruction_error"], expected)
    assert dropped(feed.scores(points_request("a", values[:1], [6]))) == [0]


def test_alarms_count_the_last_windows_of_each_series(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer(), series=SeriesConfig(alarm_k=2, alarm_n=3)), feeds)
    calm, wild = MEAN, MEAN + 10 * SCALE
    assert alarms(feed.scores(points_request("a", np.tile(calm, (LENGTH, 1))))) == [False]
    # One wild row makes the next windows anomalous as long as they hold it.
    seen = alarms(feed.scores(points_request("a", np.vstack([[wild], np.tile(calm, (LENGTH + 2, 1))]))))
    assert seen == [False] + [True] * LENGTH + [False, False]
    assert alarms(feed.scores(points_request("b", np.vstack([np.tile(calm, (LENGTH - 1, 1)), [wild]])))) == [False]
    assert alarms(feed.scores(points_request(["b", "c"], np.stack([calm, calm])))) == [True]
    assert feed.scores(points_request("b", calm[None], outputs=["anomaly_score"])).alarms == b""


def test_rows_are_kept_where_only_their_scores_are_refused(serve: Serve, feeds: list[Feed]) -> None:
    server = serve(make_scorer(FailingBackend(99.0, RuntimeError("no"))))
    feed = feed_of(server, feeds)
    values = walk(LENGTH)
    assert rows(feed.scores(points_request("a", np.vstack([values, values])))) != []
    refusal = feed.refusal(points_request("a", np.full((1, 2), 99.0), id="bad"))
    assert (code(refusal), refusal.id, refusal.rows_kept) == ("INTERNAL", "bad", True)
    # It stays in the next windows, and leaves them with its turn.
    kept = [feed.ask(points_request("a", values[row : row + 1])) for row in range(LENGTH)]
    assert [isinstance(answer, v1.PointsRefusal) for answer in kept] == [True] * (LENGTH - 1) + [False]


def test_an_overload_refuses_scores_and_keeps_rows(serve: Serve, feeds: list[Feed]) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=1, max_inline_us=0)
    busy, feed = feed_of(server, feeds), feed_of(server, feeds)
    for series in ("running", "waiting"):
        busy.send(points_request(series, walk(LENGTH)))
    assert backend.entered.acquire(timeout=60)
    eventually(lambda: len(server.server._models.find("level").queue) == 1, "the queue is full")
    refusal = feed.refusal(points_request("a", walk(LENGTH), range(LENGTH)))
    assert (code(refusal), refusal.rows_kept) == ("RESOURCE_EXHAUSTED", True)
    backend.gate.set()
    assert isinstance(busy.take(), v1.PointScores)
    assert isinstance(busy.take(), v1.PointScores)
    assert rows(feed.scores(points_request("a", walk(1), [LENGTH]))) == [0]


def test_a_request_may_ask_for_no_more_windows_than_one_of_windows(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer(), max_message_bytes=4096), feeds)
    limit = 4096 // (4 * 2 * LENGTH)
    refusal = feed.refusal(points_request("a", walk(limit + 1)))
    assert (code(refusal), refusal.rows_kept) == ("INVALID_ARGUMENT", False)
    assert f"at most {limit}" in refusal.message
    assert len(rows(feed.scores(points_request("a", walk(limit))))) == limit - LENGTH + 1


def test_windows_that_rows_make_count_for_what_a_stream_may_have_in_memory(serve: Serve, feeds: list[Feed]) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_message_bytes=4096, max_inline_us=0, metrics_port=0)
    feed = feed_of(server, feeds)
    # All the rows fit into 4 KiB, but the windows of 45 of them take 1,920 bytes: two requests are read, and no third.
    for number in range(8):
        feed.send(points_request(f"pump-{number}", walk(40 + LENGTH - 1)))
    n_read = 2 * (40 + LENGTH - 1)
    eventually(lambda: samples(server, "offbeat_series_rows_total", result="taken") == [n_read], "two are read")
    time.sleep(0.1)
    assert samples(server, "offbeat_series_rows_total", result="taken") == [n_read]
    backend.gate.set()
    answers = [feed.take() for _ in range(8)]
    assert [len(rows(answer)) for answer in answers if isinstance(answer, v1.PointScores)] == [40] * 8


def test_series_are_forgotten_on_request(serve: Serve, feeds: list[Feed]) -> None:
    server = serve(make_scorer())
    feed, stub = feed_of(server, feeds), AnomalyScoringStub(server.channel)  # type: ignore[no-untyped-call]
    feed.scores(points_request(["a", "b", "c"], walk(3)))
    assert stub.ResetSeries(v1.ResetSeriesRequest(model="level", series=["a", "absent"])).n_series == 1
    assert feed.scores(points_request(["a", "b", "c"], walk(3))).n_started == 1
    assert stub.ResetSeries(v1.ResetSeriesRequest(model="level", all=True)).n_series == 3
    assert feed.scores(points_request(["a", "b", "c"], walk(3))).n_started == 3
    for request, status in (
        (v1.ResetSeriesRequest(model="absent", all=True), grpc.StatusCode.NOT_FOUND),
        (v1.ResetSeriesRequest(model="level"), grpc.StatusCode.INVALID_ARGUMENT),
        (v1.ResetSeriesRequest(model="level", all=True, series=["a"]), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            stub.ResetSeries(request)
        assert caught.value.code() is status


def test_the_least_recently_used_series_makes_room(serve: Serve, feeds: list[Feed]) -> None:
    feed = feed_of(serve(make_scorer(), series=SeriesConfig(max_series=2)), feeds)
    for series, n_started in (("a", 1), ("b", 1), ("a", 0), ("c", 1), ("a", 0), ("b", 1)):
        assert feed.scores(points_request(series, walk(1))).n_started == n_started
    refusal = feed.refusal(points_request(["x", "y", "z"], walk(3)))
    assert "3 series in one request; expected at most 2" in refusal.message


def test_answers_share_messages_where_they_may_wait_for_each_other(serve: Serve) -> None:
    server = serve(make_scorer())
    stub = AnomalyScoringStub(server.channel)  # type: ignore[no-untyped-call]
    requests = [points_request(f"pump-{n}", walk(LENGTH), id=str(n), answer_delay_us=500_000) for n in range(50)]
    messages = list(stub.ScorePoints(iter(requests), timeout=60))
    assert [scores.id for message in messages for scores in message.scores] == [str(n) for n in range(50)]
    assert len(messages) < 10
    [alone] = stub.ScorePoints(iter(requests[:1]), timeout=60)
    assert alone.scores[0].id == "0"


def test_answers_that_share_a_message_stay_within_its_size_together(serve: Serve, feeds: list[Feed]) -> None:
    # The answer of 60 windows of 48 bytes fits once, and not twice.
    feed = feed_of(serve(make_scorer(), max_message_bytes=4096), feeds)
    for number in range(6):
        feed.send(
            points_request(
                f"pump-{number}", walk(60 + LENGTH), id=str(number), outputs=["reconstruction"], answer_delay_us=100_000
            )
        )
    answers = [feed.take() for _ in range(6)]
    assert [answer.id for answer in answers] == [str(number) for number in range(6)]
    assert all(isinstance(answer, v1.PointScores) for answer in answers)
