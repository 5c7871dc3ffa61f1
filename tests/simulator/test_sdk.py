"""The provider's official library drives the program over HTTP and finds nothing strange."""

import http.server
import queue
import threading
from collections.abc import Iterator

import pytest
import stripe
from tests.simulator.programs import Program, program
from tests.simulator.stage import KEY, MIDDLE, NEW, OLD

VERSIONS = [OLD, MIDDLE, "2024-06-20", "2025-06-30.basil", NEW]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with program(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(params=VERSIONS)
def client(provider: Program, request: pytest.FixtureRequest) -> Iterator[stripe.StripeClient]:
    yield from _client(provider, request.param)


def _client(provider: Program, version: str, key: str = KEY) -> Iterator[stripe.StripeClient]:
    talker = stripe.RequestsClient()
    yield stripe.StripeClient(
        key,
        stripe_version=version,
        base_addresses={"api": provider.url},
        max_network_retries=0,
        http_client=talker,
    )
    talker.close()  # type: ignore[no-untyped-call]


def _paid(client: stripe.StripeClient, **params: object) -> stripe.PaymentIntent:
    body = {
        "amount": 1000,
        "currency": "eur",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        **params,
    }
    return client.v1.payment_intents.create(params=body)  # type: ignore[arg-type]


def test_it_pays_captures_and_refunds(client: stripe.StripeClient, provider: Program) -> None:
    held = _paid(client, capture_method="manual", metadata={"order": "7"})
    assert held.status == "requires_capture"
    taken = client.v1.payment_intents.capture(held.id, params={"amount_to_capture": 600})
    assert (taken.status, taken.amount_received) == ("succeeded", 600)
    refund = client.v1.refunds.create(params={"payment_intent": held.id, "amount": 250})
    assert refund.status == "succeeded"
    assert client.v1.refunds.retrieve(refund.id).amount == 250
    [charge] = [c for c in provider.ledger()["charges"] if c["payment_intent_id"] == held.id]
    assert charge["metadata"] == {"order": "7"}
    assert (charge["amount_captured_minor"], charge["amount_refunded_minor"]) == (600, 250)
    [line] = [c for c in provider.written() if c.payment_intent_id == held.id]
    assert (line.amount_captured_minor, line.amount_refunded_minor) == (600, 250)


def test_it_confirms_later_and_cancels(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create(params={"amount": 700, "currency": "usd"})
    assert made.status == "requires_payment_method"
    paid = client.v1.payment_intents.confirm(
        made.id, params={"payment_method": "pm_card_visa", "return_url": "https://a.example"}
    )
    assert paid.status == "succeeded"
    held = _paid(client, capture_method="manual")
    gone = client.v1.payment_intents.cancel(
        held.id, params={"cancellation_reason": "requested_by_customer"}
    )
    assert (gone.status, gone.cancellation_reason) == ("canceled", "requested_by_customer")


def test_it_finds_the_charge_where_its_version_has_it(client: stripe.StripeClient) -> None:
    paid = _paid(client)
    if client._requestor._options.stripe_version == OLD:
        [charge] = paid["charges"]["data"]
        assert charge.amount == 1000
    else:
        charge = client.v1.charges.retrieve(str(paid.latest_charge), params={"expand": ["refunds"]})
        assert charge.refunds is not None
        assert charge.refunds.data == []
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.type == "card"


def test_it_pages_through_lists_by_itself(client: stripe.StripeClient) -> None:
    made = [_paid(client).id for _ in range(5)]
    walked = client.v1.payment_intents.list(params={"limit": 2}).auto_paging_iter()
    seen = [intent.id for intent in walked]
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))


def test_it_replays_a_key(client: stripe.StripeClient) -> None:
    key = f"key-{client._requestor._options.stripe_version}"
    params = {"amount": 800, "currency": "usd"}
    first = client.v1.payment_intents.create(params=params, options={"idempotency_key": key})  # type: ignore[arg-type]
    again = client.v1.payment_intents.create(params=params, options={"idempotency_key": key})  # type: ignore[arg-type]
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    params["amount"] = 801
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(params=params, options={"idempotency_key": key})  # type: ignore[arg-type]


def test_it_raises_the_errors_that_it_knows(client: stripe.StripeClient, provider: Program) -> None:
    with pytest.raises(stripe.CardError) as declined:
        _paid(client, payment_method="pm_card_visa_chargeDeclinedLostCard")
    assert declined.value.code == "card_declined"
    assert declined.value.error is not None
    assert declined.value.error.decline_code == "lost_card"
    assert declined.value.error.payment_intent is not None
    assert declined.value.error.payment_intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as missing:
        client.v1.payment_intents.retrieve("pi_nobody")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    provider.control("POST", "faults", {"effect": "rate_limited", "count": 1})
    with pytest.raises(stripe.RateLimitError):
        _paid(client)
    provider.control("POST", "faults", {"effect": "error", "when": "before", "count": 1})
    with pytest.raises(stripe.APIError):
        _paid(client)
    provider.control("POST", "faults", {"effect": "reset", "count": 1})
    with pytest.raises(stripe.APIConnectionError):
        _paid(client)


def test_a_wrong_key_is_an_authentication_error(provider: Program) -> None:
    for client in _client(provider, NEW, "sk_test_wrong"):
        with pytest.raises(stripe.AuthenticationError):
            _paid(client)


def test_its_own_retry_pays_once_when_an_answer_was_lost(provider: Program) -> None:
    talker = stripe.RequestsClient()
    client = stripe.StripeClient(
        KEY,
        stripe_version=NEW,
        base_addresses={"api": provider.url},
        max_network_retries=2,
        http_client=talker,
    )
    provider.control("POST", "faults", {"effect": "reset", "when": "after", "count": 1})
    paid = _paid(client, metadata={"retried": "yes"})
    talker.close()  # type: ignore[no-untyped-call]
    charges = provider.ledger()["charges"]
    assert len([c for c in charges if c["payment_intent_id"] == paid.id]) == 1
    assert len([c for c in charges if c["metadata"].get("retried")]) == 1


class _Hooks(http.server.BaseHTTPRequestHandler):
    received: "queue.Queue[tuple[bytes, str]]" = queue.Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.put((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_it_accepts_a_webhook_that_was_really_delivered(
    client: stripe.StripeClient, provider: Program
) -> None:
    version = client._requestor._options.stripe_version
    with http.server.HTTPServer(("127.0.0.1", 0), _Hooks) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            endpoint = client.v1.webhook_endpoints.create(
                params={
                    "url": f"http://127.0.0.1:{server.server_port}/hooks",
                    "enabled_events": ["payment_intent.succeeded"],
                    "api_version": version,  # type: ignore[typeddict-item]
                }
            )
            paid = _paid(client)
            body, signature = _Hooks.received.get(timeout=5)
            client.v1.webhook_endpoints.delete(endpoint.id)
        finally:
            server.shutdown()
            thread.join()
    event = client.construct_event(body, signature, str(endpoint.secret))
    assert (event.type, event.api_version) == ("payment_intent.succeeded", version)
    assert event.data.object["id"] == paid.id
    assert ("charges" in event.data.object) == (version == OLD)
