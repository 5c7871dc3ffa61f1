"""Failover in the store: a watch is decided once, and no trial is lost or counted twice."""

from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.failover import rule
from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.state import Record, Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.ports import Job, Rerouting, Store, TrialRow
from tollkeeper.payments.change import OutEvent
from tollkeeper.routing.routes import Condition, Rule

OLD, NEW = "stripe@2022-08-01", "stripe@2022-11-15"
STATE = rule.begin(0.01, per_second=2)
STREAM = Stream(carrying=OLD, candidate=NEW, state=STATE)
WATCH = Watch(provider="stripe", streams=(STREAM,), salt="s", revision=1, seq=1)
BEFORE = (Rule(condition=Condition(), weights={OLD: 100.0}),)
AFTER = (Rule(condition=Condition(), weights={OLD: 0.0, NEW: 100.0}),)


def later(of: Watch, **fields: object) -> Watch:
    return replace(of, revision=of.revision + 1, seq=of.seq + 1, **fields)


def record(of: Watch) -> Record:
    return Record(
        seq=of.seq, at_ms=EPOCH_MS + of.seq, kind="counted", carrying=OLD, candidate=NEW,
        before=STATE, steps=(Step(3, Trial(first="refused")),), counted=STATE,
        after=of.streams[0].state, reason="test",
    )  # fmt: skip


def event() -> OutEvent:
    return OutEvent(
        id=stage.identifier("evt"), account="acc_1", payment_id="", type="failover.moved",
        created_ms=EPOCH_MS, data=b"{}",
    )  # fmt: skip


def trial(id_: str, at_ms: int = EPOCH_MS, **fields: object) -> TrialRow:
    made = TrialRow(
        id=id_, provider="stripe", version=OLD, at_ms=at_ms, payment_id=f"pay_{id_}",
        trial=Trial(first="refused", second="other", second_ok=True),
    )  # fmt: skip
    return replace(made, **fields)


async def claimed(store: Store, now_ms: int = EPOCH_MS) -> Job:
    """The `failover` job, held for a second."""
    (job,) = await store.claim_jobs(now_ms, 1_000, 10)
    assert (job.kind, job.subject) == ("failover", "stripe")
    return job


