"""Planted bugs: each breaks one defence, and the simulation must find it. Public as examples, too.

These break what the service does while a payment is taken; `bugs_late` has those about what it
concludes afterwards.
"""

import asyncio
from typing import Any, Final

import msgspec

from tollkeeper.flows import comparing, recording, runtime, sending
from tollkeeper.flows import routes as live_routes
from tollkeeper.flows.payments import acts, create, follow_up, settle
from tollkeeper.flows.payments import webhook as webhook_flow
from tollkeeper.flows.rollouts import controller, cross_check
from tollkeeper.flows.runtime import configured_rules
from tollkeeper.integrations.stripe import refusals_1
from tollkeeper.integrations.stripe.words_1 import REFUSED_STATUSES
from tollkeeper.integrations.version import Delivery
from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.payments import change, failover, reservation, results, settlement
from tollkeeper.payments.commit import Committed
from tollkeeper.payments.outcome import Decline, Outcome, Refusal
from tollkeeper.payments.settlement import Step
from tollkeeper.rollouts import deciding, rollout
from tollkeeper.routing import router, routes
from tollkeeper.store import commit as stored_commit
from tollkeeper.store import payments, rollouts, tables, webhooks
from tollkeeper.store.jobs import DELETE_JOB
from tollkeeper.store.statements import Batch, sql
from tollkeeper.store.topic import writes
from tollkeeper.testing import bugs_failover, bugs_late, bugs_paging, bugs_rollouts, planting
from tollkeeper.testing.planting import Bug, Patch

_OWN: Final[list[Bug]] = []
_bug = planting.collector(_OWN)


def _without(name: str) -> Any:
    """`commit_change` that leaves out every statement called `name`."""
    real = stored_commit.commit_change

    def committing(value: Any) -> Any:
        operation = real(value)
        try:
            item = next(operation)
            while True:
                if isinstance(item, Batch):
                    kept = [part for part in item.items if part[0].name != name]
                    item = Batch(kept, required=item.required)
                item = operation.send((yield item))
        except StopIteration as end:
            return end.value

    return committing


@_bug("The audit row is written outside the change's transaction, and a crash loses it.")
def audit_outside_the_transaction() -> list[Patch]:
    return [(payments, "commit_change", _without("insert_audit"))]


@_bug("An event's delivery job is not written in the change's transaction.")
def event_without_its_job() -> list[Patch]:
    return [(payments, "commit_change", _without("fan_out_jobs"))]


@_bug("A timeout is recorded as a failure.")
def timeout_is_failure() -> list[Patch]:
    def silence(stage: str, error: str) -> Outcome:
        return Outcome(kind="failed", refusal=Refusal("timeout", f"{stage} {error}"))

    return [(sending, "silence", silence), (failover, "may_send_elsewhere", lambda _: False)]


@_bug("A timeout fails over to another version.")
def failover_on_timeout() -> list[Patch]:
    def silence(stage: str, error: str) -> Outcome:
        return Outcome(kind="failed", refusal=Refusal("timeout", f"{stage} {error}"))

    return [(sending, "silence", silence)]


@_bug("Settling repeats the request under a new idempotency key.")
def replay_under_a_new_key() -> list[Patch]:
    real = vars(acts)["opened_request"]

    def opened(w: Any, exchange: Any) -> Any:
        request = real(w, exchange)
        if request is None:
            return None
        headers = tuple(
            (name, f"{value}-again" if name == "idempotency-key" else value)
            for name, value in request.headers
        )
        return msgspec.structs.replace(request, headers=headers)

    return [(acts, "opened_request", opened)]


@_bug("Settling repeats requests although the provider keeps no keys.")
def replay_without_retention() -> list[Patch]:
    real = settlement._key_tells  # noqa: SLF001

    def tells(attempt: Any, policy: Any, now_ms: int) -> bool:
        endless = msgspec.structs.replace(policy, retention_ms=10**12)
        return real(attempt, endless, now_ms)

    return [(settlement, "_key_tells", tells)]


@_bug("A refusal of the repeated request is believed to be about the first one.")
def refused_replay_believed() -> list[Patch]:
    return [(acts, "replay_proves", lambda said: said.kind != "unknown")]


@_bug("A repetition does not move the time of the last send, so the window ends too early.")
def replay_forgets_the_window() -> list[Patch]:
    def replaying(books: Any, attempt: Any, now_ms: int) -> Any:
        again = msgspec.structs.replace(attempt, replays=attempt.replays + 1)
        return results.totals(results.with_attempt(books, again))

    return [(acts, "replaying", replaying)]


