"""The check: every used path and operation asked of the new text, and compared with the old one.

The question is containment in both directions: what we may send is accepted, what may come is
understood. Paths are asked in the usage's own order, so that the same input gives the same output.
"""

import difflib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollkeeper.contracts.asking import Bodies, Question, Side, both
from tollkeeper.contracts.catalogue import RULES
from tollkeeper.contracts.description import Description, Found, Place
from tollkeeper.contracts.finding import Finding, Location, merged
from tollkeeper.contracts.requests import (
    alike,
    error_body,
    in_both_paths,
    parameters,
    reply_body,
    request_body,
)
from tollkeeper.contracts.usage import OperationUsage, Usage, segments
from tollkeeper.contracts.walking import Hidden, Walk, walk

READ: Final = tuple(rule for rule in RULES if rule.asks == "read")
SEND: Final = tuple(rule for rule in RULES if rule.asks == "send")
WHOLE: Final = tuple(rule for rule in RULES if rule.asks == "operation")


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A check's result. `compatible`: no breaking finding that is not standing."""

    compatible: bool
    findings: list[Finding]
    checked: dict[str, Any]


def findings_of(usage: Usage, new: Description, old: Description | None) -> list[Finding]:
    """Every finding, one for each root cause, worst first. Witnesses are not made here."""
    found: list[Finding] = []
    for name, operation in usage.operations.items():
        found += _operation(usage, name, operation, new, old)
    found += _dangling(new, old)
    return merged(found)


def _operation(
    usage: Usage, name: str, operation: OperationUsage, new: Description, old: Description | None
) -> Iterator[Finding]:
    new_found, old_found = both(name, new, old)
    if new_found is None:
        yield _gone(name, new, old_found, compared=old is not None)
        return
    new_side = Side(description=new, operation=new_found)
    old_side = Side(description=old, operation=old_found) if old is not None and old_found else None
    bodies = Bodies(
        operation=name,
        usage=operation,
        new_side=new_side,
        old_side=old_side,
        new_request=request_body(new_side),
        old_request=request_body(old_side) if old_side is not None else None,
        relied_on_by=usage.where.get(name, usage.name),
    )
    for rule in WHOLE:
        yield from rule.check(bodies)
    yield from _sent(usage, bodies)
    if not bodies.is_webhook:
        yield from _in_path(usage, bodies)
    yield from _read(usage, bodies)


def _gone(name: str, new: Description, old: Found | None, *, compared: bool) -> Finding:
    known = old is not None
    standing = compared and not known
    heir = _heir(new, old)
    lost = new.lost(name)
    advice = "the operation is not described" + (" any more" if known else "")
    if lost:
        advice = "the reference at the operation's path leads nowhere: nothing can be known of it"
    elif not known:
        advice = "the operation was not described before either" if standing else advice
        near = difflib.get_close_matches(name, new.operations(), n=1, cutoff=0.8)
        advice += f"; did you mean `{near[0]}`?" if near else ""
    elif heir is not None:
        advice += f"; it may be `{heir}` now"
    return Finding(
        rule="operation-removed",
        severity="risky" if standing or lost else "breaking",
        undecided=lost,
        operations=(name,),
        location="webhook" if "webhook:" in name else "request",
        path=name,
        pointer="/paths",
        advice=advice,
        standing=standing,
        before=name if known else None,
        after=heir,
        relied_on_by=name,
    )


def _heir(new: Description, old: Found | None) -> str | None:
    """The operation that has the lost one's `operationId` now."""
    wanted = old.operation.value.get("operationId") if old is not None else None
    if not isinstance(wanted, str):
        return None
    for name in new.operations():
        found = new.find(name)
        if found is not None and found.operation.value.get("operationId") == wanted:
            return name
    return None


def _in_path(usage: Usage, bodies: Bodies) -> Iterator[Finding]:
    """What we put into the path, mostly an id that the provider gave us, is accepted still."""
    new_side, old_side = bodies.new_side, bodies.old_side
    for path, now, before in in_both_paths(new_side, old_side):
        old = (
            walk(old_side.description, before, (), closed=True)
            if old_side is not None and before is not None
            else None
        )
        new = walk(new_side.description, now, (), closed=True)
        question = _question(usage, bodies, path, "request", new, old)
        for rule in SEND:
            yield from rule.check(question)


