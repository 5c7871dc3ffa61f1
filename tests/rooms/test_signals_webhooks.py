"""Webhooks that stop, come late, or contradict the books: whose they are."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.rooms.counted import END_S, Instead, window

from tollkeeper.integrations.hints import card_brand, event_hint, reply_version
from tollkeeper.integrations.version import WireReply
from tollkeeper.payments.contradiction import contradicts
from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Payment
from tollkeeper.signals.cells import webhook_in_cell
from tollkeeper.signals.counts import Cell, Window
from tollkeeper.signals.saying import next_of, sentence_of
from tollkeeper.signals.verdict import Verdict, attribute


def is_hook(one: Cell) -> bool:
    return one.kind == "webhook_in" and one.provider == "stripe"


STOPPED = Instead(lambda one: replace(one, kind="job"), is_hook)


def late(one: Cell) -> int:
    """In the bucket of 11 to 30 seconds."""
    return 16 if is_hook(one) else 6


def verdict(seen: Window) -> Verdict:
    looked = attribute(seen)
    assert looked.verdicts, "there is a verdict"
    return looked.verdicts[0]


def test_webhooks_that_stop_are_the_providers_and_payments_are_said_to_go_well() -> None:
    found = verdict(window(STOPPED, since=30))
    assert (found.domain, found.provider) == ("provider_down", "stripe")
    assert "sends its webhooks late or not at all" in sentence_of(found)
    assert "reaches our address" in next_of(found)
    assert abs(found.since_ms - (END_S - 30) * 1000) <= 6_000


def test_webhooks_that_stop_at_every_provider_are_our_doors() -> None:
    every = Instead(lambda one: replace(one, kind="job"), lambda one: one.kind == "webhook_in")
    found = verdict(window(every, since=30))
    assert found.domain == "our_infrastructure"


def test_webhooks_that_come_late_are_the_providers() -> None:
    found = verdict(window(since=30, took=late))
    assert (found.domain, found.provider) == ("provider_down", "stripe")
    assert any(one.name == "webhooks_late" for one in found.evidence_for)
    assert "sends its webhooks late" in sentence_of(found)


def test_webhooks_late_by_less_than_five_seconds_are_no_alarm() -> None:
    assert attribute(window(since=60, took=lambda one: 13 if is_hook(one) else 6)).alarms == ()


def test_webhooks_that_stop_when_a_host_of_ours_went_are_ours() -> None:
    seen = window(STOPPED, since=30)
    gone = tuple(
        replace(batch, replica="r2", host="h2", counted=[])
        for batch in seen.batches
        if batch.second < END_S - 30
    )
    found = verdict(replace(seen, batches=tuple(sorted((*seen.batches, *gone), key=_second))))
    assert found.domain == "our_infrastructure"
    assert any(one.name == "host_gone" for one in found.evidence_for)


def _second(batch: object) -> int:
    return int(getattr(batch, "second"))  # noqa: B009 - mypy knows no order of batches


def test_webhooks_that_our_door_refuses_came_and_are_not_missing() -> None:
    refused = Instead(
        lambda one: replace(one, result="failed", stage="webhook", error="bad_signature"), is_hook
    )
    looked = attribute(window(refused, since=30))
    assert not {alarm.bank for alarm in looked.alarms} & {"missing_webhooks", "late_webhooks"}
    assert looked.verdicts[0].domain == "provider_changed"


def test_missing_webhooks_beside_a_provider_that_is_down_leave_it_down() -> None:
    down = Instead(
        lambda one: replace(one, result="failed", shows_id=False, error="status", status=500),
        lambda one: one.kind == "attempt" and one.provider == "stripe",
    )
    found = verdict(window(down, STOPPED, since=30))
    assert found.domain == "provider_down"
    assert "is down" in sentence_of(found)


def test_webhooks_that_contradict_the_books_are_a_change_of_the_provider() -> None:
    told = webhook_in_cell("stripe", "stripe@2", "queued", host="h1", contradicts=True)
    found = verdict(window(lambda second: [(told, 2)], since=20))
    assert found.domain == "provider_changed"
    assert any(one.name == "webhooks_contradict" for one in found.evidence_for)


def paid(**given: object) -> Payment:
    usual = Payment(
        id="pay_1", account="acc_1", amount_minor=1_000, currency="EUR",
        capture_method="automatic", payment_method="pm", integration="stripe@2", created_ms=0,
        updated_ms=0, deadline_ms=0, status="succeeded", captured_minor=1_000, provider_id="pi_1",
    )  # fmt: skip
    return replace(usual, **given)


DECLINED = Charge(
    provider_id="pi_1", state="declined", amount_minor=1_000, currency="EUR", payment_id="pay_1"
)
CAPTURED = replace(DECLINED, state="captured", captured_minor=1_000)


@pytest.mark.parametrize(
    ("payment", "charge", "is_so"),
    [
        (paid(), CAPTURED, False),
        (paid(), DECLINED, True),
        (paid(status="failed", decline_reason="do_not_honor"), CAPTURED, True),
        (paid(status="failed", failure_code="refused"), CAPTURED, False),
        (paid(status="failed", decline_reason="do_not_honor"), DECLINED, False),
        (paid(outcome_known=False), DECLINED, False),
        (paid(status="processing"), CAPTURED, False),
        (paid(), replace(DECLINED, provider_id="pi_2"), False),
    ],
)
def test_only_what_no_order_of_events_explains_contradicts(
    payment: Payment, charge: Charge, is_so: bool
) -> None:
    assert contradicts(payment, charge) is is_so


@pytest.mark.parametrize(
    ("body", "made_ms", "version"),
    [
        (b'{"created": 1700000000, "api_version": "2022-11-15"}', 1_700_000_000_000, "2022-11-15"),
        (b'{"created": 1, "api_version": "2026-03-25.dahlia"}', 1_000, "2026-03-25.dahlia"),
        (b'{"created": "soon", "api_version": ["2022-11-15"]}', 0, ""),
        (b'{"created": true, "api_version": "a name of a person"}', 0, ""),
        (b'{"created": 99999999999999, "api_version": null}', 0, ""),
        (b"{}", 0, ""),
        (b"[" * 5_000, 0, ""),
        (b"\xff", 0, ""),
    ],
)
def test_hints_of_an_event_are_read_tolerantly(body: bytes, made_ms: int, version: str) -> None:
    hint = event_hint("stripe", body)
    assert (hint.made_ms, hint.version) == (made_ms, version)
    assert event_hint("unknown", body).made_ms == 0


CARD = {"card": {"brand": "visa", "last4": "4242"}}


@pytest.mark.parametrize(
    ("document", "brand"),
    [
        ({"latest_charge": {"payment_method_details": CARD}}, "visa"),
        ({"latest_charge": None, "charges": {"data": [{"payment_method_details": CARD}]}}, "visa"),
        ({"latest_charge": "ch_1", "charges": {"data": []}, "brand": 1}, ""),
        ({"metadata": {"brand": "of shoes"}, "latest_charge": CARD}, "visa"),
        ({"display_brand": "visa", "status": '"brand":"visa"'}, ""),
        ({"error": {"payment_method": CARD}}, "visa"),
        ({"error": {"payment_method": {"card": {"brand": "Jane Doe"}}}}, "other"),
        ({"error": {"payment_method": {"card": {"brand": ["visa"]}}}}, ""),
        ([CARD], "visa"),
    ],
)
def test_the_brand_of_a_card_is_read_tolerantly_and_bounded(document: object, brand: str) -> None:
    body = msgspec.json.encode(document)
    assert card_brand("stripe", WireReply(status=200, body=body)) == brand
    assert card_brand("unknown", WireReply(status=200, body=body)) == ""
    assert card_brand("stripe", WireReply(status=200, body=body[:1])) == ""


def test_the_hint_of_a_reply_is_its_version() -> None:
    reply = WireReply(status=200, headers=(("stripe-version", "2022-11-15"),))
    assert reply_version("stripe", reply) == "2022-11-15"
    assert reply_version("stripe", WireReply(status=200)) == ""
    assert reply_version("unknown", reply) == ""
