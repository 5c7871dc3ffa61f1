"""The servers' base path changed, so that an operation that we use answers at another address."""

import re
from collections.abc import Iterator

from tollkeeper.contracts.asking import Bodies, Rule, Side
from tollkeeper.contracts.finding import Finding

EDITION = re.compile(r"/v?\d+(?:[._-]\w+)*(?=/|$)")
"""A version's number in a path, which callers choose when they move to that version."""


def check(bodies: Bodies) -> Iterator[Finding]:
    if bodies.is_webhook or bodies.old_side is None:
        return
    before = bodies.old_side.operation.addresses()
    after = bodies.new_side.operation.addresses()
    if not before or not after or set(before) & set(after):
        return
    edition = {_plain(path) for path in before} & {_plain(path) for path in after}
    yield Finding(
        rule="operation-moved",
        severity="risky" if edition else "breaking",
        operations=(bodies.operation,),
        location="request",
        path=bodies.operation,
        pointer=_pointer(bodies.new_side),
        advice="operations answer below "
        f"`{' or '.join(b or '/' for b in bodies.new_side.operation.bases)}` now; see what address "
        "your code is given",
        before=list(bodies.old_side.operation.bases),
        after=list(bodies.new_side.operation.bases),
        undecided=bool(edition),
        relied_on_by=bodies.relied_on_by,
    )


def _pointer(side: Side) -> str:
    """Where the servers are named that count for the operation."""
    for place in (side.operation.operation, side.operation.item):
        if place.child("servers") is not None:
            return f"{place.pointer}/servers"
    return "/basePath" if side.description.dialect == "swagger2" else "/servers"


def _plain(path: str) -> str:
    return EDITION.sub("", path)


RULE = Rule(name="operation-moved", asks="operation", summary=__doc__ or "", check=check)
