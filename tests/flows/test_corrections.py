"""No conclusion outlives a fact that contradicts it (I16)."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, Stage, stage
from tests.flows.test_following import told

from tollkeeper.flows.payments import attention as attention_flow
from tollkeeper.flows.payments.reconcile import reconcile
from tollkeeper.flows.recording import record
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.kernel.errors import Conflict, NotFound
from tollkeeper.payments.correction import reassign
from tollkeeper.payments.payment import Books
from tollkeeper.settings import AccountSettings
from tollkeeper.testing.temper import without_keys

CREATE = "POST /v1/payment_intents"
HOUR = 3_600.0


class Hidden:
    """The provider's listings and look-ups show nothing of what was made, as if the effect had not
    landed yet; `show` lets it land."""

    def __init__(self, s: Stage) -> None:
        self._s = s
        self._send = s.wire.send
        self.hidden = True
        s.wire.send = self._sent  # type: ignore[method-assign]

    async def _sent(self, request: WireRequest, target: Any) -> Any:
        result = await self._send(request, target)
        if not self.hidden or request.method != "GET" or result.reply is None:
            return result
        empty = b'{"object": "list", "data": [], "has_more": false}'
        one = request.path.count("/") > 2
        if one:
            return result
        return replace(result, reply=replace(result.reply, status=200, body=empty))

    def show(self) -> None:
        self.hidden = False


def elsewhere(s: Stage) -> Any:
    """From now on our key opens an account that has nothing of ours; gives the wire's real send."""
    real = s.wire.send

    async def sent(request: WireRequest, target: Any) -> Any:
        result = await real(request, target)
        if request.method != "GET" or request.path.count("/") <= 2:
            return result
        error = {"type": "invalid_request_error", "code": "resource_missing"}
        body = msgspec.json.encode({"error": error})
        return replace(result, reply=WireReply(status=404, body=body))

    s.wire.send = sent  # type: ignore[method-assign]
    return real


def without_retention(s: Stage) -> None:
    """From now on the provider keeps no keys, so that nothing is ever sent again."""
    alter(s.runtime, installed={n: without_keys(v) for n, v in s.runtime.installed.items()})


async def concluded(s: Stage, **fields: Any) -> tuple[str, Hidden]:
    """A payment that was taken for not executed, although its charge is there."""
    without_retention(s)
    hidden = Hidden(s)
    s.wire.pull(CREATE, "deaf")
    paid = await s.create(**fields)
    await s.work(120)
    payment = (await s.books(paid["id"])).payment
    assert (payment.status, payment.failure_code) == ("failed", "not_executed")
    return paid["id"], hidden


async def types(s: Stage) -> list[str]:
    return [e.type for e in reversed(await s.store.list_events("acc_1", "evt_~", 100))]


def corrected(books: Books) -> bool:
    attempt = books.attempts[0]
    return attempt.corrected_ms is not None and attempt.outcome == "approved"


@pytest.mark.parametrize("method", ["automatic", "manual"])
@pytest.mark.parametrize("names_payment", [True, False], ids=["by reference", "by id alone"])
async def test_a_webhook_reopens_a_payment_that_was_called_not_executed(
    tmp_path: Path, method: str, names_payment: bool
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s, capture_method=method)
        await s.work(2 * HOUR)
        hidden.show()
        intent = s.ledger().charges[0].payment_intent_id
        item: dict[str, Any] = {"id": s.charge_id(), "payment_intent": intent}
        if names_payment:
            item["metadata"] = {"tollkeeper_payment": id_}
        await told(s, "charge.succeeded", item)
        await s.work(60)
        books = await s.books(id_)
        assert books.payment.status == (
            "succeeded" if method == "automatic" else "requires_capture"
        )
        assert corrected(books)
        assert intent in (books.payment.attention or "")
        assert "payment.corrected" in await types(s)
        await s.agreed()


