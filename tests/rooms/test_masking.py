"""Masking: nothing private stays, and what the versions read is read as before."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rooms.plays import ORDER, error, intent, refund, reply

from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.masking import PRIVATE_NAME, fields_read, mask_reply, mask_request
from tollkeeper.integrations.version import WireReply
from tollkeeper.testing import fuzz

NAMES = sorted(INSTALLED)
KEPT = fields_read(INSTALLED.values())
CORPUS = fuzz.make_corpus()
PRIVATE: dict[str, Any] = {
    "receipt_email": "jane.roe@example.com",
    "name": "jane",
    "description": "janes_birthday",
    "statement_descriptor": "JANE ROE",
    "client_secret": "pi_1_secret_AbCdEfGh123456",
    "billing_details": {
        "name": "Jané Röe", "email": "jane@example.com", "phone": "+491701234567",
        "address": {"city": "paris", "line1": "1 Rue de la Paix", "postal_code": "75002"},
    },
    "shipping": {"name": "王小明", "address": {"city": "北京市"}, "id": "janes_home_address"},
    "card": {"last4": "4242", "fingerprint": "Xt5EWLLDS7FJjR1c", "number": 4242424242424242},
    "metadata": {"jane@example.com": "jane", "order": "janes_order_1", "card": "4242 4242 4242"},
    "ip": "203.0.113.7",
    "unforeseen": "Jane Roe, 1 Rue de la Paix, Ж",
}  # fmt: skip
NAMED_PRIVATE = [name for name in sorted(PRIVATE) if PRIVATE_NAME.search(name)]
WORDS = re.compile(
    r"jane|roe|example\.com|paris|Paix|75002|4242|4917|203\.0|birthday|Xt5E|AbCdEf|王|北京|ö|é|Ж",
    re.IGNORECASE,
)


def survivors(body: bytes) -> list[str]:
    return WORDS.findall(msgspec.json.encode(msgspec.json.decode(body)).decode())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_private_survives_and_the_outcome_stays(name: str) -> None:
    metadata = intent(name, "succeeded")["metadata"]
    planted = PRIVATE | {"metadata": {**PRIVATE["metadata"], **metadata}}
    documents = [
        ("authorize", 200, intent(name, "succeeded") | planted),
        ("capture", 200, intent(name, "requires_capture") | planted),
        ("refund", 200, refund("succeeded") | planted),
        ("find", 200, {"data": [intent(name, "succeeded") | planted], "has_more": True}),
        ("authorize", 402, error("card_error", "card_declined", **planted)),
    ]
    for operation, status, document in documents:
        whole = reply(document, status)
        assert survivors(whole.body)
        masked = mask_reply(whole, KEPT)
        assert survivors(masked.body) == []
        read = INSTALLED[name].outcome
        before, after = read(operation, whole), read(operation, masked)  # type: ignore[arg-type]
        assert before.kind != "unknown"
        assert fuzz.comparable(before) == fuzz.comparable(after)


@given(st.integers(0, 2**32))
def test_mutated_replies_are_masked_and_read_as_before(seed: int) -> None:
    for case in range(3):
        fuzz.run_case("masking", seed, case, CORPUS)


def test_a_masked_real_reply_is_read_by_every_version_as_the_whole_one() -> None:
    for sample in CORPUS.samples:
        masked = mask_reply(sample.reply, KEPT)
        for integration in INSTALLED.values():
            whole = integration.outcome(sample.operation, sample.reply)
            after = integration.outcome(sample.operation, masked)
            assert fuzz.comparable(whole) == fuzz.comparable(after)


@given(st.binary() | st.text().map(str.encode))
def test_a_body_that_is_no_json_keeps_nothing_but_its_shape(body: bytes) -> None:
    masked = mask_reply(WireReply(status=500, body=b"<" + body), KEPT).body
    assert re.fullmatch(rb"[^a-wyzA-WYZ1-9\x80-\xff]*", masked)
    assert len(masked) <= 200


@pytest.mark.parametrize("name", NAMES)
def test_requests_keep_ids_and_amounts_and_no_description(name: str) -> None:
    order = msgspec.structs.replace(
        ORDER, description="jane", return_url="https://shop.example/jane?roe=1"
    )
    masked = mask_request(INSTALLED[name].request("authorize", order), KEPT)
    text = masked.body.decode()
    assert WORDS.findall(text) == []
    for kept in ("amount=1000", "currency=eur", "capture_method=automatic", "=pay_1", "=att_1"):
        assert kept in text
    assert masked.headers == INSTALLED[name].request("authorize", order).headers


def test_headers_keep_what_identifies_the_exchange() -> None:
    headers = (("request-id", "req_1"), ("set-cookie", "jane=1"), ("date", "today"))
    masked = mask_reply(WireReply(status=200, headers=headers, body=b"{}"), KEPT)
    assert masked.header("request-id") == "req_1"
    assert masked.header("set-cookie") == "xxxx=0"


@given(st.dictionaries(st.sampled_from(NAMED_PRIVATE), st.text(min_size=1), min_size=1))
def test_no_text_under_a_private_name_survives(document: dict[str, str]) -> None:
    body = mask_reply(reply(document), KEPT).body
    for value in msgspec.json.decode(body).values():
        assert re.fullmatch(r"[xX0\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]*", value)
