"""What is logged of an exchange tells shapes and words, and nobody's secrets."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.wire.redaction import redact_body, redact_headers

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"


def test_only_headers_that_are_known_to_be_harmless_keep_their_values() -> None:
    logged = redact_headers(
        [
            ("Authorization", "Bearer sk_test_abc"),
            ("Request-Id", "req_1"),
            ("Cookie", "a=b"),
            ("X-Unheard-Of", "secret"),
            ("Stripe-Signature", "t=1,v1=ab"),
            ("X-Request-Id", "4242424242424242"),
        ]
    )
    assert logged == {
        "authorization": "[hidden]",
        "request-id": "req_1",
        "cookie": "[hidden]",
        "x-unheard-of": "[hidden]",
        "stripe-signature": "[hidden]",
        "x-request-id": "[card number]",
    }


def test_a_json_body_keeps_words_and_shapes() -> None:
    body = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 2500,
        "livemode": False,
        "customer": "cus_secret",
        "client_secret": "pi_1_secret_2",
        "charges": [{"id": "ch_1", "receipt_email": "a@b.test"}],
        "metadata": {"id": "passport-1", "status": "x", "4242424242424242": 1},
        "code": "two words",
    }
    assert redact_body(json.dumps(body).encode(), JSON) == {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 2500,
        "livemode": False,
        "customer": "[10 characters]",
        "client_secret": "[13 characters]",
        "charges": [{"id": "ch_1", "receipt_email": "[8 characters]"}],
        "metadata": {
            "id": "[10 characters]",
            "status": "[1 characters]",
            "[card number]": "[number]",
        },
        "code": "[9 characters]",
    }


def test_a_form_keeps_words_and_shapes() -> None:
    body = b"amount=2500&payment_method=pm_1&metadata%5Bid%5D=x&card%5Bnumber%5D=4242424242424242"
    assert redact_body(body, FORM) == {
        "amount": "2500",
        "payment_method": "[4 characters]",
        "metadata[id]": "[1 characters]",
        "card[number]": "[16 characters]",
    }


def test_anything_else_is_told_by_its_size() -> None:
    assert redact_body(b"<html>secret</html>", "text/html") == "[19 bytes of text/html]"
    assert redact_body(b"{broken", JSON) == "[7 bytes that are no JSON]"
    assert redact_body(b"{" * 70_000, JSON) == "[70000 bytes]"
    assert redact_body(b"[" * 60_000, JSON) == "[60000 bytes that are no JSON]"
    assert redact_body(b"", JSON) is None


@given(st.binary(max_size=300), st.sampled_from([JSON, FORM, "text/plain", "", "\x00/é"]))
def test_no_body_breaks_it(body: bytes, content_type: str) -> None:
    redact_body(body, content_type)


TREE = st.recursive(
    st.sampled_from(
        ["4242424242424242", 4242424242424242, "5555 5555 5555 4444", 4.242424242424242e15]
    ),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["id", "amount", "code", "x"]), inner)
    ),
    max_leaves=20,
)


@given(TREE)
def test_no_card_number_survives_anywhere(tree: object) -> None:
    logged = json.dumps(redact_body(json.dumps(tree).encode(), JSON))
    assert not any(form in logged for form in ("4242424242424242", "4444", "4.24"))
