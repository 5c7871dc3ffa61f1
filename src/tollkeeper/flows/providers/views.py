"""How notices, cards and announcements look from outside: for the API and the command line."""

from collections.abc import Sequence

import msgspec

from tollkeeper.flows.ports import Store
from tollkeeper.flows.providers import cards
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.providers.announcement import Announcement
from tollkeeper.providers.card import Book, Card, age_days, answers_at, findings
from tollkeeper.providers.notice import REPLIES, STATES, Notice


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said on the page of a notice, or by mail."""

    at: str
    act: str
    text: str


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. `ready_seconds`: from the incident's verdict until it lay ready. `leaks`: why its
    pack may not leave. `took_seconds`: how long the provider took, by what it did."""

    object: str = "notice"
    id: str
    incident: str
    provider: str
    title: str
    status: str
    means: str
    priority: str
    level: str
    created: str
    ready_seconds: float
    approved: str | None
    approved_by: str
    sent: str | None
    due: str | None
    late: list[str]
    took_seconds: dict[str, float]
    subject: str
    text: str
    leaks: list[str]
    pack_bytes: int
    pack_sha256: str
    drill: bool
    said: list[LineView]


class ContactView(msgspec.Struct, frozen=True, kw_only=True):
    """One contact, without its addresses. `answers_now`: by its hours and its time zone."""

    name: str
    role: str
    level: str
    channels: list[str]
    languages: list[str]
    time_zone: str
    hours: str
    answers_now: bool
    verified: str
    age_days: float | None


class AnnouncementView(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider told in advance. `calls_for`: what an operator should run because of it."""

    id: str
    kind: str
    text: str
    version: str
    link: str
    since: str | None
    until: str | None
    by: str
    at: str
    calls_for: list[str]


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a provider. `findings`: what is stale or missing. `automatic`: priorities whose
    notices leave without approval; `within_minutes`: agreed acknowledgement and answer."""

    object: str = "provider"
    provider: str
    title: str
    account_ids: list[str]
    contacts: list[ContactView]
    automatic: list[str]
    within_minutes: dict[str, list[float]]
    findings: list[str]
    announcements: list[AnnouncementView]


def notice_view(notice: Notice) -> NoticeView:
    """A notice for people and programs."""
    return NoticeView(
        id=notice.id,
        incident=notice.incident,
        provider=notice.provider,
        title=notice.title,
        status=notice.status,
        means=STATES[notice.status],
        priority=notice.priority,
        level=notice.level,
        created=rfc3339(notice.created_ms),
        ready_seconds=round((notice.ready_ms - notice.verdict_ms) / 1000, 3),
        approved=_moment(notice.approved_ms),
        approved_by=notice.approved_by,
        sent=_moment(notice.sent_ms),
        due=_moment(notice.due_ms) if notice.waits_for_provider else None,
        late=list(notice.late),
        took_seconds={name: ms / 1000 for name, ms in notice.answers_in_ms().items()},
        subject=notice.subject,
        text=notice.text,
        leaks=list(notice.leaks),
        pack_bytes=notice.pack_bytes,
        pack_sha256=notice.pack_sha256,
        drill=notice.drill,
        said=[
            LineView(at=rfc3339(line.at_ms), act=REPLIES.get(line.act, line.act), text=line.text)
            for line in notice.lines
        ],
    )


def _moment(at_ms: int | None) -> str | None:
    return rfc3339(at_ms) if at_ms is not None else None


async def card_list(store: Store) -> list[CardView]:
    """Every card, with what its provider has announced."""
    book, told = await cards.cards(store), await cards.announced(store)
    return [
        card_view(name, card, [one for one in told if one.provider == name], store.now_ms())
        for name, card in book.providers.items()
    ]


async def one_card(store: Store, provider: str) -> CardView:
    """The card of a provider, with what it has announced."""
    card = await cards.card_of(store, provider)
    return card_view(provider, card, await cards.announced(store, provider), store.now_ms())


def card_view(
    provider: str, card: Card, announcements: Sequence[Announcement], now_ms: int
) -> CardView:
    """A card for people and programs."""
    agreed = {name: card.agreement.within(name) for name in card.agreement.times}
    return CardView(
        provider=provider,
        title=card.title,
        account_ids=list(card.account_ids),
        contacts=_contacts(card, now_ms),
        automatic=list(card.agreement.automatic),
        within_minutes={
            name: [times.acknowledge_minutes, times.answer_minutes]
            for name, times in agreed.items()
        },
        findings=findings(Book(providers={provider: card}), now_ms),
        announcements=[announcement_view(one) for one in announcements],
    )


def _contacts(card: Card, now_ms: int) -> list[ContactView]:
    return [
        ContactView(
            name=one.name,
            role=one.role,
            level=one.level,
            channels=[channel.kind for channel in one.channels],
            languages=list(one.languages),
            time_zone=one.time_zone,
            hours=f"{'/'.join(one.hours.days)} {one.hours.start}-{one.hours.end}"
            if one.hours is not None
            else "always",
            answers_now=answers_at(one, now_ms),
            verified=one.verified,
            age_days=age_days(one, now_ms),
        )
        for one in card.contacts
    ]


def announcement_view(one: Announcement) -> AnnouncementView:
    """An announcement for people and programs."""
    return AnnouncementView(
        id=one.id,
        kind=one.kind,
        text=one.text,
        version=one.version,
        link=one.link,
        since=_moment(one.from_ms),
        until=_moment(one.until_ms),
        by=one.by,
        at=rfc3339(one.at_ms),
        calls_for=one.calls_for(),
    )
