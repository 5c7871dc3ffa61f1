"""Follow-ups and what happens elsewhere: captures, voids, refunds, disputes, shoppers, expiry."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.altering import alter
from tests.flows.stage import Stage, stage

from tollkeeper.flows.payments import webhook
from tollkeeper.kernel.errors import Conflict, Invalid, TollkeeperError
from tollkeeper.simulator.stripe import challenge
from tollkeeper.simulator.stripe.webhooks import sign
from tollkeeper.testing.misread import misreading

THREE_D = "pm_card_threeDSecure2Required"
VERSION = "2022-11-15"


async def test_a_partial_capture_releases_the_rest(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        captured = await s.capture(held["id"], 400)
        assert (captured["status"], captured["amount_captured_minor"]) == ("succeeded", 400)
        assert captured["amount_capturable_minor"] == 0
        with pytest.raises(Conflict):
            await s.capture(held["id"], 100)
        await s.work(60)
        await s.agreed()


async def test_several_captures_take_parts_and_the_last_releases_the_rest(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        held = await s.held(multicapture=True)
        first = await s.capture(held["id"], 400, final=False)
        assert (first["status"], first["amount_capturable_minor"]) == ("requires_capture", 600)
        last = await s.capture(held["id"], 500)
        assert (last["status"], last["amount_captured_minor"]) == ("succeeded", 900)
        refund = await s.refund(held["id"])
        assert refund["amount_minor"] == 900
        await s.work(60)
        await s.agreed()


async def test_no_more_is_refunded_than_was_captured_and_nothing_is_sent(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.refund(paid["id"], 700)
        before = len(s.wire.sent)
        with pytest.raises(Invalid):
            await s.refund(paid["id"], 301)
        assert len(s.wire.sent) == before
        results = await asyncio.gather(
            *(s.refund(paid["id"], 200) for _ in range(3)), return_exceptions=True
        )
        assert sum(isinstance(r, Invalid) for r in results) == 2
        await s.work(60)
        assert (await s.books(paid["id"])).payment.refunded_minor == 900
        await s.agreed()


async def test_a_refund_that_fails_after_it_succeeded_gives_its_amount_back(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        refund = await s.refund(paid["id"], 400)
        assert refund["status"] == "succeeded"
        books = await s.books(paid["id"])
        await s.control(f"refunds/{books.refunds[0].provider_id}/fail")
        await told(s, "refund.failed", {"payment_intent": books.payment.provider_id, "id": "re_x"})
        await s.work(5)
        books = await s.books(paid["id"])
        assert (books.refunds[0].status, books.payment.refunded_minor) == ("failed", 0)
        await s.agreed()


async def test_a_version_that_takes_a_capture_back_is_not_believed(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.refund(paid["id"], 400)
        books = await s.books(paid["id"])
        real = s.runtime.installed
        alter(s.runtime, installed=misreading(real, books.payment.integration, "declined"))
        await s.control(f"refunds/{books.refunds[0].provider_id}/fail")
        await told(s, "refund.failed", {"payment_intent": books.payment.provider_id, "id": "re_x"})
        await s.work(5)
        books = await s.books(paid["id"])
        assert (books.refunds[0].status, books.payment.refunded_minor) == ("failed", 0)
        await s.agreed()


async def test_a_doubt_is_not_ended_by_one_version_that_takes_approvals_for_declines(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.fault("drop", when="after", operation="payment_intents.create", count=1)
        asked = await s.create()
        assert (asked["status"], asked["outcome"]) == ("processing", "unknown")
        real = s.runtime.installed
        alter(s.runtime, installed=misreading(real, asked["integration"], "declined"))
        await s.work(60)
        assert (await s.books(asked["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_refund_whose_row_cannot_be_read_is_looked_at_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.refund(paid["id"], 400)
        books = await s.books(paid["id"])
        await s.control(f"refunds/{books.refunds[0].provider_id}/fail")
        s.fault("new_word", operation="refunds.list", path="status", value="tomorrow", count=3)
        await told(s, "refund.failed", {"payment_intent": books.payment.provider_id, "id": "re_x"})
        await s.work(200)
        books = await s.books(paid["id"])
        assert (books.refunds[0].status, books.payment.refunded_minor) == ("failed", 0)
        await s.agreed()


async def told(s: Stage, word: str, item: dict[str, Any], event_id: str = "evt_1") -> str:
    """A signed webhook of the provider arrives."""
    import msgspec  # noqa: PLC0415 - the one place

    body = msgspec.json.encode({"id": event_id, "type": word, "data": {"object": item}})
    headers = {"stripe-signature": sign("whsec_1", body, int(s.clock.now))}
    return await webhook.webhook(s.runtime, "stripe", VERSION, body, headers)


async def test_a_refund_in_the_dashboard_is_recorded_as_external(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.control(f"charges/{s.charge_id()}/refund", {"amount": 250})
        item = {"id": s.charge_id(), "payment_intent": paid["provider_id"]}
        assert await told(s, "charge.refunded", item) == "queued"
        assert await told(s, "charge.refunded", item) == "duplicate"
        await s.work(5)
        books = await s.books(paid["id"])
        assert [(r.origin, r.amount_minor, r.status) for r in books.refunds] == [
            ("external", 250, "succeeded")
        ]
        with pytest.raises(Invalid):
            await s.refund(paid["id"], 751)
        await s.agreed()


@pytest.mark.parametrize("released", [True, False])
async def test_a_refund_whose_sum_the_charge_does_not_show_is_not_booked(
    tmp_path: Path, released: bool
) -> None:
    async with stage(tmp_path) as s:
        paid = await s.held()
        await s.capture(paid["id"], 500 if released else 1_000)
        if not released:
            await s.control(f"charges/{s.charge_id()}/refund", {"amount": 500})
        s.fault(
            "amount_unit", object="refund", path="amount", factor=0.01, count=1,
            operation="refunds.list",
        )  # fmt: skip
        item = {"id": s.charge_id(), "payment_intent": paid["provider_id"]}
        await told(s, "charge.refunded", item)
        await s.work(60)
        assert [rule.hits for rule in s.core.faults.rules.values()] == [1], "it was misread"
        shown = [(r.origin, r.amount_minor) for r in (await s.books(paid["id"])).refunds]
        assert shown == ([] if released else [("external", 500)])
        await s.agreed()


async def test_a_dispute_is_recorded_and_closed_and_changes_no_status(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        dispute = {"id": "dp_1", "status": "needs_response", "amount": 1_000, "currency": "eur",
                   "reason": "fraudulent", "payment_intent": paid["provider_id"]}  # fmt: skip
        assert await told(s, "charge.dispute.created", dispute) == "applied"
        assert await told(s, "charge.dispute.created", dispute) == "duplicate"
        lost = dispute | {"status": "lost"}
        assert await told(s, "charge.dispute.closed", lost, "evt_2") == "applied"
        assert await told(s, "charge.dispute.updated", dispute, "evt_0") == "applied"
        books = await s.books(paid["id"])
        assert [d.state for d in books.disputes] == ["lost"]
        # the dispute has ended; whether it was lost stands with the dispute
        assert (books.payment.disputed, books.payment.status) == (False, "succeeded")
        events = await s.store.list_events("acc_1", "evt_~", 10)
        assert {e.type for e in events} == {
            "payment.succeeded", "dispute.lost", "dispute.open",
        }  # fmt: skip


async def test_webhooks_of_nobody_and_of_unknown_types_are_kept(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        assert await told(s, "charge.captured", {"id": "ch_x", "payment_intent": "pi_x"}) == (
            "unmatched"
        )
        assert await told(s, "a.new.type", {"id": "x"}, "evt_2") == "unknown_type"
        assert set(await s.store.count_jobs()) == {"trace"}
        await s.work(3 * 3_600)  # neither the books nor the provider know the charge
        assert await s.store.count_jobs() == {}


async def test_an_authorization_runs_out(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        await s.work(7 * 86_400 + 2 * 3_600)
        payment = (await s.books(held["id"])).payment
        assert (payment.status, payment.capturable_minor) == ("canceled", 0)
        with pytest.raises(Conflict):
            await s.capture(held["id"])
        await s.agreed()


@pytest.mark.parametrize("lever", ["lose", "deaf", "refuse"])
async def test_a_void_that_is_not_answered_is_settled(tmp_path: Path, lever: str) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        held = await s.held()
        s.wire.pull("/cancel", *[lever] * (2 if lever == "refuse" else 1))
        try:
            voided = await s.void(held["id"])
            assert voided["_doubtful"]
        except TollkeeperError:
            assert lever == "refuse"
        await s.work(90)
        status = (await s.books(held["id"])).payment.status
        assert status == ("requires_capture" if lever == "refuse" else "canceled")
        await s.agreed()


@pytest.mark.parametrize("first", ["void", "capture"])
async def test_a_void_and_a_capture_that_race_leave_one_truth(tmp_path: Path, first: str) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        second = "capture" if first == "void" else "void"
        seen: list[object] = []

        async def race(_: object) -> None:
            s.wire.before = None
            try:
                await getattr(s, second)(held["id"])
            except TollkeeperError as error:
                seen.append(type(error))

        s.wire.before = race
        done = await getattr(s, first)(held["id"])
        assert seen == [Conflict]
        assert done["status"] == ("canceled" if first == "void" else "succeeded")
        await s.work(60)
        await s.agreed()


async def test_a_capture_that_was_overtaken_in_the_dashboard_is_settled(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        s.wire.pull("/capture", "lose")
        await s.capture(held["id"], 400)
        await s.control(f"intents/{held['provider_id']}/expire")
        await s.work(120)
        books = await s.books(held["id"])
        assert (books.payment.status, books.payment.reserved_minor) == ("canceled", 0)
        assert books.attempts[-1].outcome == "failed"
        await s.agreed()


# Shoppers


async def test_a_shopper_who_authenticates_and_returns_has_paid(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        assert waiting["status"] == "requires_action"
        assert waiting["next_action"]["url"].endswith(waiting["provider_id"])
        assert challenge.complete(s.core.world, waiting["provider_id"], authenticated=True)
        payment = await webhook.shopper_returned(s.runtime, waiting["id"])
        assert payment.status == "succeeded"
        await s.work(60)
        await s.agreed()


async def test_a_shopper_who_fails_authentication_has_not_paid(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        challenge.complete(s.core.world, waiting["provider_id"], authenticated=False)
        payment = await webhook.shopper_returned(s.runtime, waiting["id"])
        assert (payment.status, payment.decline_reason) == ("failed", "authentication_failed")
        await s.work(1_000)
        await s.agreed()


async def test_a_shopper_who_returns_while_the_provider_is_away_is_settled_later(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        challenge.complete(s.core.world, waiting["provider_id"], authenticated=True)
        s.wire.pull("GET", "lose", "lose", "lose", "lose")
        payment = await webhook.shopper_returned(s.runtime, waiting["id"])
        assert payment.status == "requires_action"
        await s.work(60)
        assert (await s.books(waiting["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_an_abandoned_payment_is_cancelled_first_and_then_failed(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        await s.work(890)
        assert (await s.books(waiting["id"])).payment.status == "requires_action"
        await s.work(60)
        payment = (await s.books(waiting["id"])).payment
        assert (payment.status, payment.failure_code) == ("failed", "not_completed")
        assert s.wire.posts()[-1].path.endswith("/cancel")
        assert not s.core.ledger().intents[0].open
        await s.agreed()


async def test_a_shopper_who_pays_at_the_last_moment_is_not_failed(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)

        async def pays(request: Any) -> None:
            if request.path.endswith("/cancel"):
                s.wire.before = None
                challenge.complete(s.core.world, waiting["provider_id"], authenticated=True)

        s.wire.before = pays
        await s.work(1_200)
        assert (await s.books(waiting["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_question_that_a_version_reads_as_declined_is_put_through_another_one(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        assert waiting["status"] == "requires_action"
        own = (await s.books(waiting["id"])).payment.integration
        alter(s.runtime, installed=misreading(s.runtime.installed, own, "declined"))
        challenge.complete(s.core.world, waiting["provider_id"], authenticated=True)
        await webhook.shopper_returned(s.runtime, waiting["id"])
        await s.work(600)
        assert (await s.books(waiting["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_void_while_the_shopper_authenticates_ends_the_intent(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        waiting = await s.create(payment_method=THREE_D)
        assert (await s.void(waiting["id"]))["status"] == "canceled"
        assert not challenge.complete(s.core.world, waiting["provider_id"], authenticated=True)
        await s.work(1_200)
        await s.agreed()
