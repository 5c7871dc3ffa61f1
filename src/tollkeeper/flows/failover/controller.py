"""The controller of failover: counts what payments showed, decides by the rule, records, as a job.

One process holds the job's lease at a time, and every write shows its fence and its revision: a
controller that was overtaken decides nothing. A trial makes the job; one that finds nothing new
ends. A move is one commit, and calls nobody.
"""

from typing import Final

from msgspec.structs import replace

from tollkeeper.failover.checks import begun, judgements, refuted
from tollkeeper.failover.checks import counted as counted_checks
from tollkeeper.failover.drawn import Step
from tollkeeper.failover.drawn import counted as counted_in_order
from tollkeeper.failover.rule import State
from tollkeeper.failover.state import (
    Watch,
    at_rest,
    decided,
    is_told,
    sentence,
    takes_out,
)
from tollkeeper.failover.streams import (
    Stream,
    confined,
    kept,
    slices_of,
    tallied,
)
from tollkeeper.flows import routes
from tollkeeper.flows.failover import watching
from tollkeeper.flows.failover.evidence import Evidence, read
from tollkeeper.flows.failover.following import judge_follow_ups
from tollkeeper.flows.failover.judged import Judged
from tollkeeper.flows.failover.refuting import take_out_refuted
from tollkeeper.flows.failover.telling import event_of
from tollkeeper.flows.ports import Job, TrialRow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.signals.advice import veto_of

PAGE: Final = 200
LOOK_MS: Final = 1_000
"""How soon it is looked again after something was counted."""

RIPE_MS: Final = 250
"""How old a trial is when it is counted: until then one of before may still be written."""


async def failover(runtime: Runtime, job: Job) -> None:
    """Runs one `failover` job: its subject is the provider."""
    if await look(runtime, job):
        # whatever came while this was counted is looked at a moment later
        watch = await runtime.store.load_watch(job.subject)
        soon = watch is None or bool(await _page(runtime, watch, 1))
        pause_ms = RIPE_MS if soon else LOOK_MS
        await runtime.store.postpone_job(job, runtime.store.now_ms() + pause_ms)
    else:
        await runtime.store.finish_job(job)
        # a trial that came between the look and the end of the job has found the job still there
        watch = await runtime.store.load_watch(job.subject)
        if watch is not None and await _page(runtime, watch, 1):
            await runtime.store.enqueue_job("failover", job.subject, runtime.store.now_ms())


async def _page(runtime: Runtime, watch: Watch, limit: int) -> list[TrialRow]:
    """Trials after the last one that was counted."""
    seen_ms, seen_id = watch.considered_ms, watch.considered_id
    return await runtime.store.list_trials(watch.provider, seen_ms, seen_id, limit)


def _ripe(runtime: Runtime, rows: list[TrialRow]) -> list[TrialRow]:
    """Those before which none can come any more: another process may still be writing one."""
    before_ms = runtime.store.now_ms() - RIPE_MS
    return [row for row in rows if row.at_ms <= before_ms]


async def look(runtime: Runtime, job: Job) -> bool:
    """Counts what is new, and acts on it; whether there was anything."""
    stored = await runtime.store.load_watch(job.subject)
    row = await runtime.store.routing()  # not what this replica acts on, which may be older
    before = await watching.current(runtime, job.subject, stored, row)
    if before is None:
        return False
    found = await _page(runtime, before, PAGE)
    rows = _ripe(runtime, found)
    evidence = await read(runtime, before, rows)
    before = replace(before, streams=before.streams + _new_slices(before, evidence))
    checks = counted_checks(before.checks, [(r.checked, r.verdict) for r in rows])
    before = replace(before, checks=checks)
    judged = Judged(before, row, runtime)
    counted = _counted(before, evidence, _known_until_ms(runtime, found))
    for stream, state, steps in counted:
        await _judge(runtime, judged, counted, stream, state, steps)
    await take_out_refuted(runtime, judged)
    follow_ups = await judge_follow_ups(runtime, judged, rows, evidence.agreed)
    streams = kept(judged.streams)
    last = rows[-1] if rows else None
    after = replace(
        before,
        streams=streams,
        follow_ups=follow_ups,
        taken_out=judged.taken_out,
        checks=judged.checks,
        moved_from=judged.moved_from,
        moved_ms=runtime.store.now_ms() if judged.moved else before.moved_ms,
        considered_ms=last.at_ms if last is not None else before.considered_ms,
        considered_id=last.id if last is not None else before.considered_id,
    )
    if stored is not None and after == stored and not rows:
        return bool(found) or after.is_waiting
    await _write(runtime, job, stored, after, judged)
    return bool(found) or after.is_waiting


def _new_slices(watch: Watch, evidence: Evidence) -> tuple[Stream, ...]:
    made: list[Stream] = []
    for whole in watch.wholes:
        made += slices_of(whole, evidence.failing(whole.carrying), (*watch.slices, *made))
    return tuple(made)


