"""Stepping: what a due timer of an incident does; and what people do with incidents."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tollkeeper.incidents.escalation import Call, begins_ms, call_of
from tollkeeper.incidents.incident import (
    ROLES,
    SEVERITIES,
    Incident,
    Severity,
    Writing,
    moved,
)
from tollkeeper.incidents.plan import Plan, policy_for
from tollkeeper.incidents.schedule import Cover
from tollkeeper.kernel.errors import Conflict, Fault, Invalid


def escalated(
    incident: Incident, plan: Plan, covers: Mapping[str, Sequence[Cover]], now_ms: int
) -> tuple[Writing, Call | None] | None:
    """The incident after the step that is due, and who is paged; `None` where nothing is due."""
    if not incident.is_paging or incident.next_ms is None or now_ms < incident.next_ms:
        return None
    writing = Writing(incident, now_ms)
    if incident.policy not in plan.policies:
        provider = incident.finding.provider or incident.fingerprint
        writing.change(policy=policy_for(plan, provider))
    call = call_of(writing.incident, plan, covers, now_ms)
    if call is None:
        writing.change(next_ms=None)
        text = "the plan has no escalation policy for this: nobody is paged"
        writing.write("unanswered", "machine:escalation", text)
        return writing, None
    writing.change(step=incident.step + 1, next_ms=call.next_ms)
    told = dict.fromkeys((*incident.told, *(target.receiver for target in call.targets)))
    writing.change(told=tuple(told))
    _write_call(writing, call)
    return writing, call


def wakened(incident: Incident, plan: Plan, now_ms: int) -> Writing | None:
    """An incident for which no one could be paged, where a new plan has a policy for it."""
    policy = policy_for(plan, incident.finding.provider or incident.fingerprint)
    if not incident.is_paging or incident.next_ms is not None or not policy:
        return None
    writing = Writing(incident, now_ms)
    writing.change(policy=policy, next_ms=begins_ms(incident, plan, now_ms))
    writing.write("note", "machine:escalation", f"a plan with policy {policy} is in force now")
    return writing


def _write_call(writing: Writing, call: Call) -> None:
    again = f", round {call.round}" if call.round > 1 else ""
    people = dict.fromkeys(target.person or target.receiver for target in call.targets)
    named = ", ".join(people)
    facts = {"level": str(call.level), "round": str(call.round), "people": named}
    if call.targets:
        text = f"level {call.level}{again}: {named} paged"
        writing.write("paged", "machine:escalation", text, facts)
    for gap in call.gaps:
        text = f"level {call.level}{again}: {gap}"
        writing.write("unanswered", "machine:escalation", text, facts)
    if not call.targets and not call.provider:  # nobody was reached: the next level does not wait
        writing.change(next_ms=writing.now_ms)
        if not _may_hurry(writing.incident, call):
            writing.change(next_ms=call.next_ms)


def _may_hurry(incident: Incident, call: Call) -> bool:
    """Whether the next step may come at once: only within the first round, so that a plan that
    reaches nobody at all does not run in a circle."""
    return call.round == 1 and incident.step < 20


def hurried(incident: Incident, now_ms: int, reason: str) -> Writing | None:
    """The incident after all pages of its step were given up: the next level is paged now."""
    if not incident.is_paging or incident.next_ms is None or incident.next_ms <= now_ms:
        return None
    writing = Writing(incident, now_ms)
    writing.change(next_ms=now_ms)
    writing.write("unanswered", "machine:notify", reason)
    return writing


def acknowledged(incident: Incident, by: str, note: str, now_ms: int) -> Writing:
    """A person says that they work on it: nobody is paged any more."""
    after = _moved(incident, "acknowledge")
    writing = Writing(incident, now_ms)
    first = incident.acknowledged_ms is None
    writing.incident = replace(
        after,
        acknowledged_ms=now_ms if first else incident.acknowledged_ms,
        acknowledged_by=by,
        roles={"commander": by} | incident.roles,
    )
    writing.write("acknowledged", by, note or f"{by} works on it")
    return writing


def resolved(incident: Incident, by: str, reason: str, now_ms: int) -> Writing:
    """A person says, with a reason, that it is over."""
    after = _moved(incident, "resolve")
    writing = Writing(incident, now_ms)
    writing.incident = replace(after, resolved_ms=now_ms, resolved_by=by, resolution=reason)
    writing.write("resolved", by, reason)
    return writing


def reopened(incident: Incident, plan: Plan, by: str, reason: str, now_ms: int) -> Writing:
    """A person says that it is not over."""
    after = replace(
        _moved(incident, "reopen"),
        step=0,
        openings=incident.openings + 1,
        acknowledged_ms=None,
        acknowledged_by="",
        resolved_ms=None,
        resolved_by="",
        resolution="",
    )
    writing = Writing(incident, now_ms)
    writing.incident = replace(after, next_ms=begins_ms(after, plan, now_ms))
    writing.write("reopened", by, reason)
    return writing


def merged(incident: Incident, into: Incident, by: str, reason: str, now_ms: int) -> Writing:
    """An incident that goes on in another one."""
    if into.id == incident.id or not into.is_open:
        raise Conflict("merge into another incident that is open")
    writing = Writing(incident, now_ms)
    writing.incident = replace(_moved(incident, "merge"), merged_into=into.id)
    writing.write("merged", by, f"goes on in {into.id}: {reason}", {"into": into.id})
    return writing


def took_in(incident: Incident, other: Incident, by: str, reason: str, now_ms: int) -> Writing:
    """The incident that another one was merged into: it keeps the graver severity."""
    writing = Writing(incident, now_ms)
    graver = min(incident.severity, other.severity, key=SEVERITIES.index)
    writing.change(severity=graver, began_ms=min(incident.began_ms, other.began_ms))
    text = f"{other.id} was merged into this: {reason}"
    writing.write("merged", by, text, {"from": other.id})
    return writing


def split(
    incident: Incident, title: str, new_id: str, plan: Plan, by: str, now_ms: int
) -> tuple[Writing, Writing]:
    """A part of an incident that is a thing of its own: the incident, and the new one."""
    if not incident.is_open:
        raise Conflict("only an open incident can be split")
    part = replace(
        incident,
        id=new_id,
        fingerprint=f"{incident.fingerprint}/{new_id}",
        title=title,
        revision=1,
        entries=0,
        source="person",
        opened_ms=now_ms,
        status="triggered",
        step=0,
        acknowledged_ms=None,
        acknowledged_by="",
        roles={},
        told=(),
        classified_ms=None,
    )
    part = replace(part, next_ms=begins_ms(part, plan, now_ms))
    new = Writing(part, now_ms, is_new=True)
    new.write("opened", by, f"split from {incident.id}: {title}", {"from": incident.id})
    old = Writing(incident, now_ms)
    old.write("split", by, f"{new_id} goes on by itself: {title}", {"into": new_id})
    return old, new


def noted(incident: Incident, by: str, text: str, corrects: int | None, now_ms: int) -> Writing:
    """A person's line in the timeline; `corrects`: the number of an entry that it sets right."""
    if corrects is not None and not 1 <= corrects <= incident.entries:
        fault = Fault("/corrects", f"the number of an entry, 1 to {incident.entries}")
        raise Invalid("there is no such entry", faults=(fault,))
    writing = Writing(incident, now_ms)
    writing.write("correction" if corrects is not None else "note", by, text, corrects=corrects)
    return writing


