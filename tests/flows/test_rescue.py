"""A refusal or an unreadable answer costs no sale: other versions, a look, and patience."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, key_of, stage, version_of

from tollkeeper.integrations.version import WireReply
from tollkeeper.payments.payment import Books
from tollkeeper.wire.redaction import redact_headers

CREATE = "POST /v1/payment_intents"
CARRIES_ALL = {OLD: 100.0, MIDDLE: 0.0, NEW: 0.0}


def answered(document: Any, status: int, **headers: str) -> Any:
    """A lever: the provider's reply is replaced. The request had no effect where `lose` is not
    needed: these levers are for requests that the simulator refused already."""

    def lever(reply: WireReply) -> WireReply:
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return WireReply(status=status, headers=named, body=msgspec.json.encode(document))

    return lever


def refusal(status: int = 400, **fields: Any) -> Any:
    return answered({"error": {"type": "invalid_request_error"} | fields}, status)


def classes(books: Books) -> list[str | None]:
    return [a.result_class for a in books.attempts if a.operation == "authorize"]


def without_failover(s: Stage) -> None:
    """From now on each payment is rescued alone: no coin asks whether all traffic should move."""
    mine = replace(s.settings.providers["stripe"], failover="off")
    alter(s.runtime, settings=replace(s.settings, providers={"stripe": mine}))


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "require_parameter", "when": "before", "parameter": "mandate_data"},
        {"effect": "forbid_parameter", "when": "before", "parameter": "confirm"},
        {"effect": "sunset", "when": "before", "status": 410},
        {"effect": "sunset", "when": "before", "status": 404},
    ],
    ids=["requires", "forbids", "gone", "not found"],
)
@pytest.mark.parametrize("method", ["automatic", "manual"])
async def test_a_version_that_the_provider_breaks_costs_no_sale_and_one_attempt(
    tmp_path: Path, fault: dict[str, Any], method: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        without_failover(s)
        s.fault(**fault, api_version=OLD[7:])
        for _ in range(5):
            paid = await s.create(capture_method=method)
            assert paid["status"] == ("succeeded" if method == "automatic" else "requires_capture")
            books = await s.books(paid["id"])
            assert classes(books) == ["B1", None]
            assert books.payment.integration == NEW  # the newest sound version
        first, second = s.wire.posts()[:2]
        assert (version_of(first), version_of(second)) == (OLD[7:], NEW[7:])
        assert key_of(first) != key_of(second)
        await s.work(60)
        await s.agreed()


async def test_a_candidate_that_was_not_proved_rescues_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("sunset", when="before", status=410, api_version=OLD[7:])
        s.runtime.live.apply_routes(replace(s.runtime.live.routes, unproved=frozenset({NEW})))
        paid = await s.create()
        assert (paid["status"], paid["integration"]) == ("succeeded", MIDDLE)
        assert NEW[7:] not in {version_of(request) for request in s.wire.sent}


async def test_a_version_that_refuses_the_amount_is_passed_over(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        whole = s.runtime.installed[NEW]
        able = whole.capabilities
        units = {name: unit for name, unit in able.units.items() if name != "EUR"}
        narrow = replace(whole, capabilities=replace(able, units=units))
        alter(s.runtime, installed={**s.runtime.installed, NEW: narrow})
        s.fault("sunset", when="before", status=410, api_version=OLD[7:])
        assert (await s.create())["integration"] == MIDDLE


async def test_a_decline_and_a_doubt_never_go_to_another_version(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        declined = await s.create(payment_method="pm_card_visa_chargeDeclined")
        assert classes(await s.books(declined["id"])) == ["B2"]
        s.wire.pull(CREATE, "lose")
        doubtful = await s.create()
        assert (doubtful["status"], doubtful["outcome"]) == ("processing", "unknown")
        assert classes(await s.books(doubtful["id"])) == ["C"]
        await s.work(60)
        await s.agreed()


@pytest.mark.parametrize("path", ["charges", "status"])
async def test_an_unreadable_success_is_read_through_another_version_at_once(
    tmp_path: Path, path: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault(
            "rename_field", object="payment_intent", path=path, to="renamed", api_version=OLD[7:]
        )
        paid = await s.create()
        assert (paid["status"], paid["outcome"], paid["_doubtful"]) == ("succeeded", "known", False)
        attempt = (await s.books(paid["id"])).attempts[0]
        assert (attempt.settled_by, attempt.outcome) == ("lookup", "approved")
        assert len(s.wire.posts()) == 1
        assert (await s.books(paid["id"])).payment.integration == OLD
        exchange = await s.store.load_exchange(attempt.id)
        assert exchange is not None
        assert not exchange.sealed
        await s.work(60)
        await s.agreed()


@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
async def test_an_unreadable_follow_up_is_read_through_another_version_at_once(
    tmp_path: Path, operation: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        made = await (s.create() if operation == "refund" else s.held())
        kind = "refund" if operation == "refund" else "payment_intent"
        s.fault("rename_field", object=kind, path="status", to="renamed", api_version=OLD[7:])
        done = await getattr(s, operation)(made["id"])
        assert not done["_doubtful"]
        assert done["status"] == {"void": "canceled"}.get(operation, "succeeded")
        await s.work(60)
        await s.agreed()


async def test_what_no_version_can_read_is_accepted_and_stays_open(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("rename_field", object="payment_intent", path="status", to="renamed")
        paid = await s.create()
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        await s.work(30)
        assert (await s.books(paid["id"])).payment.status == "processing"
        s.core.faults.clear()
        await s.work(3_600)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


# Refusals that no table knows


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"message": "The provided PaymentMethod was previously used."}, "payment_method_unusable"),
        ({"message": "Your account cannot make live charges."}, "provider_configuration"),
        ({"message": "No.", "param": "mandate_data"}, "refused"),
        ({"code": "a_word_of_tomorrow", "message": "No."}, "refused"),
        ({"code": "amount_too_small", "param": "amount"}, "amount_too_small"),
        ({"code": "resource_missing", "param": "payment_method"}, "payment_method_unusable"),
        ({"code": "resource_missing", "param": "customer"}, "refused"),
    ],
)
async def test_a_refusal_is_told_at_once_with_a_stable_word_and_the_providers_own(
    tmp_path: Path, fields: dict[str, Any], code: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        # every charge is refused
        s.fault("require_parameter", when="before", parameter="x", operation="*.create")
        s.wire.pull(CREATE, *[refusal(**fields)] * 3)
        paid = await s.create()
        assert (paid["status"], paid["outcome"], paid["failure_code"]) == ("failed", "known", code)
        said = paid["provider_error"]
        assert said["message"] == fields.get("message", "")
        assert said["parameter"] == fields.get("param", "")
        books = await s.books(paid["id"])
        assert classes(books) == ["B1"] * 3
        assert all(a.error is not None for a in books.attempts)
        events = await s.store.list_events("acc_1", "evt_~", 10)
        assert code.encode() in next(e.data for e in events if e.type == "payment.failed")
        await s.agreed()


async def test_a_refusal_that_no_table_knows_is_no_refusal_where_the_charge_is_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.wire.pull(CREATE, refusal(message="something odd"))  # and the charge was made
        paid = await s.create()
        assert (paid["status"], len(s.wire.posts())) == ("succeeded", 1)
        await s.work(60)
        await s.agreed()


async def test_a_refusal_that_no_look_can_confirm_is_a_doubt(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("error", when="before", status=500, operation="payment_intents.list")
        s.wire.pull(CREATE, refusal(message="something odd"))
        paid = await s.create()
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        assert len(s.wire.posts()) == 1
        s.core.faults.clear()
        await s.work(60)
        await s.agreed()


async def test_a_look_around_the_wrong_time_confirms_no_refusal(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.core.config.clock_offset_seconds = 200  # which no answer has told yet
        s.wire.pull(CREATE, refusal(message="something odd"))  # and the charge was made
        paid = await s.create()
        assert (paid["status"], len(s.wire.posts())) == ("succeeded", 1)
        await s.work(60)
        await s.agreed()


async def test_a_refusal_that_shows_moved_money_is_a_doubt(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL, rescue_seconds=0) as s:

        def torn(reply: WireReply) -> WireReply:
            intent = msgspec.json.decode(reply.body)
            error = {"type": "invalid_request_error", "code": "amount_too_small"}
            document = {"error": error | {"payment_intent": intent}}
            return replace(reply, status=400, body=msgspec.json.encode(document))

        s.wire.pull(CREATE, torn)
        paid = await s.create()
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        await s.work(60)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        await s.agreed()


# Not now


@pytest.mark.parametrize("code", ["rate_limit", "lock_timeout"])
async def test_not_now_is_heeded_and_tried_again_through_the_same_version(
    tmp_path: Path, code: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("require_parameter", when="before", parameter="x", count=1)
        busy = answered({"error": {"type": "invalid_request_error", "code": code}}, 429,
                        retry_after="2")  # fmt: skip
        s.wire.pull(CREATE, busy)
        began = s.clock.now
        paid = await s.create()
        assert paid["status"] == "succeeded"
        assert s.clock.now - began >= 2
        assert {version_of(request) for request in s.wire.posts()} == {OLD[7:]}
        await s.agreed()


async def test_a_provider_that_stays_busy_is_not_asked_for_ever(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("rate_limited", when="before")
        paid = await s.create()
        assert (paid["status"], paid["failure_code"]) == ("failed", "try_again")
        assert len(s.wire.posts()) == 3
        s.wire.pull(CREATE, answered({"error": {"type": "x"}}, 429, retry_after="60"))
        paid = await s.create()
        assert (paid["failure_code"], len(s.wire.posts())) == ("try_again", 4)
        await s.agreed()


async def test_a_provider_that_says_do_not_retry_is_not_asked_again(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("require_parameter", when="before", parameter="x")
        s.wire.pull(CREATE, answered({"error": {"type": "x"}}, 429, stripe_should_retry="false"))
        assert (await s.create())["failure_code"] == "try_again"
        assert len(s.wire.posts()) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_is_ours_and_operators_are_told(
    tmp_path: Path, status: int
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        told: list[tuple[str, dict[str, object]]] = []
        alter(s.runtime, tell=lambda event, /, **facts: told.append((event, facts)))
        s.fault("require_parameter", when="before", parameter="x")
        body = {"error": {"type": "invalid_request_error", "message": "Invalid: sk_live_abcdef12"}}
        s.wire.pull(CREATE, *[answered(body, status)] * 6)
        for _ in range(2):
            paid = await s.create()
            assert (paid["status"], paid["failure_code"]) == ("failed", "provider_configuration")
            assert paid["decline_reason"] is None
            assert paid["needs_attention"]
            assert "sk_live" not in str(paid)
        assert [event for event, _ in told] == ["provider_refuses_our_key"]
        assert set(s.runtime.live.refusing) == {"stripe"}
        s.core.faults.clear()
        s.wire._levers.clear()
        assert (await s.create())["status"] == "succeeded"
        assert s.runtime.live.refusing == {}


def test_the_headers_that_say_how_to_go_on_may_be_logged() -> None:
    names = ("stripe-should-retry", "idempotent-replayed", "retry-after")
    assert redact_headers([(name, "true") for name in names]) == dict.fromkeys(names, "true")
