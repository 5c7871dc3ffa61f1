"""Rollouts against what a review found: each of these once lost a payment, a sign or a command."""

import asyncio
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage
from tests.flows.test_rollouts import PLAN, begin, running, shop, work

from tollkeeper.flows import routes
from tollkeeper.flows.ports import SeenDescription
from tollkeeper.flows.rollouts import commands, explain, retire, starting
from tollkeeper.flows.runtime import configured_rules
from tollkeeper.kernel.errors import (
    Conflict,
    GateClosed,
    Invalid,
    Misconfigured,
    Unavailable,
)
from tollkeeper.payments.outcome import Doubt, Outcome
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing.routes import Condition
from tollkeeper.store.statements import Operation, sql
from tollkeeper.testing.misread import misreading

NEW_VERSION = NEW.partition("@")[2]
STAYS = replace(PLAN, dwell_seconds=100_000.0, most_outstanding=50)


async def found(at: Stage, made: Rollout) -> Rollout:
    return await commands.load_rollout(at.runtime, made.id)


async def settle_down(at: Stage, rounds: int = 40) -> None:
    for _ in range(rounds):
        await work(at)
        await at.clock.advance(3)


async def come_back(at: Stage, made: Rollout, rounds: int = 12) -> list[Any]:
    """The same forty customers, until the rollout ends."""
    paid = []
    for _ in range(rounds):
        paid += await shop(at, 40)
        at.clock.now += 2
        if (await found(at, made)).status != "running":
            break
    return paid


def altered(at: Stage, **fields: Any) -> None:
    """The candidate, with some of its fields replaced."""
    real = at.runtime.installed[NEW]
    alter(at.runtime, installed=dict(at.runtime.installed) | {NEW: replace(real, **fields)})


async def test_a_fault_that_begins_once_every_customer_was_counted_is_seen(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        await shop(at, 40)
        at.fault(
            "rename_field", object="payment_intent", path="status", to="state",
            operation="payment_intents.create", api_version=NEW_VERSION,
        )  # fmt: skip
        await come_back(at, made)
        assert (await found(at, made)).status == "rolled_back"
        await settle_down(at)
        assert (await at.examined()).violations == []


async def test_a_misreading_of_returning_customers_is_found_and_corrected(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        await shop(at, 40)
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW))
        paid = await come_back(at, made)
        assert (await found(at, made)).status == "rolled_back"
        await settle_down(at)
        taken = [p["id"] for p in paid if p["integration"] == NEW]
        books = [await at.store.load_books(id_) for id_ in taken]
        assert {(b.payment.status, b.payment.integration) for b in books if b is not None} == {
            ("succeeded", MIDDLE)
        }
        assert (await at.examined()).violations == []


async def test_a_capped_payment_does_not_use_its_customer_up(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(STAYS, most_outstanding=0))
        await shop(at, 20)
        assert (await found(at, made)).canary_seen == 0
        rows = await at.store.uncounted(made.id, 10**15, 100)
        assert all(row.share_ppm == 0 for row in rows)
        at.runtime.live.apply_routes(
            replace(
                at.runtime.live.routes,
                canaries=tuple(
                    replace(c, most_outstanding=50) for c in at.runtime.live.routes.canaries
                ),
            )
        )
        for number in range(20):
            await at.create(customer=f"c{number}")
        rows = await at.store.uncounted(made.id, 10**15, 100)
        assert sum(row.share_ppm == 500_000 for row in rows) == 20


async def test_an_approval_read_as_a_decline_is_found_by_the_first_cross_read(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW, "declined"))
        made = await running(at, STAYS)
        await shop(at, 6, first=100)
        await settle_down(at, 4)
        ended = await found(at, made)
        assert (ended.status, "cross-read" in ended.reason) == ("rolled_back", True)
        await settle_down(at)
        assert (await at.examined()).violations == []


