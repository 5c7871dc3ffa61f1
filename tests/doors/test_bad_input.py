"""Bad input gets a problem document with the right status, code and pointer, and never a 500."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.kernel.money import MAX_AMOUNT_MINOR

CARD = "4242424242424242"
JSON = {"Content-Type": "application/json"}


async def _refused(it: Stage, body: bytes, headers: dict[str, str] | None = None) -> Any:
    sent = {"Idempotency-Key": "key", **JSON, **(headers or {})}
    reply = await it.send("POST", "/v1/payments", data=body, headers=sent)
    assert reply.headers["content-type"] == "application/problem+json", reply
    assert reply.body["request_id"] == reply.headers["request-id"]
    assert reply.body["status"] == reply.status
    assert set(reply.body) >= {"type", "title", "detail", "code", "retryable", "advice", "errors"}
    return reply.body


MALFORMED = {
    "empty": b"",
    "not JSON": b"{",
    "trailing": b"{} {}",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "NaN": b'{"amount_minor": NaN}',
    "Infinity": b'{"amount_minor": -Infinity}',
    "a number beyond doubles": b'{"amount_minor": 1e400}',
    "a number of 5000 digits": b'{"amount_minor": ' + b"9" * 5000 + b"}",
    "a name twice": b'{"amount_minor": 1, "amount_minor": 2}',
    "a name twice, one escaped": b'{"currency": "EUR", "\\u0063urrency": "USD"}',
    "a name twice inside": b'{"metadata": {"a": "1", "a": "2"}}',
    "half a surrogate pair": b'{"reference": "\\ud800"}',
    "half a pair in a name": b'{"\\udc00": 1}',
    "not UTF-8": b'{"reference": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a control character": b'{"reference": "a\nb"}',
    "too deep": b"[" * 30_000,
}


async def test_what_is_not_json_to_every_reader_is_malformed(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        found = {name: await _refused(it, body) for name, body in MALFORMED.items()}
        codes = {name: (told["status"], told["code"]) for name, told in found.items()}
        assert codes == dict.fromkeys(MALFORMED, (400, "malformed_request"))
        assert it.simulator.core.ledger().intents == []


MEANING: list[tuple[dict[str, Any], str]] = [
    ({"amount_minor": 12.0}, "/amount_minor"),
    ({"amount_minor": 12.5}, "/amount_minor"),
    ({"amount_minor": True}, "/amount_minor"),
    ({"amount_minor": "12"}, "/amount_minor"),
    ({"amount_minor": None}, "/amount_minor"),
    ({"amount_minor": 0}, "/amount_minor"),
    ({"amount_minor": -1}, "/amount_minor"),
    ({"amount_minor": MAX_AMOUNT_MINOR + 1}, "/amount_minor"),
    ({"amount_minor": 10**30}, "/amount_minor"),
    ({"currency": "eur"}, "/currency"),
    ({"currency": "EURO"}, "/currency"),
    ({"currency": "ZZZ"}, "/currency"),
    ({"currency": "XAU"}, "/currency"),
    ({"currency": 978}, "/currency"),
    ({"payment_method": ""}, "/payment_method"),
    ({"payment_method": "pm card"}, "/payment_method"),
    ({"payment_method": "pm_card\n"}, "/payment_method"),
    ({"payment_method": "p" * 256}, "/payment_method"),
    ({"capture_method": "later"}, "/capture_method"),
    ({"multicapture": 1}, "/multicapture"),
    ({"customer": ""}, "/customer"),
    ({"reference": "r" * 256}, "/reference"),
    ({"reference": "a\0b"}, "/reference"),
    ({"description": "d" * 1001}, "/description"),
    ({"return_url": "javascript:alert(1)"}, "/return_url"),
    ({"return_url": "https://"}, "/return_url"),
    ({"return_url": "https://a b/"}, "/return_url"),
    ({"return_url": "https://shop.example:port/"}, "/return_url"),
    ({"return_url": "/thanks"}, "/return_url"),
    ({"metadata": []}, "/metadata"),
    ({"metadata": {"a": 1}}, "/metadata/a"),
    ({"metadata": {"a/b": "x" * 501}}, "/metadata/a~1b"),
    ({"metadata": {"k" * 41: "v"}}, f"/metadata/{'k' * 41}"),
    ({"metadata": {"a": "x\0"}}, "/metadata/a"),
    ({"metadata": {f"k{n}": "v" for n in range(51)}}, "/metadata"),
    ({"curency": "EUR"}, "/curency"),
]


async def test_what_means_nothing_is_pointed_at(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        wrong = []
        for fields, pointer in MEANING:
            told = await _refused(it, json.dumps(PAYMENT | fields).encode())
            pointers = [fault["pointer"] for fault in told["errors"]]
            if (told["status"], told["code"], pointers) != (422, "invalid_request", [pointer]):
                wrong.append((fields, told))
        assert wrong == []
        assert it.simulator.core.ledger().intents == []


async def test_every_fault_is_told_at_once_and_a_wrong_name_gets_the_nearest(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        body = {"amount_minor": "1", "curency": "EUR", "payment_method": "pm_card_visa"}
        told = await _refused(it, json.dumps(body).encode())
        assert {fault["pointer"]: fault["detail"] for fault in told["errors"]} == {
            "/amount_minor": "Expected `int`, got `str`",
            "/curency": "unknown field; did you mean currency?",
            "/currency": "required",
        }


CARDS: list[tuple[str, dict[str, Any]]] = [
    ("/payment_method", {"payment_method": CARD}),
    ("/description", {"description": "card 4242 4242 4242 4242 please"}),
    ("/metadata/note", {"metadata": {"note": "4242-4242-4242-4242"}}),
    ("/metadata", {"metadata": {CARD: "x"}}),
    ("/amount_minor", {"amount_minor": int(CARD)}),
    ("/nested/0/deep", {"nested": [{"deep": CARD}]}),
    ("/description", {"description": "".join(chr(0x0660 + int(digit)) for digit in CARD)}),
]


async def test_a_card_number_is_refused_wherever_it_stands_and_never_echoed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with stage(tmp_path) as it:
        for pointer, fields in CARDS:
            for ascii_only in (True, False):
                body = json.dumps(PAYMENT | fields, ensure_ascii=ascii_only).encode()
                told = await _refused(it, body)
                assert (told["status"], told["code"]) == (422, "card_number_refused"), fields
                assert [fault["pointer"] for fault in told["errors"]] == [pointer]
        key = await _refused(it, json.dumps(PAYMENT).encode(), {"Idempotency-Key": CARD})
        replies = [
            await it.get(f"/v1/payments/{CARD}"),
            await it.get("/v1/payments", params={"reference": CARD}),
            await it.get("/v1/payments", params={CARD: "x"}),
            await it.post(f"/v1/payments/{CARD}/capture"),
            await it.get(f"/v1/return/{CARD}", role=None),
        ]
        told = [key, *(reply.body for reply in replies)]
        assert [body["code"] for body in told] == ["card_number_refused"] * 6
        assert CARD not in json.dumps(told)
    out = capfd.readouterr()
    assert CARD not in out.out + out.err


async def test_random_tokens_are_no_card_numbers(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        keys = [
            "4000056655665556abcdefabcdefabcd",  # hexadecimal, begins with a test card's number
            "1f0e4c3a-0000-4000-8000-501800000009",  # a UUID whose end has a right check digit
        ]
        for key in keys:
            reply = await it.post("/v1/payments", PAYMENT, key=key)
            assert reply.status == 201, reply.body


KEYS = {
    None: "missing",
    "": "empty",
    '""': "empty in quotes",
    "k" * 256: "too long",
    "schlüssel": "not ASCII",
    '"half': "a quote that does not end",
    "tab\there": "a control character",
}


async def test_money_needs_an_idempotency_key(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = await it.pay(capture_method="manual")
        for path in ("", f"/{made['id']}/capture", f"/{made['id']}/void", f"/{made['id']}/refunds"):
            for key in KEYS:
                body = PAYMENT if path == "" else {}
                reply = await it.post(f"/v1/payments{path}", body, key=key)
                assert (reply.status, reply.body["code"]) == (400, "idempotency_key_missing"), key
                assert reply.body["errors"][0]["pointer"] == "idempotency-key"


async def test_a_key_in_quotes_is_the_key(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        first = await it.post("/v1/payments", PAYMENT, key='"a \\"quoted\\" key"')
        again = await it.post("/v1/payments", PAYMENT, key='a "quoted" key')
        assert (first.status, again.status) == (201, 201)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.raw == first.raw


async def test_only_json_is_taken(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = json.dumps(PAYMENT).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                     "application/json; charset=utf-16", ""):  # fmt: skip
            told = await _refused(it, body, {"Content-Type": kind})
            assert (told["status"], told["code"]) == (415, "unsupported_media_type"), kind
        fine = await it.send(
            "POST", "/v1/payments", data=body,
            headers={"Idempotency-Key": "k", "Content-Type": 'Application/JSON; charset="UTF-8"'},
        )  # fmt: skip
        assert fine.status == 201


async def test_a_body_is_bounded_announced_or_not(tmp_path: Path) -> None:
    async with stage(tmp_path, max_body_bytes=2000) as it:
        long = json.dumps(PAYMENT | {"description": "x" * 3000}).encode()
        told = await _refused(it, long)
        assert (told["status"], told["code"]) == (413, "body_too_large")

        async def pieces() -> Any:
            for start in range(0, len(long), 100):
                yield long[start : start + 100]

        reply = await it.send(
            "POST", "/v1/payments", data=pieces(), headers={"Idempotency-Key": "k", **JSON}
        )
        assert (reply.status, reply.body["code"]) == (413, "body_too_large")
        assert reply.headers["connection"] == "close"


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        missing = "pay_" + "0" * 26
        for path in (
            f"/v1/payments/{missing}",
            f"/v1/payments/{missing}/refunds",
            "/v1/payments/pay_1",
            "/v1/payments/re_" + "0" * 26,
            "/v1/events/evt_" + "0" * 26,
            "/v1/nothing",
            "/",
            "/v1/payments/%00",
            "/v1/return/" + missing,
        ):
            reply = await it.get(path)
            assert (reply.status, reply.body["code"]) == (404, "not_found"), path
            assert reply.headers["request-id"] == reply.body["request_id"]
        for path in ("capture", "void", "refunds"):
            reply = await it.post(f"/v1/payments/{missing}/{path}", {})
            assert (reply.status, reply.body["code"]) == (404, "not_found")


async def test_other_methods_are_told_which_there_are(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        reply = await it.send("PUT", "/v1/payments")
        assert (reply.status, reply.body["code"]) == (405, "method_not_allowed")
        assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        options = await it.send("OPTIONS", "/v1/payments", role=None)
        assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert "access-control-allow-origin" not in options.headers
        head = await it.send("HEAD", "/v1/payments")
        assert (head.status, head.raw) == (200, b"")


async def test_queries_are_read_strictly(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        wrong = {
            "limit=0": (422, "limit"),
            "limit=101": (422, "limit"),
            "limit=1.5": (422, "limit"),
            "limit=%D9%A1": (422, "limit"),
            "cursor=pay_1": (422, "cursor"),
            "status=paid": (422, "status"),
            "reference=": (422, "reference"),
            "customer=a%00b": (422, "customer"),
            "limit=1&limit=2": (422, "limit"),
            "limt=1": (422, "limt"),
            "needs_attention=yes": (422, "needs_attention"),
        }
        for query, (status, pointer) in wrong.items():
            reply = await it.get(f"/v1/payments?{query}")
            told = (reply.status, [fault["pointer"] for fault in reply.body["errors"]])
            assert told == (status, [pointer]), query
        for query in ("reference=%FF", "&".join(f"a{n}=1" for n in range(17))):
            reply = await it.get(f"/v1/payments?{query}")
            assert (reply.status, reply.body["code"]) == (400, "malformed_request")
        extra = await it.post("/v1/payments?limit=1", PAYMENT)
        assert extra.status == 422


async def test_an_unknown_version_of_the_api_is_refused(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        old = await it.get("/v1/payments", headers={"Tollkeeper-Version": "2020-01-01"})
        assert (old.status, old.body["errors"][0]["pointer"]) == (400, "tollkeeper-version")
        fine = await it.get("/v1/payments", headers={"Tollkeeper-Version": "2026-11-24"})
        assert (fine.status, fine.headers["tollkeeper-version"]) == (200, "2026-11-24")


async def test_a_state_that_does_not_allow_it_is_a_conflict(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        for path in ("capture", "void"):
            reply = await it.post(f"/v1/payments/{paid['id']}/{path}", {})
            assert (reply.status, reply.body["code"]) == (409, "state_conflict")
        held = await it.pay(capture_method="manual")
        more = await it.post(f"/v1/payments/{held['id']}/capture", {"amount_minor": 1235})
        assert (more.status, more.body["errors"][0]["pointer"]) == (422, "/amount_minor")
        partly = await it.post(f"/v1/payments/{held['id']}/capture", {"final": False})
        assert (partly.status, partly.body["errors"][0]["pointer"]) == (422, "/final")


async def test_a_decline_is_a_payment_and_no_error(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        assert (paid["status"], paid["decline_reason"]) == ("failed", "insufficient_funds")
