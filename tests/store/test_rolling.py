"""Rollouts in the store: nothing is decided or counted twice, and all replicas see it."""

from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.flows.ports import Job, Rerouting, Store
from tollkeeper.kernel.ids import first_id
from tollkeeper.payments.assignment import Assignment, FirstResult, FollowUpResult, ShadowResult
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import Crossings, Decision, Plan, Record, Rollout, Shadows, start
from tollkeeper.routing.routes import Condition, Rule

OLD, NEW = "stripe@2022-08-01", "stripe@2022-11-15"


def rollout(id_: str = "ro_1", **fields: object) -> Rollout:
    made = Rollout(
        id=id_, provider="stripe", candidate=NEW, baseline=OLD, salt="s", condition=Condition(),
        plan=Plan(steps_percent=(5, 100)), status="running", actor="test", created_ms=EPOCH_MS,
        updated_ms=EPOCH_MS, valid_until_ms=EPOCH_MS + 10_000, seq=1, share_ppm=50_000,
    )  # fmt: skip
    return replace(start(made), **fields)


def record(of: Rollout) -> Record:
    return Record(
        seq=of.seq, at_ms=of.updated_ms, actor="test", cause="evidence", status=of.status,
        step=of.step, share_ppm=of.share_ppm, decision=Decision(kind="hold", reason="test"),
    )  # fmt: skip


def event() -> OutEvent:
    return OutEvent(
        id=stage.identifier("evt"), account="acc_1", payment_id="", type="rollout.started",
        created_ms=EPOCH_MS, data=b"{}",
    )  # fmt: skip


def later(of: Rollout, **fields: object) -> Rollout:
    return replace(of, revision=of.revision + 1, seq=of.seq + 1, **fields)


async def claimed(store: Store, at_ms: int = EPOCH_MS) -> list[Job]:
    """The due jobs of rollouts and of payments; those of incidents are looked at elsewhere."""
    found = await store.claim_jobs(at_ms, 1_000, 20)
    return [job for job in found if job.kind != "incident_news"]


async def pay(
    store: Store, number: int, *, canary: bool, decided: bool = True, drawn: bool = False
) -> str:
    books = stage.fresh_books(customer=f"c{number}")
    placed = Assignment(
        rollout_id="ro_1", unit=f"unit-{number}", payment_id=books.payment.id,
        arm="canary" if canary else "baseline", share_ppm=50_000, assigned_ms=EPOCH_MS + number,
        drawn=drawn,
    )  # fmt: skip
    await store.commit(stage.opening(books, assignment=placed))
    if not decided:
        return books.payment.id
    seen = FirstResult(
        rollout_id="ro_1", unit=f"unit-{number}", payment_id=books.payment.id, failed=canary,
        unreadable=False, declined=False, latency_ms=12, decided_ms=EPOCH_MS,
    )  # fmt: skip
    held = await store.load_books(books.payment.id)
    assert held is not None
    paid = replace(held.payment, updated_ms=EPOCH_MS + 1, status="succeeded")
    await store.commit(stage.change(held, replace(held, payment=paid), observed=seen))
    return books.payment.id


