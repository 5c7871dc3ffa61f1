"""Logging: JSON lines on standard error, without card numbers and local values."""

import contextlib
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO, cast

import structlog

from tollkeeper.flows.ports import Job
from tollkeeper.payments.cards import mask_card_numbers
from tollkeeper.settings import Settings

log: Final = structlog.get_logger("tollkeeper")


class _StandardError:
    """Standard error as it is when a line is written. A line that cannot be written is lost: it
    breaks no payment."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """Logs as JSON lines on standard error: no local values of a traceback, which may hold tokens,
    and no card number, whoever put it there."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where_it_broke,
            _without_card_numbers,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def _where_it_broke(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    if event.pop("exc_info", None):
        kind, _value, trace = sys.exc_info()
        place = traceback.extract_tb(trace)[-1] if trace is not None else None
        event["error_kind"] = kind.__name__ if kind is not None else ""
        event["error_place"] = f"{place.filename}:{place.lineno}" if place is not None else ""
    return event


def _without_card_numbers(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = mask_card_numbers(value)
    return event


def tell(event: str, /, **facts: object) -> None:
    """Tells operators, as a warning."""
    log.warning(event, **facts)


def log_job_error(job: Job, error: BaseException) -> None:
    """A job raised: it is tried again."""
    log.error("job_failed", kind=job.kind, subject=job.subject, error=repr(error))
