"""Witnesses: a reply or a request that shows a finding, checked by an independent validator.

A reply must be valid under the new description and then make a reader fail; a request must be valid
under the old one (where there is one) and refused by the new one. No witness, no `breaking`: such a
finding becomes risky and says that it is undecided.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import msgspec

from tollkeeper.contracts.asking import Side, both
from tollkeeper.contracts.description import Description, Place
from tollkeeper.contracts.finding import Finding, Location
from tollkeeper.contracts.instances import instance, wish_for
from tollkeeper.contracts.outside import refused_outside
from tollkeeper.contracts.requests import (
    alike,
    error_body,
    reply_body,
    request_body,
    request_types,
)
from tollkeeper.contracts.shapes import ANY, type_of
from tollkeeper.contracts.usage import OperationUsage, Usage, segments
from tollkeeper.contracts.validating import is_valid
from tollkeeper.contracts.walking import walk


class Reader(Protocol):
    """What our code fails on: a sentence by used path, or by `""` where the code does not say
    which; empty when it understands the reply."""

    def __call__(
        self, operation: str, reply: Any, location: Location = "response", /
    ) -> dict[str, str]: ...


MISSING: Final = object()
CONTAINERS: Final = frozenset({"object", "array"})
SAMPLES: Final[dict[str, Any]] = {
    "string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {},
}  # fmt: skip
"""A value of each type but null."""


type Types = frozenset[str] | None

_BODIES: Final[dict[Location, Callable[[Side], Place | None]]] = {
    "webhook": request_body,
    "error": error_body,
    "response": reply_body,
}


def reader_of(usage: Usage, old: Description | None = None) -> Reader:
    """The reader that a usage stands for: it fails on what it needs and does not find, and on a
    value of a type that the old description did not allow."""
    known: dict[tuple[str, Location, str], Types] = {}

    def read(operation: str, reply: Any, location: Location = "response", /) -> dict[str, str]:
        used = usage.operations[operation]
        failures: dict[str, str] = {}
        named = used.errors if location == "error" else (*used.nonnull, *used.read)
        paths = [path for path in named if not path.startswith("header:")]
        for path in paths:
            key = (operation, location, path)
            if key not in known:
                known[key] = _old_types(old, *key)
            for value in values_at(reply, segments(path)):
                failure = _failure(used, path, value, known[key])
                if failure is not None:
                    failures.setdefault(path, failure)
        return failures

    return read


def _old_types(old: Description | None, operation: str, location: Location, path: str) -> Types:
    """The types that the old description allows at a path; `None` where it says nothing."""
    found = old.find(operation) if old is not None else None
    if old is None or found is None:
        return None
    place = _BODIES[location](Side(description=old, operation=found))
    types = walk(old, place, segments(path)).types() if place is not None else frozenset()
    return types if types and types != ANY - {"null"} else None


def _failure(used: OperationUsage, path: str, value: Any, types: Types) -> str | None:
    if value is MISSING:
        return f"`{path}` is not there"
    if value is None:
        return f"`{path}` is null" if path in used.nonnull else None
    if types is not None and not _alike(type_of(value), types):
        was = " or ".join(sorted(types))
        return f"`{path}` is of type {type_of(value)}, and was {was}"
    known = used.exhaustive.get(path)
    if isinstance(known, tuple) and value not in known:
        return f"`{path}` is {value!r}, which is not known"
    return None


def _alike(type_: str, types: frozenset[str]) -> bool:
    """Whether a tolerant reader copes: one scalar for another may be read as text; an object or a
    list where something else was may not. (Providers often correct scalars that were always so.)"""
    return type_ in types or (type_ not in CONTAINERS and bool(types - CONTAINERS))


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Every value at `path`, or MISSING; nothing below an empty array or a null."""
    if not path:
        yield value
    elif value is None:
        return
    elif path[0] == "[]":
        if not isinstance(value, list):
            yield MISSING
            return
        for item in value:
            yield from values_at(item, path[1:])
    elif path[0] == "*":
        for item in value.values() if isinstance(value, dict) else ():
            yield from values_at(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])
    else:
        yield MISSING