def _sent(usage: Usage, bodies: Bodies) -> Iterator[Finding]:
    removed = bodies.new_request is None and bodies.old_request is not None
    for path in bodies.usage.send:
        if removed and ":" not in path.partition(".")[0]:
            continue  # the body as a whole is a finding of its own
        new = _send_walk(bodies.new_side, bodies.new_request, path)
        if new is None:
            continue
        old = (
            _send_walk(bodies.old_side, bodies.old_request, path)
            if bodies.old_side is not None
            else None
        )
        question = _question(usage, bodies, path, "request", new, old)
        for rule in SEND:
            yield from rule.check(question)


def _send_walk(side: Side, body: Place | None, path: str) -> Walk | None:
    kind, mark, rest = path.partition(":")
    if mark and kind in {"query", "header"}:
        names = segments(rest)
        for name, parameter in parameters(side).items():
            known = segments(name.partition(":")[2])
            if name.startswith(f"{kind}:") and _begins(kind, names, known):
                return walk(side.description, parameter.place, names[len(known) :], closed=True)
        return Walk(broken=path, broken_pointer=side.operation.operation.pointer)
    if body is None:
        return Walk(broken=path, broken_pointer=side.operation.operation.pointer)
    return walk(side.description, body, segments(path), closed=True)


def _begins(kind: str, names: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Whether the path goes into this parameter; names of headers have no case."""
    here = names[: len(known)]
    if kind == "header":
        return [name.lower() for name in here] == [name.lower() for name in known]
    return here == known


def _read(usage: Usage, bodies: Bodies) -> Iterator[Finding]:
    location: Location = "webhook" if bodies.is_webhook else "response"
    body_of = request_body if bodies.is_webhook else reply_body
    used = bodies.usage
    named = dict.fromkeys((*used.read, *used.exhaustive, *used.nonnull))
    paths = tuple(path for path in named if not path.startswith("header:"))
    yield from _paths(usage, bodies, paths, location, body_of)
    yield from _paths(usage, bodies, bodies.usage.errors, "error", error_body)


def _paths(
    usage: Usage, bodies: Bodies, paths: tuple[str, ...], location: Location, body_of: Any
) -> Iterator[Finding]:
    if not paths:
        return
    old_side = bodies.old_side
    new_body = body_of(bodies.new_side)
    if new_body is None:
        return  # nothing can be said, or the body as a whole is a finding of its own
    old_body = body_of(old_side) if old_side is not None else None
    pairs = [(new_body, old_body)]
    if location != "webhook" and old_side is not None:
        same = alike(bodies.new_side, old_side, success=location == "response")
        pairs += [(now, before) for _, now, before in same]
    hidden: Hidden | None = None if location == "webhook" else "writeOnly"
    for path in paths:
        names = segments(path)
        for number, (now, before) in enumerate(pairs):
            new = walk(bodies.new_side.description, now, names, hidden=hidden)
            old = (
                walk(old_side.description, before, names, hidden=hidden)
                if old_side is not None and before is not None
                else None
            )
            if number and (old is None or not old.reached):
                continue  # this kind of reply never had it
            question = _question(usage, bodies, path, location, new, old)
            for rule in READ:
                yield from rule.check(question)


def _question(
    usage: Usage, bodies: Bodies, path: str, location: Location, new: Walk, old: Walk | None
) -> Question:
    return Question(
        operation=bodies.operation,
        usage=bodies.usage,
        path=path,
        location=location,
        new=new,
        old=old,
        new_side=bodies.new_side,
        old_side=bodies.old_side,
        where=usage.where,
        relied_on_by=bodies.relied_on_by,
    )


def _dangling(new: Description, old: Description | None) -> Iterator[Finding]:
    known = set(old.dangling.values()) if old is not None else set()
    for pointer, reference in sorted(new.dangling.items()):
        yield Finding(
            rule="dangling-reference",
            severity="risky" if reference not in known else "harmless",
            operations=(),
            location="response",
            path="",
            pointer=pointer,
            advice=f"{reference} leads nowhere; whatever stands there was taken for anything",
            after=reference,
            standing=reference in known,
            undecided=True,
        )
