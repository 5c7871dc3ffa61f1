"""Contact cards: whom to speak to at a provider, by which channel, when, and what was agreed.

Law: a book of cards is checked as a whole before it is kept. A card that no person has verified for
too long is a finding, because a wrong address is found out in the worst hour.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Final, Literal, get_args

import msgspec

from tollkeeper.incidents.incident import SEVERITIES, Severity
from tollkeeper.incidents.plan import Plan, Receiver, ReceiverKind, plan_faults
from tollkeeper.incidents.schedule import zone_of
from tollkeeper.kernel.errors import Fault

type Rung = Literal["L1", "L2", "L3"]
type Priority = Literal["P1", "P2", "P3", "P4"]
type ByHand = Literal["phone", "portal"]
type Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

LADDER: Final[tuple[Rung, ...]] = ("L1", "L2", "L3")
"""Support, its escalation, and who decides: each is spoken to when the one before is late."""

PRIORITIES: Final[Mapping[Severity, Priority]] = dict(
    zip(SEVERITIES, ("P1", "P2", "P3", "P4"), strict=True)
)
"""Providers count priorities; each of our severities is one."""

DAYS: Final[tuple[Day, ...]] = get_args(Day.__value__)
MARK: Final = "provider:"
"""Begins the name of a receiver that is a channel of a card. A plan's names have no colon."""

MOST: Final = 100
LONGEST_TEXT: Final = 200
DAY_MS: Final = 86_400_000


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to a contact. `phone` and `portal` are for people: `says` tells them what to dial or
    open. The others are receivers like those of the on-call plan. `url`, `to` and `key` are sealed
    in the store, and shown by nothing."""

    kind: ReceiverKind | ByHand
    url: str = ""
    to: str = ""
    sender: str = "tollkeeper@localhost"
    key: str = ""
    says: str = ""

    @property
    def is_by_hand(self) -> bool:
        """Whether only a person can use it."""
        return self.kind in {"phone", "portal"}

    @property
    def may_be_tested(self) -> bool:
        """Whether a test message wakes no person there."""
        return self.kind in {"mail", "slack", "webhook"}


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a contact answers, in the contact's time zone. Without hours: always."""

    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")
    start: str = "09:00"
    end: str = "17:00"


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One contact by role. `channels` are tried in order. `verified`: the day (`2026-11-01`) on
    which a person last checked that it is right."""

    name: str
    role: str
    level: Rung
    channels: tuple[Channel, ...]
    languages: tuple[str, ...] = ("en",)
    time_zone: str = "UTC"
    hours: Hours | None = None
    verified: str = ""


class ResponseTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Minutes after delivery within which the provider agreed to acknowledge and to answer."""

    acknowledge_minutes: float
    answer_minutes: float


TIMES: Final[Mapping[Priority, ResponseTimes]] = {
    "P1": ResponseTimes(acknowledge_minutes=15, answer_minutes=60),
    "P2": ResponseTimes(acknowledge_minutes=60, answer_minutes=240),
    "P3": ResponseTimes(acknowledge_minutes=240, answer_minutes=1_440),
    "P4": ResponseTimes(acknowledge_minutes=1_440, answer_minutes=4_320),
}
"""What is measured against where nothing was agreed: usual first-response times of paid support."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was agreed. `times` replace the usual ones. `automatic`: priorities whose notices may
    leave without a person's approval."""

    times: dict[Priority, ResponseTimes] = {}
    automatic: tuple[Priority, ...] = ()

    def within(self, priority: Priority) -> ResponseTimes:
        """The response times of a priority."""
        return self.times.get(priority) or TIMES[priority]


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All about speaking to one provider. `account_ids`: how the provider knows us."""

    title: str
    account_ids: tuple[str, ...] = ()
    contacts: tuple[Contact, ...]
    agreement: Agreement = Agreement()
    stale_days: float = 90.0


class Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cards of all providers, by provider."""

    providers: dict[str, Card] = {}


def rung(card: Card, level: Rung) -> list[Contact]:
    """The contacts of a rung."""
    return [one for one in card.contacts if one.level == level]


def next_level(card: Card, level: Rung) -> Rung | None:
    """The next rung that has a contact."""
    later = LADDER[LADDER.index(level) + 1 :]
    return next((one for one in later if rung(card, one)), None)


def first_level(card: Card) -> Rung:
    """The first rung that has a contact."""
    return next(one for one in LADDER if rung(card, one))


def receiver_names(provider: str, card: Card, level: Rung, at_ms: int) -> list[str]:
    """The channels of a rung that a program can use, in order: contacts who answer now first."""
    contacts = sorted(rung(card, level), key=lambda one: not answers_at(one, at_ms))
    return [
        f"{MARK}{provider}/{contact.name}/{number}"
        for contact in contacts
        for number, channel in enumerate(contact.channels)
        if not channel.is_by_hand
    ]


def by_hand(card: Card, level: Rung) -> list[str]:
    """What people may do on a rung by telephone or portal, in words."""
    return [
        f"{contact.name} ({contact.role}) by {channel.kind}: {channel.says}"
        for contact in rung(card, level)
        for channel in contact.channels
        if channel.is_by_hand
    ]


def channel_of(book: Book, name: str) -> tuple[Contact, Channel] | None:
    """The contact and channel behind a receiver's name; `None` where the book has none."""
    parts = name.removeprefix(MARK).split("/")
    if not name.startswith(MARK) or len(parts) != 3 or not parts[2].isascii():
        return None
    card = book.providers.get(parts[0])
    contacts = card.contacts if card is not None else ()
    contact = next((one for one in contacts if one.name == parts[1]), None)
    if contact is None or not parts[2].isdigit() or int(parts[2]) >= len(contact.channels):
        return None
    return contact, contact.channels[int(parts[2])]


