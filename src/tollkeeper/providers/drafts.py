"""Drafts: which incidents want a notice, when one is drafted again, and when it is taken back."""

from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from tollkeeper.incidents.desk import names_provider
from tollkeeper.incidents.incident import Incident
from tollkeeper.providers.card import PRIORITIES, Card, first_level
from tollkeeper.providers.notice import Notice, approved, moved

AGREEMENT = "agreement"
"""Approves where the agreement says so."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it was just drawn. `automatic`: it may leave without a person's approval."""

    notice: str
    incident: Incident
    provider: str
    title: str
    about: str
    subject: str
    text: str
    pack_sha256: str
    pack_bytes: int
    leaks: tuple[str, ...]
    automatic: bool
    ready_ms: int


def provider_of(incident: Incident, known: Collection[str]) -> str:
    """The provider that an incident is about; empty where it is about none, or about several."""
    named = incident.finding.provider or incident.fingerprint.partition("/")[0]
    return named if named in known or incident.finding.provider else ""


def about_of(incident: Incident) -> str:
    """What a notice is about: another verdict is another thing to say."""
    found = incident.finding
    return "|".join((found.domain, found.provider, found.operation, found.pointer))


def wants_notice(incident: Incident, known: Sequence[Notice], *, called: bool) -> bool:
    """Whether a notice is to be drafted, or a draft drawn again with what is known by now.
    `called`: the escalation asks for the provider, whatever the verdict."""
    if not incident.is_open or not (called or names_provider(incident.finding)):
        return False
    still = [one for one in known if one.is_open]
    if any(not one.is_draft for one in still):
        return False
    return not (called and still)


def unwanted(incident: Incident, known: Sequence[Notice]) -> Notice | None:
    """A draft of an incident that is over."""
    drafts = [one for one in known if one.is_draft]
    return drafts[-1] if drafts and not incident.is_open else None


def withdrawn(notice: Notice, now_ms: int) -> Notice:
    """A notice that is not needed any more."""
    return moved(notice, "withdraw", now_ms)


def drafted(made: Draft, card: Card) -> tuple[Notice, tuple[str, ...]]:
    """A new notice, and what the timeline says of it."""
    incident = made.incident
    notice = Notice(
        id=made.notice,
        incident=incident.id,
        provider=made.provider,
        title=made.title,
        about=made.about,
        status="refused" if made.leaks else "drafted",
        priority=PRIORITIES[incident.severity],
        created_ms=made.ready_ms,
        verdict_ms=incident.opened_ms,
        ready_ms=made.ready_ms,
        subject=made.subject,
        text=made.text,
        level=first_level(card),
        pack_sha256=made.pack_sha256,
        pack_bytes=made.pack_bytes,
        leaks=made.leaks,
        drill=incident.drill,
    )
    return _ready(notice, made)


def redrafted(before: Notice, made: Draft) -> tuple[Notice, tuple[str, ...]]:
    """A draft with what is known by now; the timeline says so where it says another thing."""
    notice = replace(
        before,
        revision=before.revision + 1,
        status="refused" if made.leaks else "drafted",
        about=made.about,
        priority=PRIORITIES[made.incident.severity],
        subject=made.subject,
        text=made.text,
        ready_ms=made.ready_ms if before.leaks else before.ready_ms,
        pack_sha256=made.pack_sha256,
        pack_bytes=made.pack_bytes,
        leaks=made.leaks,
    )
    after, texts = _ready(notice, made)
    same = (before.about, before.status) == (after.about, after.status)
    return after, () if same else texts


def _ready(notice: Notice, made: Draft) -> tuple[Notice, tuple[str, ...]]:
    if made.leaks:
        said = f"the notice to {notice.title} may not leave: {'; '.join(made.leaks[:3])}"
        return notice, (said,)
    if made.automatic:
        done = replace(approved(notice, AGREEMENT, made.ready_ms), revision=notice.revision)
        said = f"the notice to {notice.title} is ready, and leaves by the agreement"
        return done, (said,)
    said = (
        f"a notice to {notice.title} lies ready: `tollkeeper providers notices approve {notice.id}`"
    )
    return notice, (said,)


def calls_provider(incident: Incident, known: Sequence[Notice], card: Card) -> list[str]:
    """What a level that calls the provider finds, in words."""
    still = [one for one in known if one.is_open]
    if not still:
        return [] if incident.is_open else ["the provider is not called: the incident is over"]
    notice = still[-1]
    if notice.waits_for_approval:
        return [
            f"the escalation calls {card.title}, and the notice waits for approval: "
            f"`tollkeeper providers notices approve {notice.id}`"
        ]
    return [f"the escalation calls {card.title}: notice {notice.id} is {notice.status}"]
