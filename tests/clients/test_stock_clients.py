"""Clients of others work as they are: what they are told, right and wrong, is what ours is told."""

from __future__ import annotations

import base64
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.folders import expected_outputs, random_windows
from tests.runtime.server.calls import score_later, score_request
from tests.runtime.server.fakes import GatedBackend, make_scorer
from tests.runtime.server.live import LiveServer, Serve, eventually

from .asks import WINDOWS, WRONG, ask
from .stock import PROTO, Grpcurl, Program, StockClient

# Who asks a client first waits for its installation.
pytestmark = pytest.mark.timeout(900)

OUTPUTS = ("anomaly_score", "is_anomaly", "step_error")


def scores_of(answer: dict[str, str], n_windows: int) -> dict[str, Any]:
    expected = expected_outputs(random_windows(n_windows))
    return {
        name: np.frombuffer(base64.b64decode(data), expected[name].dtype).reshape(expected[name].shape)
        for name, data in answer.items()
    }


def assert_scores(answer: dict[str, str]) -> None:
    expected = expected_outputs(WINDOWS)
    assert tuple(answer) == OUTPUTS
    for name, values in scores_of(answer, 3).items():
        np.testing.assert_array_equal(values, expected[name])


def told_by(client: StockClient, server: LiveServer, **fields: Any) -> tuple[str, str]:
    (answer,) = client.answers(server.target, [ask(**fields)])
    return answer["code"], answer["message"]


def test_a_stock_client_is_told_the_scores(serve: Serve, client: StockClient) -> None:
    (answer,) = client.answers(serve(make_scorer()).target, [ask(outputs=OUTPUTS)])
    assert_scores(answer["outputs"])


def test_a_stock_client_is_told_by_name_what_is_wrong(serve: Serve, client: StockClient) -> None:
    server = serve(make_scorer(), max_batch_size=8, max_queue_size=4)
    answers = client.answers(server.target, [wrong for wrong, _, _ in WRONG.values()])
    for (what, (_, code, message)), answer in zip(WRONG.items(), answers, strict=True):
        assert answer.get("code") == code, (what, answer)
        assert re.search(message, answer["message"]), (what, answer)


def test_a_stock_client_is_told_of_its_deadline(serve: Serve, client: StockClient) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(random_windows(1)), timeout=120)
    assert backend.entered.acquire(timeout=60)
    assert told_by(client, server, timeout_s=0.5)[0] == "DEADLINE_EXCEEDED"
    backend.gate.set()
    assert running.result(60)
    assert backend.batches == [1]


def test_a_stock_client_is_told_of_a_full_queue(serve: Serve, client: StockClient) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=1)
    running = [score_later(server.channel, score_request(random_windows(1)), timeout=120)]
    assert backend.entered.acquire(timeout=60)
    running.append(score_later(server.channel, score_request(random_windows(1)), timeout=120))
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 1, "one in the queue")
    code, message = told_by(client, server)
    assert code == "RESOURCE_EXHAUSTED"
    assert "1 requests are waiting; expected fewer than max_queue_size = 1" in message
    backend.gate.set()
    assert all(call.result(60) for call in running)


def test_a_stock_client_is_told_that_the_server_drains(serve: Serve, client: StockClient) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), grace_s=120)
    running = score_later(server.channel, score_request(WINDOWS), timeout=120)
    assert backend.entered.acquire(timeout=60)
    draining = threading.Thread(target=server.drain)
    draining.start()
    try:
        eventually(lambda: server.server._drain.is_draining, "draining")
        assert told_by(client, server)[0] == "UNAVAILABLE"
    finally:
        backend.gate.set()
        draining.join(60)
    assert running.result(60)


@pytest.mark.parametrize("way", ["proto", "reflection"])
def test_node_streams_requests_and_asks_for_health(serve: Serve, node: Path, way: str) -> None:
    program = Program("node", node / "client.js", way, behind=[PROTO], STREAMED="1")
    asks = [ask(outputs=OUTPUTS), ask(model="nobody"), ask(outputs=OUTPUTS)]
    told = program.told(serve(make_scorer()).target, asks)
    assert told["health"] == "SERVING"
    assert told["streamed"]["1"] == "NOT_FOUND"
    for name in ("0", "2"):
        assert_scores(told["streamed"][name])


def test_kserves_client_asks_whether_server_and_model_are_ready(serve: Serve, kserve: Program) -> None:
    assert kserve.told(serve(make_scorer()).target, [])["ready"] == [True, True, True]


def test_grpcurl_lists_describes_and_asks_for_health(serve: Serve, grpcurl: Grpcurl) -> None:
    server = serve(make_scorer())
    listed = grpcurl.run(server.target, "list").stdout.split()
    assert {"offbeat.v1.AnomalyScoring", "inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(listed)
    assert "rpc ScorePoints ( stream" in grpcurl.run(server.target, "describe", "offbeat.v1.AnomalyScoring").stdout
    assert '"SERVING"' in grpcurl.run(server.target, "grpc.health.v1.Health/Check").stdout
    unknown = grpcurl.run("-d", '{"service": "nobody"}', server.target, "grpc.health.v1.Health/Check")
    assert "Code: NotFound" in unknown.stderr
