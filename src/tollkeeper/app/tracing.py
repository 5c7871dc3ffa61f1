"""Spans where OpenTelemetry is installed and asked for; nothing where it is not.

Law: an attribute is a name, a number or an id of ours: never a header, a body, a query, a secret or
anything that a caller wrote.
"""

from collections.abc import Callable
from importlib import import_module

from tollkeeper.flows.ports import NO_SPANS, Tracer
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.settings import Settings


def opened(settings: Settings, release: str, replica: str) -> tuple[Tracer, Callable[[], None]]:
    """The tracer, and what ends it: what waits is sent then."""
    if settings.traces_url is None:
        return NO_SPANS, _nothing
    try:
        module = import_module("tollkeeper.app.opentelemetry_tracer")
    except ImportError as error:
        raise Misconfigured(
            f"traces_url is set, and {error.name or 'OpenTelemetry'} is not installed: run "
            "`pip install 'tollkeeper[otel]'`"
        ) from None
    tracer = module.OpenTelemetryTracer(
        settings.traces_url, settings.trace_share, release=release, replica=replica
    )
    return tracer, tracer.close


def _nothing() -> None:
    """There is nothing to end."""
