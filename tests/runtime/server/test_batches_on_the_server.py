from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic

import grpc
import numpy as np
import pytest

from offbeat.errors import BackendError
from offbeat.inference.open_inference_pb2 import InferParameter
from offbeat.reply_timing import ReplyTiming
from offbeat.result import FloatArray
from offbeat.server.scoring import dispatcher
from tests.runtime.folders import OUTPUTS, expected_outputs, random_windows

from .calls import INFER, SCORE, arrays, infer_request, score, score_later, score_request
from .fakes import FailingBackend, GatedBackend, NumpyBackend, Outputs, make_scorer
from .live import LiveServer, Serve, eventually


def told(call: grpc.Call) -> ReplyTiming:
    timing = ReplyTiming.of_metadata(call.trailing_metadata())
    assert timing is not None
    return timing


def n_waiting(server: LiveServer, name: str = "level") -> int:
    return len(server.server._models.find(name).queue)


def test_scores_over_the_wire_are_those_of_the_backend_in_the_order_asked_for(serve: Serve) -> None:
    server = serve(make_scorer())
    windows = random_windows(5)
    for outputs in (OUTPUTS, tuple(reversed(OUTPUTS)), ("is_anomaly",)):
        response = score(server.channel, score_request(windows, outputs, id="mine"))
        assert (response.id, response.model, response.version) == ("mine", "level", 1)
        scores = arrays(response)
        assert tuple(scores) == outputs
        for name, expected in expected_outputs(windows).items():
            if name in outputs:
                np.testing.assert_array_equal(scores[name], expected)


def test_no_outputs_stands_for_the_default_ones(serve: Serve) -> None:
    response = score(serve(make_scorer()).channel, score_request(random_windows(1)))
    assert [each.name for each in response.outputs] == ["reconstruction_error", "anomaly_score", "is_anomaly"]


def test_scores_in_a_mixed_batch_equal_those_alone(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    first = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    sizes = [3, 1, 5, 2]
    asked = [score_request(random_windows(n, seed=n), OUTPUTS) for n in sizes]
    asked += [score_request(random_windows(n, length=9, seed=n), OUTPUTS) for n in sizes]
    calls = [score_later(server.channel, each) for each in asked]
    eventually(lambda: n_waiting(server) == len(calls), "all are queued")
    backend.gate.set()
    assert first.result(60)
    for n, length, call in zip(sizes * 2, [6] * 4 + [9] * 4, calls, strict=True):
        for name, expected in expected_outputs(random_windows(n, length, seed=n)).items():
            np.testing.assert_array_equal(arrays(call.result(60))[name], expected)
        assert told(call).size == 11
    assert backend.batches == [1, 11, 11]


def test_requests_of_both_protocols_share_a_batch(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    first = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    native = score_later(server.channel, score_request(random_windows(2)))
    infer = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer").future(
        infer_request(random_windows(3)).SerializeToString(), timeout=20
    )
    eventually(lambda: n_waiting(server) == 2, "both are queued")
    backend.gate.set()
    assert first.result(60)
    assert native.result(60)
    assert infer.result(60)
    assert backend.batches == [1, 5]


def test_every_reply_tells_who_computed_it_and_how_long_it_took(serve: Serve) -> None:
    server = serve(make_scorer(version=3))
    _, call = server.channel.unary_unary(SCORE).with_call(score_request(random_windows(4)).SerializeToString())
    timing = told(call)
    assert (timing.backend, timing.version, timing.size) == ("numpy (test)", 3, 4)
    assert 0 <= timing.queue_us < 10_000_000
    assert 0 < timing.compute_us <= timing.batch_us < 10_000_000


def test_a_failing_batch_loses_and_blocks_no_other(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    backend = FailingBackend(666.0, BackendError("broken"))
    server = serve(make_scorer(backend))
    bad = np.full((1, 6, 2), 666.0, np.float32)
    with caplog.at_level(logging.CRITICAL, "offbeat.server"):
        calls = [
            (is_bad, score_later(server.channel, score_request(bad if is_bad else random_windows(2, length=5))))
            for is_bad in [False, True] * 50
        ]
        for is_bad, call in calls:
            assert (call.exception(60) is not None) == is_bad
            assert call.code() is (grpc.StatusCode.INTERNAL if is_bad else grpc.StatusCode.OK)


def test_idle_workers_take_batches_side_by_side(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), n_workers=3)
    calls = [score_later(server.channel, score_request(random_windows(1))) for _ in range(3)]
    for _ in calls:
        assert backend.entered.acquire(timeout=60)
    backend.gate.set()
    assert all(call.result(60) for call in calls)


def test_a_busy_model_does_not_starve_another(serve: Serve) -> None:
    busy = GatedBackend()
    n_busy: list[int] = []

    class Noting(NumpyBackend):
        """Notes how many batches the busy model had until now."""

        def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
            n_busy.append(len(busy.batches))
            return super().run(window, outputs)

    quiet = Noting()
    server = serve(make_scorer(busy, name="busy"), make_scorer(quiet, name="quiet"), max_batch_size=1)
    calls = [score_later(server.channel, score_request(random_windows(1), model="busy")) for _ in range(20)]
    eventually(lambda: n_waiting(server, "busy") == 19, "the busy model has a queue")
    other = score_later(server.channel, score_request(random_windows(1), model="quiet"))
    eventually(lambda: n_waiting(server, "quiet") == 1, "the quiet one waits behind it")
    n_before = len(busy.batches)
    busy.gate.set()
    assert other.result(60)
    assert all(call.result(60) for call in calls)
    assert n_before == 1
    assert quiet.batches == [1]
    assert n_busy[0] < 20


def test_a_queue_delay_gathers_requests_though_a_worker_is_idle(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend), max_queue_delay_us=50_000_000)
    calls = [score_later(server.channel, score_request(random_windows(2)), timeout=250) for _ in range(4)]
    eventually(lambda: n_waiting(server) == 4, "all wait for company")

    async def pass_time() -> None:
        """As if the delay were over, however long it took them to come."""
        monkeypatch.setattr(dispatcher, "monotonic", lambda: monotonic() + 50)
        server.server._dispatcher._wake()

    server.run(pass_time())
    assert all(call.result(60) for call in calls)
    assert backend.batches == [8]


