"""What happens when another process was faster: nothing is sent twice, and no news is lost."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows.stage import MIDDLE, OLD, Stage, stage
from tests.flows.test_following import THREE_D, told

from tollkeeper.flows.payments import acts, settle
from tollkeeper.flows.payments.settlement_run import SettlementRun
from tollkeeper.flows.ports import Job
from tollkeeper.flows.rollouts import cross_check
from tollkeeper.payments.commit import Stale
from tollkeeper.payments.settlement import Look, Step

CREATE = "POST /v1/payment_intents"


async def doubtful(s: Stage) -> tuple[str, SettlementRun]:
    """A payment in doubt whose charge is there, and a pass over it that begins now."""
    s.wire.pull(CREATE, "deaf")
    paid = await s.create()
    books = await s.books(paid["id"])
    return paid["id"], SettlementRun(s.runtime, books, refresh=False)


async def test_nothing_is_repeated_for_an_attempt_that_was_settled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, stale = await doubtful(s)
        held = await s.store.load_exchange(stale.books.attempts[0].id)
        await s.work(30)
        assert (await s.books(id_)).payment.status == "succeeded"
        posts = len(s.wire.posts())

        async def read_before_it_was_settled(_: str) -> Any:
            return held

        monkeypatch.setattr(s.store, "load_exchange", read_before_it_was_settled)
        await acts.replay(stale, Step("replay", stale.books.attempts[0]))
        monkeypatch.undo()
        assert len(s.wire.posts()) == posts
        books = await s.books(id_)
        assert (books.attempts[0].replays, books.attempts[0].outcome) == (0, "approved")
        await s.agreed()


async def test_no_second_cancellation_is_opened_beside_an_open_one(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        made = await s.create(payment_method=THREE_D)
        await s.work(890)
        books = await s.books(made["id"])
        first, second = (SettlementRun(s.runtime, books, refresh=False) for _ in range(2))
        for one in (first, second):
            one.look = Look(charge=_open_charge(books), charge_asked_ms=s.clock.now_ms())
        s.wire.pull("/cancel", "lose", "lose")
        await acts.cancel(first, Step("cancel"))
        await acts.cancel(second, Step("cancel"))
        books = await s.books(made["id"])
        assert [a.operation for a in books.open_attempts()].count("void") == 1
        assert len([r for r in s.wire.posts() if r.path.endswith("/cancel")]) == 1
        await s.work(3_600)
        await s.agreed()


def _open_charge(books: Any) -> Any:
    from tests.rooms.books import charge  # noqa: PLC0415 - a room's helper, for one test

    return charge(books, "requires_action", provider_id=books.payment.provider_id)


async def test_a_hint_that_names_another_payments_charge_is_not_believed(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        other = await s.create()
        id_, _ = await doubtful(s)
        await s.store.hint(id_, other["provider_id"], s.clock.now_ms())
        await s.work(30)
        payment = (await s.books(id_)).payment
        assert payment.status == "succeeded"
        assert payment.provider_id != other["provider_id"]
        await s.agreed()


async def test_an_event_that_names_an_unknown_payment_is_matched_by_its_charge(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        item = {
            "id": s.charge_id(), "payment_intent": paid["provider_id"],
            "metadata": {"tollkeeper_payment": "pay_of_another_installation"},
        }  # fmt: skip
        assert await told(s, "charge.captured", item) == "queued"
        jobs = await s.store.claim_jobs(s.clock.now_ms() + 60_000, 1_000, 99)
        assert [job.subject for job in jobs if job.kind == "refresh"] == [paid["id"]]


async def test_a_reply_that_is_kept_no_more_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, run = await doubtful(s)
        before = await s.books(id_)

        async def expired(_: str) -> None:
            return None

        monkeypatch.setattr(s.store, "load_exchange", expired)
        await acts.reread_stored(run, Step("reread", before.attempts[0]))
        assert await s.books(id_) == before
        assert run.look.reread


async def test_a_dispute_that_meets_another_change_is_applied_after_all(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        real, refusals = s.store.commit, [Stale()]

        async def commit(change: Any) -> Any:
            return refusals.pop() if refusals else await real(change)

        s.store.commit = commit  # type: ignore[method-assign]
        dispute = {"id": "dp_1", "status": "needs_response", "amount": 5, "currency": "eur",
                   "reason": "x", "payment_intent": paid["provider_id"]}  # fmt: skip
        assert await told(s, "charge.dispute.created", dispute) == "applied"
        assert [d.state for d in (await s.books(paid["id"])).disputes] == ["open"]
        assert refusals == []


@pytest.mark.parametrize("stands", ["asked", "agreed"])
async def test_a_cross_read_of_no_rollout_ends_and_asks_nobody(
    tmp_path: Path, stands: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        before = len(s.wire.sent)
        await s.store.enqueue_job("cross_read", f"ro_none|{paid['id']}", s.clock.now_ms())
        (job,) = [j for j in await s.store.claim_jobs(s.clock.now_ms(), 1_000, 9)
                  if j.kind == "cross_read"]  # fmt: skip

        async def cross_read_of(*_: Any) -> str:
            return stands

        monkeypatch.setattr(s.store, "cross_read_of", cross_read_of)
        await cross_check.cross_read(s.runtime, job)
        assert "cross_read" not in await s.store.count_jobs()
        assert len(s.wire.sent) == before


async def test_one_try_of_a_cross_read_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as s:
        noted: list[str] = []

        async def unanswered(*_: Any) -> None:
            return None

        async def asked(*_: Any) -> str:
            return "asked"

        async def note(_: str, __: str, verdict: str, **___: Any) -> None:
            noted.append(verdict)

        async def rollout(_: str) -> Any:
            return object()

        async def no_reader(*_: Any) -> None:
            return None

        async def reader(*_: Any) -> str:
            return OLD

        monkeypatch.setattr(cross_check, "_compare", unanswered)
        monkeypatch.setattr(cross_check, "_reader", reader)
        monkeypatch.setattr(cross_check, "_is_over", lambda _: False)
        monkeypatch.setattr(s.store, "cross_read_of", asked)
        monkeypatch.setattr(s.store, "note_cross_read", note)
        monkeypatch.setattr(s.store, "load_rollout", rollout)
        for tries, expected in ((1, []), (cross_check.MAX_TRIES - 1, []),
                                (cross_check.MAX_TRIES, ["unanswered"])):  # fmt: skip
            await cross_check.cross_read(s.runtime, Job("cross_read", "ro_1|pay_1", 1, tries))
            assert noted == expected
        noted.clear()
        monkeypatch.setattr(cross_check, "_reader", no_reader)  # a baseline that fails: it waits
        last = Job("cross_read", "ro_1|pay_1", 1, cross_check.MAX_TRIES)
        await cross_check.cross_read(s.runtime, last)
        assert noted == []


async def test_a_pass_over_a_sender_that_is_alive_waits(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        seen: list[str] = []

        async def look(_: object) -> None:
            s.wire.before = None
            (payment,) = await s.store.list_payments("acc_1", {}, "pay_~", 1)
            await settle.run_steps(
                SettlementRun(s.runtime, await s.books(payment.id), refresh=True)
            )
            seen.append((await s.books(payment.id)).attempts[0].outcome or "sending")

        s.wire.before = look
        assert (await s.create())["status"] == "succeeded"
        assert seen == ["sending"]
        assert MIDDLE in {a.integration for a in (await s.books(
            (await s.store.list_payments("acc_1", {}, "pay_~", 1))[0].id
        )).attempts}  # fmt: skip


def test_a_look_is_a_value() -> None:
    assert replace(Look(), hint="pi_1").hint == "pi_1"
