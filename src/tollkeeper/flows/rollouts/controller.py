"""The controller of a rollout: gathers what was counted, decides, records, as a durable job.

One process holds the job's lease at a time, and every write shows its fence: a controller that was
overtaken decides nothing. Rolling back calls nobody: it is one commit, which also makes settling of
what is unknown due at once.
"""

from typing import Final

import msgspec

from tollkeeper.flows import routes
from tollkeeper.flows.observing import context_of
from tollkeeper.flows.ports import Follow, Job, Place, Rerouting, RoutingRow
from tollkeeper.flows.rollouts.overtaken import end_where_traffic_left
from tollkeeper.flows.rollouts.telling import event_of
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.kernel.ids import first_id
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts import deciding
from tollkeeper.rollouts.counting import Counted, tallies_of
from tollkeeper.rollouts.evidence import GUARDRAILS, part_of_wealth, whole_wealth
from tollkeeper.rollouts.failing import is_failing
from tollkeeper.rollouts.rerouting import promoted_rules
from tollkeeper.rollouts.rollout import Decision, Record, Rollout, Shadows
from tollkeeper.rollouts.starting import closed_gate
from tollkeeper.rollouts.units import Seen
from tollkeeper.routing.routes import Rule

LOOK_SECONDS: Final = 5.0
"""How long one claim of the job goes on looking; well within its lease."""

PAUSE_SECONDS: Final = 0.05
IDLE_PAUSES: Final = 5
"""A look comes with the next failure on this replica, at the latest after so many pauses."""

VALID_MS: Final = 10_000
"""How long replicas may act on a share that no controller has renewed."""

MERGED_MS: Final = 1_000
MERGED_WATCHING_MS: Final = 5_000
"""How long results that could not move a decision wait to be counted in one record, before and
after promotion."""

ADOPTED: Final = 500
"""Payments of whatever version that are looked through in one go after a late rollback."""

CLOCKS_MS: Final = 60_000
"""A payment's id is by its replica's clock, which may be so far off: what is younger is looked
through later, so that none is passed over."""

SWEEP_MS: Final = 2_000
SWEEP: Final = 100
"""Payments of a candidate that was taken out which are looked up in one go of `SWEEP_MS`: half of
the requests a second that a provider usually allows."""
SWEEP_MARGIN_MS: Final = 5_000
BATCH: Final = 2_000
TOLD: Final = (
    "gate", "status", "step", "share_ppm", "cautious", "crossings", "shadows", "watch", "alarmed",
    "baseline_fails",
)  # fmt: skip
"""What is written as soon as it changes."""

CONTROLLER: Final = "controller"

EVENTS: Final = {
    "advance": "rollout.advanced",
    "promote": "rollout.promoted",
    "roll_back": "rollout.rolled_back",
    "inconclusive": "rollout.ended",
}


async def advance(runtime: Runtime, job: Job) -> None:
    """Runs one `advance` job: looks again and again, and puts itself off for the next claim."""
    end = runtime.clock.monotonic() + LOOK_SECONDS
    while True:
        runtime.live.wake_requested = False
        rollout = await look(runtime, job)
        if rollout is None or not rollout.is_active:
            await _leave(runtime, job, rollout)
            return
        if runtime.clock.monotonic() >= end:
            break
        for _ in range(IDLE_PAUSES):
            await runtime.clock.sleep(PAUSE_SECONDS)
            if runtime.live.wake_requested:
                break
    await runtime.store.postpone_job(job, runtime.store.now_ms())


async def _leave(runtime: Runtime, job: Job, rollout: Rollout | None) -> None:
    """After its end the canary's payments are looked up through the baseline, for as long as
    one that was under way may still come; then the job is done."""
    now_ms = runtime.store.now_ms()
    if rollout is None or rollout.is_promoted:
        await runtime.store.finish_job(job)
        return
    late_ms = rollout.updated_ms + _send_ms(runtime, rollout.candidate) + SWEEP_MARGIN_MS
    adopting = await _adopt(runtime, rollout, late_ms)
    found = await runtime.store.sweep(rollout.id, now_ms, SWEEP)
    if not found and not adopting and now_ms > late_ms:
        await runtime.store.finish_job(job)
    else:
        await runtime.store.postpone_job(job, now_ms + SWEEP_MS)