async def test_failing_captures_take_a_candidate_out(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        at.fault(
            "error", when="before", operation="payment_intents.capture", api_version=NEW_VERSION
        )
        for number in range(1, 20):
            for paid in await shop(at, 6, first=number * 100, capture_method="manual"):
                if paid["status"] == "requires_capture":
                    await at.capture(paid["id"])
            at.clock.now += 2
            await work(at)
            if (await found(at, made)).status != "running":
                break
        ended = await found(at, made)
        assert (ended.status, ended.reason.partition(":")[0]) == ("rolled_back", "follow_up")


async def test_a_candidate_that_raises_in_the_shadow_is_nobodys_error(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:

        def outcome(*_: Any) -> Outcome:
            raise KeyError("latest_charge")

        altered(at, outcome=outcome)
        made = await begin(at)
        assert (await at.create(customer="b"))["status"] == "succeeded"
        await work(at)
        assert (await found(at, made)).shadows.differing == 1


async def test_what_a_candidate_refuses_stays_with_the_baseline(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        able = at.runtime.installed[NEW].capabilities
        units = {c: unit for c, unit in able.units.items() if c != "EUR"}
        altered(at, capabilities=replace(able, units=units))
        made = await begin(at)
        bought = await shop(at, 10)
        assert Counter(p["status"] for p in bought) == {"succeeded": 10}
        assert (await found(at, made)).shadows.computed == 0


async def test_a_row_that_cannot_be_read_stops_neither_payments_nor_the_switch(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        await running(at)

        def spoil() -> Operation[None]:
            yield sql("spoil", "UPDATE rollouts SET body = :body"), {"body": b'{"id":'}

        await at.store.driver.write(spoil())
        await routes.refresh(at.runtime)
        assert (await at.create(customer="c90"))["integration"] == MIDDLE
        assert await commands.stop_all(at.runtime, reason="incident", actor="test") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"limit_seconds": float("inf")},
        {"dwell_seconds": float("nan")},
        {"alpha": 1e-320},
        {"pause_at": (100.0,)},
        {"steps_percent": (float("inf"),)},
    ],
    ids=str,
)
async def test_plans_that_would_never_end_or_roll_back_are_refused(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    async with stage(tmp_path) as at:
        with pytest.raises(Invalid):
            await begin(at, replace(PLAN, **fields))
        for wrong in (Condition(currency="usd"), Condition(country="Germany")):
            with pytest.raises(Invalid):
                await starting.begin_rollout(
                    at.runtime, NEW, PLAN, condition=wrong, override="x", actor="test"
                )
        with pytest.raises(GateClosed):
            await starting.begin_rollout(at.runtime, NEW, PLAN, override="  ", actor="test")


async def test_the_next_rollout_has_its_traffic_while_the_last_one_is_watched(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        first = await running(at)
        await commands.promote(at.runtime, first.id, reason="mine", actor="test")
        second = await begin(at, STAYS, OLD)
        for number in range(4):
            await shop(at, 20, first=1_000 + 20 * number)
        assert (await found(at, second)).baseline == NEW
        assert (await found(at, second)).canary_seen > 0


async def test_a_late_rollback_ends_what_compares_with_it_and_hands_over_to_what_is_in_service(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        first = await running(at)
        await commands.promote(at.runtime, first.id, reason="mine", actor="test")
        second = await begin(at, STAYS, OLD)
        await shop(at, 20, first=1_000)
        taken = [p for p in await shop(at, 20, first=2_000) if p["integration"] == OLD]
        assert taken
        await commands.roll_back(at.runtime, first.id, reason="it is bad", actor="test")
        ended = await found(at, second)
        assert (ended.status, ended.share_ppm) == ("aborted", 0)
        await settle_down(at)
        books = [await at.store.load_books(p["id"]) for p in taken]
        assert {b.payment.integration for b in books if b is not None} == {MIDDLE}
        assert (await at.examined()).violations == []


async def test_the_kill_switch_rolls_back_what_is_promoted_in_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        real = commands._command

        async def late(*args: Any, **rest: Any) -> Any:
            _, id_, _, _, detail = args
            if detail == "stopped":
                await commands.promote(at.runtime, id_, reason="evidence", actor="controller")
            return await real(*args, **rest)

        monkeypatch.setattr(commands, "_command", late)
        (stopped,) = await commands.stop_all(at.runtime, reason="incident", actor="test")
        assert (stopped.id, stopped.status) == (made.id, "rolled_back")
        assert {p["integration"] for p in await shop(at, 5, first=500)} == {MIDDLE}


async def test_what_was_taken_after_the_watch_is_handed_over_by_a_late_rollback(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, watch_seconds=1))
        await commands.promote(at.runtime, made.id, reason="mine", actor="test")
        at.clock.now += 5
        for _ in range(3):
            await work(at)
        late = await shop(at, 6, first=70, capture_method="manual")
        await commands.roll_back(at.runtime, made.id, reason="it is bad", actor="test")
        await settle_down(at)
        books = [await at.store.load_books(p["id"]) for p in late]
        assert {b.payment.integration for b in books if b is not None} == {MIDDLE}


async def test_a_slice_that_carries_the_candidate_is_not_compared_with_itself(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        first = await starting.begin_rollout(
            at.runtime, NEW, PLAN, condition=Condition(currency="EUR"), override="x", actor="test"
        )
        await shop(at, 4)
        await commands.promote(at.runtime, first.id, reason="mine", actor="test")
        second = await begin(at, replace(STAYS, shadow_payments=0))
        await work(at)
        await shop(at, 20, first=100)
        assert (await found(at, second)).evidence["failure"].baseline_ok == 0
        await shop(at, 20, first=200, currency="USD")
        assert (await found(at, second)).evidence["failure"].baseline_ok > 0


async def test_a_description_that_breaks_a_running_candidate_holds_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        await see(at, compatible=True)
        made = await starting.begin_rollout(at.runtime, NEW, PLAN, actor="test")
        await shop(at, 4)
        await see(at, compatible=False)
        for number in range(1, 120):
            await shop(at, 20, first=number * 100)
            at.clock.now += 5
            if "gate" in (await found(at, made)).waiting:
                break
        assert "breaks" in (await found(at, made)).waiting


async def see(at: Stage, *, compatible: bool) -> None:
    now_ms = at.store.now_ms()
    verdicts = msgspec.json.encode({NEW: {"compatible": compatible, "findings": []}})
    seen = SeenDescription(
        provider="stripe", digest=str(compatible), seen_ms=now_ms, checked_ms=now_ms, etag=None,
        text=zlib.compress(b"{}"), verdicts=verdicts, notes=None,
    )  # fmt: skip
    await at.store.save_description(seen, ())


async def test_reasons_are_asked_for_and_kept(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, pause_at=(50,)))
        with pytest.raises(Invalid, match="reason"):
            await commands.promote(at.runtime, made.id, reason=" ", actor="test")
        await commands.approve(at.runtime, made.id, reason="CAB-4711", actor="test")
        records = await explain.all_records(at.runtime, made.id)
        assert records[-1].detail == "approved: CAB-4711"
        await commands.abort(at.runtime, made.id, reason="", actor="test")
        other = await running(at)
        with pytest.raises(Conflict, match="nothing to approve"):
            await commands.approve(at.runtime, other.id, actor="test")


async def test_a_version_is_needed_until_nothing_holds_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        held = await at.held(customer="a")
        paid = await at.create(customer="b")
        stands = await retire.standing(at.runtime, MIDDLE)
        assert stands.payments == {"requires_capture": 1}
        assert any("carries 100 %" in reason for reason in stands.reasons)
        await at.capture(held["id"])
        made = await begin(at)
        assert any("shadow" in r for r in (await retire.standing(at.runtime, MIDDLE)).reasons)
        await commands.promote(at.runtime, made.id, reason="mine", actor="test")
        assert any("watched" in r for r in (await retire.standing(at.runtime, MIDDLE)).reasons)
        at.clock.now += 700_000
        for _ in range(4):
            await work(at)
        stands = await retire.standing(at.runtime, MIDDLE)
        assert stands.may_go, stands.reasons
        alter(at.runtime, installed={n: v for n, v in at.runtime.installed.items() if n != MIDDLE})
        refund = await at.refund(paid["id"])
        assert refund["status"] == "succeeded"
        books = await at.store.load_books(paid["id"])
        assert books is not None
        assert books.payment.moved_from == MIDDLE
        with pytest.raises(Conflict, match="not installed"):
            await commands.roll_back(at.runtime, made.id, reason="late", actor="test")
        alter(at.runtime, installed={n: v for n, v in at.runtime.installed.items() if n != NEW})
        with pytest.raises(Misconfigured, match="routes reset"):
            routes.check(at.runtime)
        await at.store.reset_rules()
        await routes.refresh(at.runtime)
        assert at.runtime.live.routes.rules == configured_rules(at.runtime.settings)
        assert (await at.examined()).violations == []


async def test_explain_is_the_same_while_the_controller_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        real = commands.load_rollout

        async def slow(runtime: Any, id_: str) -> Rollout:
            seen = await real(runtime, id_)
            at.clock.now += 2
            await shop(at, 3, first=777)
            return seen

        monkeypatch.setattr(commands, "load_rollout", slow)
        explained = await explain.explain(at.runtime, made.id)
        assert (explained.complete, explained.same) == (True, True)


async def test_an_approval_does_not_let_a_tripwire_go(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(STAYS, pause_at=(50,)))
        at.fault("sunset", when="before", status=410, api_version=NEW_VERSION)
        number = 0
        while not at.runtime.live.is_tripped(made.id):
            number += 1
            await at.create(customer=f"trip-{number}")
        at.clock.now += 1
        await commands.approve(at.runtime, made.id, actor="test")
        assert at.runtime.live.is_tripped(made.id)


async def carried_by(at: Stage, ids: list[str]) -> set[str]:
    books = [await at.store.load_books(id_) for id_ in ids]
    return {b.payment.integration for b in books if b is not None}


async def taken_by(at: Stage, version: str, first: int, **fields: Any) -> list[str]:
    paid = await shop(at, 12, first=first, **fields)
    taken = [p["id"] for p in paid if p["integration"] == version]
    assert taken
    return taken


async def test_a_cross_read_under_way_at_the_rollback_still_hands_over(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        taken = await taken_by(at, NEW, 100, capture_method="manual")
        ended: list[Rollout] = []

        async def before(request: Any) -> None:
            if request.method == "GET" and not ended:
                ended.append(
                    await commands.roll_back(at.runtime, made.id, reason="bad", actor="test")
                )

        at.wire.before = before
        await settle_down(at)
        assert ended
        assert await carried_by(at, taken) == {MIDDLE}
        await at.capture(taken[0])
        books = await at.store.load_books(taken[0])
        assert books is not None
        assert books.attempts[-1].integration == MIDDLE


async def test_a_sweep_believes_no_version_that_was_taken_out_itself(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        first = await running(at)
        await commands.promote(at.runtime, first.id, reason="mine", actor="test")
        await begin(at, STAYS, OLD)
        await shop(at, 20, first=1_000)
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW))
        paid = [await at.create(customer=f"q{number}") for number in range(20)]
        taken = [p["id"] for p in paid if p["integration"] == OLD]
        assert taken
        await commands.roll_back(at.runtime, first.id, reason="it misreads", actor="test")
        await settle_down(at, 80)
        books = [await at.store.load_books(id_) for id_ in taken]
        assert {(b.payment.status, b.payment.integration) for b in books if b is not None} == {
            ("succeeded", MIDDLE)
        }
        assert (await at.examined()).violations == []


async def test_a_late_rollback_goes_on_where_it_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, watch_seconds=1))
        await commands.promote(at.runtime, made.id, reason="mine", actor="test")
        at.clock.now += 5
        for _ in range(3):
            await work(at)
        late = [p["id"] for p in await shop(at, 6, first=70, capture_method="manual")]
        stale = at.runtime.live.routes
        real = at.store.adopt
        lost: list[int] = []

        async def adopt(*given: Any) -> None:
            if not lost:
                lost.append(1)
                raise Unavailable("lost before the commit")
            await real(*given)

        monkeypatch.setattr(at.store, "adopt", adopt)
        await commands.roll_back(at.runtime, made.id, reason="bad", actor="test")
        fresh = at.runtime.live.routes
        at.runtime.live.apply_routes(stale)  # what a replica still acts on for a moment
        late += [(await at.create(customer=f"s{number}"))["id"] for number in range(3)]
        at.runtime.live.apply_routes(fresh)
        at.clock.now += 61  # by then no replica's clock is so far behind
        with pytest.raises(Unavailable):
            await work(at)
        at.clock.now += 31
        await settle_down(at, 80)
        assert await carried_by(at, late) == {MIDDLE}
        assert "advance" not in await at.store.count_jobs()


async def test_a_late_rollback_ends_although_payments_go_on(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, watch_seconds=1))
        await commands.promote(at.runtime, made.id, reason="mine", actor="test")
        at.clock.now += 5
        for _ in range(3):
            await work(at)
        late = [p["id"] for p in await shop(at, 6, first=70)]
        await commands.roll_back(at.runtime, made.id, reason="bad", actor="test")
        for number in range(120):
            await shop(at, 1, first=1_000 + number)
            at.clock.now += 2
        assert "advance" not in await at.store.count_jobs()
        assert await carried_by(at, late) == {MIDDLE}


