"""Under overload most requests are refused: nothing of them may stay, and they must not fill the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from offbeat.errors import OverloadedError
from offbeat.inference.open_inference_pb2 import ModelInferRequest
from offbeat.server import run
from offbeat.v1.scoring_pb2 import GetModelRequest, ScoreRequest
from tests.runtime.folders import random_windows

from .calls import INFER, SCORE, infer_request, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually

SERVICE = "/offbeat.v1.AnomalyScoring"
LARGE = random_windows(1000)
N_REQUESTS = 40


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def codes(server: LiveServer, method: str, message: bytes, **options: Any) -> set[grpc.StatusCode]:
    calls = [server.channel.unary_unary(method).future(message, **options) for _ in range(N_REQUESTS)]
    return {call.code() for call in calls}


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("method", [SCORE, INFER])
@pytest.mark.parametrize("why", ["late", "no room", "wrong", "unreadable"])
def test_a_refused_request_leaves_its_windows_behind_without_a_garbage_collection(
    serve: Serve, method: str, why: str
) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_batch_size=1000, max_queue_size=1 if why == "no room" else 1000)
    running = [score_later(server.channel, score_request(random_windows(1)))]
    assert backend.entered.acquire(timeout=60)
    if why == "no room":
        running.append(score_later(server.channel, score_request(random_windows(1))))
        eventually(lambda: len(server.server._models.find("level").queue) == 1, "the queue is full")
    windows = LARGE if why != "wrong" else np.full_like(LARGE, np.nan)
    request = score_request(windows) if method == SCORE else infer_request(windows)
    message = request.SerializeToString()
    if why == "unreadable":
        message = b"\xff" * len(message)
    before = tracemalloc.get_traced_memory()[0]
    expected = {
        "late": "DEADLINE_EXCEEDED",
        "no room": "RESOURCE_EXHAUSTED",
        "wrong": "INVALID_ARGUMENT",
        "unreadable": "INVALID_ARGUMENT",
    }[why]
    seen = codes(server, method, message, timeout=0.3 if why == "late" else 20)
    assert {code.name for code in seen} == {expected}
    size = N_REQUESTS * len(message)
    eventually(lambda: tracemalloc.get_traced_memory()[0] - before < size / 4, "the windows are gone")
    backend.gate.set()
    assert all(call.result(60) for call in running)


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("method", [SCORE, INFER, f"{SERVICE}/GetModel"])
def test_a_name_of_half_a_mebibyte_is_told_in_part_and_not_kept(serve: Serve, method: str) -> None:
    server = serve(make_scorer())
    name = "x" * 2**19
    message = {
        SCORE: ScoreRequest(model=name, window=score_request(LARGE[:1]).window).SerializeToString(),
        INFER: ModelInferRequest(model_name=name, inputs=infer_request(LARGE[:1]).inputs).SerializeToString(),
    }.get(method, GetModelRequest(name=name).SerializeToString())
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(grpc.RpcError, match=r"x{255}'… .524288 characters.") as caught:
        server.channel.unary_unary(method)(message, timeout=60)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    codes(server, method, message, timeout=60)
    size = N_REQUESTS * len(message)
    eventually(lambda: tracemalloc.get_traced_memory()[0] - before < size / 4, "the names are gone")


class GoneContext:
    """A call whose client went without grpc having noticed: whatever is sent fails."""

    async def abort(self, *_: object) -> None:
        raise grpc.aio.InternalError("execute_batch failed")


def test_a_refusal_that_nobody_is_left_to_hear_ends_the_call_as_cancelled(serve: Serve) -> None:
    boundary = serve(make_scorer()).server._boundary
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(boundary.abort(GoneContext(), OverloadedError("full")))  # type: ignore[arg-type]


def test_the_log_leaves_out_what_callers_bring_about_in_grpc_and_nothing_else() -> None:
    def kept(error: BaseException | None) -> bool:
        exc_info = None if error is None else (type(error), error, None)
        record = logging.LogRecord("grpc._cython.cygrpc", logging.ERROR, "", 0, "", (), exc_info)
        return run._is_no_callers_doing(record)

    assert not kept(grpc.aio.InternalError("execute_batch failed"))
    assert not kept(DecodeError("no HealthCheckRequest"))
    assert kept(ValueError())
    assert kept(None)