def receiver_of(channel: Channel) -> Receiver | None:
    """A channel as what messages are sent to; `None` for one that is used by hand."""
    if channel.kind == "phone" or channel.kind == "portal":  # noqa: PLR1714 - mypy follows this
        return None
    return Receiver(
        kind=channel.kind,
        url=channel.url,
        to=channel.to,
        sender=channel.sender,
        key=channel.key,
        every_seconds=0,
    )


def answers_at(contact: Contact, at_ms: int) -> bool:
    """Whether a contact answers at a moment, by its hours and time zone."""
    hours, zone = contact.hours, zone_of(contact.time_zone)
    if hours is None or zone is None:
        return hours is None
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    start, end = _clock(hours.start), _clock(hours.end)
    if start is None or end is None:
        return False
    return DAYS[local.weekday()] in hours.days and start <= local.time() < end


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def findings(book: Book, at_ms: int) -> list[str]:
    """What is stale or missing in the cards, in words."""
    found = []
    for provider, card in book.providers.items():
        for contact in card.contacts:
            age = age_days(contact, at_ms)
            if age is None:
                found.append(f"{provider}: contact {contact.name} was never verified")
            elif age > card.stale_days:
                found.append(
                    f"{provider}: contact {contact.name} was verified {age:.0f} days ago, "
                    f"over {card.stale_days:g}"
                )
        missing = [level for level in LADDER if not rung(card, level)]
        if missing:
            found.append(f"{provider}: no contact for {' and '.join(missing)}")
    return found


def age_days(contact: Contact, at_ms: int) -> float | None:
    """Days since a contact was verified; `None` where it never was."""
    try:
        day = date.fromisoformat(contact.verified)
    except ValueError:
        return None
    began = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return max(0.0, (at_ms - began * 1000) / DAY_MS)


def shown(book: Book) -> Book:
    """The cards without their secrets: addresses and keys."""
    return msgspec.structs.replace(
        book, providers={name: _shown(card) for name, card in book.providers.items()}
    )


def _shown(card: Card) -> Card:
    contacts = tuple(
        msgspec.structs.replace(
            contact,
            channels=tuple(
                msgspec.structs.replace(channel, url="", to="", key="", sender="", says="")
                for channel in contact.channels
            ),
        )
        for contact in card.contacts
    )
    return msgspec.structs.replace(card, contacts=contacts)


def book_faults(book: Book) -> list[Fault]:
    """Everything that is wrong with a book; none where it may be kept."""
    faults = [
        fault
        for name, card in book.providers.items()
        for fault in _card_faults(f"/providers/{name}", name, card)
    ]
    if len(book.providers) > MOST:
        faults.append(Fault("/providers", f"at most {MOST}"))
    return faults


def _card_faults(place: str, provider: str, card: Card) -> Iterator[Fault]:
    if not provider.replace("_", "").replace("-", "").isalnum():
        yield Fault(place, "the provider's name, of letters and digits")
    if not 1 <= len(card.title) <= LONGEST_TEXT:
        yield Fault(f"{place}/title", f"1 to {LONGEST_TEXT} characters")
    if not 1 <= card.stale_days <= 3_650:
        yield Fault(f"{place}/stale_days", "1 to 3650")
    if not 1 <= len(card.contacts) <= MOST:
        yield Fault(f"{place}/contacts", f"1 to {MOST} contacts")
    names = [contact.name for contact in card.contacts]
    for number, contact in enumerate(card.contacts):
        if names.count(contact.name) > 1:
            yield Fault(f"{place}/contacts/{number}/name", "another contact has this name")
        yield from _contact_faults(f"{place}/contacts/{number}", contact)
    for priority, times in card.agreement.times.items():
        if not 0 < times.acknowledge_minutes <= times.answer_minutes <= 100_000:
            detail = "above 0, and the acknowledgement not after the answer"
            yield Fault(f"{place}/agreement/times/{priority}", detail)


def _contact_faults(place: str, contact: Contact) -> Iterator[Fault]:
    if not contact.name.replace("-", "").isalnum() or len(contact.name) > 60:
        yield Fault(f"{place}/name", "1 to 60 letters, digits and hyphens")
    if zone_of(contact.time_zone) is None:
        yield Fault(f"{place}/time_zone", "a time zone like Europe/Dublin")
    if contact.verified and age_days(contact, 0) is None:
        yield Fault(f"{place}/verified", "a day like 2026-11-01")
    hours = contact.hours
    if hours is not None and (_clock(hours.start) is None or _clock(hours.end) is None):
        yield Fault(f"{place}/hours", "times like 09:00")
    if not contact.channels:
        yield Fault(f"{place}/channels", "at least one channel")
    for number, channel in enumerate(contact.channels):
        yield from _channel_faults(f"{place}/channels/{number}", channel)


def _channel_faults(place: str, channel: Channel) -> Iterator[Fault]:
    receiver = receiver_of(channel)
    if receiver is None:
        if not 1 <= len(channel.says) <= LONGEST_TEXT:
            yield Fault(f"{place}/says", "what a person dials or opens")
        return
    for fault in plan_faults(Plan(receivers={"channel": receiver})):
        yield Fault(f"{place}/{fault.pointer.rpartition('/')[2]}", fault.detail)
