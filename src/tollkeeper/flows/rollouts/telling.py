"""What is written beside a rollout that changes: the record of a command, and the event."""

import msgspec

from tollkeeper.flows.runtime import Runtime
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.evidence import whole_wealth
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.routing.routes import PPM
from tollkeeper.signals.advice import verdict_of
from tollkeeper.signals.saying import brief_of


def record_of(rollout: Rollout, actor: str, detail: str) -> Record:
    """The record of an operator's command."""
    return Record(
        seq=rollout.seq,
        at_ms=rollout.updated_ms,
        actor=actor,
        cause="command",
        status=rollout.status,
        step=rollout.step,
        share_ppm=rollout.share_ppm,
        crossings=rollout.crossings,
        wealth=whole_wealth(rollout.evidence),
        detail=detail,
        capped=True,
        baseline_fails=rollout.baseline_fails,
    )


def event_of(runtime: Runtime, rollout: Rollout, kind: str, reason: str) -> OutEvent:
    """An outgoing event about a rollout, for the account that it names, else the operators'."""
    verdict = verdict_of(runtime.live.look, rollout.provider, runtime.store.now_ms())
    data = {
        "object": "rollout",
        "id": rollout.id,
        "provider": rollout.provider,
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "status": rollout.status,
        "step_percent": rollout.step_percent,
        "share_percent": rollout.share_ppm / PPM * 100,
        "remembered": rollout.remembered,
        "reason": reason,
        "verdict": brief_of(verdict) if verdict is not None else None,
    }
    return OutEvent(
        id=runtime.new_id("evt"),
        account=rollout.condition.account or runtime.settings.watch_account,
        payment_id="",
        type=kind,
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(data),
    )
