"""Every installed version passes the same playbook."""

import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.rooms.plays import (
    METADATA,
    ORDER,
    PLAYED,
    error,
    expand,
    form,
    intent,
    refund,
    reply,
    tagged,
)

from tollkeeper.integrations.catalogue import INSTALLED, find
from tollkeeper.integrations.version import (
    Delivery,
    Integration,
    OperationInput,
    SignatureRefused,
    WireRequest,
)
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.outcome import Event, Operation, Outcome

NAMES = PLAYED
pytestmark = pytest.mark.parametrize("name", NAMES)
SECRET = "whsec_1"
NOW_S = 1_700_000_000


def posted(name: str, path: str, body: bytes) -> WireRequest:
    headers = (
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", "att_1"),
        ("stripe-version", INSTALLED[name].version),
    )
    return WireRequest(method="POST", path=path, headers=headers, body=body)


def got(name: str, path: str, query: bytes) -> WireRequest:
    headers = (("stripe-version", INSTALLED[name].version),)
    return WireRequest(method="GET", path=path, query=query.decode(), headers=headers)


def sent(name: str, operation: Operation, **fields: Any) -> WireRequest:
    order: OperationInput = replace(ORDER, **fields)
    return INSTALLED[name].request(operation, order)


def test_an_authorization_goes_out(name: str) -> None:
    base = [
        ("amount", "1000"), ("currency", "eur"), ("confirm", "true"),
        ("capture_method", "automatic"), ("payment_method", "pm_1"),
        ("payment_method_types[]", "card"),
    ]  # fmt: skip
    plain = form(*tagged(*base), *expand(name))
    assert sent(name, "authorize") == posted(name, "/v1/payment_intents", plain)
    base[3] = ("capture_method", "manual")
    rest = [
        ("return_url", "https://a.example/?x=1"), ("description", "two words"),
        ("payment_method_options[card][request_multicapture]", "if_available"),
    ]  # fmt: skip
    full = sent(
        name, "authorize", capture_method="manual", multicapture=True, description="two words",
        return_url="https://a.example/?x=1",
    )  # fmt: skip
    assert full.body == form(*tagged(*base), *expand(name), *rest)


def test_follow_ups_go_out(name: str) -> None:
    whole = form(("amount_to_capture", "1000"), *expand(name))
    path = "/v1/payment_intents/pi_1"
    assert sent(name, "capture") == posted(name, f"{path}/capture", whole)
    part = form(("amount_to_capture", "400"), *expand(name), ("final_capture", "false"))
    assert sent(name, "capture", amount_minor=400, final=False).body == part
    assert sent(name, "void") == posted(name, f"{path}/cancel", form(*expand(name)))
    giving = tagged(("payment_intent", "pi_1"), ("amount", "400"))
    assert sent(name, "refund", amount_minor=400) == posted(name, "/v1/refunds", form(*giving))
    reasoned = sent(name, "refund", amount_minor=400, reason="duplicate").body
    assert reasoned == form(*giving, ("reason", "duplicate"))
    assert sent(name, "refund", amount_minor=400, reason="he asked").body == form(*giving)


def test_questions_go_out(name: str) -> None:
    found = form(*expand(name))
    assert sent(name, "lookup") == got(name, "/v1/payment_intents/pi_1", found)
    window = [("created[gte]", "100"), ("created[lte]", "200")]
    wide = expand(name, "data.latest_charge")
    asked = sent(name, "find", cursor="pi_0")
    assert asked.method == "GET"
    assert asked.path == "/v1/payment_intents"
    assert set(asked.query.split("&")) == set(
        form(*window, *wide, ("limit", "100"), ("starting_after", "pi_0")).decode().split("&")
    )
    listed = form(("payment_intent", "pi_1"), ("limit", "100"))
    assert sent(name, "list_refunds") == got(name, "/v1/refunds", listed)


def test_an_odd_provider_id_cannot_leave_its_place_in_the_path(name: str) -> None:
    assert sent(name, "lookup", provider_id="../x?y=1").path == (
        "/v1/payment_intents/..%2Fx%3Fy%3D1"
    )


