"""The controller of failover: counts what payments showed, decides by the rule, records, as a job.

One process holds the job's lease at a time, and every write shows its fence and its revision: a
controller that was overtaken decides nothing. A trial makes the job; one that finds nothing new
ends. A move is one commit, and calls nobody.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.rule import State
from tollkeeper.failover.state import (
    Kind,
    Record,
    Step,
    Watch,
    candidate_of,
    decided,
    heaviest,
    is_told,
    moved_rules,
    replayed,
    sentence,
    takes_out,
)
from tollkeeper.flows import routes
from tollkeeper.flows.ports import Job, Rerouting, TrialRow
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.flows.sending import ask, order_for
from tollkeeper.payments.change import OutEvent
from tollkeeper.payments.judging import charge_mismatch

PAGE: Final = 200
LOOK_MS: Final = 1_000
"""How soon it is looked again after something was counted."""

HISTORY_S: Final = 86_400
FRESH_S: Final = 600
"""The history of a version is a day's, without the last ten minutes."""

VERIFIED: Final = 20
"""Replies read over that one look verifies at most: the others are verified by the next."""

ACTOR: Final = "failover"


class Judged(msgspec.Struct, frozen=True):
    """What one look found: the decision, the steps that it counted, and the state they gave."""

    kind: Kind
    steps: tuple[Step, ...]
    counted: State


async def failover(runtime: Runtime, job: Job) -> None:
    """Runs one `failover` job: its subject is the provider."""
    if await look(runtime, job):
        # whatever came while this was counted is looked at a moment later
        await runtime.store.postpone_job(job, runtime.store.now_ms() + LOOK_MS)
    else:
        await runtime.store.finish_job(job)
        # a trial that came between the look and the end of the job has found the job still there
        watch = await runtime.store.load_watch(job.subject)
        if watch is not None and await _is_more(runtime, watch):
            await runtime.store.enqueue_job("failover", job.subject, runtime.store.now_ms())


async def _is_more(runtime: Runtime, watch: Watch) -> bool:
    seen_ms, seen_id = watch.considered_ms, watch.considered_id
    return bool(await runtime.store.list_trials(watch.provider, seen_ms, seen_id, 1))


async def look(runtime: Runtime, job: Job) -> bool:
    """Counts what is new, and acts on it; whether there was anything."""
    stored = await runtime.store.load_watch(job.subject)
    before = await _current(runtime, job.subject, stored)
    if before is None:
        return False
    rows = await runtime.store.list_trials(
        before.provider, before.considered_ms, before.considered_id, PAGE
    )
    steps = await _steps(runtime, before, rows)
    state = replayed(before.state, steps)
    policy = runtime.provider(before.provider).failover
    after, kind = decided(before, state, policy)
    if stored is not None and after == stored and not rows:
        return False
    last = rows[-1] if rows else None
    after = replace(
        after,
        revision=(stored.revision if stored is not None else 0) + 1,
        seq=before.seq + bool(steps),
        considered_ms=last.at_ms if last is not None else before.considered_ms,
        considered_id=last.id if last is not None else before.considered_id,
    )
    await _write(runtime, job, before, after, Judged(kind, steps, state))
    return bool(rows)


async def _current(runtime: Runtime, provider: str, stored: Watch | None) -> Watch | None:
    """The watch on the version that carries the provider's traffic now: the stored one, or a new
    one where another version carries it by now."""
    row = await runtime.store.routing()  # not what this replica acts on, which may be older
    carrying = heaviest(row.rules or configured_rules(runtime.settings), provider)
    if carrying is None:
        return None
    if stored is not None and stored.carrying == carrying:
        return stored
    now_ms = runtime.store.now_ms()
    taken_out = stored.taken_out if stored is not None else ()
    watch = Watch(
        provider=provider,
        carrying=carrying,
        candidate="",
        state=await _fresh(runtime, carrying, now_ms),
        salt=runtime.new_id("fo"),
        considered_ms=stored.considered_ms if stored is not None else now_ms - FRESH_S * 1000,
        considered_id=stored.considered_id if stored is not None else "",
        since_ms=now_ms,
        seq=stored.seq if stored is not None else 0,
        moved_ms=stored.moved_ms if stored is not None else 0,
        taken_out=tuple(name for name in taken_out if name != carrying),
    )
    return replace(watch, candidate=_candidate(runtime, watch))


def _candidate(runtime: Runtime, watch: Watch) -> str:
    others = [v.name for v in runtime.router.other_versions(watch.carrying, None)]
    return candidate_of(others, watch.taken_out)


