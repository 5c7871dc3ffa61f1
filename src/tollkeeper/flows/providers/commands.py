"""What people do with notices: list, read, approve, withdraw; and what providers answer."""

from collections.abc import Callable
from typing import Final

import msgspec

from tollkeeper.flows.ports import NoticeWrite, Store
from tollkeeper.flows.providers.entering import lines, tell
from tollkeeper.flows.reaching import book_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import EntryKind
from tollkeeper.kernel.errors import Fault, Invalid, NotFound, Unavailable
from tollkeeper.payments.cards import check_reason, find_card_numbers
from tollkeeper.providers.card import Card
from tollkeeper.providers.drafts import withdrawn
from tollkeeper.providers.following import replied
from tollkeeper.providers.link import link_key, opened
from tollkeeper.providers.mail import Reply, read_mail
from tollkeeper.providers.notice import LONGEST_LINE, REPLIES, Act, Notice, approved, said
from tollkeeper.providers.page import WITHOUT_TEXT

TRIES: Final = 20
NEWEST: Final = "~"
"""Above the id of every notice."""


async def one(store: Store, notice_id: str) -> Notice:
    """One notice; raises `NotFound`."""
    found = await store.load_notice(notice_id)
    if found is None:
        raise NotFound("there is no such notice; `tollkeeper providers notices list` lists them")
    return found


async def page(store: Store, before: str, limit: int) -> list[Notice]:
    """At most `limit` notices, the newest first; `before`: the id of the last one seen."""
    return await store.list_notices(before or NEWEST, limit)


async def pack_of(store: Store, notice_id: str) -> bytes:
    """The evidence pack of a notice; raises `NotFound` where it has none."""
    await one(store, notice_id)
    pack = await store.load_pack(notice_id)
    if not pack:
        raise NotFound("this notice has no pack: it holds what may not leave")
    return pack


async def approve(runtime: Runtime, notice_id: str, *, actor: str) -> Notice:
    """A person lets a notice leave: it goes over the channels of the provider's card."""
    return await _change(
        runtime,
        notice_id,
        lambda it, _, now: (approved(it, actor, now), f"the notice to {it.title} may leave"),
        source=actor,
    )


async def withdraw(runtime: Runtime, notice_id: str, *, reason: str, actor: str) -> Notice:
    """A person takes a notice back; its link opens nothing any more."""
    check_reason(reason)
    return await _change(
        runtime,
        notice_id,
        lambda it, _, now: (withdrawn(it, now), f"the notice is withdrawn: {reason}"),
        source=actor,
    )


async def by_token(runtime: Runtime, token: str) -> Notice:
    """The notice that a link opens; `NotFound` for every other text, whatever is wrong with it."""
    key = link_key(runtime.settings.vault_key)
    found = opened(key, token, runtime.store.now_ms())
    notice = await runtime.store.load_notice(found[0]) if found is not None else None
    if found is None or notice is None or notice.expires_ms // 1000 != found[1]:
        raise NotFound("there is nothing at this path")
    if not notice.is_with_provider and not notice.is_on_its_way:
        raise NotFound("there is nothing at this path")
    return notice


async def reply(runtime: Runtime, notice_id: str, act: str, text: str, *, by: str) -> Notice:
    """What a provider says, by its link (`link`) or by mail (`mail`)."""
    known: Act | None = next((name for name in REPLIES if name == act), None)
    text = text.replace("\r\n", "\n").strip()
    if known is None:
        raise Invalid("choose what to do", faults=(Fault("/act", f"one of {', '.join(REPLIES)}"),))
    _check(known, text)

    def decide(it: Notice, card: Card | None, now: int) -> tuple[Notice, str]:
        after = said(it, known, text, now)
        if card is not None:
            after = replied(after, card.agreement)
        words = f"{it.title} {REPLIES[known]}"
        return after, f"{words}: {text}" if text else words

    return await _change(runtime, notice_id, decide, kind="provider", source=f"provider:{by}")


def _check(act: Act, text: str) -> None:
    if not text and act not in WITHOUT_TEXT:
        raise Invalid("write a few words", faults=(Fault("/text", "a text"),))
    if len(text) > LONGEST_LINE or any(one not in "\n\t" and not one.isprintable() for one in text):
        detail = f"at most {LONGEST_LINE} printable characters"
        raise Invalid(f"text: {detail}", faults=(Fault("/text", detail),))
    if find_card_numbers(text):
        detail = "must not hold a card number"
        raise Invalid(f"the text {detail}", faults=(Fault("/text", detail),))


async def take_mail(runtime: Runtime, raw: bytes) -> Notice:
    """A provider's mail: it becomes an answer to the notice that it refers to."""
    mail = read_mail(raw)
    if mail is None:
        raise Invalid("this mail refers to no message of ours")
    if mail.automatic:
        raise Invalid("this mail was sent by a machine: it answers nothing")
    notice_id = await _notice_of(runtime, mail)
    return await reply(runtime, notice_id, "answer", mail.text, by="mail")


async def _notice_of(runtime: Runtime, mail: Reply) -> str:
    for message_id in mail.messages:
        message = await runtime.store.load_notification(message_id)
        if message is not None and message.notice:
            return message.notice
    for notice_id in mail.notices:
        if await runtime.store.load_notice(notice_id) is not None:
            return notice_id
    raise NotFound("this mail refers to no notice that is known")


async def _change(
    runtime: Runtime,
    notice_id: str,
    decide: Callable[[Notice, Card | None, int], tuple[Notice, str]],
    *,
    source: str,
    kind: EntryKind = "notice",
) -> Notice:
    """Changes a notice with a line in the timeline, again where others changed it meanwhile."""
    store = runtime.store
    book = await book_now(runtime)
    for _ in range(TRIES):
        before = await one(store, notice_id)
        now_ms = store.now_ms()
        after, text = decide(before, book.providers.get(before.provider), now_ms)
        incident = await store.load_incident(before.incident)
        entered = lines(incident, (text,), after, now_ms, kind=kind, source=source)
        if await store.save_notice(NoticeWrite(notice=after, at_ms=now_ms, incident=entered)):
            tell(runtime, after, entered)
            return after
    raise Unavailable("the notice is being changed by too many at once")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """That a mail was taken, and for which notice."""

    notice: str