def witnessed(
    findings: list[Finding],
    usage: Usage,
    new: Description,
    old: Description | None,
    reader: Reader | None = None,
) -> list[Finding]:
    """The findings with witnesses; a breaking one without becomes risky and undecided."""
    read = reader or reader_of(usage, old)
    return [_with_witness(finding, usage, new, old, read) for finding in findings]


def _with_witness(
    finding: Finding, usage: Usage, new: Description, old: Description | None, read: Reader
) -> Finding:
    if not finding.operations or finding.rule == "dangling-reference":
        return finding
    witness = _witness(finding, usage, new, old, read)
    if witness is not None:
        return msgspec.structs.replace(finding, witness=witness)
    if finding.severity == "breaking":
        return msgspec.structs.replace(finding, severity="risky", undecided=True)
    return finding


def _witness(
    finding: Finding, usage: Usage, new: Description, old: Description | None, read: Reader
) -> dict[str, Any] | None:
    for operation in finding.operations:
        used = usage.operations[operation]
        if finding.rule == "operation-removed":
            return _gone(operation, used, new, old)
        found, was = both(operation, new, old)
        if found is None:
            continue
        new_side = Side(description=new, operation=found)
        old_side = Side(description=old, operation=was) if old is not None and was else None
        if finding.location == "request":
            witness = _request(finding, operation, used, new_side, old_side)
        else:
            witness = _reply(finding, operation, used, new_side, old_side, read)
        if witness is not None:
            return witness
    return None


def _gone(
    operation: str, used: OperationUsage, new: Description, old: Description | None
) -> dict[str, Any] | None:
    found, was = both(operation, new, old)
    if found is not None:
        return None
    body = None
    if old is not None and was is not None:
        side = Side(description=old, operation=was)
        place = request_body(side)
        body = _sent(side, place, used, {}) if place is not None else None
    return {"request": {"operation": operation, "body": body}, "result": "no such operation"}


# Replies


def _reply(
    finding: Finding,
    operation: str,
    used: OperationUsage,
    new_side: Side,
    old_side: Side | None,
    read: Reader,
) -> dict[str, Any] | None:
    if finding.rule == "header-removed":
        return {"reply": {"headers": {}}, "result": f"`{finding.path}` is not there"}
    body_of = _BODIES[finding.location]
    place = body_of(new_side)
    if place is None:
        failures = read(operation, {}, finding.location)
        told = next(iter(failures.values()), None)
        return {"reply": None, "result": told} if told is not None else None
    pairs = [(place, body_of(old_side) if old_side is not None else None)]
    if old_side is not None and finding.location != "webhook":
        same = alike(new_side, old_side, success=finding.location == "response")
        pairs += [(now, was) for _, now, was in same]
    for now, was in pairs:
        witness = _reply_of(finding, operation, used, (new_side, now), (old_side, was), read)
        if witness is not None:
            return witness
    return None


def _reply_of(
    finding: Finding,
    operation: str,
    used: OperationUsage,
    new: tuple[Side, Place],
    old: tuple[Side | None, Place | None],
    read: Reader,
) -> dict[str, Any] | None:
    """A reply of one body that shows the finding."""
    new_side, place = new
    named = used.errors if finding.location == "error" else used.read
    paths = tuple(path for path in named if not path.startswith("header:"))
    for words in _wordings(used):
        wish = wish_for([_reached(new_side, place, p) for p in map(segments, paths)])
        made = instance(new_side.description, place, wish, words=words, request=False)
        made = _changed(finding, made)
        if made is MISSING:
            continue
        valid = is_valid(new_side.description, place, made, request=False)
        if valid is None:
            return None  # the schema itself cannot be used: other words do not help
        if not valid:
            continue
        failures = read(operation, made, finding.location)
        before = _read_before(paths, old, finding.location, words, operation, read)
        fresh = {p: text for p, text in failures.items() if p not in before}
        told = _concerning(finding, fresh)
        if told is not None:
            return {"reply": made, "result": told}
    return None