@_bug("The refund limit does not count refunds that are in flight.")
def refund_limit_ignores_flight() -> list[Patch]:
    def refundable(books: Any) -> int:
        return int(books.payment.captured_minor - books.payment.refunded_minor)

    return [(reservation, "refundable_minor", refundable)]


@_bug("The idempotency key is looked up first and bound later.")
def key_checked_then_bound() -> list[Patch]:
    real = vars(create)["commit_surely"]

    async def commit(w: Any, value: Any) -> Any:
        if value.claim is None:
            return await real(w, value)
        known = await w.store.load_key(value.claim.account, value.claim.key)
        if known is not None:
            return known
        result = await real(w, msgspec.structs.replace(value, claim=None))
        await w.clock.sleep(0.1)
        row = msgspec.structs.asdict(value.claim)
        row |= {"status": None, "body": None, "expires_ms": None}

        def bind() -> Any:
            yield stored_commit.INSERT_KEY, row

        await w.store.driver.write(bind())
        return result

    return [(create, "commit_surely", commit), (follow_up, "commit_surely", commit)]


@_bug("A reply that cannot be read is taken for a decline.")
def unreadable_is_decline() -> list[Patch]:
    real = vars(sending)["judge"]

    def judge(payment: Any, attempt: Any, outcome: Outcome) -> Outcome:
        said: Outcome = real(payment, attempt, outcome)
        if said.doubt is not None and said.doubt.kind in {"decode", "contract"}:
            return Outcome(kind="declined", decline=Decline("declined", "unreadable"))
        return said

    return [(sending, "judge", judge)]


@_bug("An approval of another amount is believed.")
def mismatch_believed() -> list[Patch]:
    return [(sending, "judge", lambda _payment, _attempt, outcome: outcome)]


@_bug("The caller is answered, and the provider asked, before the commit.")
def answered_before_commit() -> list[Patch]:
    real = vars(create)["commit_surely"]

    async def commit(w: Any, value: Any) -> Any:
        asyncio.get_running_loop().create_task(real(w, value))
        return Committed()

    return [(create, "commit_surely", commit), (follow_up, "commit_surely", commit)]


@_bug("'Not found' is believed at once, although the request may still be under way.")
def not_found_too_early() -> list[Patch]:
    real = runtime.Runtime._policy  # noqa: SLF001

    def policy(self: Any, integration: Any) -> Any:
        return msgspec.structs.replace(real(self, integration), window_ms=0)

    return [(runtime.Runtime, "_policy", policy)]


@_bug("The in-flight window is measured by the replica's own clock, which is off.")
def window_by_a_skewed_clock() -> list[Patch]:
    real = vars(settle)["next_step"]

    def step(books: Any, look: Any, policy: Any, now_ms: int, **rest: Any) -> Any:
        skewed = msgspec.structs.replace(policy, window_ms=policy.window_ms - 15_000)
        return real(books, look, skewed, now_ms, **rest)

    return [(settle, "next_step", step)]


@_bug("An absent store is taken for a finished write.")
def absence_taken_for_success() -> list[Patch]:
    async def commit(w: Any, value: Any) -> Any:
        try:
            return await w.store.commit(value)
        except (StoreDoubt, Unavailable):
            return Committed()

    return [(module, "commit_surely", commit) for module in (recording, create, follow_up)]


@_bug("A follow-up goes to the version that is active now, not to the payment's.")
def follow_up_on_the_active_version() -> list[Patch]:
    real = reservation._attempt  # noqa: SLF001

    def attempt(payment: Any, attempt_id: str, operation: Any, amount: int, now_ms: int) -> Any:
        made = real(payment, attempt_id, operation, amount, now_ms)
        return msgspec.structs.replace(made, integration="stripe@2026-03-25.dahlia")

    return [(reservation, "_attempt", attempt)]


@_bug("After a restart, whatever was being sent is taken for not sent.")
def crash_taken_for_not_sent() -> list[Patch]:
    real = vars(settle)["next_step"]

    def step(books: Any, look: Any, policy: Any, now_ms: int, **rest: Any) -> Any:
        chosen = real(books, look, policy, now_ms, **rest)
        attempt = chosen.attempt
        if attempt is not None and attempt.outcome is None:
            return Step("not_executed", attempt)
        return chosen

    return [(settle, "next_step", step)]


@_bug("A webhook is marked as seen, and its effect is left to memory.")
def webhook_seen_before_its_effect() -> list[Patch]:
    def nothing(*_: Any) -> Any:
        return
        yield

    return [(webhooks, "enqueue_job", nothing)]


