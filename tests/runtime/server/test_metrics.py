"""The metrics port, asked over HTTP as Prometheus would."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import grpc
import numpy as np
import pytest

from offbeat.errors import ConfigurationError
from offbeat.server.http import http_server, watching
from offbeat.server.http import metrics as metrics_module
from offbeat.server.http.http_server import HttpServer
from offbeat.server.http.watching import Watching, plain_failure
from tests.runtime.folders import expected_outputs, random_windows, write_version

from .calls import infer, infer_request, score, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually
from .metrics_port import fetch, get, samples, scrape


def requests(server: LiveServer) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels[name] for name in ("method", "model", "status")): sample.value
        for sample in scrape(server)["offbeat_requests"].samples
    }


def test_requests_are_counted_by_method_model_and_status(serve: Serve) -> None:
    server = serve(make_scorer(), metrics_port=0)
    for _ in range(3):
        score(server.channel, score_request(random_windows(2)))
    infer(server.channel, infer_request(random_windows(1)))
    for request in (score_request(random_windows(1), model="other"), score_request(random_windows(1), outputs=("x",))):
        with pytest.raises(grpc.RpcError):
            score(server.channel, request)
    assert requests(server) == {
        ("Score", "level", "OK"): 3,
        ("Score", "", "NOT_FOUND"): 1,
        ("Score", "level", "INVALID_ARGUMENT"): 1,
        ("ModelInfer", "level", "OK"): 1,
    }
    assert samples(server, "offbeat_request_duration_seconds_count", method="Score", model="level") == [3]


def test_names_of_models_that_are_not_served_make_no_metrics(serve: Serve) -> None:
    server = serve(make_scorer(), metrics_port=0)
    for number in range(20):
        with pytest.raises(grpc.RpcError):
            score(server.channel, score_request(random_windows(1), model=f"guess-{number}"))
    assert requests(server) == {("Score", "", "NOT_FOUND"): 20}


def test_requests_on_a_stream_are_counted_one_by_one(serve: Serve) -> None:
    server = serve(make_scorer(), metrics_port=0)
    wanted = [score_request(random_windows(1), id=str(n)) for n in range(3)]
    wanted.append(score_request(random_windows(1), outputs=("x",), id="3"))
    stream = server.channel.stream_stream("/offbeat.v1.AnomalyScoring/ScoreStream")
    assert len(list(stream(iter([each.SerializeToString() for each in wanted]), timeout=60))) == 4
    assert requests(server) == {
        ("ScoreStream", "level", "OK"): 3,
        ("ScoreStream", "level", "INVALID_ARGUMENT"): 1,
    }


def test_what_waits_and_what_runs_is_told_and_who_leaves_counts_as_cancelled(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), metrics_port=0)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    calls = [running, *(score_later(server.channel, score_request(random_windows(1))) for _ in range(3))]
    eventually(lambda: samples(server, "offbeat_queue_depth") == [3], "three wait")
    assert samples(server, "offbeat_batches_running") == [1]
    assert samples(server, "offbeat_calls_in_flight") == [4]
    calls[-1].cancel()
    eventually(lambda: requests(server).get(("Score", "level", "CANCELLED")) == 1, "the cancelled one is counted")
    backend.gate.set()
    for call in calls[:-1]:
        call.result(60)
    assert samples(server, "offbeat_batch_size_count", model="level", version="1") == [2]
    assert samples(server, "offbeat_batch_size_sum") == [3]
    assert samples(server, "offbeat_queue_duration_seconds_count") == [3]
    assert samples(server, "offbeat_compute_duration_seconds_count") == [2]
    eventually(lambda: samples(server, "offbeat_calls_in_flight") == [0], "nothing is under way")


@pytest.mark.parametrize("max_inline_us", [0, 1_000_000])
def test_scores_are_told_as_a_histogram_with_the_number_of_anomalies(serve: Serve, max_inline_us: int) -> None:
    server = serve(make_scorer(), metrics_port=0, max_inline_us=max_inline_us)
    windows = random_windows(300)
    for start in range(0, 300, 50):
        score(server.channel, score_request(windows[start : start + 50]))
    expected = expected_outputs(windows)
    scores = expected["anomaly_score"]
    for bound in ("0.25", "0.5", "1.0"):
        counted = samples(server, "offbeat_anomaly_score_bucket", le=bound)
        assert counted == [np.count_nonzero(scores <= np.float32(bound))]
    assert samples(server, "offbeat_anomaly_score_count") == [300]
    assert samples(server, "offbeat_anomaly_score_sum") == [pytest.approx(float(scores.sum()), rel=1e-6)]
    assert samples(server, "offbeat_anomalies_total") == [np.count_nonzero(expected["is_anomaly"])]


def test_loads_and_the_versions_being_served_are_told(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    (write_version(tmp_path, "broken") / "model.onnx").write_bytes(b"nothing")
    server = serve(path=tmp_path, metrics_port=0, exit_on_error=False)
    loads = {(s.labels["model"], s.labels["result"]): s.value for s in scrape(server)["offbeat_model_loads"].samples}
    assert loads == {("level", "ok"): 1, ("broken", "refused"): 1}
    [info] = scrape(server)["offbeat_model_info"].samples
    assert (info.labels["model"], info.labels["version"], info.value) == ("level", "1", 1)


def test_the_process_is_told_with_its_memory_and_its_start(serve: Serve) -> None:
    server = serve(make_scorer(), metrics_port=0)
    assert samples(server, "process_resident_memory_bytes")[0] > 2**20
    assert samples(server, "process_start_time_seconds")[0] > 1.6e9


def test_readiness_follows_health_and_life_does_not(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), metrics_port=0)
    assert (get(server, "/healthz"), get(server, "/readyz")) == ((200, "ok\n"), (200, "SERVING\n"))
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    draining = Thread(target=server.drain)
    draining.start()
    eventually(lambda: get(server, "/readyz") == (503, "NOT_SERVING\n"), "not ready")
    assert get(server, "/healthz") == (200, "ok\n")
    assert samples(server, "offbeat_ready") == [0]
    backend.gate.set()
    draining.join(60)
    assert running.result(60)


def test_an_event_loop_that_does_not_turn_is_neither_ready_nor_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE_S", 0.05)
    port: Queue[int] = Queue()
    is_over = Event()

    async def hang() -> None:
        watched = Watching(lambda: pytest.fail("nobody takes a snapshot"), asyncio.get_running_loop())
        http = HttpServer("127.0.0.1", 0, watched.routes(), plain_failure, 16384)
        http.start()
        port.put(http.port)
        is_over.wait(120)
        http.stop()

    thread = Thread(target=lambda: asyncio.run(hang()))
    thread.start()
    number = port.get(timeout=60)
    answers = [fetch(number, path) for path in ("/healthz", "/readyz", "/metrics")]
    is_over.set()
    thread.join(60)
    assert answers == [(503, "the event loop has not turned for 0.05 s\n")] * 3


def test_a_scrape_that_fails_is_an_incident_and_the_next_one_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_scorer(), metrics_port=0)
    with monkeypatch.context() as patch:
        patch.setattr(metrics_module, "drift_metrics", lambda _: 1 / 0)
        status, text = get(server, "/metrics")
    assert status == 500
    assert "incident" in text
    assert "ZeroDivisionError" in caplog.text
    assert samples(server, "offbeat_ready") == [1]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=x", "text/plain"),
        ("text/plain; version=1.x", "text/plain"),
        ("*/*, ;;,=", "text/plain"),
    ],
)
def test_a_scraper_that_asks_for_a_form_that_there_is_not_is_told_the_plain_one(
    serve: Serve, caplog: pytest.LogCaptureFixture, accept: str, kind: str
) -> None:
    url = f"http://127.0.0.1:{serve(make_scorer(), metrics_port=0).server.metrics_port}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"accept": accept}), timeout=60) as answer:
        assert answer.headers["content-type"].startswith(kind)
        assert b"offbeat_ready 1.0" in answer.read()
    assert "incident" not in caplog.text


def test_a_client_that_says_nothing_is_cut_off_and_holds_up_nobody(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_HEADERS_S", 0.2)
    server = serve(make_scorer(), metrics_port=0)
    silent = [socket.create_connection(("127.0.0.1", server.server.metrics_port or 0), timeout=60) for _ in range(20)]
    assert get(server, "/healthz") == (200, "ok\n")
    assert [each.recv(1) for each in silent] == [b""] * 20
    for each in silent:
        each.close()


def test_other_paths_are_not_found(serve: Serve) -> None:
    assert get(serve(make_scorer(), metrics_port=0), "/admin") == (404, "expected /metrics, /healthz or /readyz\n")


def test_a_server_without_a_metrics_port_has_none(serve: Serve) -> None:
    assert serve(make_scorer()).server.metrics_port is None


def test_a_metrics_port_that_is_taken_refuses_the_start(serve: Serve) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} for metrics"):
            serve(make_scorer(), metrics_port=port)
