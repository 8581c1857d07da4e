"""Traces by OpenTelemetry: who asked, where in the caller's trace, and where the time went. Imported only where it is configured."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from offbeat.reply_timing import ReplyTiming

HEADERS = ("traceparent", "tracestate")
_EXPORT_S = 5
_MICROSECOND_NS = 1000


class Tracing:
    """Decides which requests are traced, and sends their spans away in the background.

    What the caller's `traceparent` says is followed; of requests without one the share `ratio` is traced. May be used from
    any thread.
    """

    def __init__(self, exporter: SpanExporter, ratio: float) -> None:
        self._ratio = ratio
        self._propagator = TraceContextTextMapPropagator()
        resource = Resource.create({SERVICE_NAME: "offbeat", SERVICE_VERSION: version("offbeat")})
        # An exporter that hangs must not keep the process from ending.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("offbeat.server", version("offbeat"))

    def begin(
        self, name: str, headers: Mapping[str, str], attributes: Mapping[str, AttributeValue]
    ) -> RequestSpan | None:
        """The span of a request that has just come; None where it is not to be traced."""
        parent: Context | None = None
        if "traceparent" in headers:
            parent = self._propagator.extract(headers)
            above = trace.get_current_span(parent).get_span_context()
            if above.is_valid and not above.trace_flags.sampled:
                return None
            parent = parent if above.is_valid else None
        if parent is None and random.random() >= self._ratio:  # noqa: S311 - nobody gains by guessing it
            return None
        span = self._tracer.start_span(name, parent or Context(), SpanKind.SERVER, attributes)
        return RequestSpan(self._tracer, span)

    def close(self, within_s: float) -> None:
        """Sends what is left, or gives up when the time is over."""
        ending = threading.Thread(target=self._provider.shutdown, name="trace-end", daemon=True)
        ending.start()
        ending.join(within_s)


class RequestSpan:
    """One request's span, from its arrival."""

    def __init__(self, tracer: trace.Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._started_ns = time_ns()

    def tell(self, **attributes: AttributeValue) -> None:
        """Adds attributes of offbeat's own."""
        self._span.set_attributes({f"offbeat.{name}": value for name, value in attributes.items()})

    def tell_timing(self, text: str) -> None:
        """Adds what the answer tells of its timing, with spans for the queue, the batch and the computing."""
        with suppress(ValueError):
            timing = ReplyTiming.parse(text)
            self.tell(version=timing.version, backend=timing.backend)
            begun_ns, ended_ns = self._started_ns + timing.queue_us * _MICROSECOND_NS, time_ns()
            self._child("queue", self._span, self._started_ns, begun_ns)
            # It was formed before it was computed, and is not older than the request.
            formed_ns = max(self._started_ns, min(begun_ns, ended_ns - timing.batch_us * _MICROSECOND_NS))
            batch = self._child("batch", self._span, formed_ns, ended_ns, size=timing.size)
            self._child("compute", batch, begun_ns, begun_ns + timing.compute_us * _MICROSECOND_NS)

    def end(self, code: str, value: str | int, *, is_error: bool, reason: str = "") -> None:
        """Ends the request with its status, under the name that the protocol has for it; an error is the server's fault."""
        self._span.set_attribute(code, value)
        if is_error:
            self._span.set_status(StatusCode.ERROR, reason)
        self._span.end()

    def _child(self, name: str, parent: Span, start_ns: int, end_ns: int, **attributes: int) -> Span:
        told = {f"offbeat.{key}": value for key, value in attributes.items()}
        context = trace.set_span_in_context(parent, Context())
        span = self._tracer.start_span(name, context, attributes=told, start_time=start_ns)
        span.end(end_ns)
        return span


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Sends to a collector over gRPC; in the clear where the endpoint begins with http://."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_S)