def test_credentials_are_a_bearer_token_and_never_in_the_request(name: str) -> None:
    integration = INSTALLED[name]
    assert integration.credentials({"secret_key": "sk_1"}) == (("authorization", "Bearer sk_1"),)


def heard(name: str, operation: Operation, document: Any, status: int = 200) -> Outcome:
    said = INSTALLED[name].outcome(operation, reply(document, status))
    assert said.provider_request_id == "req_1"
    return said


INTENTS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("succeeded", {}, "approved", "captured"),
    ("requires_capture", {}, "approved", "authorized"),
    ("processing", {}, "pending", "processing"),
    ("requires_action", {"next_action": {"redirect_to_url": {"url": "https://b"}}}, "pending",
     "requires_action"),
    ("requires_action", {"next_action": {"type": "use_stripe_sdk"}}, "unknown", None),
    ("requires_payment_method", {"last_payment_error": {"code": "card_declined"}}, "declined",
     "declined"),
    ("requires_payment_method", {}, "unknown", None),
    ("requires_confirmation", {}, "unknown", None),
    ("canceled", {}, "unknown", None),
    ("a_new_word", {}, "unknown", None),
]  # fmt: skip


@pytest.mark.parametrize("play", INTENTS, ids=lambda p: f"{p[0]} {p[2]} {len(p[1])}")
def test_the_reply_to_an_authorization_is_read(name: str, play: Any) -> None:
    status, fields, kind, state = play
    said = heard(name, "authorize", intent(name, status, **fields))
    assert said.kind == kind
    if state is None:
        assert said.doubt is not None
        return
    charge = said.charge
    assert charge is not None
    assert (charge.state, charge.provider_id, charge.amount_minor) == (state, "pi_1", 1_000)
    assert (charge.currency, charge.payment_id, charge.attempt_id) == ("EUR", "pay_1", "att_1")
    assert charge.captured_minor == (1_000 if state == "captured" else 0)
    assert charge.capturable_minor == (1_000 if state == "authorized" else 0)
    assert charge.redirect_url == ("https://b" if state == "requires_action" else None)


@pytest.mark.parametrize("operation", ["capture", "void", "lookup"])
def test_the_state_of_a_charge_is_read(name: str, operation: Operation) -> None:
    for status, state in (("succeeded", "captured"), ("canceled", "canceled"),
                          ("requires_capture", "authorized"), ("processing", "processing"),
                          ("requires_confirmation", "open")):  # fmt: skip
        said = heard(name, operation, intent(name, status))
        assert said.kind == "approved"
        assert said.charge is not None
        assert said.charge.state == state
    partly = heard(name, operation, intent(name, "succeeded", captured=300, refunded=100))
    assert partly.charge is not None
    assert (partly.charge.captured_minor, partly.charge.refunded_minor) == (300, 100)


def test_a_reply_without_the_charge_that_the_version_reads_is_unknown(name: str) -> None:
    whole = intent(name, "succeeded")
    for missing in ("charges", "latest_charge"):
        if missing not in whole:
            continue
        oddities: list[Any] = [None, 5, {}, {"data": []}]
        for odd in oddities:
            said = heard(name, "authorize", whole | {missing: odd})
            assert said.kind == "unknown"
    for field in ("id", "status", "amount", "currency"):
        torn = {k: v for k, v in whole.items() if k != field}
        said = heard(name, "authorize", torn)
        assert said.kind == "unknown"
        assert said.doubt is not None
        assert said.doubt.kind == "decode"