def graded(incident: Incident, severity: str, by: str, reason: str, now_ms: int) -> Writing:
    """A person sets the severity; the machine leaves it alone from then on."""
    known: Severity | None = next((one for one in SEVERITIES if one == severity), None)
    if known is None:
        fault = Fault("/severity", f"one of {', '.join(SEVERITIES)}")
        raise Invalid(f"the severity is {fault.detail}", faults=(fault,))
    writing = Writing(incident, now_ms)
    writing.change(severity=known, severity_by=by)
    writing.write("severity", by, f"{known}: {reason}", {"severity": known})
    return writing


def cast(incident: Incident, role: str, person: str, by: str, now_ms: int) -> Writing:
    """A person takes a role, or gives it to someone."""
    if role not in ROLES:
        fault = Fault("/role", f"one of {', '.join(ROLES)}")
        raise Invalid(f"the role is {fault.detail}", faults=(fault,))
    writing = Writing(incident, now_ms)
    writing.change(roles=incident.roles | {role: person})
    writing.write("role", by, f"{person} is {role}", {"role": role, "person": person})
    return writing


def classified(incident: Incident, by: str, reason: str, now_ms: int) -> Writing:
    """A person classifies it as major in the sense of the law: the regulatory clock starts."""
    if incident.classified_ms is not None:
        raise Conflict("the incident is classified as major already")
    writing = Writing(incident, now_ms)
    writing.change(classified_ms=now_ms)
    writing.write("classified", by, f"classified as major: {reason}")
    return writing


def _moved(incident: Incident, act: str) -> Incident:
    named = {"acknowledge": "acknowledged", "resolve": "resolved"}
    after = None
    if act in {"acknowledge", "resolve", "reopen", "merge"}:
        after = moved(incident, act)  # type: ignore[arg-type]
    if after is None:
        raise Conflict(
            f"incident {incident.id} is {incident.status} and cannot be {named.get(act, act + 'd')}"
        )
    return after
