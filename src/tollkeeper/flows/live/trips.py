"""Trips: how one request to a provider went, as its observation has it."""

from tollkeeper.flows.ports import WireResult
from tollkeeper.integrations.hints import card_brand, reply_version
from tollkeeper.signals.observation import Trip


def trip_of(at_ms: int, total_ms: int, provider: str, result: WireResult | None) -> Trip:
    """The trip of a request to a provider that ended at `at_ms`, after `total_ms`; without a result
    it could not be built."""
    if result is None:
        return Trip(at_ms=at_ms, total_ms=total_ms, stage="build", error="build_error")
    failure, reply = result.failure, result.reply
    return Trip(
        at_ms=at_ms,
        total_ms=total_ms,
        stage=failure.stage if failure is not None else "",
        error=failure.error if failure is not None else "",
        status=reply.status if reply is not None else 0,
        phases_ms=result.timings_ms,
        version=reply_version(provider, reply) if reply is not None else "",
        repeats=result.repeats,
        method=card_brand(provider, reply) if reply is not None else "",
    )