@pytest.mark.parametrize("after", [200.0, 1_800.0, 20 * HOUR])
async def test_without_any_webhook_a_late_look_finds_the_charge(
    tmp_path: Path, after: float
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s)
        await s.work(after)
        hidden.show()
        await s.work(25 * HOUR)
        books = await s.books(id_)
        assert (books.payment.status, corrected(books)) == ("succeeded", True)
        assert (await types(s)).count("payment.corrected") == 1
        await s.agreed()


async def test_a_late_look_finds_what_was_made_while_the_providers_clock_was_off(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        hidden = Hidden(s)
        s.core.config.clock_offset_seconds = -420
        s.wire.pull(CREATE, "deaf")
        paid = await s.create()
        s.core.config.clock_offset_seconds = 0
        await s.work(120)
        assert (await s.books(paid["id"])).payment.failure_code == "not_executed"
        hidden.show()
        await s.work(2 * HOUR)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_reconciliation_mends_what_it_finds(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s)
        hidden.show()
        version = s.runtime.integration(MIDDLE)
        found = await reconcile(s.runtime, version, 0, s.clock.now_ms() + 60_000)
        assert ([e.payment for e in found.mended], found.agreed) == ([id_], True)
        assert (await s.books(id_)).payment.status == "succeeded"
        assert (await reconcile(s.runtime, version, 0, s.clock.now_ms() + 60_000)).mended == []
        await s.agreed()


@pytest.mark.parametrize("method", ["automatic", "manual"])
async def test_an_account_may_have_late_charges_reversed(tmp_path: Path, method: str) -> None:
    accounts = {"acc_1": AccountSettings(late_charges="reverse")}
    async with stage(tmp_path, rescue_seconds=0, accounts=accounts) as s:
        id_, hidden = await concluded(s, capture_method=method)
        hidden.show()
        await s.work(2 * HOUR)
        payment = (await s.books(id_)).payment
        if method == "manual":
            assert payment.status == "canceled"
        else:
            assert (payment.status, payment.refunded_minor) == ("succeeded", 1_000)
        assert not payment.reversing
        assert sum(a.purpose == "reverse" for a in (await s.books(id_)).attempts) == 1
        assert {"payment.corrected"} <= set(await types(s))
        await s.agreed()


async def test_a_reversal_that_is_refused_ends_with_a_person(tmp_path: Path) -> None:
    accounts = {"acc_1": AccountSettings(late_charges="reverse")}
    async with stage(tmp_path, rescue_seconds=0, accounts=accounts) as s:
        id_, hidden = await concluded(s)
        s.fault("require_parameter", when="before", parameter="x", operation="refunds.create")
        hidden.show()
        await s.work(3 * HOUR)
        books = await s.books(id_)
        assert not books.payment.reversing
        assert sum(a.purpose == "reverse" for a in books.attempts) == 3
        assert books.payment.attention


async def test_a_late_hold_of_which_the_shop_captures_a_part_is_not_given_back(
    tmp_path: Path,
) -> None:
    accounts = {"acc_1": AccountSettings(late_charges="reverse")}
    async with stage(tmp_path, rescue_seconds=0, accounts=accounts) as s:
        id_, hidden = await concluded(s, capture_method="manual", multicapture=True)
        s.fault(
            "require_parameter", when="before", parameter="x", operation="payment_intents.cancel"
        )
        hidden.show()
        while not any(a.purpose == "reverse" for a in (await s.books(id_)).attempts):
            await s.work(60)
        await s.capture(id_, 333, final=False)
        s.core.faults.clear()
        await s.work(3 * HOUR)
        books = await s.books(id_)
        payment = books.payment
        assert (payment.status, payment.captured_minor) == ("requires_capture", 333)
        assert (payment.refunded_minor, payment.reversing) == (0, False)
        assert [a.operation for a in books.attempts if a.purpose == "reverse"] == ["void"]
        await s.agreed()


async def test_a_refund_that_lands_late_counts_against_what_may_be_refunded(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        paid = await s.create()
        without_retention(s)
        hidden = Hidden(s)
        s.wire.pull("/refunds", "deaf")
        first = await s.refund(paid["id"], 700)
        await s.work(120)
        assert (await s.books(paid["id"])).refunds[0].failure_code == "not_executed"
        await s.work(2 * HOUR)
        hidden.show()
        item = {"id": s.charge_id(), "payment_intent": paid["provider_id"]}
        assert await told(s, "charge.refunded", item) == "queued"
        await s.work(5)
        books = await s.books(paid["id"])
        assert [(r.id, r.status, r.failure_code) for r in books.refunds] == [
            (first["id"], "succeeded", None)
        ]
        assert books.payment.refunded_minor == 700
        assert first["id"] in (books.payment.attention or "")
        assert "refund.corrected" in await types(s)
        with pytest.raises(Exception, match="refundable"):
            await s.refund(paid["id"], 301)
        await s.agreed()


async def test_a_second_refund_of_the_same_money_is_reported(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        paid = await s.create()
        without_retention(s)
        hidden = Hidden(s)
        s.wire.pull("/refunds", "deaf")
        first = await s.refund(paid["id"], 400)
        await s.work(120)
        hidden.show()
        other = await s.refund(paid["id"], 50)
        second = await s.refund(paid["id"], 400)  # the shop believed that nothing had happened
        await s.work(2 * HOUR)
        books = await s.books(paid["id"])
        assert books.payment.refunded_minor == 850
        note = books.payment.attention or ""
        assert note.count(first["id"]) == 1
        assert f"{second['id']} gave back the same amount" in note
        assert other["id"] not in note
        await s.agreed()


@pytest.mark.parametrize("operation", ["capture", "void"])
async def test_a_capture_or_a_void_that_lands_late_is_corrected(
    tmp_path: Path, operation: str
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        held = await s.held()
        without_retention(s)
        path = "/capture" if operation == "capture" else "/cancel"
        s.wire.pull(path, "lose")
        await getattr(s, operation)(held["id"])
        await s.work(120)
        books = await s.books(held["id"])
        assert (books.payment.status, books.attempts[-1].outcome) == ("requires_capture", "failed")
        # now the request that was lost lands: the same bytes, hours later
        await s.work(2 * HOUR)
        request = s.wire.posts()[-1]
        await s.wire.send(request, s.runtime.target(s.runtime.integration(MIDDLE)))
        await s.work(25 * HOUR)
        books = await s.books(held["id"])
        done = {"capture": "succeeded", "void": "canceled"}[operation]
        assert (books.payment.status, books.attempts[1].outcome) == (done, "approved")
        assert books.attempts[1].corrected_ms is not None
        assert "took effect after all" in (books.payment.attention or "")
        assert "payment.corrected" in await types(s)
        await s.agreed()


@pytest.mark.parametrize("landing", [(0,), (1,), (0, 1)], ids=["older", "newer", "both"])
async def test_of_several_captures_those_are_corrected_that_landed(
    tmp_path: Path, landing: tuple[int, ...]
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        held = await s.held(multicapture=True)
        without_retention(s)
        for amount in (300, 400):
            s.wire.pull("/capture", "lose")
            await s.capture(held["id"], amount, final=False)
            await s.work(120)
        requests = s.wire.posts()[-2:]
        for number in landing:
            await s.wire.send(requests[number], s.runtime.target(s.runtime.integration(MIDDLE)))
        await s.work(25 * HOUR)
        books = await s.books(held["id"])
        captures = books.attempts[1:]
        assert [a.corrected_ms is not None for a in captures] == [n in landing for n in (0, 1)]
        assert books.payment.captured_minor == sum((300, 400)[number] for number in landing)
        assert "payment.corrected" in await types(s)
        await s.agreed()


async def test_an_intent_that_lands_late_and_waits_for_a_shopper_is_cancelled(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s, payment_method="pm_card_threeDSecure2Required")
        assert s.ledger().intents[0].open
        hidden.show()
        await s.work(2 * HOUR)
        books = await s.books(id_)
        assert (books.payment.status, books.payment.failure_code) == ("failed", "not_executed")
        assert [(a.operation, a.outcome) for a in books.attempts[1:]] == [("void", "approved")]
        assert not s.ledger().intents[0].open
        await s.agreed()


async def test_a_request_that_lands_late_and_is_declined_says_so(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        card = "pm_card_visa_chargeDeclinedInsufficientFunds"
        id_, hidden = await concluded(s, payment_method=card)
        hidden.show()
        await s.work(2 * HOUR)
        payment = (await s.books(id_)).payment
        assert (payment.status, payment.failure_code) == ("failed", "declined")
        assert payment.decline_reason == "insufficient_funds"
        await s.agreed()


async def test_a_late_charge_stays_with_the_version_that_its_payment_was_handed_to(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s)
        other = "stripe@2026-03-25.dahlia"
        await record(
            s.runtime, await s.books(id_),
            lambda books: reassign(books, other, s.clock.now_ms()),
            cause="payment.handed_over", actor="cross-read",
        )  # fmt: skip
        hidden.show()
        await s.work(2 * HOUR)
        books = await s.books(id_)
        assert (books.payment.status, books.payment.integration) == ("succeeded", other)
        assert corrected(books)
        await s.agreed()


async def test_two_live_charges_of_one_payment_are_told_to_a_person(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        create = s.wire.posts()[0]
        again = replace(create, headers=tuple(
            (k, "another-key" if k == "idempotency-key" else v) for k, v in create.headers
        ))  # fmt: skip
        await s.wire.send(again, s.runtime.target(s.runtime.integration(MIDDLE)))
        other = s.ledger().charges[1].payment_intent_id
        item = {
            "id": "ch_2",
            "payment_intent": other,
            "metadata": {"tollkeeper_payment": paid["id"]},
        }
        assert await told(s, "charge.succeeded", item) == "queued"
        await s.work(5)
        attention_flow = (await s.books(paid["id"])).payment.attention or ""
        assert other in attention_flow
        assert "second" in attention_flow


# Absence proves little


async def test_a_key_in_use_is_a_request_that_still_runs(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.fault(
            "late_effect", operation="payment_intents.create", seconds=400.0, holds_key=True,
            count=1,
        )  # fmt: skip
        paid = await s.create()
        for _ in range(6):
            await s.work(60)
            assert (await s.books(paid["id"])).payment.status == "processing"
        await s.work(200)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        assert "payment.failed" not in await types(s)
        await s.agreed()


async def test_a_doubtful_refund_waits_for_no_other_and_none_is_looked_at_without_pause(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        paid = await s.create()
        s.fault("late_effect", operation="refunds.create", seconds=400.0, holds_key=True, count=1)
        await s.refund(paid["id"], 300)
        s.wire.pull("/refunds", "lose", "lose")
        await s.refund(paid["id"], 200)
        await s.work(120)
        books = await s.books(paid["id"])
        assert {r.amount_minor: r.status for r in books.refunds} == {
            300: "pending",
            200: "succeeded",
        }
        assert books.payment.seq < 60
        await s.work(600)
        assert (await s.books(paid["id"])).payment.refunded_minor == 500
        await s.agreed()


async def test_before_absence_is_believed_the_key_is_asked_once_more(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.wire.pull(CREATE, *["lose"] * 4)
        paid = await s.create()
        await s.work(60)
        books = await s.books(paid["id"])
        assert (books.payment.status, books.attempts[0].settled_by) == ("succeeded", "replay")
        assert len({dict(r.headers)["idempotency-key"] for r in s.wire.posts()}) == 1
        await s.agreed()


async def test_a_refund_is_asked_for_again_under_its_own_key(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        paid = await s.create()
        s.wire.pull("/refunds", "lose", "lose")
        await s.refund(paid["id"], 300)
        await s.work(60)
        books = await s.books(paid["id"])
        assert (books.payment.refunded_minor, books.refunds[0].status) == (300, "succeeded")
        assert len(s.ledger().charges[0].refunds) == 1
        await s.agreed()


async def test_nothing_is_concluded_while_the_clocks_differ_too_much(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        real = s.wire.send

        async def dated(request: WireRequest, target: Any) -> Any:
            result = await real(request, target)
            if result.reply is None:
                return result
            late = "Tue, 14 Nov 2023 23:59:00 GMT"  # the stage's clock stands at 22:13
            headers = (*[h for h in result.reply.headers if h[0] != "date"], ("date", late))
            return replace(result, reply=replace(result.reply, headers=headers))

        s.wire.send = dated  # type: ignore[method-assign]
        s.wire.pull(CREATE, "lose")
        paid = await s.create()
        await s.work(700)
        payment = (await s.books(paid["id"])).payment
        assert (payment.status, bool(payment.attention)) == ("processing", True)
        s.wire.send = real  # type: ignore[method-assign]
        s.runtime.live.health("stripe").skew_ms = 0  # the provider's clock was set right
        await s.work(2 * HOUR)
        assert (await s.books(paid["id"])).payment.status == "failed"


async def test_nothing_is_concluded_from_another_accounts_empty_list(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        told_: list[str] = []
        alter(s.runtime, tell=lambda event, /, **_: told_.append(event))
        without_retention(s)
        await s.create()
        await s.work(1)
        s.wire.pull(CREATE, "lose")
        paid = await s.create()
        real = elsewhere(s)
        await s.work(700)
        payment = (await s.books(paid["id"])).payment
        assert (payment.status, bool(payment.attention)) == ("processing", True)
        assert "our_charges_are_not_in_this_account" in told_
        s.wire.send = real  # type: ignore[method-assign]
        await s.work(2 * HOUR)
        assert (await s.books(paid["id"])).payment.status == "failed"


# One row's trouble is its own


@pytest.mark.parametrize("poison", [b'"status":"a_new_word"', b'"status":null', b'"status":5'])
async def test_a_poisoned_row_of_another_payment_delays_no_doubt(
    tmp_path: Path, poison: bytes
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        other = await s.create()
        real = s.wire.send

        async def poisoned(request: WireRequest, target: Any) -> Any:
            result = await real(request, target)
            if request.method != "GET" or request.path != "/v1/payment_intents":
                return result
            assert result.reply is not None
            page = msgspec.json.decode(result.reply.body)
            torn = msgspec.json.decode(b"{" + poison + b"}")
            page["data"] = [
                row | (torn if row["id"] == other["provider_id"] else {}) for row in page["data"]
            ]
            return replace(result, reply=replace(result.reply, body=msgspec.json.encode(page)))

        s.wire.send = poisoned  # type: ignore[method-assign]
        s.wire.pull(CREATE, "lose", "deaf")
        lost, deaf = await s.create(), await s.create()
        await s.work(60)
        assert (await s.books(deaf["id"])).payment.status == "succeeded"
        assert (await s.books(lost["id"])).payment.status == "failed"


async def test_disputes_are_found_without_their_webhook(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.control(f"charges/{s.charge_id()}/dispute")
        await s.store.enqueue_job("refresh", paid["id"], s.clock.now_ms())
        await s.work(5)
        books = await s.books(paid["id"])
        assert [d.state for d in books.disputes] == ["open"]
        assert books.payment.disputed
        assert "dispute.open" in await types(s)


async def test_a_refund_that_fails_after_days_is_found_without_its_webhook(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.refund(paid["id"], 400)
        provider_id = (await s.books(paid["id"])).refunds[0].provider_id
        await s.control(f"refunds/{provider_id}/fail")
        await s.work(2 * 86_400)
        books = await s.books(paid["id"])
        assert (books.refunds[0].status, books.payment.refunded_minor) == ("failed", 0)
        await s.agreed()


async def test_what_a_webhook_named_is_seen_before_absence_counts(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        s.wire.pull(CREATE, "deaf")
        paid = await s.create()  # the first of all: no earlier charge tells the account
        real = s.wire.send

        async def elsewhere(request: WireRequest, target: Any) -> Any:
            result = await real(request, target)
            if request.method != "GET" or result.reply is None:
                return result
            empty = b'{"object": "list", "data": [], "has_more": false}'
            gone = b'{"error": {"type": "invalid_request_error", "code": "resource_missing"}}'
            one = request.path.count("/") > 2
            status, body = (404, gone) if one else (200, empty)
            return replace(result, reply=replace(result.reply, status=status, body=body))

        s.wire.send = elsewhere  # type: ignore[method-assign]
        item = {
            "id": s.charge_id(),
            "payment_intent": s.ledger().charges[0].payment_intent_id,
            "metadata": {"tollkeeper_payment": paid["id"]},
        }
        await told(s, "charge.succeeded", item)
        await s.work(200)
        assert (await s.books(paid["id"])).payment.status == "processing"
        s.wire.send = real  # type: ignore[method-assign]
        await s.work(200)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_key_that_is_put_back_during_a_look_makes_no_list_ours(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        await s.create()
        await s.work(1)
        hidden = Hidden(s)
        s.wire.pull(CREATE, "deaf")
        paid = await s.create()
        real = s.wire.send

        async def put_back(request: WireRequest, target: Any) -> Any:
            if request.method == "GET" and request.path.count("/") > 2:
                hidden.show()  # from the look at an earlier charge on, the key is ours again
            return await real(request, target)

        s.wire.send = put_back  # type: ignore[method-assign]
        await s.work(120)
        books = await s.books(paid["id"])
        assert (books.payment.status, books.attempts[0].concluded_ms) == ("succeeded", None)
        await s.agreed()


# References


async def test_a_unique_reference_is_held_by_one_live_payment(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        key = s.key("first")
        first = await s.create(key=key, reference="order-7", unique_reference=True)
        with pytest.raises(Conflict, match=first["id"]):
            await s.create(reference="order-7", unique_reference=True)
        assert (await s.create(key=key, reference="order-7", unique_reference=True))["_replayed"]
        assert (await s.create(reference="order-8", unique_reference=True))["status"] == "succeeded"
        declined = await s.create(
            reference="order-9", unique_reference=True,
            payment_method="pm_card_visa_chargeDeclined",
        )  # fmt: skip
        assert declined["status"] == "failed"
        again = await s.create(reference="order-9", unique_reference=True)
        assert again["status"] == "succeeded"
        plain = await s.create(reference="order-10")
        with pytest.raises(Conflict, match=plain["id"]):
            await s.create(reference="order-10", unique_reference=True)


async def test_a_reference_and_metadata_travel_to_the_provider(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        many = {f"key{number}": "v" for number in range(50)}
        await s.create(reference="order-7", metadata=many | {"with[brackets]": "stays"})
        sent = s.wire.posts()[0].body.decode()
        assert "metadata%5Breference%5D=order-7" in sent
        assert "metadata%5Bkey0%5D=v" in sent
        assert sent.count("metadata%5B") == 50
        assert "brackets" not in sent


async def test_the_rest_of_a_multicapture_is_released_by_a_capture_of_nothing(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        held = await s.held(multicapture=True)
        with pytest.raises(Exception, match="releases the rest"):
            await s.capture(held["id"], 0)
        await s.capture(held["id"], 400, final=False)
        assert "amount_to_capture=0" not in s.wire.posts()[-1].body.decode()
        done = await s.capture(held["id"], 0)
        assert "amount_to_capture=0" in s.wire.posts()[-1].body.decode()
        assert (done["status"], done["amount_captured_minor"]) == ("succeeded", 400)


async def test_attention_ends_with_a_persons_reason(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, hidden = await concluded(s)
        hidden.show()
        await s.work(2 * HOUR)
        await attention_flow.clear(
            s.runtime, id_, account="acc_1", reason="told the shop", actor="key:x"
        )
        assert (await s.books(id_)).payment.attention is None
        trail = await s.store.load_audit(id_)
        assert (b"told the shop" in trail[-1].body, trail[-1].actor) == (True, "key:x")
        with pytest.raises(Conflict):
            await attention_flow.clear(
                s.runtime, id_, account="acc_1", reason="again", actor="key:x"
            )
        with pytest.raises(NotFound):
            await attention_flow.clear(s.runtime, id_, account="evil", reason="x", actor="key:y")
        await s.agreed()