@_bug("A webhook's state overwrites the payment's, whatever came before.")
def webhook_overwrites_status() -> list[Patch]:
    real = webhook_flow.webhook
    statuses = {"authorized": "requires_capture", "captured": "succeeded", "canceled": "canceled",
                "requires_action": "requires_action", "declined": "failed"}  # fmt: skip

    async def webhook(w: Any, provider: str, version: str, body: bytes, headers: Any) -> Any:
        fate = await real(w, provider, version, body, headers)
        secrets = w.provider(provider).webhook_secrets
        delivery = Delivery(body=body, headers=headers, secrets=secrets, now_ms=w.clock.now_ms())
        (event,) = w.installed[f"{provider}@{version}"].events(delivery)
        if event.charge is None or event.payment_id is None:
            return fate
        books = await recording.load(w, event.payment_id)
        status = statuses.get(event.charge.state, books.payment.status)

        def decide(current: Any) -> Any:
            if current.payment.status == status:
                return current
            payment = msgspec.structs.replace(current.payment, status=status)
            return msgspec.structs.replace(current, payment=payment)

        await recording.record(w, books, decide, cause="webhook", actor="provider")
        return fate

    return [(webhook_flow, "webhook", webhook)]


@_bug("A 409 of the provider is taken for proof that nothing was executed.")
def conflict_is_refusal() -> list[Patch]:
    return [(refusals_1, "REFUSED_STATUSES", REFUSED_STATUSES | {409})]


@_bug("A 5xx of the provider is taken for proof that nothing was executed.")
def server_error_is_refusal() -> list[Patch]:
    return [(refusals_1, "REFUSED_STATUSES", REFUSED_STATUSES | {500, 502})]


@_bug("A payment whose shopper left is failed without cancelling the intent.")
def abandoned_without_cancelling() -> list[Patch]:
    async def cancel(current: Any, step: Any) -> None:
        current.learn(canceled=True)

        def decide(books: Any) -> Any:
            if books.payment.status not in {"processing", "requires_action"}:
                return books
            payment = results.moved(books.payment, "abandoned")
            attempts = tuple(
                msgspec.structs.replace(a, outcome="failed") if a.outcome == "unknown" else a
                for a in books.attempts
            )
            return results.totals(
                msgspec.structs.replace(books, payment=payment, attempts=attempts)
            )

        await current.record(decide, "settling.cancelling")

    return [(settle, "_STEPS", {**settle._STEPS, "cancel": cancel})]  # noqa: SLF001


@_bug("A refresh that could not be answered is dropped.")
def refresh_dropped_unanswered() -> list[Patch]:
    real = settle.run_steps

    async def walk(current: Any) -> bool:
        await real(current)
        return True

    return [(settle, "run_steps", walk)]


@_bug("A settling job ends when its pass ends, settled or not.")
def job_ends_unsettled() -> list[Patch]:
    async def let_go(current: Any, job: Any, **_: Any) -> None:
        def drop() -> Any:
            yield DELETE_JOB, {"kind": job.kind, "subject": job.subject}

        await current.runtime.store.driver.write(drop())

    return [(settle, "_let_go", let_go)]


@_bug("A payment is written without asking whether it has changed since it was read.")
def lost_update() -> list[Patch]:
    columns = (c.name for c in tables.payments.c if c.name not in {"id", "created_ms"})
    text = f"UPDATE payments SET {', '.join(f'{c} = :{c}' for c in columns)} WHERE id = :id"  # noqa: S608
    return [(stored_commit, "UPDATE_PAYMENT", sql("update_payment", text))]


@_bug("An audit row does not carry the hash of the row before it.")
def audit_chain_not_linked() -> list[Patch]:
    real = vars(change)["audit_row"]

    def row(*args: Any, **rest: Any) -> Any:
        return real(*args, **{**rest, "previous": ""})

    return [(change, "audit_row", row)]


@_bug("Money in flight is not reserved.")
def nothing_reserved() -> list[Patch]:
    return [(results, "HOLDS_MONEY", ())]


@_bug("A replica acts on a canary's share for ever, though no controller renews it.")
def share_without_end() -> list[Patch]:
    real = live_routes.canary_of

    def canary_of(one: Any) -> Any:
        return msgspec.structs.replace(real(one), keep=True)

    return [(live_routes, "canary_of", canary_of)]


@_bug("A replica never notices that the routes have changed, and shares do not run out.")
def routes_never_read_again() -> list[Patch]:
    real = live_routes.canary_of
    seen: dict[str, Any] = {}

    def canary_of(one: Any) -> Any:
        kept = seen.setdefault(one.id, real(one)) if one.share_ppm else real(one)
        return msgspec.structs.replace(kept, keep=True)

    async def follow(world_: Any) -> None:
        await world_.clock.sleep(1e9)

    async def refresh(world_: Any) -> None:
        row = await world_.store.routing()
        if any(one.share_ppm for one in row.rollouts) or not world_.live.routes.canaries:
            canaries = tuple(canary_of(one) for one in row.rollouts)
            world_.live.apply_routes(
                routes.Routes(
                    rules=row.rules or configured_rules(world_.settings),
                    canaries=canaries,
                    revision=row.revision,
                )
            )

    return [(live_routes, "follow", follow), (live_routes, "refresh", refresh)]