async def test_what_nobody_could_look_up_for_half_an_hour_is_handed_over(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        taken = await taken_by(at, NEW, 400, capture_method="manual")
        real = at.runtime.installed[MIDDLE]

        def outcome(operation: Any, reply: Any) -> Outcome:
            if operation == "lookup":
                return Outcome(kind="unknown", doubt=Doubt("status", "502"))
            return real.outcome(operation, reply)

        alter(
            at.runtime,
            installed=dict(at.runtime.installed) | {MIDDLE: replace(real, outcome=outcome)},
        )
        await commands.roll_back(at.runtime, made.id, reason="bad", actor="test")
        for _ in range(215):
            await work(at)
            at.clock.now += 10.2
        assert await carried_by(at, taken) == {MIDDLE}


async def test_a_disagreement_after_the_promotion_alarms(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW, "declined"))
        bought = [await at.create(customer=f"c{number}") for number in range(100, 112)]
        assert NEW in {payment["integration"] for payment in bought}
        await commands.promote(at.runtime, made.id, reason="mine", actor="test")
        await settle_down(at, 10)
        ended = await found(at, made)
        assert (ended.status, ended.alarmed) == ("promoted", True)
        told = [record.decision for record in await explain.all_records(at.runtime, made.id)]
        assert any(decision and "cross-read" in decision.reason for decision in told)


