"""Witnesses outside the body: parameters of path, query and headers that are refused."""

from typing import Any, Final

import msgspec

from tollkeeper.contracts.asking import Side
from tollkeeper.contracts.description import Place
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.instances import instance
from tollkeeper.contracts.requests import in_both_paths, parameters
from tollkeeper.contracts.usage import OperationUsage
from tollkeeper.contracts.validating import is_valid

NARROWED: Final = frozenset({"parameter-limits", "parameter-type", "parameter-values"})


def refused_outside(
    finding: Finding, operation: str, used: OperationUsage, new: Side, old: Side | None
) -> dict[str, Any] | None:
    """What we send outside the body, which the old text accepts and the new one refuses."""
    if finding.rule in NARROWED:
        witness = _narrowed(finding, operation, used, new, old)
        if witness is not None or finding.path.startswith("path:"):
            return witness
    name = finding.path.partition(".")[0].removesuffix("[]").lower()
    now = {k.lower(): p for k, p in parameters(new).items()}
    before = {k.lower(): p for k, p in parameters(old).items()} if old is not None else None
    sent = sorted(p for p in used.send if ":" in p.partition(".")[0])
    if finding.rule == "parameter-required":
        was_free = before is None or name not in before or not before[name].required
        holds = name in now and now[name].required and was_free
    else:
        holds = name not in now and (before is None or name in before)
    if finding.rule == "parameter-values":
        holds = True
    if not holds:
        return None
    return {"request": {"operation": operation, "parameters": sent}, "result": "refused"}


def _narrowed(
    finding: Finding, operation: str, used: OperationUsage, new: Side, old: Side | None
) -> dict[str, Any] | None:
    """A value outside the body that the old text accepts and the new one refuses: one that we send
    where the usage says what we do, else any."""
    now, before = _outside(finding.path, new, old)
    if now is None or (old is not None and before is None):
        return None
    for value in _values_outside(finding.path, used, old, before):
        if old is not None and before is not None and not _takes(old, before, value):
            continue
        if not _takes(new, now, value):
            asked = {"operation": operation, "parameters": {finding.path: value}}
            return {"request": asked, "result": "refused"}
    return None


def _outside(path: str, new: Side, old: Side | None) -> tuple[Place | None, Place | None]:
    """Where both texts have a parameter outside the body."""
    if path.startswith("path:"):
        found = {name: (now, was) for name, now, was in in_both_paths(new, old)}
        return found.get(path, (None, None))
    now = parameters(new).get(path)
    before = parameters(old).get(path) if old is not None else None
    return now.place if now else None, before.place if before else None


def _values_outside(
    path: str, used: OperationUsage, old: Side | None, before: Place | None
) -> list[Any]:
    length = used.lengths.get(path)
    named = [*used.values.get(path, ()), *(["x" * length] if length else [])]
    if named or old is None or before is None:
        return named
    return [instance(old.description, before, {}, words={}, request=True)]


def _takes(side: Side, place: Place, value: Any) -> bool:
    """Whether a value that is sent as a text may be accepted there."""
    as_text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    sent = instance(side.description, place, {}, words={"": as_text}, request=True)
    return is_valid(side.description, place, sent, request=True) is not False
