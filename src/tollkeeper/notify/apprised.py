"""Messages through Apprise, to the many services that it knows by their addresses."""

import asyncio
import logging
from typing import Final

from tollkeeper.flows.ports import Wire
from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import Receiver

TYPES: Final = {"sev1": "failure", "sev2": "failure", "sev3": "warning", "sev4": "info"}


async def send(_: Wire, receiver: Receiver, message: Message) -> Answer:
    """Sends one message; Apprise says no more than whether it was taken."""
    return await asyncio.to_thread(_notify, receiver.url, message)


def _notify(url: str, message: Message) -> Answer:
    import apprise  # noqa: PLC0415 - it loads a hundred services, for those who name one

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes addresses, with secrets
    sender = apprise.Apprise()
    if not sender.add(url):
        return Answer(ok=False, said="Apprise knows no such address", again=False)
    kind = "success" if message.kind == "over" else TYPES.get(message.urgency, "info")
    taken = sender.notify(
        title=message.subject,
        body=f"{message.text}\n\n{message.id}",
        notify_type=kind,
        body_format="text",
        interpret_escapes=False,
    )
    return Answer(ok=bool(taken), said="taken by Apprise" if taken else "refused, Apprise says")
