"""After a restore: charges that our books have otherwise, or do not know, are told."""

from pathlib import Path

from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, Stage, stage

from tollkeeper.flows.payments.reconcile import Reconciled, reconcile
from tollkeeper.testing.misread import misreading


async def reconciled(s: Stage, since_ms: int = 0, version: str = MIDDLE) -> Reconciled:
    until_ms = s.clock.now_ms() + 60_000
    return await reconcile(s.runtime, s.runtime.integration(version), since_ms, until_ms)


async def test_books_that_agree_are_agreed(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        made = await s.create()
        await s.refund(made["id"], 100)
        await s.held()
        found = await reconciled(s)
        assert (found.agreed, found.charges) == (True, 2)


async def test_a_charge_of_the_lost_interval_is_told_until_it_holds_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "lost").mkdir()
    (tmp_path / "kept").mkdir()
    async with stage(tmp_path / "lost") as lost, stage(tmp_path / "kept") as s:
        s.wire._core = lost.core  # one provider; the second store has forgotten the payment
        made = await lost.create()
        [entry] = (await reconciled(s)).unexplained
        assert (entry.payment, entry.amount_minor, entry.currency) == (made["id"], 1_000, "EUR")
        assert not (await reconciled(s, s.clock.now_ms() + 5_000)).unexplained
        await lost.refund(made["id"])
        assert (await reconciled(s)).agreed


async def test_a_known_payment_that_differs_is_corrected_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        await s.held()
        refunded = await s.create()
        await s.control(f"charges/{s.charge_id(1)}/refund", {"amount": 300})
        found = await reconciled(s)
        assert [entry.payment for entry in found.mended] == [refunded["id"]]
        assert found.agreed
        assert (await s.books(refunded["id"])).payment.refunded_minor == 300


async def test_what_a_version_misread_is_told_through_another_version_alone(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={NEW: 100.0}) as s:
        alter(s.runtime, installed=misreading(s.runtime.installed, NEW, "captured"))
        misread = await s.create(capture_method="manual")
        assert misread["status"] == "succeeded"
        assert (await reconciled(s, version=NEW)).agreed, "it reads the list as it read the reply"
        found = await reconciled(s)
        assert [entry.payment for entry in found.differing] == [misread["id"]]
