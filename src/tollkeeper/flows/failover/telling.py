"""What operators are told of failovers, as events of their account."""

import msgspec

from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Kind
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.runtime import Runtime
from tollkeeper.payments.change import OutEvent
from tollkeeper.signals.advice import verdict_of
from tollkeeper.signals.saying import brief_of


def event_of(
    runtime: Runtime, provider: str, kind: Kind, stream: Stream, state: State, reason: str
) -> OutEvent:
    """An outgoing event about a failover. `alternative` is the version that works where the other
    one does not, as far as that is known."""
    verdict = verdict_of(runtime.live.look, provider, runtime.store.now_ms())
    data = {
        "object": "failover",
        "provider": provider,
        "carrying": stream.carrying,
        "candidate": stream.candidate,
        "condition": stream.condition,
        "operation": stream.operation,
        "cause": stream.cause,
        "share_percent": state.share * 100,
        "alternative": "" if state.none_works else stream.helped_by,
        "reason": reason,
        "verdict": brief_of(verdict) if verdict is not None else None,
    }
    return OutEvent(
        id=runtime.new_id("evt"),
        account=runtime.settings.watch_account,
        payment_id="",
        type=f"failover.{kind}",
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(data),
    )