def test_a_charge_that_is_only_named_is_read_by_what_the_intent_received(name: str) -> None:
    whole = intent(name, "succeeded", captured=300)
    if "latest_charge" not in whole:
        pytest.skip("this version shows its charges whole")
    said = heard(name, "capture", whole | {"latest_charge": "ch_1"})
    assert said.charge is not None
    assert (said.charge.state, said.charge.captured_minor) == ("captured", 300)


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [
        ("succeeded", "approved", "succeeded"),
        ("pending", "pending", "pending"),
        ("requires_action", "pending", "pending"),
        ("failed", "declined", "failed"),
        ("canceled", "declined", "failed"),
        ("a_new_word", "unknown", None),
    ],
)
def test_the_reply_to_a_refund_is_read(
    name: str, status: str, kind: str, state: str | None
) -> None:
    said = heard(name, "refund", refund(status))
    assert said.kind == kind
    if state is not None:
        seen = said.refund
        assert seen is not None
        assert (seen.state, seen.amount_minor, seen.currency) == (state, 400, "EUR")
        assert (seen.provider_id, seen.charge_id, seen.attempt_id) == ("re_1", "pi_1", "att_1")


ERRORS: list[tuple[int, Any, str, str | None]] = [
    (402, error("card_error", "card_declined", decline_code="insufficient_funds"), "declined",
     "insufficient_funds"),
    (402, error("card_error", "expired_card"), "declined", "card_expired"),
    (402, error("card_error", "a_new_code"), "declined", "declined"),
    (402, error("api_error", "card_declined"), "unknown", None),
    (400, error("invalid_request_error", "parameter_missing"), "failed", "parameter_missing"),
    (400, error("invalid_request_error", "a_new_code"), "failed", "a_new_code"),
    (400, error("invalid_request_error"), "failed", "http_400"),
    (402, error("invalid_request_error"), "failed", "http_402"),
    (400, error("api_error", "a_new_code"), "unknown", None),
    (400, error("idempotency_error"), "unknown", None),
    (401, error("invalid_request_error"), "failed", "http_401"),
    (403, b"<html>", "failed", "http_403"),
    (404, b"<html>gone</html>", "failed", "http_404"),
    (410, b"", "failed", "http_410"),
    (429, error("invalid_request_error", "rate_limit"), "failed", "rate_limit"),
    (409, error("idempotency_error", "idempotency_key_in_use"), "unknown", None),
    (500, error("api_error"), "unknown", None),
    (503, b"", "unknown", None),
    (301, b"", "unknown", None),
    (200, error("api_error"), "unknown", None),
]  # fmt: skip


@pytest.mark.parametrize("play", ERRORS, ids=lambda p: f"{p[0]} {str(p[1])[:60]}")
@pytest.mark.parametrize("operation", ["authorize", "capture", "refund"])
def test_errors_are_read(name: str, operation: Operation, play: Any) -> None:
    status, document, kind, word = play
    said = heard(name, operation, document, status)
    assert said.kind == kind
    if kind == "declined":
        assert said.decline is not None
        assert said.decline.reason == word
    if kind == "failed":
        assert said.refusal is not None
        assert said.refusal.code == word


def test_a_decline_whose_intent_cannot_be_read_is_unknown(name: str) -> None:
    mine = intent(name, "requires_payment_method", last_payment_error={"code": "card_declined"})
    said = heard(name, "authorize", error("card_error", "x", payment_intent=mine), 402)
    assert said.kind == "declined"
    assert said.charge is not None
    assert said.charge.attempt_id == "att_1"
    odd = mine | {"status": "a_new_word"}
    unread = heard(name, "authorize", error("card_error", "x", payment_intent=odd), 402)
    assert unread.kind == "unknown"


def test_a_listing_keeps_what_is_ours_and_says_where_it_goes_on(name: str) -> None:
    foreign = intent(name, "succeeded", id="pi_0", metadata={})
    page = {"data": [intent(name, "succeeded"), foreign], "has_more": True}
    said = heard(name, "find", page)
    assert [c.provider_id for c in said.charges] == ["pi_1"]
    assert said.next_cursor == "pi_0"
    assert heard(name, "find", page | {"has_more": False}).next_cursor is None
    odd = heard(name, "find", {"data": [intent(name, "a_new_word")], "has_more": False})
    assert (odd.charges, [row.payment_id for row in odd.unread]) == ((), ["pay_1"])
    refunds = {"data": [refund("succeeded"), refund("failed", id="re_2")], "has_more": True}
    listed = heard(name, "list_refunds", refunds)
    assert [(r.provider_id, r.state) for r in listed.refunds] == [
        ("re_1", "succeeded"), ("re_2", "failed"),
    ]  # fmt: skip
    assert listed.next_cursor == "re_2"
    unread = heard(name, "list_refunds", {"data": [refund("a_new_word")], "has_more": False})
    assert [row.attempt_id for row in unread.unread] == ["att_1"]
    assert heard(name, "list_refunds", {"data": []}).kind == "unknown"