@_bug("What was counted is not marked, and is counted again at the next look.")
def counted_again() -> list[Patch]:
    real = rollouts.save_rollout

    def save(*values: Any, **named: Any) -> Any:
        return real(*values, **(named | {"units": ()}))

    return [(rollouts.Rollouts, "save_rollout", writes(save))]


@_bug("Every payment of a customer counts, not the first.")
def every_retry_counts() -> list[Patch]:
    real = routes.choose_route

    def take(*values: Any, **named: Any) -> Any:
        taken = real(*values, **named)
        facts = values[2]
        unit = routes.unit_digest("payment", facts.payment_id)
        return msgspec.structs.replace(taken, unit=unit)

    return [(router, "choose_route", take)]


@_bug("A cross-read believes whatever the canary said.")
def cross_read_believes() -> list[Patch]:
    return [(comparing, "disagreement", lambda *_: None)]


@_bug("A cross-read that disagrees leaves the books as the canary had misread them.")
def misreading_not_corrected() -> list[Patch]:
    async def believe(*_: Any) -> bool:
        return True

    return [(comparing, "believe", believe)]


@_bug("What a candidate takes is not written down, payment by payment.")
def canary_payment_forgotten() -> list[Patch]:
    return [(payments, "commit_change", _without("insert_canary"))]


@_bug("Whoever comes back is counted with the chance of somebody new.")
def share_of_the_first() -> list[Patch]:
    real = routes.choose_route

    def take(*values: Any, **named: Any) -> Any:
        taken = real(*values, **named)
        return msgspec.structs.replace(taken, again_ppm=min(taken.again_ppm, taken.share_ppm))

    return [(router, "choose_route", take)]


@_bug("Only approvals that were heard at once are looked up after a rollback.")
def no_sweep_after_rollback() -> list[Patch]:
    async def leave(world_: Any, job: Any, _: Any) -> None:
        await world_.store.finish_job(job)

    return [(controller, "_leave", leave)]


@_bug("All results are counted at the share of the step, not at the one in force when assigned.")
def share_of_the_step() -> list[Patch]:
    real = controller.seen_of

    def seen_of(place: Any) -> Any:
        return msgspec.structs.replace(real(place), share_ppm=500_000)

    return [(controller, "seen_of", seen_of)]


@_bug("Waiting at a gate switches the rollback off.")
def gate_before_rollback() -> list[Patch]:
    ended, *rest = deciding.RULES
    gate = next(rule for rule in rest if rule.__name__ == "_gate")

    def eager(one: Any, now_ms: int) -> Any:
        return gate(one, now_ms) if one.status == "running" else None

    rules = (ended, eager, *[rule for rule in rest if rule is not gate])
    return [(deciding, "RULES", rules)]


@_bug("A step is taken without its certificate.")
def promoted_unproved() -> list[Patch]:
    unproved = {"_not_certified", "_not_cross_read", "_suspicious"}
    rules = tuple(rule for rule in deciding.RULES if rule.__name__ not in unproved)
    return [(deciding, "RULES", rules)]


@_bug("After a rollback a payment counts as handed over, whoever has it.")
def handed_over_in_name_only() -> list[Patch]:
    async def moved(*_: Any) -> bool:
        return True

    return [(cross_check, "_is_moved", moved)]


@_bug("A canary's place is not written with its payment.")
def assignment_forgotten() -> list[Patch]:
    return [(payments, "commit_change", _without("insert_assignment"))]


@_bug("A rolled back candidate keeps its share.")
def rollback_in_name_only() -> list[Patch]:
    def ended(one: Any, status: Any, reason: str) -> Any:
        return msgspec.structs.replace(one, status=status, reason=reason)

    return [
        (deciding, "ended", ended),
        (rollout.Rollout, "is_active", property(lambda one: one.share_ppm > 0)),
    ]


BUGS: Final = (
    *_OWN, *bugs_late.BUGS, *bugs_failover.BUGS, *bugs_rollouts.BUGS, *bugs_paging.BUGS
)  # fmt: skip
"""Every planted bug."""


def find(name: str) -> Bug:
    """The bug called `name`; a wrong name suggests the nearest."""
    return planting.find(name, BUGS)
