"""Providers' descriptions by digest, with what the check said of each when it was first seen."""

from typing import Any, Final

import msgspec

from tollkeeper.flows.ports import SeenDescription
from tollkeeper.payments.change import OutEvent
from tollkeeper.store import tables as t
from tollkeeper.store.events import event_statements
from tollkeeper.store.statements import Operation, Rollback, columns_of, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes

INSERT: Final = insert_into(t.descriptions, "insert_description", conflict="nothing")
TOUCH: Final = sql(
    "touch_description",
    """
    UPDATE descriptions SET checked_ms = :checked_ms, etag = :etag, notes = :notes
    WHERE provider = :provider AND digest = :digest
    """,
)
LIST: Final = sql(
    "list_descriptions",
    f"""
    SELECT {columns_of(t.descriptions)} FROM descriptions
    WHERE provider = :provider ORDER BY seen_ms DESC, digest LIMIT :limit
    """,
)


def save_description(seen: SeenDescription, events: tuple[OutEvent, ...]) -> Operation[bool]:
    """Stores a text that was not seen before, with the events about it; false where another
    replica was faster, which stores nothing."""
    ((count,),) = yield INSERT, msgspec.structs.asdict(seen)
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    for event in events:
        yield from event_statements(event)
    return True


def touch_description(seen: SeenDescription) -> Operation[None]:
    """Notes that the text is still the one in force, with its newest tag and notes."""
    yield TOUCH, msgspec.structs.asdict(seen)


def list_descriptions(provider: str, limit: int) -> Operation[list[SeenDescription]]:
    """At most `limit` texts of one provider, the newest first."""
    rows = yield LIST, {"provider": provider, "limit": limit}
    return [_seen(tuple(row)) for row in rows]


def _seen(row: tuple[Any, ...]) -> SeenDescription:
    return SeenDescription(**dict(zip((c.name for c in t.descriptions.c), row, strict=True)))


class Descriptions(Topic):
    """Providers' descriptions."""

    save_description = writes(save_description)
    touch_description = writes(touch_description)
    list_descriptions = reads(list_descriptions)