def signed(integration: Integration, document: Any, **odd: Any) -> Event:
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    stamp = odd.get("stamp", NOW_S)
    mark = hmac.new(odd.get("secret", SECRET).encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    header = odd.get("header", f"t={stamp},v0=x,v1={mark.hexdigest()}")
    delivery = Delivery(
        body=body,
        headers={"stripe-signature": header},
        secrets=("old", SECRET),
        now_ms=NOW_S * 1000,
    )
    (event,) = integration.events(delivery)
    return event


def hook(word: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": word, "data": {"object": item}}


def test_events_are_read(name: str) -> None:
    integration = INSTALLED[name]
    paid = signed(integration, hook("payment_intent.succeeded", intent(name, "succeeded")))
    assert (paid.topic, paid.event_id, paid.charge_id) == ("charge", "evt_1", "pi_1")
    assert (paid.payment_id, paid.attempt_id) == ("pay_1", "att_1")
    charge = {"id": "ch_1", "payment_intent": "pi_1", "metadata": METADATA}
    assert signed(integration, hook("charge.captured", charge)).charge_id == "pi_1"
    assert signed(integration, hook("charge.refunded", charge)).topic == "refund"
    assert signed(integration, hook("refund.failed", refund("failed"))).charge_id == "pi_1"
    dispute = {"id": "dp_1", "status": "lost", "amount": 5, "currency": "eur",
               "reason": "fraudulent", "payment_intent": "pi_1"}  # fmt: skip
    told = signed(integration, hook("charge.dispute.closed", dispute))
    assert told.dispute is not None
    assert (told.dispute.state, told.dispute.amount_minor, told.charge_id) == ("lost", 5, "pi_1")
    other = signed(integration, hook("a.type.nobody.knows", {"id": "x"}))
    assert (other.topic, other.provider_type) == ("other", "a.type.nobody.knows")


@pytest.mark.parametrize(
    "odd",
    [
        {"secret": "whsec_2"}, {"stamp": NOW_S - 301}, {"stamp": NOW_S + 301}, {"stamp": "x"},
        {"stamp": "1" * 30}, {"stamp": "①"}, {"header": ""}, {"header": "t=,v1="},
        {"header": "v1=abc"}, {"header": f"t={NOW_S}"}, {"header": f"t={NOW_S},v1=ü"},
    ],
    ids=str,
)  # fmt: skip
def test_a_webhook_whose_signature_or_time_is_wrong_is_refused(name: str, odd: Any) -> None:
    with pytest.raises(SignatureRefused):
        signed(INSTALLED[name], hook("payment_intent.succeeded", intent(name, "succeeded")), **odd)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id":"e"}', b"\xff"], ids=repr)
def test_a_signed_body_that_is_no_event_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        signed(INSTALLED[name], body)


def test_a_signature_by_any_of_the_secrets_will_do(name: str) -> None:
    document = hook("payment_intent.succeeded", intent(name, "succeeded"))
    assert signed(INSTALLED[name], document, secret="old").event_id == "evt_1"


def test_versions_say_whose_payments_they_can_follow_up(name: str) -> None:
    integration = INSTALLED[name]
    assert integration.name == name
    assert name not in integration.handles
    assert integration.handles <= set(INSTALLED)
    assert integration.capabilities.in_flight_window_s > 0
    assert find(name) is integration
    with pytest.raises(Misconfigured, match="did you mean"):
        find(name + "x")
