"""Pages and other messages: what is said to whom, once; and which of several are told in one.

Law: a message has an identity that every try of it carries, so that whoever gets it twice, after a
crash between the send and its record, knows it for one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.incidents.escalation import Call, Target
from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.opening import impact_in_words
from tollkeeper.incidents.plan import Plan
from tollkeeper.incidents.schedule import Shift
from tollkeeper.incidents.statuspage import PublicIncident, Update
from tollkeeper.kernel.clock import rfc3339

type NotificationKind = Literal["page", "update", "over", "test", "hand_over", "notice", "status"]
type NotificationStatus = Literal["queued", "sending", "sent", "failed", "canceled", "told_along"]

KINDS: Final[dict[NotificationKind, str]] = {
    "page": "someone must look now",
    "update": "what is known has changed",
    "over": "an incident is acknowledged or resolved: nobody else need look",
    "test": "a test that needs no answer",
    "hand_over": "someone's turn on call begins or ends",
    "status": "subscribers of the status page are told what it says",
    "notice": "a message to a provider's contact",
}

TRY_AGAIN_S: Final = (2, 5, 10, 20, 40, 60)
"""Pauses between tries of a page; after the last one it is given up, and the next level is paged
at once."""

ALONG: Final = 50
"""Queued messages to one receiver that are told along with another one."""


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One try. `answer` is empty while nothing is known of it, for ever where the process died."""

    at_ms: int
    answer: str = ""
    ok: bool = False


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one receiver. `key` says what it is for; there is one message for each key.
    `along`: ids of messages that are told in this one. `notice`: the notice to a provider that it
    carries."""

    id: str
    key: str
    incident: str
    kind: NotificationKind
    receiver: str
    person: str
    step: int
    created_ms: int
    subject: str
    text: str
    urgency: str = "sev3"
    status: NotificationStatus = "queued"
    sent_ms: int | None = None
    tries: tuple[Try, ...] = ()
    along: tuple[str, ...] = ()
    thread: str = ""
    notice: str = ""

    @property
    def stands_alone(self) -> bool:
        """Whether it is never told along with another message: it carries a provider's notice."""
        return bool(self.notice)

    @property
    def is_waiting(self) -> bool:
        """Whether it has still to be sent, or its sender may have died."""
        return self.status in {"queued", "sending"}

    @property
    def is_given_up(self) -> bool:
        """Whether it is a page that never arrived: the next level may have to be paged for it."""
        return self.is_page and self.status == "failed"

    @property
    def is_page(self) -> bool:
        """Whether someone must look."""
        return self.kind == "page"


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes with a message where the way can carry one."""

    name: str
    media_type: str
    body: bytes


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver gets. `id` is the same in every try. `thread`: the incident, so that mails
    and chats about it hang together. `facts`: for receivers that read fields."""

    id: str
    kind: NotificationKind
    subject: str
    text: str
    thread: str
    urgency: str
    at_ms: int
    facts: dict[str, str] = {}
    attachment: Attachment | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver said. `again`: the same may work later."""

    ok: bool
    said: str
    again: bool = True


def pages_of(incident: Incident, call: Call, ids: Iterable[str], now_ms: int) -> list[Notification]:
    """The pages of one step."""
    names = iter(ids)
    return [message_of(incident, "page", target, next(names), now_ms) for target in call.targets]


def message_of(
    incident: Incident, kind: NotificationKind, target: Target, new_id: str, now_ms: int
) -> Notification:
    """One message about an incident as it is now."""
    turn = incident.step if kind == "page" else incident.revision
    parts = (incident.id, kind, incident.openings, turn, target.receiver, target.person)
    return Notification(
        id=new_id,
        key="/".join(map(str, parts)),
        incident=incident.id,
        kind=kind,
        receiver=target.receiver,
        person=target.person,
        step=incident.step,
        created_ms=now_ms,
        subject=subject_of(incident, kind),
        text=text_of(incident, kind),
        urgency=incident.severity,
        thread=incident.id,
    )


def test_message(new_id: str, target: Target, text: str, now_ms: int) -> Notification:
    """A message that shows that a receiver is reached."""
    return Notification(
        id=new_id,
        key=f"test/{new_id}",
        incident="",
        kind="test",
        receiver=target.receiver,
        person=target.person,
        step=0,
        created_ms=now_ms,
        subject="[TEST] Tollkeeper reaches you here",
        text=text,
    )


def turn_messages(
    plan: Plan,
    schedule: str,
    before: Shift | None,
    shift: Shift,
    ids: Iterator[str],
    now_ms: int,
) -> list[Notification]:
    """What is told at a hand-over: to who comes, and to who goes."""
    until = rfc3339(shift.until_ms)[:16]
    told = [(shift.person, f"You are on call for {schedule} until {until} UTC.")]
    if before is not None and before.person != shift.person:
        told.append((before.person, f"Your turn for {schedule} is over; {shift.person} has it."))
    elif before is not None:
        return []
    return [
        Notification(
            id=next(ids),
            key=f"hand_over/{schedule}/{shift.from_ms}/{person}/{receiver}",
            incident="",
            kind="hand_over",
            receiver=receiver,
            person=person,
            step=0,
            created_ms=now_ms,
            subject=text,
            text=text,
            urgency="sev4",
            thread=f"hand_over-{schedule}",
        )
        for person, text in told
        if person in plan.people
        for receiver in plan.people[person].receivers
    ]


def status_message(
    new_id: str, receiver: str, incident: PublicIncident, update: Update, url: str
) -> Notification:
    """What a subscriber of the status page is told."""
    return Notification(
        id=new_id,
        key=f"status/{incident.id}/{update.at_ms}/{update.phase}/{receiver}",
        incident="",
        kind="status",
        receiver=receiver,
        person="",
        step=0,
        created_ms=update.at_ms,
        subject=f"{incident.name} ({update.phase})",
        text=f"{update.text}\n\n{url}",
        thread=incident.id,
    )


def subject_of(incident: Incident, kind: NotificationKind) -> str:
    """The first line: how grave, what, and for later steps how long nobody has answered."""
    title = " ".join(incident.title.split())[:120]
    if kind == "over":
        return f"{incident.status}: {title}"
    louder = "" if kind != "page" or incident.step <= 1 else f" (page {incident.step})"
    drill = "DRILL " if incident.drill else ""
    return f"{drill}[{incident.severity.upper()}]{louder} {title}"


def text_of(incident: Incident, kind: NotificationKind) -> str:
    """What an on-call engineer reads in ten seconds."""
    found = incident.finding
    lines = [incident.title, ""]
    if found.sure:
        lines.append(f"how sure: {found.sure}")
    since = rfc3339(incident.began_ms)[:19]
    lines.append(f"since {since}Z; hurt: {impact_in_words(incident.impact)}")
    lines += [f"because: {why}" for why in found.because[:3]]
    if found.next and incident.is_open:
        lines.append(f"next: {found.next}")
    if incident.acknowledged_by:
        lines.append(f"acknowledged by {incident.acknowledged_by}")
    if incident.resolution:
        lines.append(f"over: {incident.resolution} ({incident.resolved_by})")
    if kind == "page":
        lines += ["", "This stops the paging for everyone:"]
        lines.append(f"  tollkeeper incidents acknowledge {incident.id}")
    return "\n".join(lines)


def wait_ms(every_s: float, last_sent_ms: int | None, now_ms: int) -> int:
    """How long a message must wait so that its receiver is not flooded."""
    if last_sent_ms is None:
        return 0
    return max(0, last_sent_ms + int(every_s * 1000) - now_ms)


def along_with(notification: Notification, queued: Sequence[Notification]) -> list[Notification]:
    """Those of the queued messages that may be told in this one."""
    if notification.stands_alone:
        return []
    return [one for one in queued if one.id != notification.id and not one.stands_alone]


def begun(notification: Notification, others: Sequence[Notification], now_ms: int) -> Notification:
    """The message before a try, with those of the same receiver that are told along; what a dead
    process had begun is tried again as it was."""
    along = notification.along
    if notification.status == "queued":
        along = tuple(one.id for one in others[:ALONG])
    return replace(
        notification,
        status="sending",
        along=along,
        tries=(*notification.tries, Try(at_ms=now_ms)),
    )


def answered(notification: Notification, answer: Answer, now_ms: int) -> Notification:
    """The message after a try. What was told along in one that has not arrived waits again."""
    last = Try(at_ms=notification.tries[-1].at_ms, answer=answer.said[:300], ok=answer.ok)
    tries = (*notification.tries[:-1], last)
    if answer.ok:
        return replace(notification, status="sent", sent_ms=now_ms, tries=tries)
    if not answer.again or len(tries) > len(TRY_AGAIN_S):
        return replace(notification, status="failed", tries=tries, along=())
    return replace(notification, status="queued", tries=tries, along=())


def again_ms(notification: Notification, now_ms: int) -> int:
    """When a message that failed is tried again."""
    number = min(len(notification.tries), len(TRY_AGAIN_S)) - 1
    return now_ms + TRY_AGAIN_S[max(number, 0)] * 1000


def is_step_lost(notifications: Iterable[Notification], page: Notification) -> bool:
    """Whether every page of the step of `page` was given up; since the incident was opened last."""
    pages = [one for one in notifications if step_of(one) == step_of(page)]
    return bool(pages) and all(one.is_given_up for one in pages)


def step_of(notification: Notification) -> tuple[str, ...]:
    """What the messages of one step have in common: incident, kind, opening and step."""
    return tuple(notification.key.split("/")[:4])


def message(
    notification: Notification, along: Sequence[Notification], incident: Incident | None
) -> Message:
    """What is sent for a notification and those that are told along with it."""
    text = notification.text
    if along:
        text += f"\n\nand {len(along)} more:\n"
        text += "\n".join(f"- {one.subject}" for one in along)
    return Message(
        id=notification.id,
        kind=notification.kind,
        subject=notification.subject,
        text=text,
        thread=notification.thread or notification.incident or notification.id,
        urgency=notification.urgency,
        at_ms=notification.created_ms,
        facts=facts_of(incident),
    )


def facts_of(incident: Incident | None) -> dict[str, str]:
    """Fields for receivers that sort and group."""
    if incident is None:
        return {}
    found: Mapping[str, str] = {
        "incident": incident.id,
        "status": incident.status,
        "severity": incident.severity,
        "about": incident.fingerprint,
        "domain": incident.finding.domain,
        "provider": incident.finding.provider,
        "integration": incident.finding.integration,
        "pointer": incident.finding.pointer,
        "began": rfc3339(incident.began_ms),
    }
    return {name: value for name, value in found.items() if value}
