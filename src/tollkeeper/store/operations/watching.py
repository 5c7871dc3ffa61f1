"""Providers' descriptions by digest, with what the check said of each when it was first seen."""

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select, update

from tollkeeper.flows.ports import SeenDescription
from tollkeeper.payments.change import OutEvent
from tollkeeper.store import tables as t
from tollkeeper.store.operations.changes import event_statements
from tollkeeper.store.statements import Operation, Refused, Statement, insert_for

INSERT_DESCRIPTION: Final = Statement(
    "insert_description",
    lambda d: (
        insert_for(d)(t.descriptions)
        .values({c.name: bindparam(c.name) for c in t.descriptions.c})
        .on_conflict_do_nothing(index_elements=["provider", "digest"])
    ),
    returns=False,
)
TOUCH_DESCRIPTION: Final = Statement(
    "touch_description",
    lambda _: (
        update(t.descriptions)
        .where(
            t.descriptions.c.provider == bindparam("the_provider"),
            t.descriptions.c.digest == bindparam("the_digest"),
        )
        .values(
            checked_ms=bindparam("checked_ms"),
            etag=bindparam("etag"),
            notes=bindparam("notes"),
        )
    ),
    returns=False,
)
LIST_DESCRIPTIONS: Final = Statement(
    "list_descriptions",
    lambda _: (
        select(*t.descriptions.c)
        .where(t.descriptions.c.provider == bindparam("provider"))
        .order_by(t.descriptions.c.seen_ms.desc(), t.descriptions.c.digest)
        .limit(bindparam("limit"))
    ),
    returns=True,
)


def save_description(seen: SeenDescription, events: tuple[OutEvent, ...]) -> Operation[bool]:
    """Stores a text that was not seen before, with the events about it; false where another
    replica was faster, which stores nothing."""
    ((count,),) = yield INSERT_DESCRIPTION, msgspec.structs.asdict(seen)
    if not count:
        raise Refused(False)  # noqa: FBT003 - the operation's answer
    for event in events:
        yield from event_statements(event)
    return True


def touch_description(seen: SeenDescription) -> Operation[None]:
    """Notes that the text is still the one in force, with its newest tag and notes."""
    yield (
        TOUCH_DESCRIPTION,
        {
            "the_provider": seen.provider,
            "the_digest": seen.digest,
            "checked_ms": seen.checked_ms,
            "etag": seen.etag,
            "notes": seen.notes,
        },
    )


def list_descriptions(provider: str, limit: int) -> Operation[list[SeenDescription]]:
    """At most `limit` texts of one provider, the newest first."""
    rows = yield LIST_DESCRIPTIONS, {"provider": provider, "limit": limit}
    return [_seen(tuple(row)) for row in rows]


def _seen(row: tuple[Any, ...]) -> SeenDescription:
    return SeenDescription(**dict(zip((c.name for c in t.descriptions.c), row, strict=True)))
