"""Logs, metrics and traces.

A trace is carried as a W3C traceparent in envelopes and message headers, so that a retry days later still belongs to it. The
OpenTelemetry SDK is loaded only when traces are sent somewhere: it costs a tenth of a second at start.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, get_args

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from contracts.envelope import Envelope

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

# One name for all of it: without one, every line bears the module that happened to log first.
log: structlog.stdlib.BoundLogger = structlog.get_logger("kruispost")

CounterName = Literal[
    "messages_handled",  # by consumer and outcome: handled, duplicate, dead
    "messages_published",  # by service: what the relay got confirmed
    "queues_lost",  # exchanges and queues that were gone from RabbitMQ while the service ran, with what was in them
    "relay_failures",  # by service: rounds that ended in an error
    "webhooks_received",  # by outcome: stored, duplicate, refused
    "exact_webhooks_received",  # by outcome: heard, validated, ignored, refused
    "exact_hints_sent",  # by topic: what those webhooks were drawn together to
    "facts_recorded",  # by type: what was made of raw events
    "unreadable_resources",  # by kind: resources of Chargebee that fit no struct
    "documents_planned",  # by kind
    "documents_held",  # by code
    "documents_set_aside",  # by code
    "exact_calls",  # by method and endpoint
    "exact_answers",  # by outcome: ok, refused, limited, transient, unknown
    "exact_tries_in_vain",  # by division and kind: no_token, no_answer, limit, token_refused, refused
    "exact_token_refreshes",  # by outcome
    "commands_finished",  # by type and outcome: posted, saved, refused
    "unknown_outcomes",  # calls whose answer was lost, by how they were resolved
    "ledger_lines_read",  # by division: lines of Exact's ledger that came to the writer
    "pdfs_finished",  # by outcome: attached, failed
    "custom_fields_finished",  # by outcome: written, refused
    "chargebee_calls",  # by operation and outcome
    "events_caught_up",  # by site: events that no webhook brought
    "payments_recorded",  # by outcome: recorded, found, not_recorded
]
GaugeName = Literal[
    "relay_backlog",  # by service: 1 while the relay has more to publish than one batch, else 0
    "relay_held_back_seconds",  # by service: how long a transaction on the PostgreSQL server holds back what was committed
    "exact_budget_minute_left",  # by division: calls Exact still allows in this minute
    "exact_budget_day_left",  # by division: calls Exact still allows today
    "commands_waiting",  # by division and class of work: commands not yet finished
    "bank_lines_open",  # by division: bank lines that wait for a decision
    "documents_by_state",  # by kind and state
    "catch_up_behind_seconds",  # by site: how old the newest event may be that was not asked of Chargebee yet
    "holding_writer_lock",  # by division: 1 in the process that may act
    "holding_partition",  # by partition: 1 in the mapper that handles it
    "exact_webhooks_subscribed",  # by division: topics of Exact's webhooks that reach us
    "exact_connected",  # by division, in the process that may act: 0 while a login is needed or Exact is closed to us
]
HistogramName = Literal[
    "handling_seconds",  # by consumer: one message, with its transaction
    "relay_seconds",  # by service: one batch, read, published and confirmed
    "webhook_seconds",  # webhook received to stored and answered
    "exact_call_seconds",  # by endpoint: one call
    "exact_wait_seconds",  # by division: how long the budget made a command wait
]
MetricName = Literal[CounterName, GaugeName, HistogramName]

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_current: ContextVar[str | None] = ContextVar("kruispost_traceparent", default=None)


class Telemetry:
    """The metrics and traces of one process."""

    def __init__(self, service: str = "kruispost", otlp_endpoint: str | None = None) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._provider: TracerProvider | None = _provider(service, otlp_endpoint) if otlp_endpoint else None

    def count(self, name: CounterName, amount: int = 1, **labels: str) -> None:
        """Add to a counter; one name must always come with the same labels."""
        metric = self._counters.get(name)
        if metric is None:
            metric = self._counters[name] = Counter(f"kruispost_{name}", _sentence(name), list(labels), registry=self.registry)
        (metric.labels(**labels) if labels else metric).inc(amount)

    def gauge(self, name: GaugeName, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric = self._gauges.get(name)
        if metric is None:
            metric = self._gauges[name] = Gauge(f"kruispost_{name}", _sentence(name), list(labels), registry=self.registry)
        (metric.labels(**labels) if labels else metric).set(value)

    def forget(self, names: Sequence[GaugeName], **labels: str) -> None:
        """Show these gauges no longer for what has these labels: another process knows better now."""
        for name in names:
            if name in self._gauges:
                self._gauges[name].remove_by_labels(labels)

    def observe(self, name: HistogramName, value: float, **labels: str) -> None:
        """Add a measurement, in the unit of the name."""
        metric = self._histograms.get(name)
        if metric is None:
            metric = Histogram(f"kruispost_{name}", _sentence(name), list(labels), registry=self.registry)
            self._histograms[name] = metric
        (metric.labels(**labels) if labels else metric).observe(value)

    def exposition(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    @contextmanager
    def span(self, name: str, envelope: Envelope | None = None) -> Iterator[None]:
        """Run the block as a step of the trace that the envelope came with, or of the current one, or of a new one.

        Log lines written in the block carry the trace, and with an envelope also the document and the message.
        """
        parent = (envelope.traceparent if envelope is not None else None) or _current.get()
        bound: dict[str, Any] = {}
        if envelope is not None:
            bound = {"subject": envelope.subject, "message_id": envelope.id, "message_type": envelope.type}
        with self._otel_span(name, parent, bound) as own:
            token = _current.set(own)
            try:
                with structlog.contextvars.bound_contextvars(trace_id=own[3:35], **bound):
                    yield
            finally:
                _current.reset(token)

    @contextmanager
    def _otel_span(self, name: str, parent: str | None, attributes: dict[str, Any]) -> Iterator[str]:
        if self._provider is None:
            yield child_traceparent(parent)
            return
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - late, see above

        propagator = TraceContextTextMapPropagator()
        context = propagator.extract({"traceparent": parent}) if parent else None
        tracer = self._provider.get_tracer("kruispost")
        with tracer.start_as_current_span(name, context=context, attributes=attributes):
            carrier: dict[str, str] = {}
            propagator.inject(carrier)
            yield carrier.get("traceparent") or child_traceparent(parent)

    def current_traceparent(self) -> str | None:
        """Return what an envelope or a message header carries on; None outside any span."""
        return current_traceparent()

    def close(self) -> None:
        """Send the traces that are still here."""
        if self._provider is not None:
            self._provider.shutdown()


def current_traceparent() -> str | None:
    """Return the traceparent of the running span; None outside any span."""
    return _current.get()


def child_traceparent(parent: str | None) -> str:
    """Return a new span of the parent's trace, or of a new trace when there is no parent or it cannot be read."""
    match = _TRACEPARENT.match(parent or "")
    trace_id, flags = (match[1], match[3]) if match else (os.urandom(16).hex(), "01")
    return f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"


def metric_names() -> tuple[str, ...]:
    """Return every metric's name, for the documentation."""
    return tuple(name for group in (CounterName, GaugeName, HistogramName) for name in get_args(group))


def configure_logging(log_format: Literal["json", "console"]) -> None:
    """Send structured log lines, and those of the libraries, to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Any]
    if log_format == "json":
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for chatty in ("aio_pika", "httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It tells of every lost connection as an error, with a traceback; whoever used the connection says so in a sentence.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)  # a line is always one of this log
    # The library closes a connection that never came about when it is forgotten, and cannot in a thread; nothing is left open.
    warnings.filterwarnings("ignore", message="coroutine 'Connection.close' was never awaited", category=RuntimeWarning)


def _sentence(name: str) -> str:
    return f"Kruispost: {name.replace('_', ' ')}."


def _provider(service: str, endpoint: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - late, see the module
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - late, see the module
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - late, see the module
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - late, see the module

    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return provider