async def _adopt(runtime: Runtime, rollout: Rollout, late_ms: int) -> bool:
    """After a late rollback, a page of what the candidate took since its promotion is written down
    among its payments; whether any may still come, which ends some time after `late_ms`."""
    if not rollout.adopts_since_ms:
        return False
    ripe_ms, last_ms = runtime.store.now_ms() - CLOCKS_MS, late_ms + CLOCKS_MS
    before = first_id("pay", min(ripe_ms, last_ms))
    after = rollout.adopts_after or first_id("pay", rollout.adopts_since_ms - CLOCKS_MS)
    ids = [id_ for id_ in await runtime.store.page_ids(after, ADOPTED) if id_ < before]
    if not ids:
        return ripe_ms <= last_ms
    found = [await runtime.store.load_payment(id_) for id_ in ids]
    mine = tuple(
        payment.id
        for payment in found
        if payment is not None
        and payment.integration == rollout.candidate
        and rollout.condition.holds(context_of(payment))
    )
    if mine:
        await runtime.store.adopt(rollout.id, mine, runtime.store.now_ms())
    seen = msgspec.structs.replace(rollout, adopts_after=ids[-1], revision=rollout.revision + 1)
    await runtime.store.save_rollout(None, seen)
    return True


def _send_ms(runtime: Runtime, name: str) -> int:
    """How long a send may take; of a version that is not installed any more, the longest."""
    try:
        return runtime.policy(name).send_ms
    except Misconfigured:
        return max(runtime.policy(other).send_ms for other in runtime.installed)


class Looked(msgspec.Struct, frozen=True):
    """What one look found in the store: units to count, and payments to cross-read."""

    places: list[Place]
    follows: list[Follow]
    due: tuple[str, ...]
    counted: Counted

    @property
    def is_news(self) -> bool:
        """Whether it must be counted now: what could move the share. The rest may wait for one
        record a second."""
        bad = any(place.canary and seen_of(place).is_bad for place in self.places)
        return bad or any(follow.canary and follow.failed for follow in self.follows)


async def look(runtime: Runtime, job: Job) -> Rollout | None:
    """Looks once; the rollout as it now is, `None` where there is none."""
    before = await runtime.store.load_rollout(job.subject)
    if before is not None:
        before = await end_where_traffic_left(runtime, before)
    if before is None or not before.is_active:
        return before
    now_ms = runtime.store.now_ms()
    lost_before_ms = now_ms - _send_ms(runtime, before.candidate)
    places = await runtime.store.uncounted(before.id, lost_before_ms, BATCH)
    crossings, due = await runtime.store.crossings(before.id, BATCH)
    follows = await runtime.store.follows(before.id, BATCH)
    counted = Counted(
        follows=tuple((f.share_ppm, bool(f.canary), bool(f.failed)) for f in follows),
        units=tuple(seen_of(place) for place in places),
        crossings=crossings,
        shadows=await _shadows(runtime, before),
        baseline_fails=await _baseline_fails(runtime, before),
    )
    after, decision = deciding.advance(before, counted, now_ms)
    gate = await _gate_now(runtime, before, decision)
    if gate != before.gate:
        gated = msgspec.structs.replace(before, gate=gate)
        after, decision = deciding.advance(gated, counted, now_ms)
    after = _watched_long_enough(after, now_ms)
    looked = Looked(places, follows, due, counted)
    if not _is_worth_writing(before, after, decision, looked, now_ms):
        return before
    return await _write(runtime, job, before, after, decision, looked)


async def _gate_now(runtime: Runtime, rollout: Rollout, decision: Decision) -> str:
    """Why the gate is closed by now: asked where a step would be taken, as a description may have
    come since. Nothing where an operator had opened it."""
    if rollout.override or not rollout.is_running:
        return ""
    if not decision.moves_on and not rollout.gate:
        return ""
    return await gate_of(runtime, rollout.candidate) or ""


async def gate_of(runtime: Runtime, candidate: str) -> str | None:
    """Why the gate is closed for a candidate, or `None`."""
    seen = await runtime.store.list_descriptions(candidate.partition("@")[0], 1)
    verdicts = (
        msgspec.json.decode(seen[0].verdicts, type=dict[str, dict[str, object]]) if seen else None
    )
    return closed_gate(candidate, verdicts)


