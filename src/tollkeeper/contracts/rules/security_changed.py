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
    elif (wanted := _more_scopes(bodies.old_side, bodies.new_side)) is not None:
        yield Finding(
            rule="security-changed",
            severity="risky",
            operations=(bodies.operation,),
            location="request",
            path="header:Authorization",
            pointer=bodies.new_side.operation.operation.pointer,
            advice=f"the token must have {' and '.join(f'`{scope}`' for scope in wanted)} as well",
            after=list(wanted),
            undecided=True,
            relied_on_by=bodies.relied_on_by,
        )


def _more_scopes(old: Side, new: Side) -> tuple[str, ...] | None:
    """The scopes that are wanted beyond those of before, whichever way is taken; else `None`."""
    before, after = _scopes(old), _scopes(new)
    if not before or not after:
        return None
    missing = [_fewest([now - was for was in before]) for now in after]
    return tuple(sorted(_fewest(missing))) if all(missing) else None


def _fewest(sets: list[frozenset[str]]) -> frozenset[str]:
    return min(sets, key=lambda scopes: (len(scopes), sorted(scopes)))


def _scopes(side: Side) -> list[frozenset[str]]:
    """The scopes of each way to authenticate."""
    return [
        frozenset(str(s) for scopes in way.values() if isinstance(scopes, list) for s in scopes)
        for way in _ways(side)
    ]


def _ways(side: Side) -> list[dict[str, Any]]:
    said: Any = side.operation.operation.value.get(
        "security", side.description.document.get("security")
    )
    return [way for way in said if isinstance(way, dict)] if isinstance(said, list) else []


def _schemes(side: Side) -> frozenset[str]:
    """Each way to authenticate as the kinds of its schemes, since names are the provider's own."""
    kinds = _kinds(side.description.document)
    return frozenset(
        "+".join(sorted(kinds.get(name, str(name)) for name in way)) for way in _ways(side)
    )


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
