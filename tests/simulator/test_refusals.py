"""What the provider refuses, and in which words; and that nothing makes it stumble."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.stage import KEY, Merchant, merchant

from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.config import SimulatorConfig
from tollkeeper.simulator.stripe.forms import pairs, parse_form
from tollkeeper.simulator.stripe.operations import OPERATIONS, Operation
from tollkeeper.simulator.stripe.parameters import TABLES


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("currency=usd", "parameter_missing", "amount"),
        ("amount=500", "parameter_missing", "currency"),
        ("amount=five&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=0&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=49&currency=usd", "amount_too_small", "amount"),
        ("amount=100000000&currency=usd", "amount_too_large", "amount"),
        ("amount=&currency=usd", "parameter_invalid_empty", "amount"),
        ("amount=500&currency=xxx", None, "currency"),
        ("amount=101&currency=isk", "invalid_charge_amount_no_decimal_compatible", "amount"),
        ("amount=150&currency=ugx", "invalid_charge_amount_no_decimal_compatible", "amount"),
        ("amount=5124&currency=kwd", "invalid_charge_amount", "amount"),
        ("amount=500&currency=usd&colour=red", "parameter_unknown", "colour"),
        ("amount=500&currency=usd&confirm=maybe", None, "confirm"),
        ("amount=500&currency=usd&capture_method=later", None, "capture_method"),
        ("amount=500&currency=usd&payment_method=pm_nobody", "resource_missing", "payment_method"),
        ("amount=500&currency=usd&return_url=https://a.example", None, "return_url"),
        ("amount=500&currency=usd&metadata[k]=" + "v" * 501, None, "metadata[k]"),
    ],
)
async def test_a_wrong_parameter_is_named(body: str, code: str | None, param: str) -> None:
    shop = merchant()
    answer = await shop.post("/v1/payment_intents", body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert (answer.error.get("code"), answer.error["param"]) == (code, param)
    assert answer.error["request_log_url"].endswith(answer.headers["request-id"])


async def test_a_request_without_a_good_key_is_refused() -> None:
    shop = merchant()
    stranger = Merchant(shop.core, shop.clock, key="sk_test_of_somebody_else")
    refused = await stranger.pay()
    assert refused.status == 401
    assert "somebody" not in refused.error["message"]
    nobody = await shop.core.handle(SimRequest("GET", "/v1/balance"))
    assert nobody.status == 401


async def test_basic_authentication_is_the_key_as_user_name() -> None:
    shop = merchant()
    reply = await shop.core.handle(
        SimRequest(
            "GET", "/v1/account", "", [("authorization", "Basic c2tfdGVzdF90b2xsa2VlcGVyOg==")]
        )
    )
    assert reply.status == 200


@pytest.mark.parametrize("path", ["/v1/charge", "/v1/payment_intents/pi_1/explode", "/", "/v1//x"])
async def test_an_unknown_path_is_not_found(path: str) -> None:
    assert (await merchant().get(path)).status == 404


@pytest.mark.parametrize("kind", ["payment_intents", "charges", "refunds", "events", "disputes"])
async def test_what_does_not_exist_is_missing(kind: str) -> None:
    answer = await merchant().get(f"/v1/{kind}/xx_nobody")
    assert (answer.status, answer.error["code"]) == (404, "resource_missing")


async def test_more_requests_than_the_quota_are_limited_until_the_next_second() -> None:
    shop = merchant(config=SimulatorConfig(rate_limit_per_second=3))
    statuses = [(await shop.get("/v1/account")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    limited = await shop.pay(idempotency_key="k")
    assert (limited.status, limited.error["code"]) == (429, "rate_limit")
    await shop.clock.advance(1)
    assert (await shop.pay(idempotency_key="k")).status == 200


async def test_metadata_is_merged_and_unset() -> None:
    shop = merchant()
    made = await shop.post(
        "/v1/payment_intents",
        {"amount": 500, "currency": "usd", "metadata[a]": 1, "metadata[b]": 2},
    )
    path = f"/v1/payment_intents/{made.json['id']}"
    changed = await shop.post(path, {"metadata[a]": "", "metadata[c]": 3})
    assert changed.json["metadata"] == {"b": "2", "c": "3"}
    assert (await shop.post(path, {"metadata": ""})).json["metadata"] == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("m[k]=v&m[l]=w", {"m": {"k": "v", "l": "w"}}),
        ("e[]=a&e[]=b", {"e": ["a", "b"]}),
        ("e[0]=a&e[1]=b", {"e": ["a", "b"]}),
        ("l[0][a]=1&l[0][b]=2&l[1][a]=3", {"l": [{"a": "1", "b": "2"}, {"a": "3"}]}),
        ("o[card][x]=y", {"o": {"card": {"x": "y"}}}),
        ("m%5Bk%5D=a+b%26c", {"m": {"k": "a b&c"}}),
        ("a=", {"a": ""}),
    ],
)
def test_brackets_make_hashes_and_lists(text: str, found: object) -> None:
    assert parse_form(pairs(text)) == found


def test_every_operation_has_its_table_of_parameters() -> None:
    assert {operation.name for operation in OPERATIONS} == set(TABLES)


_METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT", ""])
_PATHS = st.sampled_from(
    [op.path for op in OPERATIONS] + ["/3ds/x", "/_control/faults", "/_control/x/y/z/w"]
) | st.text(max_size=40)
_NAMES = st.sampled_from(
    sorted({name for table in TABLES.values() for name in table} | {"metadata[a]", "created[gte]"})
) | st.text(max_size=10)
_WORDS = ["1", "500", "usd", "true", "", "pm_card_visa", "-1", "9" * 30]
_VALUES = st.sampled_from(_WORDS) | st.text(max_size=10)
_FORMS = st.lists(st.tuples(_NAMES, _VALUES), max_size=12)
_HEADER_NAMES = st.sampled_from(["Stripe-Version", "Idempotency-Key"]) | st.text(max_size=15)
_HEADERS = st.lists(st.tuples(_HEADER_NAMES, st.text(max_size=15)), max_size=4)


@given(_METHODS, _PATHS, st.text(max_size=60), _HEADERS, st.binary(max_size=80))
def test_no_request_whatever_makes_it_raise(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    async def ask() -> None:
        request = SimRequest(
            method, path, query, [*headers, ("Authorization", f"Bearer {KEY}")], body
        )
        assert 200 <= (await merchant().core.handle(request)).status < 500

    asyncio.run(ask())


@given(st.sampled_from(OPERATIONS), _FORMS)
def test_no_parameters_whatever_make_it_raise(
    operation: Operation, form: list[tuple[str, str]]
) -> None:
    async def ask() -> None:
        shop = merchant()
        held = (await shop.pay(capture_method="manual")).json
        path = operation.path.replace("{id}", held["id"])
        request = shop.request(operation.method, path, _encoded(form))
        assert 200 <= (await shop.core.handle(request)).status < 500

    asyncio.run(ask())


def _encoded(form: list[tuple[str, str]]) -> str:
    return "&".join(
        "=".join(quote(text.encode("utf-8", "surrogatepass")) for text in pair) for pair in form
    )
