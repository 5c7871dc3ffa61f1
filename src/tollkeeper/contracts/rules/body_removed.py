"""A body that we send or read is not described any more: nothing of it can be relied on."""

from collections.abc import Callable, Iterator

from tollkeeper.contracts.asking import Bodies, Rule, Side
from tollkeeper.contracts.description import Place
from tollkeeper.contracts.finding import Finding, Location
from tollkeeper.contracts.requests import error_body, reply_body


def check(bodies: Bodies) -> Iterator[Finding]:
    used, old = bodies.usage, bodies.old_side
    sent = [path for path in used.send if ":" not in path.partition(".")[0]]
    read: Location = "webhook" if bodies.is_webhook else "response"
    if bodies.is_webhook and used.read:
        yield from _gone(bodies, read, bodies.old_request, bodies.new_request)
    elif used.read:
        yield from _gone(bodies, read, _of(old, reply_body), reply_body(bodies.new_side))
    if sent and not bodies.is_webhook:
        yield from _gone(bodies, "request", bodies.old_request, bodies.new_request)
    if used.errors:
        yield from _gone(bodies, "error", _of(old, error_body), error_body(bodies.new_side))


def _of(side: Side | None, body: Callable[[Side], Place | None]) -> Place | None:
    return body(side) if side is not None else None


def _gone(bodies: Bodies, location: Location, before: object, after: object) -> Iterator[Finding]:
    if after is not None or (before is None and bodies.old_side is not None):
        return
    sure = before is not None and location != "error"
    yield Finding(
        rule="body-removed",
        severity="breaking" if sure else "risky",
        operations=(bodies.operation,),
        location=location,
        path="",
        pointer=bodies.new_side.operation.operation.pointer,
        advice=f"the {location}'s body is not described" + (" any more" if before else ""),
        before="a body" if before is not None else None,
        undecided=not sure,
        relied_on_by=bodies.relied_on_by,
    )


RULE = Rule(name="body-removed", asks="operation", summary=__doc__ or "", check=check)
