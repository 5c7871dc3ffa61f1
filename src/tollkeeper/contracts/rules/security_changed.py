"""The way to authenticate is not offered any more."""

from collections.abc import Iterator
from typing import Any

from tollkeeper.contracts.asking import Bodies, Rule, Side
from tollkeeper.contracts.finding import Finding


def check(bodies: Bodies) -> Iterator[Finding]:
    if bodies.old_side is None:
        return
    before, after = _schemes(bodies.old_side), _schemes(bodies.new_side)
    if before and after and not before & after:
        yield Finding(
            rule="security-changed",
            severity="risky",
            operations=(bodies.operation,),
            location="request",
            path="header:Authorization",
            pointer=bodies.new_side.operation.operation.pointer,
            advice=f"authenticate with {' or '.join(sorted(after))}",
            before=sorted(before),
            after=sorted(after),
            undecided=True,
            relied_on_by=bodies.relied_on_by,
        )


def _schemes(side: Side) -> frozenset[str]:
    """Each way to authenticate as the kinds of its schemes, since names are the provider's own."""
    said: Any = side.operation.operation.value.get(
        "security", side.description.document.get("security")
    )
    kinds = _kinds(side.description.document)
    found = set()
    for way in said if isinstance(said, list) else ():
        if isinstance(way, dict):
            found.add("+".join(sorted(kinds.get(name, str(name)) for name in way)))
    return frozenset(found)


def _kinds(document: Any) -> dict[str, str]:
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    schemes = schemes or document.get("securityDefinitions")
    if not isinstance(schemes, dict):
        return {}
    return {
        name: f"{s.get('type')} {s.get('scheme') or s.get('in') or ''}".strip()
        for name, s in schemes.items()
        if isinstance(s, dict)
    }


RULE = Rule(name="security-changed", asks="operation", summary=__doc__ or "", check=check)
