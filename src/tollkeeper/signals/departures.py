"""Departures: replies that versions could not read, refusals, and skew of versions, by their shape.

Contracts say what a provider promises; this says what it did. One row for each version, operation
and shape: a pointer of the reply, the status, word and parameter of a refusal, or the other API
version that a reply or webhook is rendered at, which needs nothing to have failed.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.signals.counts import Cell, Counted
from tollkeeper.signals.samples import Sample, key_of

MANY_ACCOUNTS: Final = 20


class Departure(msgspec.Struct, kw_only=True):
    """One shape. `count` replies or webhooks of `of` had it, from `first_ms` to `last_ms` (Unix
    milliseconds, exact to the minute); `accounts` are those of ours that met it, twenty at most.
    `kind` is `reply`, `refusal` or `skew`. `version`: the API version that they were rendered at,
    of skew alone. `samples`: outlines of some replies, the first ones of each process."""

    integration: str
    operation: str
    kind: str
    pointer: str
    error: str
    status: int
    count: int = 0
    of: int = 0
    first_ms: int = 0
    last_ms: int = 0
    accounts: list[str] = []
    version: str = ""
    samples: list[str] = []

    @property
    def share(self) -> float:
        """The part of the operation's requests that had it, from 0 to 1."""
        return self.count / self.of if self.of else 0.0


def sampled(found: Iterable[Departure], samples: Iterable[Sample]) -> list[Departure]:
    """The departures with their samples."""
    by_key: dict[str, list[str]] = {}
    for sample in samples:
        by_key.setdefault(sample.key, []).append(sample.outline)
    return [replace(one, samples=by_key.get(_key(one), [])) for one in found]


def _key(one: Departure) -> str:
    return key_of(
        integration=one.integration,
        operation=one.operation,
        pointer=one.pointer,
        error=one.error,
        status=one.status,
    )


def departures(spans: Iterable[tuple[int, list[Counted]]]) -> list[Departure]:
    """The departures in counts, the newest first. `spans` are Unix seconds and what was counted
    from then on, oldest first."""
    found: dict[tuple[str, ...], Departure] = {}
    totals: dict[tuple[str, str], int] = {}
    for second, lines in spans:
        for line in lines:
            cell = line.cell
            if cell.kind not in {"attempt", "webhook_in"} or not cell.integration:
                continue
            of = (cell.integration, _operation(cell))
            totals[of] = totals.get(of, 0) + line.tally.n
            if cell.version:
                _add(found, cell, "skew", line.tally.n, second * 1000)
            if departs(cell):
                kind = "reply" if cell.unreadable else "refusal"
                _add(found, cell, kind, line.tally.n, second * 1000)
    for one in found.values():
        one.of = totals[one.integration, one.operation]
    return sorted(found.values(), key=lambda one: (-one.first_ms, -one.count))


WEBHOOK: Final = "webhook"
"""Stands for the operation of a webhook: its cell has what became of it."""


def _operation(cell: Cell) -> str:
    return WEBHOOK if cell.kind == "webhook_in" else cell.operation


def departs(cell: Cell) -> bool:
    """Whether a reply came that was not understood, or a refusal other than of too many."""
    if cell.kind != "attempt":
        return False
    refused = cell.stage == "provider" and 400 <= cell.status < 500 and cell.status != 429
    return cell.result == "failed" and (cell.unreadable or bool(cell.pointer) or refused)


def _add(
    found: dict[tuple[str, ...], Departure], cell: Cell, kind: str, count: int, at_ms: int
) -> None:
    skews = kind == "skew"  # whatever else it is: two versions that do not fit are one finding
    pointer, error, status = ("", "", 0) if skews else (cell.pointer, cell.error, cell.status)
    version = cell.version if skews else ""
    key = (cell.integration, _operation(cell), pointer, error, str(status), version)
    one = found.get(key)
    if one is None:
        one = found[key] = Departure(
            integration=cell.integration,
            operation=_operation(cell),
            kind=kind,
            pointer=pointer,
            error=error,
            status=status,
            first_ms=at_ms,
            accounts=[],
            version=version,
        )
    one.count += count
    one.last_ms = max(one.last_ms, at_ms)
    if cell.account and cell.account not in one.accounts and len(one.accounts) < MANY_ACCOUNTS:
        one.accounts.append(cell.account)
