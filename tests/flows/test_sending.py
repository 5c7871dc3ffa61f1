"""Taking a payment: who is asked, how often, and what an unreadable answer costs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import BOTH, MIDDLE, NEW, OLD, WINDOW_S, key_of, stage, version_of

from tollkeeper.flows.payments import follow_up
from tollkeeper.integrations.version import WireReply
from tollkeeper.kernel.errors import InFlight, KeyReused, NotSent, ProviderRefused, RefusedForNow
from tollkeeper.testing.temper import without_keys

CREATE = "POST /v1/payment_intents"


async def test_a_payment_is_taken_captured_and_refunded(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        held = await s.held(customer="c", reference="r", metadata={"a": "b"})
        assert (held["status"], held["_created"], held["_doubtful"]) == (
            "requires_capture", True, False,
        )  # fmt: skip
        captured = await s.capture(held["id"])
        assert (captured["status"], captured["amount_captured_minor"]) == ("succeeded", 1_000)
        refund = await s.refund(held["id"], 400)
        assert (refund["status"], refund["amount_minor"]) == ("succeeded", 400)
        await s.work(60)
        assert (await s.agreed()).statuses == {"succeeded": 1}
        assert len(s.wire.posts()) == 3


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_what_was_not_sent_fails_over_until_no_version_is_left(
    tmp_path: Path, times: int
) -> None:
    async with stage(tmp_path, weights=BOTH) as s:
        s.wire.pull(CREATE, *["refuse"] * times)
        paid = await s.create()
        assert paid["status"] == ("succeeded" if times < 3 else "failed")
        assert paid["failure_code"] == (None if times < 3 else "not_sent")
        books = await s.books(paid["id"])
        classes = [a.result_class for a in books.attempts]
        assert classes == (["A"] * times + [None])[:3]
        # the one with weight first, then the sound one without
        order = [MIDDLE, OLD, NEW][: len(classes)]
        assert [version_of(r) for r in s.wire.posts()] == [name[7:] for name in order]
        assert books.payment.integration == order[-1]
        await s.work(60)
        await s.agreed()


async def test_a_sunset_version_fails_over_with_a_key_of_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=BOTH) as s:
        s.fault("sunset", api_version=MIDDLE[7:], status=410)
        paid = await s.create()
        assert (paid["status"], paid["integration"]) == ("succeeded", OLD)
        first, second = s.wire.posts()
        assert key_of(first) != key_of(second)
        books = await s.books(paid["id"])
        assert [a.result_class for a in books.attempts] == ["B1", None]
        await s.agreed()


async def test_a_decline_is_final_and_asks_nobody_else(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=BOTH) as s:
        paid = await s.create(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        assert (paid["status"], paid["decline_reason"]) == ("failed", "insufficient_funds")
        assert len(s.wire.posts()) == 1
        await s.work(60)
        await s.agreed()


@pytest.mark.parametrize("lever", ["lose", "deaf"])
@pytest.mark.parametrize("method", ["automatic", "manual"])
async def test_silence_is_settled_and_only_the_same_bytes_are_ever_sent_again(
    tmp_path: Path, lever: str, method: str
) -> None:
    async with stage(tmp_path, weights=BOTH, rescue_seconds=0) as s:
        s.wire.pull(CREATE, lever)
        paid = await s.create(capture_method=method)
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        assert paid["_doubtful"]
        assert len(s.wire.posts()) == 1
        await s.work(60)
        books = await s.books(paid["id"])
        expected = "succeeded" if method == "automatic" else "requires_capture"
        assert (books.payment.status, books.payment.outcome_known) == (expected, True)
        assert books.attempts[0].settled_by == ("replay" if lever == "lose" else "listing")
        posts = s.wire.posts()
        assert len({(r.body, r.headers, r.path) for r in posts}) == 1
        assert len(posts) == (2 if lever == "lose" else 1)
        await s.agreed()


async def test_without_retention_a_lost_request_is_proved_absent_and_never_sent_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        forgetful = {name: without_keys(item) for name, item in s.runtime.installed.items()}
        alter(s.runtime, installed=forgetful)
        s.wire.pull(CREATE, "lose")
        paid = await s.create()
        await s.work(WINDOW_S - 1)
        assert (await s.books(paid["id"])).payment.status == "processing"
        await s.work(60)
        payment = (await s.books(paid["id"])).payment
        assert (payment.status, payment.failure_code) == ("failed", "not_executed")
        assert len(s.wire.posts()) == 1
        await s.agreed()


async def test_an_answer_in_another_versions_shape_is_read_at_once_by_that_version(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.wire.pull(CREATE, f"as {MIDDLE[7:]}")
        paid = await s.create()
        assert (paid["status"], paid["outcome"], paid["integration"]) == (
            "succeeded", "known", OLD,
        )  # fmt: skip
        books = await s.books(paid["id"])
        assert books.attempts[0].settled_by == "reread"
        assert len(s.wire.sent) == 1
        await s.agreed()


def without(field: str) -> Any:
    def torn(reply: WireReply) -> WireReply:
        document = msgspec.json.decode(reply.body)
        document.pop(field)
        return replace(reply, body=msgspec.json.encode(document))

    return torn


def with_nonsense(reply: WireReply) -> WireReply:
    return replace(reply, status=200, body=b'{"id":"pi_\\u0000","status":"succeeded"')


@pytest.mark.parametrize(
    "lever", [without("amount"), without("status"), without("metadata"), with_nonsense],
    ids=["amount", "status", "metadata", "nonsense"],
)  # fmt: skip
async def test_a_reply_that_nobody_can_read_is_settled_by_looking(
    tmp_path: Path, lever: Any
) -> None:
    async with stage(tmp_path, weights=BOTH, rescue_seconds=0) as s:
        s.wire.pull(CREATE, lever)
        paid = await s.create()
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        exchange = await s.store.load_exchange((await s.books(paid["id"])).attempts[0].id)
        assert exchange is not None
        assert exchange.sealed
        assert exchange.reply
        await s.work(30)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        exchange = await s.store.load_exchange(exchange.attempt_id)
        assert exchange is not None
        assert not exchange.sealed
        assert len(s.wire.posts()) == 1
        await s.agreed()


async def test_follow_ups_go_to_the_version_that_made_the_payment(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        held = await s.held()
        s.settings = replace(s.settings, weights={MIDDLE: 100.0})
        alter(s.runtime, settings=s.settings)
        await s.capture(held["id"], 600)
        await s.refund(held["id"], 100)
        await s.work(3_700)
        assert {version_of(r) for r in s.wire.sent} == {OLD[7:]}
        await s.agreed()


# Keys


async def test_a_key_executes_once_and_replays_its_answer(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        key = s.key("k")
        first = await s.held(key=key)
        again = await s.held(key=key)
        assert again["_replayed"]
        assert {k: v for k, v in again.items() if k[0] != "_"} == {
            k: v for k, v in first.items() if k[0] != "_"
        }
        with pytest.raises(KeyReused):
            await s.held(key=s.key("k", fingerprint="other"))
        assert len(s.wire.posts()) == 1


async def test_after_its_answer_expired_a_key_shows_the_payment_as_it_is(tmp_path: Path) -> None:
    async with stage(tmp_path, answer_days=1) as s:
        key = s.key("k")
        held = await s.held(key=key)
        await s.capture(held["id"], 600)
        assert (await s.held(key=key))["status"] == "requires_capture"
        s.clock.now += 86_400 + 1
        await s.store.expire(s.clock.now_ms(), 0)
        now = await s.held(key=key)
        assert (now["status"], now["amount_captured_minor"], now["_replayed"]) == (
            "succeeded", 600, True,
        )  # fmt: skip
        assert len(s.wire.posts()) == 2


async def test_a_key_whose_request_is_under_way_is_in_flight(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        key = s.key("k")
        seen: list[str] = []

        async def retry(_: object) -> None:
            s.wire.before = None
            with pytest.raises(InFlight):
                await s.create(key=key)
            seen.append("refused")

        s.wire.before = retry
        paid = await s.create(key=key)
        assert (paid["status"], seen) == ("succeeded", ["refused"])
        assert len(s.wire.posts()) == 1


@pytest.mark.parametrize(
    ("lever", "error"), [("refuse", NotSent), ("sunset", ProviderRefused)], ids=["A", "B1"]
)
async def test_a_capture_without_effect_is_an_error_that_its_key_repeats(
    tmp_path: Path, lever: str, error: type[Exception]
) -> None:

    async with stage(tmp_path) as s:
        held = await s.held()
        if lever == "sunset":
            s.fault("sunset", operation="payment_intents.capture", count=2)
        else:
            s.wire.pull("/capture", lever, lever)
        key = s.key("capture")
        for _ in range(2):
            with pytest.raises(error):
                await follow_up.capture(s.runtime, key, held["id"], amount_minor=None, final=True)
        assert (await s.books(held["id"])).payment.reserved_minor == 0
        assert (await s.capture(held["id"]))["status"] == "succeeded"
        await s.work(60)
        await s.agreed()


@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
async def test_a_follow_up_of_a_sunset_version_goes_through_one_that_handles_it(
    tmp_path: Path, operation: str
) -> None:
    async with stage(tmp_path) as s:
        made = await (s.create() if operation == "refund" else s.held())
        s.fault("sunset", api_version=MIDDLE[7:], status=410)
        done = await getattr(s, operation)(made["id"])
        assert done["status"] == {"void": "canceled"}.get(operation, "succeeded")
        books = await s.books(made["id"])
        first, second = [a for a in books.attempts if a.operation != "authorize"]
        assert (first.integration, first.result_class) == (MIDDLE, "B1")
        assert (second.integration, second.outcome) == (NEW, "approved")
        assert books.payment.integration == MIDDLE  # the pin stays
        assert len({key_of(request) for request in s.wire.posts()}) == 3
        await s.work(60)
        await s.agreed()


async def test_a_refund_whose_second_attempt_is_in_doubt_is_settled(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        made = await s.create()
        s.fault("sunset", api_version=MIDDLE[7:], operation="refunds.create", status=410)
        s.wire.pull("/refunds", "", "deaf")
        assert (await s.refund(made["id"]))["_doubtful"]
        await s.work(60)
        assert (await s.books(made["id"])).payment.refunded_minor == 1_000
        await s.agreed()


async def test_a_follow_up_in_doubt_never_goes_elsewhere(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        held = await s.held()
        s.wire.pull("/capture", "deaf")
        assert (await s.capture(held["id"]))["outcome"] == "unknown"
        assert len((await s.books(held["id"])).attempts) == 2
        await s.work(60)
        await s.agreed()


async def test_an_intent_of_a_sunset_version_is_cancelled_through_another(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        made = await s.create(payment_method="pm_card_threeDSecure2Required")
        assert made["status"] == "requires_action"
        s.fault("sunset", api_version=MIDDLE[7:], status=410)
        await s.work(3_600)
        payment = (await s.books(made["id"])).payment
        assert (payment.status, payment.failure_code) == ("failed", "not_completed")
        await s.agreed()


@pytest.mark.parametrize("effect", ["rate_limit", "revoked"])
@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
async def test_a_follow_up_refused_for_now_may_be_made_again(
    tmp_path: Path, operation: str, effect: str
) -> None:
    async with stage(tmp_path) as s:
        made = await (s.create() if operation == "refund" else s.held())
        good = s.runtime.settings
        if effect == "revoked":
            stripe = replace(good.providers["stripe"], secret_key="sk_test_revoked")
            alter(s.runtime, settings=replace(good, providers={"stripe": stripe}))
        else:
            s.fault("rate_limited", count=1)
        with pytest.raises(RefusedForNow) as refused:
            await getattr(s, operation)(made["id"])
        pause = 1 if effect == "rate_limit" else 5  # the provider names its own
        assert (refused.value.retryable, refused.value.retry_after_seconds) == (True, pause)
        books = await s.books(made["id"])
        assert len(books.attempts) == 2  # no other version is asked
        code = "try_again" if effect == "rate_limit" else "provider_configuration"
        assert [r.failure_code for r in books.refunds] == [code] * len(books.refunds)
        alter(s.runtime, settings=good)
        done = await getattr(s, operation)(made["id"])
        assert done["status"] == {"void": "canceled"}.get(operation, "succeeded")
        await s.work(60)
        await s.agreed()