async def test_a_watch_is_new_once_and_changed_upon_its_revision(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.load_watch("stripe") is None
        assert await store.save_watch(None, WATCH)
        assert not await store.save_watch(None, replace(WATCH, streams=()))
        second = later(WATCH, taken_out=(NEW,), streams=())
        assert await store.save_watch(None, second)
        assert await store.load_watch("stripe") == second
        other = replace(WATCH, provider="adyen")
        assert await store.save_watch(None, other)
        assert await store.list_watches() == [other, second]


async def test_a_move_is_one_commit_with_its_record_its_event_and_its_rules(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.note_trial(trial("att_1"))
        job = await claimed(store)
        told = event()
        assert await store.save_watch(
            job, WATCH, records=(record(WATCH),), events=(told,),
            rules=Rerouting(before=None, after=BEFORE),
        )  # fmt: skip
        second = later(WATCH, streams=(replace(STREAM, carrying=NEW),), taken_out=(OLD,))
        revision = await store.routing_revision()
        assert await store.save_watch(
            job, second, records=(record(second),), rules=Rerouting(before=BEFORE, after=AFTER)
        )
        row = await store.routing()
        assert (row.rules, row.revision > revision) == (AFTER, True)
        assert await store.load_event(told.id) == told
        assert await store.list_failover_records("stripe", 10) == [record(second), record(WATCH)]
        assert await store.list_failover_records("stripe", 1) == [record(second)]
        assert await store.list_failover_records("adyen", 1) == []


async def untouched(store: Store, told: OutEvent) -> None:
    """Nothing of what was refused is there."""
    assert await store.load_watch("stripe") == WATCH
    assert await store.list_failover_records("stripe", 10) == [record(WATCH)]
    assert await store.load_event(told.id) is None
    row = await store.routing()
    assert (row.rules, row.revision) == (None, 0)


async def test_a_decision_upon_what_has_moved_on_writes_nothing(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_watch(None, WATCH, records=(record(WATCH),))
        rules = Rerouting(before=None, after=AFTER)
        told = event()
        again = later(WATCH, streams=(replace(STREAM, carrying=NEW),))
        for stale in (replace(again, revision=1), replace(again, revision=3)):
            assert not await store.save_watch(
                None, stale, records=(record(again),), events=(told,), rules=rules
            )
        await untouched(store, told)


async def test_a_controller_that_was_overtaken_writes_nothing(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_watch(None, WATCH, records=(record(WATCH),))
        await store.note_trial(trial("att_1"))
        lost = await claimed(store)
        held = await claimed(store, EPOCH_MS + 1_000)
        told = event()
        second = later(WATCH, streams=(replace(STREAM, carrying=NEW),))
        rules = Rerouting(before=None, after=AFTER)
        assert not await store.save_watch(
            lost, second, records=(record(second),), events=(told,), rules=rules
        )
        await untouched(store, told)
        assert await store.save_watch(held, second, records=(record(second),))


async def test_a_move_from_rules_that_were_changed_meanwhile_writes_nothing(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.save_watch(None, WATCH, records=(record(WATCH),))
        told = event()
        second = later(WATCH, streams=(replace(STREAM, carrying=NEW),))
        assert not await store.save_watch(
            None, second, records=(record(second),), events=(told,),
            rules=Rerouting(before=BEFORE, after=AFTER),
        )  # fmt: skip
        await untouched(store, told)


async def test_a_watch_moves_the_routes_on_only_where_replicas_must_read_it(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.save_watch(None, WATCH)
        assert await store.routing_revision() == 0
        await store.save_watch(None, later(WATCH), rerouted=True)
        assert await store.routing_revision() == 1
        assert (await store.routing()).rules is None


async def test_a_trial_is_kept_once_and_makes_its_job_due(backend: Backend) -> None:
    async with backend.store() as store:
        first = trial("att_1")
        await store.note_trial(first)
        await store.note_trial(trial("att_1", EPOCH_MS + 5))
        assert await store.list_trials("stripe", 0, "", 10) == [first]
        job = await claimed(store)
        await store.postpone_job(job, EPOCH_MS + 60_000)
        assert await store.claim_jobs(EPOCH_MS + 20, 1_000, 10) == []
        await store.note_trial(trial("att_2", EPOCH_MS + 20))
        await claimed(store, EPOCH_MS + 20)


async def test_a_payment_that_is_checked_has_a_job_of_its_own(backend: Backend) -> None:
    async with backend.store() as store:
        row = trial("att_1", checked=OLD)
        await store.note_trial(row)
        jobs = await store.claim_jobs(EPOCH_MS + 1_000, 1_000, 10)
        assert [(job.kind, job.subject) for job in jobs] == [
            ("failover", "stripe"),
            ("failover_check", f"{OLD}|pay_att_1"),
        ]
        assert await store.list_trials("stripe", 0, "", 10) == [row]


async def test_a_trial_takes_the_job_from_no_controller_that_holds_it(backend: Backend) -> None:
    async with backend.store() as store:
        await store.note_trial(trial("att_1"))
        job = await claimed(store)
        await store.note_trial(trial("att_2", EPOCH_MS + 1))
        assert await store.claim_jobs(EPOCH_MS + 1, 1_000, 10) == []
        assert await store.save_watch(job, WATCH)


async def test_pages_of_trials_lose_none_that_came_at_the_same_time(backend: Backend) -> None:
    async with backend.store() as store:
        rows = [
            trial(f"att_{id_}", EPOCH_MS + at)
            for id_, at in (("9", 0), ("1", 5), ("2", 5), ("3", 5), ("4", 5), ("0", 6))
        ]
        for row in reversed(rows):
            await store.note_trial(row)
        await store.note_trial(trial("att_x", provider="adyen"))
        found: list[TrialRow] = []
        after = (0, "")
        while page := await store.list_trials("stripe", *after, 2):
            found += page
            after = (page[-1].at_ms, page[-1].id)
        assert found == rows


async def test_counts_of_a_second_are_added_up(backend: Backend) -> None:
    async with backend.store() as store:
        await store.add_counts(10, {OLD: 3, NEW: 1})
        await store.add_counts(10, {OLD: 4})
        await store.add_counts(11, {OLD: 20})
        await store.add_counts(12, {OLD: 100})
        assert await store.count_between(OLD, 10, 11) == 7
        assert await store.count_between(OLD, 10, 12) == 27
        assert await store.count_between(OLD, 11, 13) == 120
        assert await store.count_between(OLD, 10, 10) == 0
        assert await store.count_between(NEW, 0, 99) == 1
        assert await store.count_between("stripe@1999", 0, 99) == 0


async def test_what_was_counted_and_decided_is_kept_for_its_time(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_watch(None, WATCH, records=(record(WATCH),))
        second = later(WATCH)
        await store.save_watch(None, second, records=(record(second),))
        await store.note_trial(trial("att_1"))
        await store.add_counts(EPOCH_MS // 1000, {OLD: 3})
        await store.forget(exchanges_before_ms=0, events_before_ms=EPOCH_MS + 2)
        assert await store.list_failover_records("stripe", 10) == [record(second)]
        assert await store.list_trials("stripe", 0, "", 10) == []
        assert await store.load_watch("stripe") == second
        await store.forget(exchanges_before_ms=0, events_before_ms=EPOCH_MS + 2_000)
        assert await store.count_between(OLD, 0, EPOCH_MS) == 0


async def test_trials_of_a_version_are_counted_by_time(backend: Backend) -> None:
    async with backend.store() as store:
        for id_, at in (("1", 0), ("2", 5), ("3", 9)):
            well = Trial(first="ok" if id_ == "1" else "refused")
            await store.note_trial(trial(f"att_{id_}", EPOCH_MS + at, trial=well))
        await store.note_trial(trial("att_4", version=NEW))
        await store.note_trial(trial("check_5", version=NEW, verdict="agreed"))
        assert await store.count_trials(OLD, EPOCH_MS, EPOCH_MS + 10) == (3, 2)
        assert await store.count_trials(OLD, EPOCH_MS, EPOCH_MS + 9) == (2, 1)
        assert await store.count_trials(OLD, EPOCH_MS + 1, EPOCH_MS + 5) == (0, 0)
        assert await store.count_trials(NEW, 0, EPOCH_MS + 10) == (1, 1)


async def test_routes_set_by_hand_are_written_with_their_event_or_not_at_all(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        first, refused, second = event(), event(), event()
        assert await store.set_rules(Rerouting(before=None, after=BEFORE), first)
        revision = await store.routing_revision()
        assert not await store.set_rules(Rerouting(before=None, after=AFTER), refused)
        row = await store.routing()
        assert (row.rules, row.revision) == (BEFORE, revision)
        assert await store.load_event(refused.id) is None
        assert await store.set_rules(Rerouting(before=BEFORE, after=AFTER), second)
        assert (await store.routing()).rules == AFTER
        assert [await store.load_event(told.id) for told in (first, second)] == [first, second]
        await store.reset_rules()
        assert (await store.routing()).rules is None
