"""Spans of requests, in memory and at a collector."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from offbeat.errors import ConfigurationError, MissingExtraError
from offbeat.server.preflight import Finding, preflight
from offbeat.server.telemetry import tracing
from tests.runtime.folders import random_windows

from .calls import INFER, SCORE, infer_request, score_request
from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Serve, config, eventually
from .rest_client import INFER as REST_INFER
from .rest_client import ask, infer_json

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
Traced = Callable[..., LiveServer]
COLLECTOR = "http://127.0.0.1:1"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "otlp_exporter", lambda _: exporter)
    return exporter


@pytest.fixture
def traced(serve: Serve, exporter: InMemorySpanExporter) -> Traced:
    def start(backend: NumpyBackend | None = None, **settings: Any) -> LiveServer:
        return serve(make_scorer(backend), **{"trace_endpoint": COLLECTOR, "trace_ratio": 1.0, **settings})

    return start


def call(server: LiveServer, method: str, request: Any, *traceparent: str) -> grpc.StatusCode:
    metadata = [("traceparent", each) for each in traceparent]
    code = server.channel.unary_unary(method).future(request.SerializeToString(), metadata=metadata, timeout=60).code()
    assert isinstance(code, grpc.StatusCode)
    return code


def spans(server: LiveServer, exporter: InMemorySpanExporter, n_least: int = 1) -> dict[str, ReadableSpan]:
    """By name, each at most once; a refusal may reach its caller before its span has ended."""
    traces = server.server._tracing
    assert traces is not None
    eventually(
        lambda: traces._provider.force_flush() and len(exporter.get_finished_spans()) >= n_least, "the spans have ended"
    )
    found = exporter.get_finished_spans()
    named = {span.name: span for span in found}
    assert len(named) == len(found)
    return named


@pytest.mark.parametrize("max_inline_us", [0, 1_000_000])
def test_a_request_has_a_span_in_the_callers_trace_and_its_time_in_parts(
    traced: Traced, exporter: InMemorySpanExporter, max_inline_us: int
) -> None:
    server = traced(max_inline_us=max_inline_us, trace_ratio=0.0)
    assert call(server, SCORE, score_request(random_windows(3)), SAMPLED) is grpc.StatusCode.OK
    told = spans(server, exporter)
    root = told["offbeat.v1.AnomalyScoring/Score"]
    assert (root.kind, format(root.context.trace_id, "032x")) == (SpanKind.SERVER, TRACE)
    assert root.parent is not None
    assert format(root.parent.span_id, "016x") == PARENT
    assert root.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "offbeat.v1.AnomalyScoring",
        "rpc.method": "Score",
        "rpc.grpc.status_code": 0,
        "offbeat.model": "level",
        "offbeat.windows": 3,
        "offbeat.version": 1,
        "offbeat.backend": "numpy (test)",
    }
    assert root.status.status_code is StatusCode.UNSET
    queue, batch, compute = (told[name] for name in ("queue", "batch", "compute"))
    for span, above in ((queue, root), (batch, root), (compute, batch)):
        assert span.parent is not None
        assert span.parent.span_id == above.context.span_id
        assert above.start_time <= span.start_time <= span.end_time <= root.end_time
    assert queue.end_time <= compute.start_time
    assert batch.attributes == {"offbeat.size": 3}
    assert root.resource.attributes["service.name"] == "offbeat"


def test_whom_the_caller_leaves_out_and_whom_chance_does_are_not_traced(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    server = traced()
    request = score_request(random_windows(1))
    assert call(server, SCORE, request, UNSAMPLED) is grpc.StatusCode.OK
    assert spans(server, exporter, 0) == {}
    never = traced(trace_ratio=0.0)
    for traceparent in ((), ("nonsense",), (f"00-{'0' * 32}-{PARENT}-01",), (UNSAMPLED,)):
        assert call(never, SCORE, request, *traceparent) is grpc.StatusCode.OK
    assert spans(never, exporter, 0) == {}
    assert call(server, SCORE, request, "nonsense") is grpc.StatusCode.OK
    assert spans(server, exporter)["offbeat.v1.AnomalyScoring/Score"].parent is None


def test_refusals_and_failures_are_told_with_their_status(traced: Traced, exporter: InMemorySpanExporter) -> None:
    server = traced(FailingBackend(666.0, RuntimeError("secret")))
    assert call(server, INFER, infer_request(random_windows(1), model_name="x")) is grpc.StatusCode.NOT_FOUND
    span = spans(server, exporter)["inference.GRPCInferenceService/ModelInfer"]
    assert (span.attributes or {})["rpc.grpc.status_code"] == 5
    assert (span.attributes or {})["offbeat.model"] == "x"
    assert span.status.status_code is StatusCode.UNSET, "the caller's fault, not the server's"
    exporter.clear()
    assert call(server, INFER, infer_request(random_windows(1) * 0 + 666)) is grpc.StatusCode.INTERNAL
    span = spans(server, exporter)["inference.GRPCInferenceService/ModelInfer"]
    assert span.status.status_code is StatusCode.ERROR
    assert "incident" in (span.status.description or "")
    exporter.clear()
    raw = server.channel.unary_unary(SCORE).future(b"\xff" * 10, timeout=60)
    assert raw.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (spans(server, exporter)["offbeat.v1.AnomalyScoring/Score"].attributes or {})["rpc.grpc.status_code"] == 3


def test_a_call_whose_client_leaves_is_cancelled(traced: Traced, exporter: InMemorySpanExporter) -> None:
    backend = GatedBackend()
    server = traced(backend, max_inline_us=0)
    running = server.channel.unary_unary(SCORE).future(score_request(random_windows(1)).SerializeToString(), timeout=60)
    assert backend.entered.acquire(timeout=60)
    running.cancel()
    [span] = spans(server, exporter).values()
    backend.gate.set()
    assert (span.attributes or {})["rpc.grpc.status_code"] == 1


def test_a_stream_is_one_span_with_the_number_of_its_requests(traced: Traced, exporter: InMemorySpanExporter) -> None:
    server = traced()
    wanted = [score_request(random_windows(1), id=str(n)).SerializeToString() for n in range(5)]
    stream = server.channel.stream_stream("/offbeat.v1.AnomalyScoring/ScoreStream")
    assert len(list(stream(iter(wanted), timeout=60, metadata=[("traceparent", SAMPLED)]))) == 5
    server.drain()
    [span] = exporter.get_finished_spans()
    assert (span.attributes or {})["offbeat.n_requests"] == (span.attributes or {})["offbeat.n_answers"] == 5


def test_requests_over_http_are_traced_too(traced: Traced, exporter: InMemorySpanExporter) -> None:
    server = traced(metrics_port=0, rest=True)
    assert ask(server, REST_INFER, infer_json(random_windows(2)), traceparent=SAMPLED)[0] == 200
    told = spans(server, exporter)
    root = told["POST /v2/models/{model}/infer"]
    assert format(root.context.trace_id, "032x") == TRACE
    attributes = root.attributes or {}
    assert (attributes["http.response.status_code"], attributes["offbeat.model"], attributes["offbeat.windows"]) == (
        200,
        "level",
        2,
    )
    assert {"queue", "batch", "compute"} < set(told)
    exporter.clear()
    assert ask(server, "/v2/models/nobody/infer", b"{", traceparent=SAMPLED)[0] == 400
    assert (spans(server, exporter)["POST /v2/models/{model}/infer"].attributes or {})["offbeat.model"] == "nobody"


class Collector(grpc.GenericRpcHandler):
    """Takes spans as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        self.received: Queue[str] = Queue()
        self._server = grpc.server(ThreadPoolExecutor(1), handlers=[self])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, handler_call_details: Any) -> Any:
        assert handler_call_details.method == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        return grpc.unary_unary_rpc_method_handler(self._export)

    def _export(self, data: bytes, _: Any) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.received.put(span.name)
        return ExportTraceServiceResponse().SerializeToString()

    def close(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_spans_reach_a_collector_at_the_latest_when_the_server_ends(serve: Serve, collector: Collector) -> None:
    server = serve(make_scorer(), trace_endpoint=f"http://127.0.0.1:{collector.port}", trace_ratio=1.0)
    assert call(server, SCORE, score_request(random_windows(1))) is grpc.StatusCode.OK
    server.drain()
    received = {collector.received.get(timeout=60) for _ in range(4)}
    assert received == {"offbeat.v1.AnomalyScoring/Score", "queue", "batch", "compute"}


@pytest.mark.parametrize(
    "settings",
    [
        {"trace_endpoint": "collector:4317"},
        {"trace_endpoint": "http://"},
        {"trace_endpoint": "http://[::1:1"},
        {"trace_ratio": 1.1},
        {"trace_ratio": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(settings))} is"):
        config(**settings)


def test_a_server_without_traces_does_not_load_opentelemetry() -> None:
    code = (
        "import sys, offbeat.server.http.rest, offbeat.server.server\n"
        "print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == "[]\n"


def test_where_opentelemetry_is_absent_the_extra_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "offbeat.server.telemetry.tracing", None)
    with pytest.raises(MissingExtraError, match=r"trace_endpoint needs .*pip install 'offbeat\[tracing\]'"):
        serve(make_scorer(), trace_endpoint=COLLECTOR)


def test_a_check_refuses_what_a_start_would_where_nothing_can_be_traced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = config(tmp_path, trace_endpoint=COLLECTOR)
    subject = f"traces to {COLLECTOR}"
    assert next(preflight(settings)) == Finding(subject=subject)
    monkeypatch.setitem(sys.modules, "offbeat.server.telemetry.tracing", None)
    assert "pip install 'offbeat[tracing]'" in (next(preflight(settings)).problem or "")


def test_a_request_that_is_refused_unread_has_a_span_with_its_status(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    server = traced()
    overload = server.server._boundary.overload
    overload.suspect(monotonic(), 0.0)
    overload.left_s = 0.0
    queue = server.server._models.find("level").queue
    queue.refuses_all = lambda *_: True  # type: ignore[method-assign]
    assert call(server, SCORE, score_request(random_windows(1)), SAMPLED) is grpc.StatusCode.RESOURCE_EXHAUSTED
    (span,) = spans(server, exporter).values()
    assert (span.attributes or {})["rpc.grpc.status_code"] == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
