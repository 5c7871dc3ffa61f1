"""The tracer of OpenTelemetry: spans over OTLP, as protobuf over HTTP. Needs the extra `otel`.

Spans wait in a bounded queue and are sent by a thread, so that a receiver that hangs delays no
payment; what does not fit is dropped.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind as Kind
from opentelemetry.trace import Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tollkeeper.flows.ports import Fact, Span, SpanKind

SEND_SECONDS: Final = 5
"""How long a batch may take to be sent."""

CLOSE_MS: Final = 3_000

KINDS: Final[dict[SpanKind, Kind]] = {
    "server": Kind.SERVER, "client": Kind.CLIENT, "consumer": Kind.CONSUMER,
}  # fmt: skip
ERROR: Final = "error.type"


class OpenTelemetryTracer:
    """`Tracer` over the SDK of OpenTelemetry."""

    def __init__(self, url: str, share: float, *, release: str, replica: str) -> None:
        resource = Resource.create(
            {
                "service.name": "tollkeeper",
                "service.version": release,
                "service.instance.id": replica,
            }
        )
        sampler = ParentBased(TraceIdRatioBased(share))
        self._provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS))
        )
        self._tracer = self._provider.get_tracer("tollkeeper", release)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, facts: Mapping[str, Fact], *, parent: str = ""
    ) -> Iterator[Span]:
        """A span around what happens inside, below that of the caller (`traceparent`) if any."""
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        with self._tracer.start_as_current_span(
            name, context, kind=KINDS[kind], attributes=dict(facts), record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield _Spanning(self, span)  # type: ignore[arg-type]
            except BaseException as error:
                # the words of an error may hold what a caller sent: its kind is enough
                span.set_attribute(ERROR, type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def phases(self, of: SdkSpan, timings_ms: Mapping[str, float]) -> None:
        """A child span for each phase, one after the other from the beginning of `of`."""
        at_ns = getattr(of, "start_time", None)
        if at_ns is None:
            return  # not sampled
        context = set_span_in_context(of)
        for name, milliseconds in timings_ms.items():
            child = self._tracer.start_span(name, context, start_time=at_ns)
            at_ns += int(milliseconds * 1e6)
            child.end(at_ns)

    def close(self) -> None:
        """Sends what waits, and ends the thread."""
        self._provider.force_flush(CLOSE_MS)
        self._provider.shutdown()


class _Spanning:
    """`Span` of OpenTelemetry."""

    def __init__(self, tracer: OpenTelemetryTracer, span: SdkSpan) -> None:
        self._tracer = tracer
        self._span = span

    def note(self, facts: Mapping[str, Fact]) -> None:
        self._span.set_attributes(dict(facts))

    def failed(self, error: str) -> None:
        self._span.set_attribute(ERROR, error)
        self._span.set_status(Status(StatusCode.ERROR))

    def phases(self, timings_ms: Mapping[str, float]) -> None:
        self._tracer.phases(self._span, timings_ms)
