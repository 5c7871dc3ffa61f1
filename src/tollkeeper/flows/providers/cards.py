"""Contact cards as they are applied and looked at; announcements; and the rehearsal of it all."""

from typing import Final

import msgspec

from tollkeeper.flows.ports import SealedBook, Store
from tollkeeper.flows.providers.drafting import rehearsed
from tollkeeper.flows.providers.gathering import secrets_now
from tollkeeper.flows.reaching import book_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.paging import Notification
from tollkeeper.kernel.errors import Conflict, Fault, Invalid, NotFound
from tollkeeper.kernel.toml import read_toml
from tollkeeper.providers.announcement import (
    Announcement,
    AnnouncementKind,
    announcement_faults,
)
from tollkeeper.providers.card import (
    MARK,
    Book,
    Card,
    book_faults,
    findings,
    shown,
)
from tollkeeper.providers.following import test_message_of
from tollkeeper.providers.link import link_key, opened, token_of
from tollkeeper.providers.notice import LINK_MS
from tollkeeper.providers.pack import known_words
from tollkeeper.providers.rehearsal import Check, canary_of, rehearsal_incident
from tollkeeper.providers.searching import Private, leaks_in

ANNOUNCEMENTS: Final = 200


def read_book(text: bytes) -> Book:
    """Contact cards from TOML; raises `Invalid` with everything that is wrong."""
    book = read_toml(text, Book, "the file of cards")
    faults = book_faults(book)
    if faults:
        raise Invalid("the cards cannot be taken", faults=tuple(faults))
    return book


async def apply(runtime: Runtime, book: Book, *, actor: str) -> int:
    """Makes cards the ones in force; gives their revision."""
    faults = book_faults(book)
    if faults:
        raise Invalid("the cards cannot be taken", faults=tuple(faults))
    known = await runtime.store.load_book()
    revision = known.revision + 1 if known is not None else 1
    sealed = SealedBook(
        revision=revision,
        at_ms=runtime.store.now_ms(),
        actor=actor,
        sealed=runtime.vault.seal(msgspec.json.encode(book)),
        shown=msgspec.json.encode(shown(book)),
    )
    if not await runtime.store.save_book(sealed):
        raise Conflict("other cards were applied meanwhile: read them, and apply yours again")
    runtime.tell("cards_applied", revision=revision, actor=actor, providers=sorted(book.providers))
    return revision


async def cards(store: Store) -> Book:
    """The cards in force, without addresses and keys."""
    known = await store.load_book()
    return Book() if known is None else msgspec.json.decode(known.shown, type=Book)


async def stale(store: Store) -> list[str]:
    """What is stale or missing in the cards, in words."""
    return findings(await cards(store), store.now_ms())


async def card_of(store: Store, provider: str) -> Card:
    """The card of a provider, without addresses; raises `NotFound`."""
    book = await cards(store)
    card = book.providers.get(provider)
    if card is None:
        raise NotFound(f"no card for {provider!r}; there is {', '.join(book.providers) or 'none'}")
    return card


async def announce(
    runtime: Runtime,
    provider: str,
    kind: AnnouncementKind,
    text: str,
    *,
    version: str,
    link: str,
    span: tuple[int | None, int | None],
    actor: str,
) -> Announcement:
    """Keeps what a provider tells in advance. `span`: when it holds, `None` for open ends."""
    known = {*(await cards(runtime.store)).providers, *runtime.settings.providers}
    made = Announcement(
        id=runtime.new_id("ann"),
        provider=provider,
        kind=kind,
        text=text,
        version=version,
        link=link,
        from_ms=span[0],
        until_ms=span[1],
        by=actor,
        at_ms=runtime.store.now_ms(),
    )
    faults = announcement_faults(made)
    if provider not in known:
        faults.append(Fault("/provider", f"one of {', '.join(sorted(known)) or 'none'}"))
    if faults:
        raise Invalid("this cannot be kept", faults=tuple(faults))
    await runtime.store.save_announcement(made)
    return made


async def announced(store: Store, provider: str = "") -> list[Announcement]:
    """The newest announcements, of one provider or of all."""
    found = await store.list_announcements(ANNOUNCEMENTS)
    return [one for one in found if provider in {"", one.provider}]


async def exercise(runtime: Runtime, provider: str) -> tuple[list[Check], list[str]]:
    """Rehearses the protocol with a provider; gives what was checked, and the ids of the test
    messages. No contact is called by what would wake a person."""
    book, store = await book_now(runtime), runtime.store
    card = book.providers.get(provider)
    if card is None:
        raise NotFound(f"no card for {provider!r}; there is {', '.join(book.providers) or 'none'}")
    now_ms = store.now_ms()
    mine = Book(providers={provider: card})
    checks = [Check(what="card", ok=False, says=said) for said in findings(mine, now_ms)]
    checks = checks or [Check(what="card", ok=True, says="verified, and each rung has a contact")]
    checks += await _protocol(runtime, provider, card)
    ids: list[str] = []
    for contact in card.contacts:
        for number, channel in enumerate(contact.channels):
            if not channel.may_be_tested:
                says = f"{contact.name}: {channel.kind} is not tested: it may wake a person"
                checks.append(Check(what="channel", ok=True, says=says))
                continue
            name = f"{MARK}{provider}/{contact.name}/{number}"
            new_id = runtime.new_id("ntf")
            await store.queue_notification(test_message_of(new_id, name, card.title, now_ms))
            ids.append(new_id)
    return checks, ids


async def _protocol(runtime: Runtime, provider: str, card: Card) -> list[Check]:
    """A notice that is no notice: its pack, the gate that refuses, and its link."""
    now_ms, notice = runtime.store.now_ms(), runtime.new_id("ntc")
    incident = rehearsal_incident(runtime.new_id("inc"), provider, now_ms)
    pack = rehearsed(incident, card, provider, notice, now_ms)
    private = Private(secrets=await secrets_now(runtime))
    leaks = leaks_in({"pack": pack}, private, known_words())
    held = leaks_in({"pack": pack + canary_of(private)}, private, known_words())
    key = link_key(runtime.settings.vault_key)
    token = token_of(key, notice, now_ms + LINK_MS)
    found = opened(key, token, now_ms)
    forged = opened(key, token[:-1] + ("a" if token[-1] != "a" else "b"), now_ms)
    return [
        Check(what="pack", ok=not leaks, says="; ".join(leaks) or f"{len(pack)} bytes, clean"),
        Check(what="gate", ok=bool(held), says="a planted secret is held back"),
        Check(
            what="link",
            ok=found is not None and found[0] == notice and forged is None,
            says="it opens its notice alone, and a changed one opens nothing",
        ),
    ]


async def tested(store: Store, ids: list[str]) -> list[Notification]:
    """What came of test messages so far."""
    found = [await store.load_notification(id_) for id_ in ids]
    return [one for one in found if one is not None]
