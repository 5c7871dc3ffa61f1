"""Hints: what a provider's webhooks and replies say beside money, read for signals alone.

Law: no hint decides about a payment. They stand beside the frozen versions, so that a later release
may read them better. Reading one never raises; what is not there is empty.
"""

from collections.abc import Callable

import msgspec

from tollkeeper.integrations.version import WireReply


class EventHint(msgspec.Struct, frozen=True):
    """Of a webhook's body: when the provider made the event, in Unix milliseconds by its own clock,
    0 where it does not say; and the API version that it was rendered at."""

    made_ms: int = 0
    version: str = ""


class ReplyHint(msgspec.Struct, frozen=True):
    """Of a reply: the API version that it was rendered at."""

    version: str = ""


def _no_event(body: bytes) -> EventHint:
    return EventHint()


def _no_reply(reply: WireReply) -> ReplyHint:
    return ReplyHint()


class Hints(msgspec.Struct, frozen=True):
    """How the hints of one provider are read."""

    event: Callable[[bytes], EventHint] = _no_event
    reply: Callable[[WireReply], ReplyHint] = _no_reply


NO_HINTS = Hints()
"""Of a provider that this package does not know."""

MAX_VERSION = 40
"""Characters of a version that are kept."""
