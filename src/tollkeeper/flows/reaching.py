"""Reaching: the plan and the cards in force, and what a message to a provider needs at its leaving.

The link and the pack are added here, at the last moment, so that no stored message holds a link.
"""

import msgspec
from msgspec.structs import replace

from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.paging import Attachment, Message
from tollkeeper.incidents.plan import Plan, Receiver
from tollkeeper.providers.card import MARK, Book, channel_of, receiver_of
from tollkeeper.providers.link import link_key, token_of
from tollkeeper.providers.notice import Notice

PACK_TYPE = "application/zip"


async def plan_now(runtime: Runtime) -> Plan:
    """The on-call plan in force; an empty one where none was applied, or where the vault's key is
    another one by now."""
    sealed = await runtime.store.load_plan()
    plain = runtime.vault.open(sealed.sealed) if sealed is not None else None
    if plain is None:
        return Plan()
    return msgspec.json.decode(plain, type=Plan)


async def book_now(runtime: Runtime) -> Book:
    """The contact cards in force; none where no file was applied, or where the vault's key is
    another one by now."""
    sealed = await runtime.store.load_book()
    plain = runtime.vault.open(sealed.sealed) if sealed is not None else None
    return Book() if plain is None else msgspec.json.decode(plain, type=Book)


async def provider_receiver(runtime: Runtime, name: str) -> Receiver | None:
    """The channel of a contact card behind a receiver's name; `None` for any other name."""
    if not name.startswith(MARK):
        return None
    found = channel_of(await book_now(runtime), name)
    return receiver_of(found[1]) if found is not None else None


async def completed(runtime: Runtime, notice_id: str, message: Message) -> Message:
    """A message with the link and the pack of the notice that it carries."""
    notice = await runtime.store.load_notice(notice_id) if notice_id else None
    if notice is None:
        return message
    pack = await runtime.store.load_pack(notice_id)
    link = link_of(runtime, notice)
    text = (
        f"{message.text}\n\nPlease acknowledge, ask or answer here; no account is needed:\n{link}\n"
        "You may also answer this mail."
    )
    attachment = None
    if pack:
        attachment = Attachment(name=f"{notice.id}.zip", media_type=PACK_TYPE, body=pack)
    facts = {"provider": notice.provider, "priority": notice.priority, "link": link}
    return replace(message, text=text, facts=facts, attachment=attachment)


def link_of(runtime: Runtime, notice: Notice) -> str:
    """Where the provider answers a notice."""
    key = link_key(runtime.settings.vault_key)
    token = token_of(key, notice.id, notice.expires_ms)
    return f"{runtime.settings.public_url.rstrip('/')}/desk/{token}"