def test_a_full_batch_goes_before_the_queue_delay_is_over(serve: Serve) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend), max_queue_delay_us=50_000_000, max_batch_size=4)
    calls = [score_later(server.channel, score_request(random_windows(2))) for _ in range(2)]
    assert all(call.result(60) for call in calls)
    assert backend.batches == [4]


def test_the_newest_version_answers_unless_another_is_asked_for(serve: Serve) -> None:
    backends = {version: NumpyBackend() for version in (2, 10, 9)}
    server = serve(*(make_scorer(backend, version=version) for version, backend in backends.items()))
    assert score(server.channel, score_request(random_windows(1))).version == 10
    assert score(server.channel, score_request(random_windows(1), version=2)).version == 2
    assert {version: backend.batches for version, backend in backends.items()} == {2: [1], 10: [1], 9: []}


def test_a_request_above_the_batch_size_is_split_and_joined(serve: Serve) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend), max_batch_size=4)
    windows = random_windows(11)
    reply, call = server.channel.unary_unary(SCORE).with_call(score_request(windows, OUTPUTS).SerializeToString())
    for name, expected in expected_outputs(windows).items():
        np.testing.assert_array_equal(arrays(reply)[name], expected)
    assert backend.batches == [4, 4, 3]
    assert told(call).size == 4


def test_a_split_request_fails_as_a_whole_and_leaves_nothing_behind(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_scorer(FailingBackend(666.0, RuntimeError("broken"))), max_batch_size=2)
    windows = random_windows(9)
    windows[3] = 666.0
    with caplog.at_level(logging.CRITICAL, "offbeat.server"):
        call = score_later(server.channel, score_request(windows))
        assert call.code() is grpc.StatusCode.INTERNAL
    assert n_waiting(server) == 0
    assert score(server.channel, score_request(random_windows(5)))


def test_urgent_requests_of_both_protocols_go_first(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_batch_size=1, priority_levels=2, default_priority_level=2)
    finished: list[str] = []
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    parameter = InferParameter(uint64_param=1)
    calls = {"usual": score_later(server.channel, score_request(random_windows(1)))}
    eventually(lambda: n_waiting(server) == 1, "the usual one waits")
    calls["urgent"] = score_later(server.channel, score_request(random_windows(1), priority=1))
    eventually(lambda: n_waiting(server) == 2, "the urgent one waits")
    calls["urgent too"] = server.channel.unary_unary(INFER).future(
        infer_request(random_windows(1), parameters={"priority": parameter}).SerializeToString(), timeout=20
    )
    eventually(lambda: n_waiting(server) == 3, "all wait")
    for name, call in calls.items():
        call.add_done_callback(lambda _, name=name: finished.append(name))
    backend.gate.set()
    assert all(call.result(60) for call in (running, *calls.values()))
    eventually(lambda: len(finished) == 3, "all are told")
    assert finished == ["urgent", "urgent too", "usual"]


def test_tritons_timeout_is_a_deadline(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    late = server.channel.unary_unary(INFER).future(
        infer_request(random_windows(2), parameters={"timeout": InferParameter(int64_param=20_000)}).SerializeToString()
    )
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    backend.gate.set()
    assert running.result(60)
    assert backend.batches == [1]
