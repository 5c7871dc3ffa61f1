"""From the trials in the store to the steps that the rule counts, for each stream."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.drawn import Begun, Happened, Over
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.ports import TrialRow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask_once, order_for
from tollkeeper.payments.judging import charge_mismatch
from tollkeeper.routing.routes import RoutingContext

VERIFIED: Final = 5
VERIFYING_SECONDS: Final = 8.0
LOOKUP_SECONDS: Final = 3.0
"""Replies read over that one look verifies at most, and how long, well within the lease of its job:
the others prove nothing."""


class Evidence(msgspec.Struct, frozen=True):
    """What one look found. `healthy`: for each version that carries traffic, its first attempts
    that did not fail before each of `rows`, since the last one of its own, and `until_s` the second
    up to which they are counted. `agreed`: the trials whose reading by another version a lookup has
    confirmed; `unanswered`: those that no version could answer a lookup of."""

    rows: list[TrialRow]
    healthy: dict[str, list[int]]
    until_s: dict[str, int]
    agreed: frozenset[str]
    unanswered: frozenset[str] = frozenset()

    def failing(self, version: str) -> list[RoutingContext]:
        """The facts of payments whose first attempt through `version` failed."""
        return [
            facts_of(row)
            for row in self.rows
            if row.version == version
            and row.is_trial
            and row.trial.is_failure
            and not row.trial.through_w
        ]

    def happened(self, stream: Stream) -> Iterator[Happened]:
        """What `stream` counts. Payments of a slice are all told one by one."""
        for row, healthy in self._mine(stream, every=True):
            trial = self._trial(row, stream)
            if not row.begins:
                yield Over(row.id, row.at_ms, healthy if stream.is_whole else 0, trial)
            elif trial.share:
                yield Begun(row.begins, row.at_ms, trial.share, trial.through_w)

    def helped_by(self, stream: Stream) -> str:
        """The version that ended the last payment which the stream's own could not."""
        found = ""
        for row, _ in self._mine(stream):
            if row.read_by and row.id in self.agreed:
                found = row.read_by
            elif row.helped_by:
                found = row.helped_by
        return found

    def cause(self, stream: Stream) -> str:
        """What was wrong with the last payment that the stream's version could not take."""
        causes = [row.cause for row, _ in self._mine(stream) if not row.trial.through_w]
        return next((cause for cause in reversed(causes) if cause), "")

    def _mine(self, stream: Stream, *, every: bool = False) -> Iterator[tuple[TrialRow, int]]:
        """Rows of the stream's payments, `every` one or those that are over."""
        counts = self.healthy.get(stream.carrying, [0] * len(self.rows))
        for row, healthy in zip(self.rows, counts, strict=True):
            if not row.is_trial and not (every and row.begins):
                continue
            expected = stream.candidate if row.trial.through_w else stream.carrying
            if row.version == expected and stream.condition.holds(facts_of(row)):
                yield row, healthy

    def _trial(self, row: TrialRow, stream: Stream) -> Trial:
        """The trial as it speaks of the stream's candidate."""
        trial = row.trial
        if row.candidate and row.candidate != stream.candidate:
            trial = replace(trial, share=0.0, second="", second_ok=False, third_ok=None)
        if trial.first != "unreadable" or trial.through_w:
            return trial
        if row.read_by:
            is_mine = row.read_by == stream.candidate
            agrees, alone = row.id in self.agreed, row.id in self.unanswered
            read_over = True if is_mine and agrees else None
            return replace(trial, read_over=read_over, read_alone=is_mine and alone)
        # every one of them was asked, whichever was the candidate when the payment began
        return replace(trial, read_over=False if stream.candidate in row.unread_by else None)


def facts_of(row: TrialRow) -> RoutingContext:
    """What routing knew of the payment."""
    return RoutingContext(
        unit="",
        payment_id=row.payment_id,
        currency=row.currency,
        account=row.account,
        country=row.country,
    )


async def read(runtime: Runtime, watch: Watch, rows: list[TrialRow]) -> Evidence:
    """The trials, with the healthy first attempts before each, and lookups of what was read
    over."""
    said: dict[str, bool | None] = {}
    began = runtime.clock.monotonic()
    for row in rows:
        in_time = runtime.clock.monotonic() < began + VERIFYING_SECONDS
        if row.read_by and len(said) < VERIFIED and in_time:
            said[row.id] = await _agrees(runtime, row)
    healthy: dict[str, list[int]] = {}
    until_s: dict[str, int] = {}
    for stream in watch.wholes:
        counts, end_s = await _healthy_before(runtime, watch, stream, rows)
        healthy[stream.carrying], until_s[stream.carrying] = counts, end_s
    agreed = frozenset(id_ for id_, agrees in said.items() if agrees)
    unanswered = frozenset(id_ for id_, agrees in said.items() if agrees is None)
    return Evidence(rows, healthy, until_s, agreed, unanswered)


async def healthy_of(runtime: Runtime, key: str, from_s: int, at_ms: int) -> tuple[int, int]:
    """First attempts that did not fail from second `from_s` until before `at_ms`, by what they are
    counted under, and the second up to which they are counted."""
    to_s = max(from_s, at_ms // 1000)
    count = await runtime.store.count_between(key, from_s, to_s) if to_s > from_s else 0
    return count, to_s


async def _healthy_before(
    runtime: Runtime, watch: Watch, stream: Stream, rows: list[TrialRow]
) -> tuple[list[int], int]:
    """The healthy first attempts before each row that the stream counts, and up to when they are
    counted now: what others count takes nothing from them."""
    version = stream.carrying
    from_s = stream.healthy_until_s or watch.considered_ms // 1000
    counts = []
    for row in rows:
        expected = stream.candidate if row.trial.through_w else version
        if row.version != expected or not row.is_trial:
            counts.append(0)
            continue
        count, from_s = await healthy_of(runtime, version, from_s, row.at_ms)
        counts.append(count)
    return counts, from_s


async def _agrees(runtime: Runtime, row: TrialRow) -> bool | None:
    """Whether a lookup through a version other than the one that read the reply sees the same;
    `None` where no version could answer it."""
    books = await runtime.store.load_books(row.payment_id)
    if books is None or books.payment.provider_id is None:
        return False
    payment = books.payment
    order = order_for(runtime, payment, books.attempts[-1])
    for version in runtime.router.other_versions(row.read_by, payment.account):
        said = await ask_once(runtime, version, "lookup", order, LOOKUP_SECONDS)
        if said.charge is not None and said.is_answer:
            same = said.charge.provider_id == payment.provider_id
            return same and charge_mismatch(payment, said.charge) is None
    return None
