from __future__ import annotations

import time

import grpc
import pytest

from offbeat.inference.open_inference_pb2 import InferParameter
from tests.runtime.folders import random_windows

from .admin import statistics
from .calls import infer, infer_request, score, score_later, score_request
from .fakes import FailingBackend, GatedBackend, make_scorer
from .live import Serve, eventually


def test_batches_requests_and_windows_are_counted_with_their_times(serve: Serve) -> None:
    server = serve(make_scorer())
    before = time.time() * 1e3
    for n_rows in (1, 3, 3):
        score(server.channel, score_request(random_windows(n_rows)))
    (told,) = statistics(server, "level")
    assert (told.name, told.version, told.inference_count, told.execution_count) == ("level", "1", 7, 3)
    assert before - 1 <= told.last_inference <= time.time() * 1e3 + 1
    seen = told.inference_stats
    assert (seen.success.count, seen.queue.count, seen.compute_infer.count, seen.fail.count) == (3, 3, 3, 0)
    assert seen.success.ns == pytest.approx(seen.queue.ns + seen.compute_infer.ns, abs=1)
    assert [(each.batch_size, each.compute_infer.count) for each in told.batch_stats] == [(1, 1), (3, 2)]
    assert sum(each.compute_infer.ns for each in told.batch_stats) == pytest.approx(seen.compute_infer.ns, abs=3)


def test_requests_that_share_a_batch_each_count_its_time_and_their_wait(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_inline_us=0)
    calls = [score_later(server.channel, score_request(random_windows(1)))]
    assert backend.entered.acquire(timeout=60)
    calls += [score_later(server.channel, score_request(random_windows(2))) for _ in range(3)]
    eventually(lambda: len(server.server._models.find("level").queue) == 3, "three requests wait")
    time.sleep(0.02)
    backend.gate.set()
    assert all(call.result() for call in calls)
    (told,) = statistics(server)
    assert (told.inference_count, told.execution_count) == (7, 2)
    by_size = {each.batch_size: each.compute_infer for each in told.batch_stats}
    assert (by_size[1].count, by_size[6].count) == (1, 1)
    assert told.inference_stats.compute_infer.ns == pytest.approx(by_size[1].ns + 3 * by_size[6].ns, abs=3)
    assert told.inference_stats.queue.ns > 3 * 0.02 * 1e9


def test_what_fails_comes_too_late_or_finds_no_room_is_counted_apart(serve: Serve) -> None:
    windows = random_windows(2)
    server = serve(make_scorer(FailingBackend(float(windows[0, 0, 0]), RuntimeError("the engine broke"))))
    with pytest.raises(grpc.RpcError):
        score(server.channel, score_request(windows))
    (told,) = statistics(server)
    assert (told.inference_stats.fail.count, told.inference_stats.success.count) == (1, 0)
    assert (told.inference_count, told.execution_count, told.last_inference) == (0, 0, 0)

    backend = GatedBackend()
    server = serve(make_scorer(backend), max_inline_us=0, max_queue_size=1)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    waiting = score_later(server.channel, score_request(random_windows(1)))
    eventually(lambda: len(server.server._models.find("level").queue) == 1, "it waits")
    with pytest.raises(grpc.RpcError) as caught:
        score(server.channel, score_request(random_windows(1)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert statistics(server)[0].inference_stats.fail.count == 1
    waiting.cancel()
    eventually(lambda: statistics(server)[0].inference_stats.fail.count == 2, "so is one whose caller has gone")
    # The time that the request names begins when it has come, however long that took.
    late = infer_request(random_windows(1), parameters={"timeout": InferParameter(int64_param=20_000)})
    with pytest.raises(grpc.RpcError) as caught:
        infer(server.channel, late)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: statistics(server)[0].inference_stats.fail.count == 3, "the late one is counted, too")
    backend.gate.set()
    assert running.result()


def test_statistics_are_asked_for_by_name_and_version_or_all_together(serve: Serve) -> None:
    server = serve(make_scorer(), make_scorer(version=2), make_scorer(name="other"))
    assert [(each.name, each.version) for each in statistics(server)] == [
        ("level", "1"),
        ("level", "2"),
        ("other", "1"),
    ]
    assert [each.version for each in statistics(server, "level")] == ["1", "2"]
    assert [each.version for each in statistics(server, "level", "2")] == ["2"]
    for name, version in (("nobody", ""), ("level", "3"), ("level", "x")):
        with pytest.raises(grpc.RpcError) as caught:
            statistics(server, name, version)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
