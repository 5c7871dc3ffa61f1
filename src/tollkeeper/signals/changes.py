"""Changes: what was changed by us or by a provider, read from the events that operators are told.

Law: an event that this table does not know is no change. What a failover does is a consequence of
what goes wrong, so it is listed and never a cause.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec

from tollkeeper.signals.counts import Change, ChangeKind

ANNOUNCED_BY_HAND: Final[dict[ChangeKind, str]] = {
    "deploy": "our code was deployed",
    "settings": "a setting, a key or a certificate of ours was changed",
    "migration": "our database was changed",
    "infrastructure": "our machines, network or time were changed",
    "status_feed": "a provider says that something is wrong at its side",
    "announced": "a provider announces a change or maintenance",
}
"""What can be announced by hand or by a pipeline, and what each means."""

PREFIX: Final = "change."
"""Begins the type of the event of an announced change, before its kind."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An event that operators are told, as it is kept for changes."""

    at_ms: int
    type: str
    data: msgspec.Raw


def change_of(told: Told) -> Change | None:
    """The change that an event tells of; `None` for one that tells of none."""
    area, _, rest = told.type.partition(".")
    data = msgspec.json.decode(told.data)
    if not isinstance(data, dict):
        return None
    if told.type.startswith(PREFIX):
        return _announced(told.at_ms, rest, data)
    read = READS.get(area)
    return read(told.at_ms, rest, data) if read is not None else None


def _announced(at_ms: int, kind: str, data: Mapping[str, Any]) -> Change | None:
    if kind not in get_args(ChangeKind.__value__):
        return None
    names = ("text", "provider", "integration", "host", "account", "settings")
    known: dict[str, Any] = {name: str(data[name]) for name in names if data.get(name)}
    if isinstance(data.get("until_ms"), int):
        known["until_ms"] = data["until_ms"]
    begun = data.get("at_ms")
    told_ms = begun if isinstance(begun, int) else at_ms
    return msgspec.convert({"text": kind} | known | {"at_ms": told_ms, "kind": kind}, Change)


def _rollout(at_ms: int, what: str, data: Mapping[str, Any]) -> Change | None:
    share = data.get("share_percent")
    shown = f", {share:g} % of traffic" if isinstance(share, int | float) else ""
    return Change(
        at_ms=at_ms,
        kind="rollout",
        text=f"rollout of {data.get('candidate', '?')}: {what}{shown}",
        provider=str(data.get("provider", "")),
        integration=str(data.get("candidate", "")),
    )


def _failover(at_ms: int, what: str, data: Mapping[str, Any]) -> Change | None:
    if what not in {"share", "moved", "stopped"}:
        return None
    return Change(
        at_ms=at_ms,
        kind="failover",
        text=f"failover from {data.get('carrying', '?')} to {data.get('candidate', '?')}: {what}",
        provider=str(data.get("provider", "")),
        integration=str(data.get("candidate", "")),
    )


def _routes(at_ms: int, what: str, data: Mapping[str, Any]) -> Change | None:
    weights = data.get("weights")
    names = (
        [name for name, weight in weights.items() if weight] if isinstance(weights, dict) else []
    )
    return Change(
        at_ms=at_ms,
        kind="routes",
        text=f"routes set by hand to {', '.join(names) or '?'}",
        provider=names[0].partition("@")[0] if names else "",
        integration=names[0] if len(names) == 1 else "",
    )


def _contract(at_ms: int, what: str, data: Mapping[str, Any]) -> Change | None:
    provider = str(data.get("provider", ""))
    broken = data.get("broken")
    named = ", ".join(str(one) for one in broken) if isinstance(broken, list) and broken else "none"
    return Change(
        at_ms=at_ms,
        kind="description",
        text=f"{provider} published another description; it breaks: {named}",
        provider=provider,
    )


READS: Final[dict[str, Callable[[int, str, Mapping[str, Any]], Change | None]]] = {
    "rollout": _rollout,
    "failover": _failover,
    "routes": _routes,
    "contract": _contract,
}
"""How the events of each kind are read."""


def changes_at_start(
    last: Mapping[str, Any] | None, now: Mapping[str, Any], host: str
) -> list[Change]:
    """What has changed since the last start that is known: the release, or the settings of a
    provider. `last` and `now` have `release` and `settings`, fingerprints by provider. The first
    start of all changes nothing: no payment was made before it."""
    if last is None:
        return []
    deploys = [Change(at_ms=0, kind="deploy", text=f"release {now['release']}", host=host)]
    before = last.get("settings", {})
    changed = [
        Change(at_ms=0, kind="settings", text=f"settings of {name}", provider=name, settings=mark)
        for name, mark in now["settings"].items()
        if name in before and before[name] != mark
    ]
    return (deploys if last.get("release") != now["release"] else []) + changed
