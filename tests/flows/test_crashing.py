"""A process that ends anywhere: what it left is settled by whoever starts next."""

from pathlib import Path
from typing import Any

import pytest
from tests.flows.stage import BOTH, Stage, stage

from tollkeeper.kernel.errors import StoreDoubt, TollkeeperError
from tollkeeper.store.store import SqlStore

CALLS = ("commit", "enqueue_job", "save_exchange", "finish_job", "postpone_job")


class Crash(BaseException):
    """The end of a process: nothing catches it."""


class CrashingStore(SqlStore):
    """Ends the process before or after its n-th write."""

    def __init__(self, real: SqlStore, at: int, moment: str) -> None:
        super().__init__(real.driver, real.clock)
        self.left, self.moment = at, moment

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CALLS:
            return found

        async def crashing(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0 and self.moment == "before":
                raise Crash
            result = await found(*args)
            if self.left == 0:
                raise StoreDoubt("lost") if self.moment == "doubt" else Crash
            return result

        return crashing


async def story(s: Stage) -> None:
    """A payment's whole life, with a sunset, a declined sibling and a lost capture."""
    s.fault("sunset", api_version="2022-11-15", operation="payment_intents.create", count=1)
    held = await s.held(key=s.key("create"))
    s.wire.pull("/capture", "deaf")
    await s.capture(held["id"], 600)
    await s.work(30)
    await s.refund(held["id"], 200)
    await s.work(30)
    waiting = await s.create(payment_method="pm_card_threeDSecure2Required")
    await s.work(5)
    assert waiting["status"] == "requires_action"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after", "doubt"])
@pytest.mark.parametrize("at", range(1, 15))
async def test_after_a_crash_at_any_write_the_books_agree_with_the_provider(
    tmp_path: Path, at: int, moment: str
) -> None:
    async with stage(tmp_path, weights=BOTH) as s:
        sound = s.runtime
        s.runtime = s.replica("doomed", store=CrashingStore(s.store, at, moment))
        try:
            await story(s)
        except Crash:
            pass
        except TollkeeperError:
            assert moment == "doubt"
        await s.examined(quiet=False)
        s.runtime = s.replica("second")
        await s.store.wake_orphans(s.clock.now_ms())
        await s.work(1_300)
        report = await s.agreed()
        assert report.attention == 0
        # the caller who never got an answer asks again: at most one payment came of that key
        s.runtime = sound
        again = await s.held(key=s.key("create"))
        assert again["status"] in {"succeeded", "requires_capture", "canceled", "failed"}
        await s.work(30)
        references = [c.idempotency_key for c in s.core.ledger().charges]
        assert len(references) == len(set(references))
        await s.agreed()
        assert await sealed(s) == []


async def sealed(s: Stage) -> list[str]:
    """Attempts whose outcome is known and whose exchange is still stored whole."""
    found = []
    for id_ in await s.store.page_ids("", 100):
        for attempt in (await s.books(id_)).attempts:
            exchange = await s.store.load_exchange(attempt.id)
            if exchange is not None and exchange.sealed:
                found.append(f"{attempt.operation} {attempt.settled_by}")
    return found


@pytest.mark.parametrize("operation", ["create", "capture", "void", "refund"])
async def test_a_process_that_dies_while_it_sends_is_not_sent_again_blindly(
    tmp_path: Path, operation: str
) -> None:
    async with stage(tmp_path) as s:
        held = None if operation == "create" else await s.held()
        if operation == "refund":
            assert held is not None
            await s.capture(held["id"])

        async def die(_: object) -> None:
            s.wire.before = None
            raise Crash

        s.wire.before = die
        with pytest.raises(Crash):
            await (s.create() if held is None else getattr(s, operation)(held["id"]))
        s.runtime = s.replica("second")
        await s.store.wake_orphans(s.clock.now_ms())
        await s.work(600)
        await s.agreed()


async def test_two_replicas_that_settle_one_payment_do_no_harm(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.wire.pull("POST /v1/payment_intents", "lose")
        paid = await s.create()
        second = s.replica("second", alone=False)
        for _ in range(30):
            await s.work(1)
            await s.store.enqueue_job("refresh", paid["id"], s.clock.now_ms())
            await s.work(1, second)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        assert len(s.core.ledger().charges) == 1
        await s.agreed()