type Counted = list[tuple[Stream, State, tuple[Step, ...]]]
"""Streams with their counts, the state that the rule gives, and the steps that gave it."""


def _known_until_ms(runtime: Runtime, found: list[TrialRow]) -> int:
    """Up to when everything that was written has been read."""
    ripe_ms = runtime.store.now_ms() - RIPE_MS
    return min(found[-1].at_ms - 1, ripe_ms) if len(found) == PAGE else ripe_ms


def _counted(watch: Watch, evidence: Evidence, until_ms: int) -> Counted:
    found: Counted = []
    for stream in watch.streams:
        happened = evidence.happened(stream)
        made = counted_in_order(stream.state, stream.pending, happened, until_ms)
        state, steps = made.state, made.steps
        helped_by, cause = evidence.helped_by(stream), evidence.cause(stream)
        tally = tallied(stream, state, steps, helped_by, cause)
        until_s = evidence.until_s.get(stream.carrying, 0)
        tally = replace(tally, healthy_until_s=until_s, pending=made.pending)
        found.append((tally, state, steps))
    return found


async def _judge(
    runtime: Runtime,
    judged: Judged,
    counted: Counted,
    stream: Stream,
    state: State,
    steps: tuple[Step, ...],
) -> None:
    watch = judged.watch
    settings = runtime.provider(watch.provider)
    now_ms = runtime.store.now_ms()
    since_ms = now_ms - watch.moved_ms
    veto = veto_of(runtime.live.look, watch.provider, now_ms)
    after, kind = decided(
        stream,
        state,
        watch.policy or settings.failover,
        may_start=_may_start(counted, stream, state),
        has_moved=since_ms < settings.failover_pause_seconds * 1000,
        more=bool(watching.others_left(runtime, watch, stream)),
        veto=veto,
    )
    if stream.candidate in refuted(judged.checks):  # it is taken out in this same look
        after, kind = replace(after, state=at_rest(state)), "counted"
    reason = sentence(stream, kind, state if kind != "proposed" else after.state)
    if veto and kind == "proposed":
        reason = f"{reason}; not moved, because {veto}"
    if steps and (stream.is_whole or kind != "counted"):
        judged.record(stream, kind, after.state, reason, steps=steps, counted=state)
    if is_told(kind):
        judged.tell(stream, kind, after.state, reason)
    if after.state.share > 0 and stream.state.share == 0:
        judged.checks = begun(judged.checks, stream.candidate)
    if kind == "moved":
        judged.move(stream)
    elif stream.carrying in judged.gone:
        pass  # its payments are others by now
    elif takes_out(kind):
        judged.take_out(stream.candidate)
        judged.streams.append(await watching.begun_again(runtime, judged.watch, after))
    else:
        judged.streams.append(after)


def _may_start(counted: Counted, stream: Stream, state: State) -> bool:
    """Whether the failures are this stream's own: a slice that holds them all, or all payments of a
    version where no slice does. What has a share already keeps it."""
    if stream.state.share > 0:
        return True
    now = [replace(one, state=after) for one, after, _ in counted]
    mine = [s for s in now if s.carrying == stream.carrying]
    whole = next((s for s in mine if s.is_whole), None)
    if whole is None:
        return False
    return confined(whole, [s for s in mine if not s.is_whole]) == (
        None if stream.is_whole else replace(stream, state=state)
    )


async def _write(
    runtime: Runtime, job: Job, stored: Watch | None, after: Watch, judged: Judged
) -> None:
    if judged.moved:
        streams = await watching.streams_of(runtime, after, judged.rules)
        after = replace(after, streams=streams)
    after = replace(
        after,
        revision=(stored.revision if stored is not None else 0) + 1,
        seq=judged.watch.seq + len(judged.records),
    )
    saved = await runtime.store.save_watch(
        job,
        after,
        records=tuple(judged.records),
        events=tuple(
            event_of(runtime, after.provider, kind, stream, state, reason)
            for kind, stream, state, reason in judged.told
        ),
        rules=judged.rerouting,
        rerouted=stored is None or _acts_otherwise(stored, after),
    )
    if not saved:
        return  # an operator or another controller was faster; the next look sees it
    await routes.refresh(runtime)
    for kind, stream, _, reason in judged.told:
        runtime.live.decisions[after.provider, kind] += 1
        runtime.tell(
            f"failover_{kind}", provider=after.provider, carrying=stream.carrying,
            candidate=stream.candidate, reason=reason,
        )  # fmt: skip


def _acts_otherwise(before: Watch, after: Watch) -> bool:
    """Whether replicas must read the routes anew."""
    shares = routes.shares_of([before]) != routes.shares_of([after])
    follow_ups = routes.follow_ups_of([before]) != routes.follow_ups_of([after])
    return shares or follow_ups or judgements(before.checks) != judgements(after.checks)