async def _shadows(runtime: Runtime, rollout: Rollout) -> Shadows:
    """What the shadow has read; once it is over that stays as it was."""
    if not rollout.is_shadow:
        return rollout.shadows
    return await runtime.store.shadows(rollout.id)


async def _baseline_fails(runtime: Runtime, rollout: Rollout) -> bool:
    """Whether the baseline fails more than its history, by the watch of failover."""
    if rollout.is_promoted:
        return False
    return is_failing(await runtime.store.load_watch(rollout.provider), rollout.baseline)


async def _write(
    runtime: Runtime,
    job: Job,
    before: Rollout,
    after: Rollout,
    decision: Decision,
    looked: Looked,
) -> Rollout:
    now_ms = runtime.store.now_ms()
    came = bool(looked.places or looked.follows)
    records = (
        came
        or not decision.is_hold
        or after.crossings != before.crossings
        or after.baseline_fails != before.baseline_fails
    )
    row = await runtime.store.routing() if decision.is_promotion else None
    rules_now = (row.rules or configured_rules(runtime.settings)) if row is not None else None
    after = msgspec.structs.replace(
        after,
        revision=before.revision + 1,
        seq=before.seq + records,
        updated_ms=now_ms,
        valid_until_ms=now_ms + VALID_MS,
        considered_ms=now_ms,
        rules_before=rules_now or after.rules_before,
    )
    saved = await runtime.store.save_rollout(
        job,
        after,
        record=_record(before, after, decision, looked.counted) if records else None,
        units=tuple(place.unit for place in looked.places),
        follows=tuple(follow.unit for follow in looked.follows),
        crossing=looked.due,
        events=_events(runtime, before, after, decision),
        rules=_rerouting(row, rules_now, after) if row is not None and rules_now else None,
    )
    if not saved:
        return before  # an operator or another controller was faster; the next look sees it
    await routes.refresh(runtime)
    return after


def _rerouting(row: RoutingRow, rules: tuple[Rule, ...], rollout: Rollout) -> Rerouting:
    return Rerouting(before=row.rules, after=promoted_rules(rules, rollout))


def seen_of(place: Place) -> Seen:
    """A stored place as evidence reads it; what was never decided, its process lost: a failure."""
    lost = place.decided_ms is None
    return Seen(
        share_ppm=place.share_ppm,
        canary=bool(place.canary),
        failed=lost or bool(place.failed),
        unreadable=bool(place.unreadable),
        declined=bool(place.declined),
        latency_ms=place.latency_ms or 0,
    )


def _watched_long_enough(rollout: Rollout, now_ms: int) -> Rollout:
    if not rollout.is_promoted:
        return rollout
    if now_ms - rollout.step_began_ms < rollout.plan.watch_seconds * 1000:
        return rollout
    return msgspec.structs.replace(rollout, watch=None, decline_watch=None)


def _is_worth_writing(
    before: Rollout, after: Rollout, decision: Decision, looked: Looked, now_ms: int
) -> bool:
    if not decision.is_hold or before.valid_until_ms - now_ms < VALID_MS / 2:
        return True
    pause_ms = MERGED_WATCHING_MS if before.is_promoted else MERGED_MS
    came = looked.places or looked.follows
    if came and (looked.is_news or now_ms - before.updated_ms >= pause_ms):
        return True
    return any(getattr(before, name) != getattr(after, name) for name in TOLD)


def _record(before: Rollout, after: Rollout, decision: Decision, counted: Counted) -> Record:
    return Record(
        seq=after.seq,
        at_ms=after.updated_ms,
        actor=CONTROLLER,
        cause="evidence",
        status=after.status,
        step=after.step,
        share_ppm=after.share_ppm,
        tallies=tallies_of(before, counted),
        crossings=after.crossings,
        wealth=whole_wealth(after.evidence),
        parts={rail.name: part_of_wealth(rail, after.evidence[rail.name]) for rail in GUARDRAILS},
        capped=True,
        baseline_fails=after.baseline_fails,
        decision=decision,
    )


def _events(
    runtime: Runtime, before: Rollout, after: Rollout, decision: Decision
) -> tuple[OutEvent, ...]:
    kind = EVENTS.get(decision.kind)
    if after.alarmed and not before.alarmed:
        kind = "rollout.alarmed"
    return () if kind is None else (event_of(runtime, after, kind, decision.reason),)
