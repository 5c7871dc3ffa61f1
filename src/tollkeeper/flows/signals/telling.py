"""What operators are told of alerts: an event of their account, and a line in the log."""

import msgspec

from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals.views import AlertView, alert_view
from tollkeeper.payments.change import OutEvent
from tollkeeper.signals.alerts import Step


def event_of(runtime: Runtime, step: Step) -> OutEvent:
    """An outgoing event about an alert: `alert.opened`, `alert.verdict` or `alert.resolved`."""
    return OutEvent(
        id=runtime.new_id("evt"),
        account=runtime.settings.watch_account,
        payment_id="",
        type=f"alert.{step.news}",
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(alert_view(step.alert)),
    )


def _because(view: AlertView) -> list[str]:
    """The three rows of evidence that weigh most."""
    found = view.verdict.evidence_for if view.verdict is not None else []
    return [f"{row.weight:+.1f} {row.name}: {row.says}" for row in found[:3]]


def tell_step(runtime: Runtime, step: Step) -> None:
    """A line in the log."""
    view = alert_view(step.alert)
    runtime.tell(
        f"alert_{step.news}",
        alert=view.id,
        about=view.about,
        domain=view.domain,
        confidence=view.confidence,
        pointer=view.pointer,
        slice=view.verdict.slice if view.verdict is not None else {},
        says=view.says,
        because=_because(view),
        next=view.next,
    )