async def _fresh(runtime: Runtime, version: str, now_ms: int) -> State:
    """The state of a watch that begins, with the version's own history: of a day, without the last
    minutes, which may be the fault already."""
    from_s, to_s = now_ms // 1000 - HISTORY_S, now_ms // 1000 - FRESH_S
    unfailed = await runtime.store.count_between(version, from_s, to_s)
    failing = await runtime.store.count_trials(version, from_s * 1000, to_s * 1000)
    total = unfailed + failing
    recent = await runtime.store.count_between(version, to_s, to_s + FRESH_S)
    return rule.begin(failing / total if total else 0.0, per_second=recent / FRESH_S)


async def _steps(runtime: Runtime, watch: Watch, rows: list[TrialRow]) -> tuple[Step, ...]:
    """The trials in order, each with the healthy first attempts before it."""
    steps: list[Step] = []
    from_s = watch.considered_ms // 1000
    verified = 0
    for row in rows:
        if row.version not in {watch.carrying, watch.candidate}:
            continue
        to_s = max(from_s, row.at_ms // 1000)
        healthy = await runtime.store.count_between(watch.carrying, from_s, to_s)
        trial, from_s = row.trial, to_s
        if row.read_by and verified < VERIFIED:
            verified += 1
            agrees = row.read_by == watch.candidate and await _agrees(runtime, watch, row)
            trial = replace(trial, read_over=True if agrees else None)
        steps.append(Step(healthy, trial))
    return tuple(steps)


async def _agrees(runtime: Runtime, watch: Watch, row: TrialRow) -> bool:
    """Whether a look-up through a version other than the candidate sees what the candidate read."""
    books = await runtime.store.load_books(row.payment_id)
    if books is None or books.payment.provider_id is None:
        return False
    payment = books.payment
    order = order_for(runtime, payment, books.attempts[-1])
    others = runtime.router.other_versions(watch.candidate, payment.account)
    for version in others:
        said = await ask(runtime, version, "lookup", order)
        if said.charge is not None and said.is_answer:
            same = said.charge.provider_id == payment.provider_id
            return same and charge_mismatch(payment, said.charge) is None
    return False


async def _write(
    runtime: Runtime,
    job: Job | None,
    before: Watch,
    after: Watch,
    judged: Judged,
) -> None:
    kind, steps = judged.kind, judged.steps
    rules = await _rerouting(runtime, before) if kind == "moved" else None
    reason = sentence(before, kind, after.state)
    now_ms = runtime.store.now_ms()
    record = Record(
        seq=after.seq,
        at_ms=now_ms,
        kind=kind,
        carrying=before.carrying,
        candidate=before.candidate,
        before=before.state,
        steps=steps,
        counted=judged.counted,
        after=after.state,
        actor=ACTOR,
        reason=reason,
    )
    if kind == "moved":
        after = replace(
            after,
            carrying=before.candidate,
            taken_out=(*after.taken_out, before.carrying),
            state=await _fresh(runtime, before.candidate, now_ms),
            moved_ms=now_ms,
            since_ms=now_ms,
        )
        after = replace(after, candidate=_candidate(runtime, after))
    if takes_out(kind):
        after = replace(after, taken_out=(*after.taken_out, before.candidate))
        fresh = await _fresh(runtime, before.carrying, now_ms)
        after = replace(after, candidate=_candidate(runtime, after), state=fresh)
    is_new = before.revision == 0
    saved = await runtime.store.save_watch(
        job,
        after,
        record=record if steps else None,
        events=(event_of(runtime, after, kind, reason),) if is_told(kind) else (),
        rules=rules,
        rerouted=is_new or kind != "counted" or after.state.is_open != before.state.is_open,
    )
    if not saved:
        return  # an operator or another controller was faster; the next look sees it
    await routes.refresh(runtime)
    if is_told(kind):
        runtime.tell(
            f"failover_{kind}", provider=after.provider, carrying=before.carrying,
            candidate=before.candidate, reason=reason,
        )  # fmt: skip


async def _rerouting(runtime: Runtime, watch: Watch) -> Rerouting:
    row = await runtime.store.routing()
    rules = row.rules or configured_rules(runtime.settings)
    return Rerouting(before=row.rules, after=moved_rules(rules, watch.carrying, watch.candidate))


def event_of(runtime: Runtime, watch: Watch, kind: str, reason: str) -> OutEvent:
    """An outgoing event about a failover, for the operators' account."""
    data = {
        "object": "failover",
        "provider": watch.provider,
        "carrying": watch.carrying,
        "candidate": watch.candidate,
        "share_percent": watch.state.share * 100,
        "reason": reason,
    }
    return OutEvent(
        id=runtime.new_id("evt"),
        account=runtime.settings.watch_account,
        payment_id="",
        type=f"failover.{kind}",
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(data),
    )
