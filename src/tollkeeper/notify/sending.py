"""Sending: one message to one receiver, by whatever way its kind names. Never raises.

Law: every try of a message carries the message's identity, so that a receiver can tell a repeated
one. What a receiver answers is kept; its address, which holds secrets, is in no answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tollkeeper.flows.ports import Wire
from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import Receiver, ReceiverKind
from tollkeeper.notify import apprised, http, mail

SECONDS: Final = 10.0
"""How long one try may take."""

type Way = Callable[[Wire, Receiver, Message], Awaitable[Answer]]

WAYS: Final[Mapping[ReceiverKind, Way]] = {
    "mail": mail.send,
    "slack": http.send_slack,
    "pagerduty": http.send_pagerduty,
    "alertmanager": http.send_alertmanager,
    "webhook": http.send_webhook,
    "apprise": apprised.send,
}


class Sender:
    """Sends messages; `wire` is what speaks HTTP."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, receiver: Receiver, message: Message) -> Answer:
        """Sends one message to one receiver; gives what it said."""
        try:
            async with asyncio.timeout(SECONDS):
                return await WAYS[receiver.kind](self._wire, receiver, message)
        except TimeoutError:
            return Answer(ok=False, said=f"no answer within {SECONDS:.0f} s")
        except Exception as error:  # noqa: BLE001 - a library's bug must not lose a page
            return Answer(ok=False, said=type(error).__name__)
