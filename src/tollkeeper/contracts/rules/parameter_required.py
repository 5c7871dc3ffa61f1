"""A parameter that we do not send is required now."""

from collections.abc import Iterator

import msgspec

from tollkeeper.contracts.asking import Bodies, Rule
from tollkeeper.contracts.description import Description, Place
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.requests import parameters
from tollkeeper.contracts.shapes import Shape, shapes
from tollkeeper.contracts.usage import segments
from tollkeeper.contracts.walking import is_hidden

MAX_DEPTH = 8

type Tree = dict[str, Tree]


def check(bodies: Bodies) -> Iterator[Finding]:
    if bodies.is_webhook:
        return  # the provider sends it
    tree: Tree = {}
    for path in bodies.usage.send:
        if ":" not in path.partition(".")[0]:
            node = tree
            for name in segments(path):
                node = node.setdefault(name, {})
    new = bodies.new_request
    if new is not None:
        old_side = bodies.old_side
        yield from _object(
            bodies,
            tree,
            "",
            new,
            (old_side.description if old_side else None, bodies.old_request),
        )
    yield from _parameters(bodies)


def _object(
    bodies: Bodies,
    tree: Tree,
    prefix: str,
    place: Place,
    old: tuple[Description | None, Place | None],
    depth: int = 0,
) -> Iterator[Finding]:
    if depth > MAX_DEPTH or (prefix and not tree):
        return
    description = bodies.new_side.description
    objects = [s for s in shapes(description, place, expanded=True) if s.is_object]
    if not objects:
        return
    best = min(_fitting(bodies, prefix, tree, objects), key=lambda s: len(s.required - set(tree)))
    was = _required(old, tree)
    for name in sorted(best.required - set(tree)):
        member = best.members.get(name)
        if member is not None and _read_only(description, member):
            continue
        standing = was is not None and name in was
        yield Finding(
            rule="parameter-required",
            severity="risky" if standing else "breaking",
            operations=(bodies.operation,),
            location="request",
            path=f"{prefix}{name}",
            pointer=member.pointer if member is not None else best.pointer,
            advice=f"send `{prefix}{name}`: the provider refuses requests without it",
            standing=standing,
            before="optional" if was is not None else None,
            after="required",
            relied_on_by=bodies.relied_on_by,
        )
    for name, inner in tree.items():
        member = best.members.get(name)
        if member is None or not inner:
            continue
        path = f"{prefix}{name}"
        while "[]" in inner:
            inner, path = inner["[]"], f"{path}[]"  # noqa: PLW2901 - stepping into items
            member = _items(description, member) or member
        below = _member(old, name)
        yield from _object(bodies, inner, f"{path}.", member, below, depth + 1)


def _fitting(bodies: Bodies, prefix: str, tree: Tree, objects: list[Shape]) -> list[Shape]:
    """The alternatives for what we send: those that accept our words, then most of our members."""
    accepting = [s for s in objects if not _refuses(bodies, prefix, tree, s)] or objects
    most = max(len(tree.keys() & s.members.keys()) for s in accepting)
    return [s for s in accepting if len(tree.keys() & s.members.keys()) == most]


def _refuses(bodies: Bodies, prefix: str, tree: Tree, shape: Shape) -> bool:
    """Whether a member's words are none of those that we send: another branch of a union."""
    for name in tree.keys() & shape.members.keys():
        sent = bodies.usage.values.get(f"{prefix}{name}")
        found = shapes(bodies.new_side.description, shape.members[name]) if sent else []
        if (
            sent
            and found
            and all(s.enum and not [word for word in s.enum if word in sent] for s in found)
        ):
            return True
    return False


def _read_only(description: Description, member: Place) -> bool:
    return is_hidden(description, member, "readOnly")


def _items(description: Description, member: Place) -> Place | None:
    for shape in shapes(description, member, expanded=True):
        if shape.items is not None:
            return shape.items
    return None


def _required(old: tuple[Description | None, Place | None], tree: Tree) -> frozenset[str] | None:
    """What the old text required of the alternatives that take most of what we send; `None` where
    it did not have this object."""
    description, place = old
    if description is None or place is None:
        return None
    objects = [s for s in shapes(description, place, expanded=True) if s.is_object]
    most = max((len(tree.keys() & s.members.keys()) for s in objects), default=0)
    fitting = [s.required for s in objects if len(tree.keys() & s.members.keys()) == most]
    return min(fitting, key=len) if fitting else None


def _member(
    old: tuple[Description | None, Place | None], name: str
) -> tuple[Description | None, Place | None]:
    description, place = old
    if description is None or place is None:
        return description, None
    for shape in shapes(description, place, expanded=True):
        if name in shape.members:
            member = shape.members[name]
            return description, _items(description, member) or member
    return description, None


def _parameters(bodies: Bodies) -> Iterator[Finding]:
    sent = {p.partition(".")[0].removesuffix("[]").lower() for p in bodies.usage.send}
    names_headers = any(p.startswith("header:") for p in bodies.usage.send)
    was = parameters(bodies.old_side) if bodies.old_side is not None else None
    for name, parameter in sorted(parameters(bodies.new_side).items()):
        kind = name.partition(":")[0]
        if not parameter.required or name.lower() in sent:
            continue
        before = was.get(name) if was is not None else None
        standing = was is not None and before is not None and before.required
        finding = Finding(
            rule="parameter-required",
            severity="risky",
            operations=(bodies.operation,),
            location="request",
            path=name,
            pointer=parameter.place.pointer,
            advice=f"send `{name}`: the provider refuses requests without it",
            standing=standing,
            after="required",
            relied_on_by=bodies.relied_on_by,
        )
        if not standing and (kind == "query" or (kind == "header" and names_headers)):
            finding = msgspec.structs.replace(finding, severity="breaking")
        yield finding


RULE = Rule(name="parameter-required", asks="operation", summary=__doc__ or "", check=check)
