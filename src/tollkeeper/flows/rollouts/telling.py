"""What operators are told of rollouts, as events."""

import msgspec

from tollkeeper.flows.runtime import Runtime
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing.routes import PPM


def event_of(runtime: Runtime, rollout: Rollout, kind: str, reason: str) -> OutEvent:
    """An outgoing event about a rollout, for the account that it names, else the operators'."""
    data = {
        "object": "rollout",
        "id": rollout.id,
        "provider": rollout.provider,
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "status": rollout.status,
        "step_percent": rollout.step_percent,
        "share_percent": rollout.share_ppm / PPM * 100,
        "reason": reason,
    }
    return OutEvent(
        id=runtime.new_id("evt"),
        account=rollout.condition.account or runtime.settings.watch_account,
        payment_id="",
        type=kind,
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(data),
    )
