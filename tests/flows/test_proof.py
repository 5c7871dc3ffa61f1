"""What proves that nothing happened, and what does not; and how long is asked."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage
from tests.flows.test_corrections import (
    CREATE,
    HOUR,
    Hidden,
    concluded,
    elsewhere,
    without_retention,
)
from tests.flows.test_rescue import CARRIES_ALL, answered, refusal

from tollkeeper.flows.live.places import Places
from tollkeeper.flows.payments import attention, follow_up
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.kernel.errors import (
    CardNumberRefused,
    Invalid,
    Overloaded,
    ProviderRefused,
    RefusedForNow,
)
from tollkeeper.testing.misread import misreading

REFUNDS = "GET /v1/refunds"
CARD = "the shopper gave 4242 4242 4242 4242"
CHARGES = "GET /v1/payment_intents"


def captured_400(reply: WireReply) -> WireReply:
    """A lever: a charge of which 400 were captured."""
    shown = msgspec.json.decode(reply.body)
    shown["amount_received"] = 400
    charge = shown.get("latest_charge") or shown["charges"]["data"][0]
    charge["amount_captured"] = 400
    return replace(reply, body=msgspec.json.encode(shown))


class Torn:
    """Every row of one listing as `tear` changes it, until `mend` is called."""

    def __init__(self, s: Stage, listing: str, **torn: Any) -> None:
        self._send, self._wire = s.wire.send, s.wire
        self._listing, self._torn = listing, torn
        s.wire.send = self._sent  # type: ignore[method-assign]

    async def _sent(self, request: WireRequest, target: Any) -> Any:
        result = await self._send(request, target)
        if f"{request.method} {request.path}" != self._listing or result.reply is None:
            return result
        page = msgspec.json.decode(result.reply.body)
        page["data"] = [row | self._torn for row in page["data"]]
        return replace(result, reply=replace(result.reply, body=msgspec.json.encode(page)))

    def mend(self) -> None:
        self._wire.send = self._send  # type: ignore[method-assign]


async def test_a_charge_without_its_reference_proves_no_absence(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        torn = Torn(s, CHARGES, metadata=None)
        s.wire.pull(CREATE, "deaf")
        paid = await s.create()
        await s.work(300)
        assert (await s.books(paid["id"])).payment.status == "processing"
        torn.mend()
        await s.work(600)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_charge_of_another_sum_without_reference_is_no_doubt_about_ours(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        await s.create(amount_minor=777)
        Torn(s, CHARGES, metadata=None)
        s.wire.pull(CREATE, "lose")
        lost = await s.create()
        await s.work(120)
        assert (await s.books(lost["id"])).payment.failure_code == "not_executed"


async def test_a_refund_without_its_reference_is_neither_absent_nor_somebody_elses(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        without_retention(s)
        paid = await s.create()
        torn = Torn(s, REFUNDS, metadata=None)
        s.wire.pull("POST /v1/refunds", "deaf")
        await s.refund(paid["id"], 300)
        await s.work(300)
        books = await s.books(paid["id"])
        assert [(r.origin, r.status) for r in books.refunds] == [("api", "pending")]
        assert books.payment.refunded_minor == 0
        torn.mend()
        await s.work(600)
        books = await s.books(paid["id"])
        assert [(r.origin, r.status) for r in books.refunds] == [("api", "succeeded")]
        await s.agreed()


@pytest.mark.parametrize("torn", [{"amount": 1_001}, {"currency": "usd"}])
async def test_a_charge_of_ours_that_is_misread_confirms_no_refusal(
    tmp_path: Path, torn: dict[str, Any]
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        mended = Torn(s, CHARGES, **torn)
        s.wire.pull(CREATE, refusal(code="code_of_tomorrow"))
        paid = await s.create()
        assert (paid["status"], len(s.wire.posts())) == ("processing", 1)
        mended.mend()
        await s.work(120)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_sum_that_was_captured_otherwise_confirms_no_refusal(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        held = await s.held()
        s.wire.pull("/capture", refusal(code="code_of_tomorrow"))  # and all was captured
        s.wire.pull(f"{CHARGES}/", *[captured_400] * 3)
        taken = await s.capture(held["id"])
        assert (taken["outcome"], len(s.wire.posts())) == ("unknown", 2)
        await s.work(120)
        assert (await s.books(held["id"])).payment.captured_minor == 1_000
        await s.agreed()


async def test_a_refund_of_ours_that_is_misread_confirms_no_refusal(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        paid = await s.create()
        mended = Torn(s, REFUNDS, amount=301)
        s.wire.pull("POST /v1/refunds", refusal(code="code_of_tomorrow"))
        refunded = await s.refund(paid["id"], 300)
        assert (refunded["outcome"], len(s.wire.posts())) == ("unknown", 2)
        mended.mend()
        await s.work(120)
        assert (await s.books(paid["id"])).payment.refunded_minor == 300
        await s.agreed()


@pytest.mark.parametrize("method", ["automatic", "manual"])
async def test_a_shopper_who_has_left_is_charged_by_no_repetition(
    tmp_path: Path, method: str
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.fault(
            "late_effect", operation="payment_intents.create", seconds=4_000.0, holds_key=True,
            count=1,
        )  # fmt: skip
        await s.create(capture_method=method)
        deadline_ms = int(s.settings.shopper_deadline_seconds * 1000)
        await s.work(deadline_ms / 1000 + 5)
        until = len(s.wire.posts())
        await s.work(1_000)
        assert bool(len(s.wire.posts()) - until) == (method == "manual")


async def test_a_hold_that_a_late_repetition_makes_is_released(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.wire.pull(CREATE, *["lose"] * 9)  # so the last repetition asks the key after the deadline
        held = await s.held()
        until_ms = s.clock.now_ms() + int(s.settings.shopper_deadline_seconds * 1000)
        s.wire.pull(CHARGES, *["lose"] * 200)
        await s.work((until_ms - s.clock.now_ms()) / 1000 + 1)
        s.wire._levers.clear()
        await s.work(900)
        books = await s.books(held["id"])
        assert [c.status for c in s.core.ledger().charges] == ["voided"]
        assert (books.payment.status, books.payment.reversing) == ("canceled", False)
        await s.agreed()


async def test_nothing_is_sent_again_under_another_accounts_key(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        await s.create()
        await s.work(60)
        s.wire.pull(CREATE, "lose")
        paid = await s.create()
        sent = len(s.wire.posts())
        real = elsewhere(s)
        await s.work(60)
        payment = (await s.books(paid["id"])).payment
        assert len(s.wire.posts()) == sent
        assert "does not open the account" in (payment.attention or "")
        s.wire.send = real  # type: ignore[method-assign]
        await s.work(60)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_late_look_that_is_not_answered_is_taken_ever_more_rarely(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        id_, _ = await concluded(s)
        real = s.wire.send

        async def away(request: WireRequest, target: Any) -> Any:
            s.wire.pull("", "lose")
            return await real(request, target)

        s.wire.send = away  # type: ignore[method-assign]
        before = len(s.wire.sent)
        await s.work(24 * HOUR)
        asked = len(s.wire.sent) - before
        assert 10 < asked < 150  # each look asks three times, and each minute would be thousands
        assert (await s.books(id_)).payment.status == "failed"
        await s.work(10 * 24 * HOUR)
        assert await s.store.next_job_ms(s.clock.now_ms()) is None


async def test_a_reversal_is_tried_with_pauses_and_then_handed_to_a_person(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0, accounts={}) as s:
        policy = replace(s.runtime.policy(OLD), reversing_accounts=frozenset({"acc_1"}))
        without_retention(s)
        policy = replace(policy, retention_ms=0)
        s.runtime._kept.update({("policy", name): policy for name in (OLD, MIDDLE, NEW)})
        hidden = Hidden(s)
        s.wire.pull(CREATE, "deaf")
        paid = await s.create()
        await s.work(120)
        s.fault("require_parameter", when="before", parameter="x", operation="refunds.create")
        hidden.show()
        await s.work(3 * HOUR)
        books = await s.books(paid["id"])
        made = [a.first_sent_ms for a in books.attempts if a.purpose == "reverse"]
        pauses = [later - sooner for sooner, later in pairwise(made)]
        assert (pauses[0] >= 60_000, pauses[1] >= 900_000, len(made)) == (True, True, 3)
        assert "giving it back had no effect" in (books.payment.attention or "")


async def test_maintenance_is_left_alone_as_long_as_it_asks(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        away = answered({"error": {"type": "api_error"}}, 503, retry_after="40")
        s.wire.pull(CREATE, away, away)
        paid = await s.create()
        assert paid["status"] == "processing"
        await s.work(30)
        assert len(s.wire.posts()) == 1
        await s.work(60)
        assert (await s.books(paid["id"])).payment.status in {"processing", "succeeded"}
        await s.work(200)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


async def test_a_capture_that_is_refused_says_why_in_stable_words_and_when_to_come_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        wire = s.wire
        said = refusal(code="amount_too_large", message="too much", param="amount")
        wire.pull("/capture", said, said)  # through another version as well
        key = s.key()

        async def capture() -> None:
            await follow_up.capture(s.runtime, key, held["id"], amount_minor=None, final=True)

        for _ in range(2):  # the stored answer says the same
            with pytest.raises(ProviderRefused) as refused:
                await capture()
            assert refused.value.failure_code == "amount_too_large"
            assert refused.value.provider_error == {
                "code": "amount_too_large",
                "parameter": "amount",
                "message": "too much",
            }
        busy = answered({"error": {"type": "invalid_request_error"}}, 429, retry_after="17")
        wire.pull("/capture", busy, busy, busy)
        key = s.key()
        for _ in range(2):
            with pytest.raises(RefusedForNow) as later:
                await capture()
            assert (later.value.failure_code, later.value.retry_after_seconds) == ("try_again", 17)


async def test_a_key_that_may_read_and_not_refund_is_reported_until_it_may(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        forbidden = answered({"error": {"type": "x"}}, 403)
        s.wire.pull("POST /v1/refunds", forbidden, forbidden)  # through another version as well
        with pytest.raises(RefusedForNow):
            await s.refund(paid["id"], 100)
        await s.work(60)  # looks are answered meanwhile
        assert "refund" in s.runtime.live.refusing["stripe"]
        await s.refund(paid["id"], 100)
        assert s.runtime.live.refusing == {}


async def test_a_refund_that_is_refused_makes_the_payment_be_looked_at(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await s.control(f"charges/{s.charge_id()}/refund", {"amount": 400})
        s.wire.pull("POST /v1/refunds", refusal(code="charge_already_refunded"))
        await s.refund(paid["id"], 700)
        await s.work(30)
        books = await s.books(paid["id"])
        assert books.payment.refunded_minor == 400


async def test_an_accounts_rollout_takes_no_version_from_the_others(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("sunset", when="before", status=410, api_version=OLD[7:])
        for account, chosen in (("acc_2", NEW), ("acc_1", MIDDLE)):
            theirs = {account: frozenset({NEW})}
            s.runtime.live.apply_routes(replace(s.runtime.live.routes, unproved_for=theirs))
            assert (await s.create())["integration"] == chosen
            assert (NEW in {v.name for v in s.runtime.router.other_versions(OLD, None)}) is False


@pytest.mark.parametrize("reason", ["", " ", "x" * 301, "two\nlines", "a\x00b"])
async def test_a_reason_that_cannot_be_kept_is_refused(tmp_path: Path, reason: str) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        with pytest.raises(Invalid):
            await attention.clear(s.runtime, paid["id"], account=None, reason=reason, actor="cli")
        with pytest.raises(CardNumberRefused):
            await attention.clear(s.runtime, paid["id"], account=None, reason=CARD, actor="cli")


def test_no_account_takes_all_places_of_a_provider() -> None:
    places = Places(4)
    with places.at("one@1", "a"), places.at("one@1", "a"), places.at("one@1", "a"):
        with places.at("one@1", "b"), places.at("two@1", "a"), pytest.raises(Overloaded):
            places.at("one@1", "b").__enter__()
        with pytest.raises(Overloaded, match="this account"):
            places.at("one@1", "a").__enter__()


async def test_a_decline_that_another_reading_of_the_reply_contradicts_is_not_believed(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={NEW: 100.0}) as s:
        alter(s.runtime, installed=misreading(s.runtime.installed, MIDDLE, "declined"))
        s.fault(
            "amount_unit", object="charge", path="amount_captured", factor=0.01, count=1,
            operation="payment_intents.create",
        )  # fmt: skip
        paid = await s.create()
        assert paid["status"] != "failed"
        await s.work(120)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()