def _reached(side: Side, place: Place, path: tuple[str, ...]) -> tuple[str, ...]:
    """As much of the path as the description has: what should hold a lost field must be there."""
    return path[: len(walk(side.description, place, path).steps)]


def _wordings(used: OperationUsage) -> Iterator[dict[str, Any]]:
    """Assignments of known words to the fields that are matched word by word, one known word at a
    time in each, so that one of them is an ordinary reply."""
    lists = {p: w for p, w in used.exhaustive.items() if isinstance(w, tuple) and w}
    longest = max((len(w) for w in lists.values()), default=1)
    for number in range(min(longest, 12)):
        yield {path: w[number % len(w)] for path, w in lists.items()}


def _read_before(
    paths: tuple[str, ...],
    old: tuple[Side | None, Place | None],
    location: Location,
    words: dict[str, Any],
    operation: str,
    read: Reader,
) -> dict[str, str]:
    """What the same code fails on in the same reply under the old description."""
    old_side, place = old
    if old_side is None or place is None:
        return {}
    wish = wish_for([_reached(old_side, place, p) for p in map(segments, paths)])
    made = instance(old_side.description, place, wish, words=words, request=False)
    return read(operation, made, location)


def _concerning(finding: Finding, failures: dict[str, str]) -> str | None:
    """The failure that the finding is about: of its path, or of one that goes through it."""
    subject = _subject(finding)
    for path, text in failures.items():
        if path in {"", finding.path, subject} or path.startswith((f"{subject}.", f"{subject}[")):
            return text
    return None


def _changed(finding: Finding, made: Any) -> Any:
    """The reply with what the finding is about: a null, a strange word, another type."""
    if finding.rule == "field-removed":
        return made
    path = segments(_subject(finding))
    if finding.rule == "field-nullable":
        return _put(made, path, None)
    if finding.rule == "field-optional":
        return _put(made, path, MISSING)
    if finding.rule == "field-type":
        return _of_another_type(finding, made, path)
    if finding.rule == "word-added":
        words = finding.after if isinstance(finding.after, list) else ["a word that nobody knows"]
        return _put(made, path, words[0])
    return made


def _of_another_type(finding: Finding, made: Any, path: tuple[str, ...]) -> Any:
    """The reply with a value of a type that did not come before, if it has none yet."""
    added = sorted(set(finding.after or ()) - set(finding.before or ()))
    if not added or any(type_of(v) in added for v in values_at(made, path)):
        return made
    return _put(made, path, SAMPLES[added[0]])


def _subject(finding: Finding) -> str:
    """The path that changed: named first in the advice where it is a part of what we read."""
    named = finding.advice.partition("`")[2].partition("`")[0]
    return named or finding.path


def _put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """`value` with `new` (or nothing, for MISSING) at `path`; MISSING where there is no place."""
    if not path:
        return new
    name = path[0]
    if name == "[]" and isinstance(value, list) and value:
        changed = _put(value[0], path[1:], new)
        return MISSING if changed is MISSING else [changed, *value[1:]]
    if not isinstance(value, dict) or name not in value:
        return MISSING
    if len(path) == 1 and new is MISSING:
        return {k: v for k, v in value.items() if k != name}
    changed = _put(value[name], path[1:], new)
    return MISSING if changed is MISSING else {**value, name: changed}


# Requests