async def test_after_a_rollback_sends_under_way_are_waited_for(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        await commands.abort(at.runtime, made.id, reason="mine", actor="test")
        longest_s = at.runtime.policy(NEW).send_ms / 1000
        ended_ms = (await found(at, made)).updated_ms
        while at.clock.now_ms() < ended_ms + longest_s * 1000:
            await work(at)
            assert "advance" in await at.store.count_jobs()
            await at.clock.advance(2)
        for _ in range(6):
            await work(at)
            await at.clock.advance(2)
        assert "advance" not in await at.store.count_jobs()


async def test_promotions_that_overlap_go_back_in_their_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        first = await running(at)
        await commands.promote(at.runtime, first.id, reason="mine", actor="test")
        second = await starting.begin_rollout(
            at.runtime, OLD, PLAN, condition=Condition(currency="EUR"), override="x", actor="test"
        )
        await shop(at, 4)
        await commands.promote(at.runtime, second.id, reason="mine", actor="test")
        with pytest.raises(Conflict, match="roll that back first"):
            await commands.roll_back(at.runtime, first.id, reason="bad", actor="test")
        for made in (second, first):
            await commands.roll_back(at.runtime, made.id, reason="bad", actor="test")
        assert {p["integration"] for p in await shop(at, 6, first=900)} == {MIDDLE}
        for rule in at.runtime.live.routes.rules:
            assert sum(rule.weights.values()) == pytest.approx(100)


async def test_a_rollout_whose_candidate_is_gone_ends(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        await taken_by(at, NEW, 400)
        alter(at.runtime, installed={n: v for n, v in at.runtime.installed.items() if n != NEW})
        await commands.abort(at.runtime, made.id, reason="gone", actor="test")
        await settle_down(at, 60)
        assert "advance" not in await at.store.count_jobs()


async def test_a_rollout_of_an_older_release_goes_on(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, STAYS)
        now = await found(at, made)
        stored = msgspec.to_builtins(replace(now, declines=()))
        stored["evidence"] = list(stored["evidence"].values())[:6]  # by position, without a name
        old = msgspec.json.encode(stored)

        def rewrite() -> Operation[None]:
            yield sql("rewrite", "UPDATE rollouts SET body = :body"), {"body": old}

        await at.store.driver.write(rewrite())
        at.clock.now += 2
        await shop(at, 4, first=300)
        assert set((await found(at, made)).evidence) == set(now.evidence)
        (stopped,) = await commands.stop_all(at.runtime, reason="enough", actor="test")
        assert stopped.status == "stopped"


async def test_routes_are_looked_at_where_nobody_can_listen(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(STAYS, orphaned="keep"))

        async def cannot() -> None:
            raise Unavailable("too many connections")

        other = at.replica("second")
        await routes.refresh(other)
        assert other.live.routes.canaries
        alter(other, store=Deaf(at.store, cannot))
        follower = asyncio.create_task(routes.follow(other))
        await commands.abort(at.runtime, made.id, reason="enough", actor="test")
        async with asyncio.timeout(20):  # a real database answers in real time
            while other.live.routes.canaries:
                await at.clock.advance(1)
                await asyncio.sleep(0.01)
        follower.cancel()


class Deaf:
    """A store that cannot be listened to."""

    def __init__(self, store: Any, signal: Any) -> None:
        self.routing_signal = signal
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
