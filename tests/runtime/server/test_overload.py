"""Under a known overload requests are refused before they are read, where they would be refused whatever they ask for."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

import grpc
import pytest

from offbeat.batching import PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import DeadlineExceededError, OverloadedError
from offbeat.server.scoring import overload as overload_module
from offbeat.server.scoring.overload import Overload
from offbeat.server.scoring.served import Awaited, ServedModel, ServedModels
from offbeat.server.telemetry import refusals as refusals_module
from offbeat.v1 import scoring_pb2 as v1
from tests.runtime.folders import random_windows

from .calls import INFER, SCORE, ask, infer_request, score, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually

UNREADABLE = b"\xff"
LIST = "/offbeat.v1.AnomalyScoring/ListModels"


def full(*names: str, batching: BatchingConfig | None = None) -> tuple[ServedModels, list[ServedModel]]:
    """Models whose queues have room for one request, and hold it."""
    models, made = ServedModels(), []
    for name in names:
        model = ServedModel(make_scorer(name=name), batching or BatchingConfig(max_queue_size=1))
        waiting: PendingRequest[Awaited] = PendingRequest(
            windows=random_windows(1),
            outputs=("anomaly_score",),
            arrival=0.0,
            completion=None,  # type: ignore[arg-type]
        )
        model.queue.submit(waiting)
        models.add(model)
        made.append(model)
    return models, made


def overload_of(*names: str) -> tuple[Overload, ServedModels, list[ServedModel]]:
    models = ServedModels()
    overload = Overload(models)
    _, made = full(*names)
    for model in made:
        models.add(model)
    return overload, models, made


def test_without_a_refusal_nobody_is_asked() -> None:
    overload, _, _ = overload_of("level")
    assert not overload.is_known
    assert not overload.is_likely(0.0)


def test_a_refusal_makes_an_overload_known_where_every_model_would_have_refused() -> None:
    overload, models, _ = overload_of("a", "b")
    overload.suspect(0.0, 1.0)
    assert overload.is_known
    assert isinstance(overload.refusal(0.0, 1.0), OverloadedError)
    assert isinstance(overload.refusal(0.0, None), OverloadedError)
    models.add(ServedModel(make_scorer(name="c"), BatchingConfig()))
    assert not overload.is_likely(0.0)
    assert overload.refusal(0.0, 1.0) is None


def test_one_busy_model_of_two_makes_no_overload() -> None:
    overload, models, _ = overload_of("busy")
    models.add(ServedModel(make_scorer(name="idle"), BatchingConfig()))
    overload.suspect(0.0, 1.0)
    assert not overload.is_known


def test_an_overload_is_over_some_time_after_its_last_refusal() -> None:
    overload, _, _ = overload_of("level")
    overload.suspect(0.0, None)
    assert overload.refusal(0.4, None) is not None
    assert overload.is_likely(0.8)
    assert not overload.is_likely(1.0)
    assert not overload.is_known


def test_a_request_that_is_reached_after_its_deadline_is_refused_as_late() -> None:
    overload, models, _ = overload_of("level")
    overload.suspect(0.0, 0.0)
    assert isinstance(overload.refusal(0.0, 0.0), DeadlineExceededError)
    models.remove("level", 1)
    models.add(ServedModel(make_scorer(name="idle"), BatchingConfig()))
    assert isinstance(overload.refusal(0.0, 0.0), DeadlineExceededError)
    assert overload.refusal(0.0, 0.001) is None


def test_while_no_model_is_ready_nothing_is_refused_unread() -> None:
    overload = Overload(ServedModels())
    overload.suspect(0.0, 1.0)
    assert not overload.is_known
    assert overload.refusal(0.0, 1.0) is None


def code_of(server: LiveServer, method: str, message: bytes) -> grpc.StatusCode:
    send: Any = server.channel.unary_unary(method)
    code = send.future(message, timeout=60).code()
    assert isinstance(code, grpc.StatusCode)
    return code


def fill(serve: Serve, *others: Any, **settings: Any) -> tuple[LiveServer, GatedBackend, list[Any]]:
    """A server whose queue of `level` is full, and the calls that are under way."""
    backend = GatedBackend()
    server = serve(make_scorer(backend), *others, max_queue_size=1, **settings)
    calls = [score_later(server.channel, score_request(random_windows(1)))]
    assert backend.entered.acquire(timeout=60)
    calls.append(score_later(server.channel, score_request(random_windows(1))))
    eventually(lambda: len(server.server._models.find("level").queue) == 1, "the queue is full")
    return server, backend, calls


def settle(backend: GatedBackend, calls: list[Any]) -> None:
    backend.gate.set()
    assert all(call.result(60) for call in calls)


@pytest.mark.parametrize("method", [SCORE, INFER])
def test_after_the_first_refusal_the_next_requests_are_refused_unread(
    serve: Serve, method: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a busy machine takes from one request to the next.
    monkeypatch.setattr(overload_module, "_HOLD_S", 600.0)
    monkeypatch.setattr(refusals_module, "_INTERVAL_S", 600.0)
    server, backend, calls = fill(serve)
    request = score_request(random_windows(1)) if method == SCORE else infer_request(random_windows(1))
    with caplog.at_level(logging.WARNING, "offbeat.server"):
        assert code_of(server, method, request.SerializeToString()) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.server._boundary.overload.is_known
        seen = {code_of(server, method, UNREADABLE) for _ in range(3)}
    assert seen == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    refused = server.server._boundary.traffic.method(method.rpartition("/")[2]).refused
    assert refused == {("level", "RESOURCE_EXHAUSTED"): 1, ("", "RESOURCE_EXHAUSTED"): 3}
    assert len(caplog.records) == 1, "refusals are counted in one line a second"
    settle(backend, calls)


def test_other_methods_and_other_models_are_answered_under_a_full_queue(serve: Serve) -> None:
    server, backend, calls = fill(serve, make_scorer(name="other"))
    assert code_of(server, SCORE, score_request(random_windows(1)).SerializeToString()) is (
        grpc.StatusCode.RESOURCE_EXHAUSTED
    )
    other = server.server._models.find("other").queue
    calls.append(score_later(server.channel, score_request(random_windows(2), model="other")))
    eventually(lambda: len(other) == 1, "the other model takes requests")
    assert ask(server.channel, LIST, v1.ListModelsRequest(), v1.ListModelsResponse).models
    settle(backend, calls)


def test_when_there_is_room_again_requests_are_answered_at_once(serve: Serve) -> None:
    server, backend, calls = fill(serve)
    assert code_of(server, SCORE, score_request(random_windows(1)).SerializeToString()) is (
        grpc.StatusCode.RESOURCE_EXHAUSTED
    )
    settle(backend, calls)
    assert score(server.channel, score_request(random_windows(2))).outputs


@pytest.fixture
def suspicious(serve: Serve) -> LiveServer:
    """A server with room that takes itself for overloaded: each call is looked at unread, and let through."""
    server = serve(make_scorer())
    expect_refusals(server)
    return server


def expect_refusals(server: LiveServer) -> None:
    overload = server.server._boundary.overload
    overload.suspect(monotonic() + 3600, 0.0)
    overload.left_s = 0.0
    assert overload.is_known


def test_who_is_let_through_has_the_same_answer_and_the_same_timing(serve: Serve, suspicious: LiveServer) -> None:
    message = score_request(random_windows(3), id="same").SerializeToString()
    plain = serve(make_scorer())
    answers = []
    for server in (plain, suspicious):
        send: Any = server.channel.unary_unary(SCORE)
        answer, call = send.with_call(message, timeout=60)
        answers.append(answer)
        assert [key for key, _ in call.trailing_metadata()] == ["offbeat-timing"]
    assert answers[0] == answers[1]
    assert suspicious.server._boundary.overload.left_s, "it was looked at"


@pytest.mark.parametrize("method", [SCORE, INFER])
def test_who_is_let_through_is_told_what_is_wrong(suspicious: LiveServer, method: str) -> None:
    assert code_of(suspicious, method, UNREADABLE) is grpc.StatusCode.INVALID_ARGUMENT


def test_who_is_let_through_and_goes_away_leaves_nothing(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    expect_refusals(server)
    call = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    call.cancel()
    backend.gate.set()
    eventually(lambda: server.server._drain.n_calls == 0, "the call has ended")


def test_a_server_that_drains_under_overload_says_that_it_drains(serve: Serve) -> None:
    server, backend, calls = fill(serve)
    assert code_of(server, SCORE, UNREADABLE) is grpc.StatusCode.INVALID_ARGUMENT
    expect_refusals(server)
    server.server._drain.start()
    assert code_of(server, SCORE, score_request(random_windows(1)).SerializeToString()) is grpc.StatusCode.UNAVAILABLE
    settle(backend, calls)