def _request(
    finding: Finding,
    operation: str,
    used: OperationUsage,
    new_side: Side,
    old_side: Side | None,
) -> dict[str, Any] | None:
    if finding.rule == "operation-moved":
        known = old_side.operation.addresses() if old_side is not None else ()
        asked = {"operation": operation, "address": next(iter(known), None)}
        return {"request": asked, "result": "no such address"}
    if finding.rule == "content-type":
        return _content_type(operation, new_side, old_side)
    if ":" in finding.path.partition(".")[0]:
        return refused_outside(finding, operation, used, new_side, old_side)
    new_place = request_body(new_side)
    chosen = _refused_word(finding, used)
    built_from = old_side if old_side is not None else new_side
    place = request_body(built_from)
    if place is None:
        return None
    for body in _bodies(finding, built_from, place, used, chosen):
        if _shows(body, new_side, new_place, old_side, place):
            result = "refused" if new_place is not None else "no body is accepted"
            return {"request": {"operation": operation, "body": body}, "result": result}
    return None


def _shows(
    body: Any, new: Side, new_place: Place | None, old: Side | None, old_place: Place
) -> bool:
    """Whether the old description accepts `body` and the new one refuses it."""
    if old is not None and is_valid(old.description, old_place, body, request=True) is not True:
        return False
    if new_place is None:
        return bool(body)
    return is_valid(new.description, new_place, body, request=True) is False


def _bodies(
    finding: Finding, side: Side, place: Place, used: OperationUsage, chosen: dict[str, Any]
) -> Iterator[Any]:
    """Requests that we may send: with everything that usage names, and the smallest one with what
    the finding is about."""
    yield _sent(side, place, used, chosen)
    # Usage files may leave out what was always required: with it, the request is an ordinary one.
    yield _whole(side, place, used, chosen)
    words = {p: w[0] for p, w in used.values.items() if w} | chosen
    named = [segments(finding.path)] if finding.path in used.send else []
    yield instance(side.description, place, wish_for(named), words=words, request=True)


def body_sent(side: Side, place: Place, used: OperationUsage) -> Any:
    """The body that we send in an ordinary request, as its schema at `place` has it."""
    return _sent(side, place, used, {})


def _sent(side: Side, place: Place, used: OperationUsage, chosen: dict[str, Any]) -> Any:
    """The body that we send: every sent path, with the first of its words."""
    paths = [segments(p) for p in used.send if ":" not in p.partition(".")[0]]
    return _only(_whole(side, place, used, chosen), wish_for(paths))


def _whole(side: Side, place: Place, used: OperationUsage, chosen: dict[str, Any]) -> Any:
    """The body that we send, with whatever else is required there."""
    paths = [segments(p) for p in used.send if ":" not in p.partition(".")[0]]
    words = {p: w[0] for p, w in used.values.items() if w} | chosen
    return instance(side.description, place, wish_for(paths), words=words, request=True)


def _only(value: Any, wish: Any) -> Any:
    """What we send of it: members that are not sent are left out, required or not."""
    if isinstance(value, dict) and wish:
        return {k: _only(v, wish.get(k, wish.get("*", {}))) for k, v in value.items()
                if k in wish or "*" in wish}  # fmt: skip
    if isinstance(value, list) and wish:
        return [_only(item, wish.get("[]", {})) for item in value]
    return value


def _refused_word(finding: Finding, used: OperationUsage) -> dict[str, Any]:
    words = used.values.get(finding.path)
    if finding.rule == "parameter-values" and words and isinstance(finding.after, list):
        refused = [w for w in words if w not in finding.after]
        return {finding.path: refused[0]} if refused else {}
    length = used.lengths.get(finding.path)
    if finding.rule == "parameter-limits" and length:
        return {finding.path: "x" * length}
    return {}


def _content_type(operation: str, new: Side, old: Side | None) -> dict[str, Any] | None:
    if old is None:
        return None
    before, after = sorted(request_types(old)), request_types(new)
    if not before or set(before) & after:
        return None
    return {
        "request": {"operation": operation, "content_type": before[0]},
        "result": f"refused: {' or '.join(sorted(after))} is wanted",
    }
