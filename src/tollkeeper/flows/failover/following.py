"""Captures, voids and refunds that fail through one version: watched, said and proposed.

Law: what follow-ups show moves no authorization, and nothing by itself. Each of them is rescued
already; an operator's word sends the next ones through another version at once.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.state import Watch, decided, is_told, sentence
from tollkeeper.failover.streams import Stream, replayed, tallied
from tollkeeper.flows.failover import watching
from tollkeeper.flows.failover.evidence import healthy_of
from tollkeeper.flows.failover.judged import Judged
from tollkeeper.flows.ports import TrialRow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.routing.routes import follow_up_key


async def judge_follow_ups(
    runtime: Runtime, judged: Judged, rows: list[TrialRow], agreed: frozenset[str]
) -> tuple[Stream, ...]:
    """The streams of follow-ups after `rows`; those of which nothing is to be known are left out.
    `agreed`: rows whose reading by another version a lookup has confirmed."""
    found: list[Stream] = []
    for stream in await _streams(runtime, judged.watch, rows):
        mine = [row for row in rows if _is_of(row, stream)]
        steps, until_s = await _steps(runtime, stream, mine, agreed)
        state = replayed(stream.state, steps)
        tally = tallied(stream, state, steps, _helped_by(mine), _cause(mine))
        tally = replace(tally, healthy_until_s=until_s)
        after, kind = decided(tally, state, "ask", may_start=True, has_moved=False, more=False)
        reason = sentence(tally, kind, after.state)
        if steps:
            judged.record(tally, kind, after.state, reason, steps=steps, counted=state)
        if is_told(kind):
            judged.tell(after, kind, after.state, reason)
        if not after.is_at_rest or after.proposed:
            found.append(after)
    return tuple(found)


def _is_of(row: TrialRow, stream: Stream) -> bool:
    mine = (row.operation, row.owner, row.version)
    return mine == (stream.operation, stream.owner, stream.carrying)


async def _streams(runtime: Runtime, watch: Watch, rows: list[TrialRow]) -> list[Stream]:
    """Those of the watch, and new ones where a follow-up failed."""
    found = list(watch.follow_ups)
    for row in rows:
        if not row.operation or not row.trial.is_failure:
            continue
        if not any(_is_of(row, stream) for stream in found):
            found.append(await _begun(runtime, watch, row))
    return found


async def _begun(runtime: Runtime, watch: Watch, row: TrialRow) -> Stream:
    return Stream(
        carrying=row.version,
        candidate=row.candidate,
        operation=row.operation,
        owner=row.owner,
        state=await watching.fresh(runtime, watch, row.version, row.counted_as),
        since_ms=row.at_ms,
        healthy_until_s=row.at_ms // 1000 - watching.FRESH_S,
    )


async def _steps(
    runtime: Runtime, stream: Stream, rows: list[TrialRow], agreed: frozenset[str]
) -> tuple[tuple[Step, ...], int]:
    key = follow_up_key(stream.carrying, stream.operation)
    until_s, steps = stream.healthy_until_s, []
    for row in rows:
        count, until_s = await healthy_of(runtime, key, until_s, row.at_ms)
        steps.append(Step(count, _trial(row, stream, agreed)))
    return tuple(steps), until_s


def _trial(row: TrialRow, stream: Stream, agreed: frozenset[str]) -> Trial:
    trial = row.trial
    if row.candidate != stream.candidate:
        trial = replace(trial, second="", second_ok=False, third_ok=None)
    if trial.first != "unreadable":
        return trial
    if row.read_by:
        is_read = row.id in agreed and row.read_by == stream.candidate
        return replace(trial, read_over=True if is_read else None)
    return replace(trial, read_over=False if row.candidate == stream.candidate else None)


def _helped_by(rows: Iterable[TrialRow]) -> str:
    return next((row.helped_by for row in reversed(list(rows)) if row.helped_by), "")


def _cause(rows: Iterable[TrialRow]) -> str:
    return next((row.cause for row in reversed(list(rows)) if row.cause), "")


def without_route(watch: Watch, owner: str, operation: str, routes: Mapping[str, str]) -> Watch:
    """The watch with other routes of follow-ups; what was known of the operation on those payments
    is of another route."""
    left = tuple(s for s in watch.follow_ups if (s.owner, s.operation) != (owner, operation))
    return replace(watch, follow_ups=left, follow_up_routes=dict(routes))
