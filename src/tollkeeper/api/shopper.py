"""The shopper's way back from authentication: look at once, then on to the shop."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tollkeeper.api.answers import Answer
from tollkeeper.api.calls import Call
from tollkeeper.flows.payments.webhook import shopper_returned
from tollkeeper.payments.payment import Payment

SENTENCES: Final = {
    "requires_action": "Your bank has not confirmed the payment yet.",
    "processing": "Your payment is being processed.",
    "requires_capture": "Your payment was authorized.",
    "succeeded": "Your payment was made.",
    "canceled": "Your payment was canceled.",
    "failed": "Your payment did not go through.",
}
"""What a shopper reads who comes back to a payment without a shop's address."""


async def returned(call: Call) -> Answer:
    """303 to the payment's `return_url` with `payment` and `status`; a small page without one."""
    payment = await shopper_returned(call.runtime, call.id("payment_id", "pay"))
    if payment.return_url is None:
        return _page(payment)
    return Answer(303, headers=[(b"location", _shop(payment, payment.return_url))])


def _shop(payment: Payment, url: str) -> bytes:
    parts = urlsplit(url)
    told = {"payment": payment.id, "status": payment.status}
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in told]
    query = urlencode([*kept, *told.items()])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment)).encode()


def _page(payment: Payment) -> Answer:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Payment</title>'
        f"<p>{SENTENCES[payment.status]} You can close this page.</p></html>\n"
    )
    return Answer(
        200,
        text.encode(),
        media_type=b"text/html; charset=utf-8",
        headers=[
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"referrer-policy", b"no-referrer"),
        ],
    )
