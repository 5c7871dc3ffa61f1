"""Stripe's hints: when an event was made, and at which version events and replies are rendered.

No version imports this file, so that it may change. Sources: the members `created` and
`api_version` of an event, and the header `Stripe-Version` of a reply, in Stripe's API reference.
"""

import re
from typing import Any, Final

import msgspec

from tollkeeper.integrations.hints import MAX_VERSION, EventHint, Hints, ReplyHint
from tollkeeper.integrations.version import WireReply

_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d(\.[a-z]{1,24})?")
LATEST_S: Final = 2**33
"""Unix seconds beyond which `created` is no time (the year 2242)."""


class _Event(msgspec.Struct):
    created: Any = None
    api_version: Any = None


_event: Final = msgspec.json.Decoder(_Event).decode


def event(body: bytes) -> EventHint:
    """The hints of a webhook's body."""
    try:
        said = _event(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return EventHint()
    created = said.created
    is_time = isinstance(created, int) and not isinstance(created, bool) and 0 < created < LATEST_S
    return EventHint(int(created) * 1000 if is_time else 0, _known(said.api_version))


def reply(given: WireReply) -> ReplyHint:
    """The hints of a reply."""
    return ReplyHint(_known(given.header("stripe-version")))


def _known(version: object) -> str:
    """The version, if it has a version's form: no other text goes into a count."""
    is_version = isinstance(version, str) and _VERSION.fullmatch(version)
    return str(version)[:MAX_VERSION] if is_version else ""


HINTS: Final = Hints(event=event, reply=reply)