async def test_one_rollout_of_a_provider_at_a_time(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        assert await store.insert_rollout(first, record(first), event())
        other = rollout("ro_2")
        assert not await store.insert_rollout(other, record(other), event())
        assert [found.id for found in await store.list_rollouts(10)] == ["ro_1"]
        assert await store.load_rollout("ro_1") == first
        (job,) = await claimed(store)
        assert (job.kind, job.subject) == ("advance", "ro_1")


async def test_a_decision_upon_what_has_moved_on_is_refused(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        (job,) = await claimed(store)
        second = later(first, share_ppm=10_000)
        assert await store.save_rollout(job, second, record=record(second))
        stale = later(first, share_ppm=990_000)
        assert not await store.save_rollout(job, stale, record=record(stale))
        found = await store.load_rollout("ro_1")
        assert found is not None
        assert found.share_ppm == 10_000


async def test_a_controller_that_lost_its_lease_decides_nothing(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        (lost,) = await claimed(store)
        (held,) = await claimed(store, EPOCH_MS + 1_000)
        second = later(first)
        assert not await store.save_rollout(lost, second, record=record(second))
        assert await store.save_rollout(held, second, record=record(second))
        assert [found.seq for found in await store.list_records("ro_1", 0, 10)] == [1, 2]


async def test_a_unit_is_counted_once_and_only_its_first_payment(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        await pay(store, 1, canary=True)
        await pay(store, 2, canary=False)
        await pay(store, 1, canary=False)  # the same unit again: not an arm of its own
        places = await store.uncounted("ro_1", 0, 10)
        assert [(p.unit, p.canary, p.failed) for p in places] == [
            ("unit-1", True, True),
            ("unit-2", False, False),
        ]
        second = later(first)
        await store.save_rollout(None, second, record=record(second), units=("unit-1",))
        assert [p.unit for p in await store.uncounted("ro_1", 0, 10)] == ["unit-2"]


async def test_a_result_that_never_came_is_given_after_its_time(backend: Backend) -> None:
    async with backend.store() as store:
        await pay(store, 5, canary=True, decided=False)
        assert await store.uncounted("ro_1", EPOCH_MS + 4, 10) == []
        (place,) = await store.uncounted("ro_1", EPOCH_MS + 5, 10)
        assert place.decided_ms is None


async def test_cross_reads_are_asked_once_and_swept_at_the_end(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        one = await pay(store, 1, canary=True, drawn=True)
        again = await pay(store, 1, canary=True, drawn=True)  # its customer's second payment
        two = await pay(store, 2, canary=True)
        await pay(store, 3, canary=False)
        stands, due = await store.crossings("ro_1", 10)
        assert (stands, sorted(due)) == (Crossings(asked=2), sorted((one, again)))
        second = later(first)
        await store.save_rollout(None, second, record=record(second), crossing=due)
        assert await store.crossings("ro_1", 10) == (Crossings(asked=2), ())
        for payment_id in (one, again):
            await store.note_cross_read("ro_1", payment_id, "agreed")
        assert await store.crossings("ro_1", 10) == (Crossings(agreed=2, asked=2), ())
        assert await store.cross_read_of("ro_1", one) == "agreed"
        ended = later(second, status="rolled_back", share_ppm=0)
        assert await store.save_rollout(None, ended, record=record(ended))
        late = await pay(store, 4, canary=True, drawn=True)  # by a replica that lags behind
        assert await store.sweep("ro_1", EPOCH_MS, 10) == 4
        assert await store.sweep("ro_1", EPOCH_MS, 10) == 0
        jobs = await claimed(store)
        asked = sorted(job.subject for job in jobs if job.kind == "cross_read")
        assert asked == sorted(f"ro_1|{payment_id}" for payment_id in (one, again, two, late))


async def test_a_payment_that_a_candidate_followed_up_is_read_again(backend: Backend) -> None:
    async with backend.store() as store:
        id_ = await pay(store, 1, canary=True, drawn=True)
        other = await pay(store, 2, canary=True, drawn=True)
        for payment_id in (id_, other):
            await store.note_cross_read("ro_1", payment_id, "agreed")
        held = await store.load_books(id_)
        assert held is not None
        after = replace(held, payment=replace(held.payment, updated_ms=EPOCH_MS + 2))
        await store.commit(stage.change(held, after, read_again="ro_1"))
        stands, due = await store.crossings("ro_1", 10)
        assert (stands.agreed, due) == (1, (id_,))


async def test_the_end_of_a_rollout_makes_settling_of_its_unknown_payments_due(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        doubtful = replace(books, payment=replace(books.payment, outcome_known=False))
        placed = Assignment(
            rollout_id="ro_1", unit="unit-1", payment_id=books.payment.id, arm="canary",
            share_ppm=1, assigned_ms=EPOCH_MS,
        )  # fmt: skip
        await store.commit(
            replace(stage.opening(doubtful, assignment=placed), look_at_ms=EPOCH_MS + 60_000)
        )
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        ended = later(first, status="rolled_back", share_ppm=0)
        await store.save_rollout(None, ended, record=record(ended))
        due = {job.kind for job in await claimed(store)}
        assert "settle" in due


async def test_every_change_of_the_routes_is_a_new_revision(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.routing_revision() == 0
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        assert await store.routing_revision() == 1
        row = await store.routing()
        assert (row.rules, [r.id for r in row.rollouts], row.unproved) == (
            None, ["ro_1"], frozenset({NEW}),
        )  # fmt: skip
        rules = (Rule(condition=Condition(), weights={NEW: 100.0, OLD: 0.0}),)
        rerouted = Rerouting(before=None, after=rules)
        promoted = later(first, status="promoted", share_ppm=1_000_000)
        await store.save_rollout(None, promoted, record=record(promoted), rules=rerouted)
        row = await store.routing()
        assert (row.revision, row.rules, row.unproved) == (2, rules, frozenset())
        renewed = later(promoted)
        await store.save_rollout(None, renewed)
        assert (await store.routing()).rules == rules


async def test_shadow_readings_are_counted_and_listed(backend: Backend) -> None:
    async with backend.store() as store:
        for number, differs in enumerate((True, False, False)):
            read = ShadowResult(
                rollout_id="ro_1", payment_id=f"pay_{number}", differs=differs, at_ms=EPOCH_MS,
                detail="reply: unknown" if differs else "",
            )  # fmt: skip
            await store.commit(stage.opening(stage.fresh_books(), shadowed=read))
        assert await store.shadows("ro_1") == Shadows(computed=3, differing=1)
        assert await store.list_shadows("ro_1", 10) == [("pay_0", "reply: unknown")]


async def test_payments_that_need_a_version_are_counted(backend: Backend) -> None:
    async with backend.store() as store:
        await store.commit(stage.opening(stage.fresh_books(integration=NEW)))
        assert await store.needed(NEW) == {("processing", True): 1}
        assert await store.needed(OLD) == {}


async def test_first_follow_ups_are_counted_once(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        id_ = await pay(store, 1, canary=True)
        for failed in (True, False):  # only the first one counts
            held = await store.load_books(id_)
            assert held is not None
            after = replace(held, payment=replace(held.payment, updated_ms=EPOCH_MS + 2))
            seen = FollowUpResult(
                rollout_id="ro_1", units=("unit-1", "other"), payment_id=id_, failed=failed
            )
            await store.commit(stage.change(held, after, followed=seen))
        (follow,) = await store.follows("ro_1", 10)
        assert (follow.unit, follow.share_ppm, bool(follow.canary), bool(follow.failed)) == (
            "unit-1", 50_000, True, True,
        )  # fmt: skip
        second = later(first)
        await store.save_rollout(None, second, record=record(second), follows=("unit-1",))
        assert await store.follows("ro_1", 10) == []


async def test_a_returning_customer_counts_with_the_chance_of_a_coin(backend: Backend) -> None:
    async with backend.store() as store:
        for number, again_ppm in enumerate((500_000, 500_000, 0)):
            books = stage.fresh_books(customer="c")
            placed = Assignment(
                rollout_id="ro_1", unit="customer", payment_id=books.payment.id, arm="canary",
                share_ppm=50_000, assigned_ms=EPOCH_MS + number, again_unit=f"again-{number}",
                again_ppm=again_ppm,
            )  # fmt: skip
            await store.commit(stage.opening(books, assignment=placed))
        places = await store.uncounted("ro_1", EPOCH_MS + 10, 10)
        assert [(p.unit, p.share_ppm) for p in places] == [
            ("customer", 50_000),
            ("again-1", 500_000),
        ]


async def test_rules_that_somebody_else_has_changed_are_not_overwritten(backend: Backend) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        rules = (Rule(condition=Condition(), weights={NEW: 100.0}),)
        second = later(first)
        await store.save_rollout(
            None, second, record=record(second), rules=Rerouting(before=None, after=rules)
        )
        third = later(second)
        stale = Rerouting(before=None, after=(Rule(condition=Condition(), weights={OLD: 100.0}),))
        assert not await store.save_rollout(None, third, record=record(third), rules=stale)
        assert (await store.routing()).rules == rules
        again = Rerouting(before=rules, after=stale.after)
        assert await store.save_rollout(None, third, record=record(third), rules=again)
        assert (await store.routing()).rules == stale.after


async def test_what_a_promoted_version_took_is_adopted_once(backend: Backend) -> None:
    async with backend.store() as store:
        await store.adopt("ro_1", (), EPOCH_MS)  # an operation that has nothing to write
        for _ in range(2):
            await store.adopt("ro_1", ("pay_1", "pay_2"), EPOCH_MS)
        assert await store.sweep("ro_1", EPOCH_MS, 10) == 2
        assert await store.cross_read_of("ro_1", "pay_1") == "asked"


async def test_what_is_noted_of_a_rollout_that_has_just_ended_is_asked_again(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        first = rollout()
        await store.insert_rollout(first, record(first), event())
        id_ = await pay(store, 1, canary=True)
        await store.note_cross_read("ro_1", id_, "agreed", over=False)
        assert await store.cross_read_of("ro_1", id_) == "agreed"
        ended = later(first, status="rolled_back", share_ppm=0)
        await store.save_rollout(None, ended, record=record(ended))
        assert await store.cross_read_of("ro_1", id_) is None
        await store.note_cross_read("ro_1", id_, "agreed", over=False)
        assert await store.sweep("ro_1", EPOCH_MS, 10) == 1
        await store.note_cross_read("ro_1", id_, "agreed", over=True)
        assert await store.sweep("ro_1", EPOCH_MS, 10) == 0


async def test_what_a_rollout_had_counted_is_forgotten_once_it_is_over(backend: Backend) -> None:
    async with backend.store() as store:
        id_ = first_id("ro", EPOCH_MS)
        first = rollout(id_)
        await store.insert_rollout(first, record(first), event())
        books = stage.fresh_books()
        placed = Assignment(
            rollout_id=id_, unit="unit-1", payment_id=books.payment.id, arm="canary", share_ppm=1,
            assigned_ms=EPOCH_MS,
        )  # fmt: skip
        await store.commit(stage.opening(books, assignment=placed))
        held = later(first)
        await store.save_rollout(None, held, record=record(held))
        times = {"exchanges_before_ms": 0, "events_before_ms": EPOCH_MS + 1}
        await store.forget(**times)
        assert len(await store.list_records(id_, 0, 10)) == 2
        ended = later(held, status="rolled_back", share_ppm=0)
        await store.save_rollout(None, ended, record=record(ended))
        said = replace(record(later(ended)), cause="command", decision=None, detail="by a person")
        await store.save_rollout(None, later(ended), record=said)
        ended = later(ended)
        await store.forget(**times)
        assert len(await store.list_records(id_, 0, 10)) == 4, "its payments are still looked up"
        for job in await claimed(store):
            await store.finish_job(job)
        await store.forget(**times)
        assert [r.seq for r in await store.list_records(id_, 0, 10)] == [1, 4]
        assert await store.uncounted(id_, EPOCH_MS + 9, 10) == []
        assert await store.load_rollout(id_) == ended
