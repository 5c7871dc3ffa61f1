"""Following a notice: which channel is next, when the provider is late, and who is asked then.

Law: a rung is left only when all its channels failed or an agreed time is over; each channel of a
rung gets one message.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.incidents.paging import Notification
from tollkeeper.providers.card import Agreement, Card, by_hand, next_level, receiver_names
from tollkeeper.providers.notice import Notice, moved

MINUTE_MS: Final = 60_000
CHECKED_MS: Final = 300_000
"""When a message that is under way is looked at, should its sender die without a word: all its
tries take 137 s."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is done now: the notice after it, a message, and lines for the incident's timeline."""

    notice: Notice
    message: Notification | None = None
    entries: tuple[str, ...] = ()


def step_of(
    notice: Notice, card: Card, sent: Sequence[Notification], new_id: str, now_ms: int
) -> Step | None:
    """The next step of a notice; `None` while there is nothing to do. `sent`: its messages."""
    mine = [one for one in sent if one.notice == notice.id and one.receiver in notice.tried]
    if notice.is_on_its_way:
        taken = next((one for one in mine if one.sent_ms is not None), None)
        if taken is not None:
            return _delivered(notice, card.agreement, taken)
        if any(one.is_waiting for one in mine):
            return None
        return _next_channel(notice, card, new_id, now_ms)
    if notice.waits_for_provider and notice.due_ms is not None and now_ms >= notice.due_ms:
        return _late(notice, card, new_id, now_ms)
    return None


def _delivered(notice: Notice, agreement: Agreement, taken: Notification) -> Step:
    at_ms = taken.sent_ms or 0
    times = agreement.within(notice.priority)
    after = replace(
        moved(notice, "deliver", at_ms),
        sent_ms=at_ms,
        due_ms=at_ms + int(times.acknowledge_minutes * MINUTE_MS),
    )
    said = (
        f"{notice.title} has the notice ({_place(taken.receiver)}); an acknowledgement is due "
        f"within {times.acknowledge_minutes:g} minutes"
    )
    return Step(notice=after, entries=(said,))


def _place(receiver: str) -> str:
    """The contact in a receiver's name, `provider:PROVIDER/CONTACT/NUMBER`."""
    return receiver.partition(":")[2].partition("/")[2].partition("/")[0]


def _next_channel(notice: Notice, card: Card, new_id: str, now_ms: int) -> Step:
    """The first channel of this rung that was not tried; else the next rung's."""
    level = notice.level
    entries: list[str] = []
    while True:
        names = receiver_names(notice.provider, card, level, now_ms)
        left = [name for name in names if name not in notice.tried]
        if left:
            after = replace(
                notice,
                level=level,
                tried=(*notice.tried, left[0]),
                revision=notice.revision + 1,
                due_ms=now_ms + CHECKED_MS if notice.is_on_its_way else notice.due_ms,
            )
            message = message_of(after, left[0], new_id, now_ms)
            return Step(notice=after, message=message, entries=tuple(entries))
        hands = by_hand(card, level)
        entries += [f"{level}: a person must reach {hand}" for hand in hands]
        above = next_level(card, level)
        if above is None:
            entries.append(f"no channel of {notice.title}'s card is left to try")
            after = replace(notice, level=level, revision=notice.revision + 1, due_ms=None)
            return Step(notice=after, entries=tuple(entries))
        entries.append(f"{level} cannot be reached by a program: {above} is asked")
        level = above


def _late(notice: Notice, card: Card, new_id: str, now_ms: int) -> Step:
    """An agreed time is over: the timeline says so, and the next rung is asked."""
    times = card.agreement.within(notice.priority)
    due_ms = now_ms + int(times.acknowledge_minutes * MINUTE_MS)
    waited = (now_ms - (notice.sent_ms or now_ms)) / MINUTE_MS
    missing = "acknowledgement" if notice.acknowledged_ms is None else "answer"
    said = f"{notice.title} is late: no {missing}"
    entries = [f"{said} within the agreed time ({waited:.0f} minutes since delivery)"]
    late = (*notice.late, f"{notice.level}:{missing}")
    above = next_level(card, notice.level)
    if above is None:
        entries.append(f"{notice.title}'s ladder has no rung above {notice.level}")
        entries += [f"a person must reach {hand}" for hand in by_hand(card, notice.level)]
        after = replace(notice, late=late, due_ms=None, revision=notice.revision + 1)
        return Step(notice=after, entries=tuple(entries))
    entries.append(f"{above} of {notice.title} is asked")
    before = replace(notice, level=above, late=late, due_ms=due_ms)
    step = _next_channel(before, card, new_id, now_ms)
    return replace(step, entries=(*entries, *step.entries))


def replied(notice: Notice, agreement: Agreement) -> Notice:
    """The notice with the next moment at which the provider is late, after it said something."""
    if not notice.waits_for_provider or notice.answered_ms is not None or notice.sent_ms is None:
        return replace(notice, due_ms=None)
    minutes = agreement.within(notice.priority).answer_minutes
    return replace(notice, due_ms=notice.sent_ms + int(minutes * MINUTE_MS))


def message_of(notice: Notice, receiver: str, new_id: str, now_ms: int) -> Notification:
    """The message that carries a notice over one channel; link and pack are added when it leaves,
    so that the store holds no link."""
    return Notification(
        id=new_id,
        key=f"notice/{notice.id}/{receiver}",
        incident=notice.incident,
        kind="notice",
        receiver=receiver,
        person=_place(receiver),
        step=0,
        created_ms=now_ms,
        subject=notice.subject,
        text=notice.text,
        thread=notice.id,
        notice=notice.id,
    )


def test_message_of(new_id: str, receiver: str, title: str, now_ms: int) -> Notification:
    """A message that shows that a channel of a card works."""
    return Notification(
        id=new_id,
        key=f"test/{new_id}",
        incident="",
        kind="test",
        receiver=receiver,
        person="",
        step=0,
        created_ms=now_ms,
        subject="[TEST] DRILL: please ignore",
        text=f"A rehearsal of how we reach {title}. Nothing is wrong, and no answer is needed.",
    )
