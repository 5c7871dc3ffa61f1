"""A provider's texts are foreign: bounded and checked before any of them is believed or stored.

Law: an id that is no plain text of a bounded length, or a redirect that is no `https` address,
makes the outcome unknown. What is only shown to people is cut, masked and kept on one line.
"""

import re
from typing import Final

from msgspec.structs import replace

from tollkeeper.payments.cards import mask_card_numbers
from tollkeeper.payments.outcome import (
    Charge,
    Doubt,
    Outcome,
    ProviderError,
    RefundSeen,
    UnreadRow,
)

MAX_ID: Final = 255
"""Longer than any id of a provider that we know; Stripe promises at most 255 characters."""

MAX_URL: Final = 2_048
MAX_WORD: Final = 80
MAX_MESSAGE: Final = 300

_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")
_URL: Final = re.compile(r"https://[^\s\x00-\x1f\x7f\"'<>\\]+", re.ASCII)
_LOOPBACK: Final = re.compile(
    r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:[/?#][^\s\"'<>\\]*)?", re.ASCII
)
"""A simulator on this machine has no certificate."""

_SECRETS: Final = re.compile(
    r"(?:sk|rk|pk|whsec|ek)_[A-Za-z0-9_*]{4,}|[A-Za-z0-9_]+_secret_[A-Za-z0-9_]+"
)
_EMAIL: Final = re.compile(r"[^\s@<>\"']{1,64}@[^\s@<>\"']{1,255}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def checked(outcome: Outcome) -> Outcome:
    """`outcome` with every text bounded; `unknown` in its place where an id or an address is not
    what it must be. A row of a listing counts as unread instead."""
    flaw = _flaw(outcome)
    if flaw is not None:
        return Outcome(kind="unknown", doubt=flaw, provider_request_id=_id(outcome))
    charges = tuple(c for c in outcome.charges if charge_flaw(c) is None)
    refunds = tuple(r for r in outcome.refunds if _refund_flaw(r) is None)
    unread = (
        *outcome.unread,
        *(_unread(c.payment_id, c.attempt_id) for c in outcome.charges if c not in charges),
        *(_unread(None, r.attempt_id) for r in outcome.refunds if r not in refunds),
    )
    refusal, decline = outcome.refusal, outcome.decline
    if refusal is not None and refusal.error is not None:
        refusal = replace(refusal, error=shown(refusal.error))
    if refusal is not None:
        refusal = replace(refusal, code=one_line(refusal.code, MAX_WORD))
    if decline is not None:
        error = shown(decline.error) if decline.error is not None else None
        decline = replace(decline, code=one_line(decline.code, MAX_WORD), error=error)
    return replace(
        outcome,
        charges=charges,
        refunds=refunds,
        unread=unread,
        refusal=refusal,
        decline=decline,
        provider_request_id=_id(outcome),
    )


def _id(outcome: Outcome) -> str:
    return outcome.provider_request_id if _ID.fullmatch(outcome.provider_request_id) else ""


def _flaw(outcome: Outcome) -> Doubt | None:
    if outcome.next_cursor is not None and not _ID.fullmatch(outcome.next_cursor):
        return Doubt("contract", "the cursor of the list is no plain text", "/data/-/id")
    if outcome.charge is not None and (flaw := charge_flaw(outcome.charge)) is not None:
        return flaw
    return _refund_flaw(outcome.refund) if outcome.refund is not None else None


def charge_flaw(charge: Charge) -> Doubt | None:
    """Why a charge's own texts cannot be believed, or `None`."""
    if not _ID.fullmatch(charge.provider_id):
        return Doubt("contract", "the charge's id is no plain text of 1 to 255 characters", "/id")
    url = charge.redirect_url
    if url is not None and not is_web_address(url):
        return Doubt("contract", "the redirect is no https address", "/next_action")
    return None


def _refund_flaw(refund: RefundSeen) -> Doubt | None:
    if _ID.fullmatch(refund.provider_id):
        return None
    return Doubt("contract", "the refund's id is no plain text of 1 to 255 characters", "/id")


def _unread(payment_id: str | None, attempt_id: str | None) -> UnreadRow:
    doubt = Doubt("contract", "an id or an address of the row is not plain", "/data/-/id")
    return UnreadRow(doubt=doubt, payment_id=payment_id, attempt_id=attempt_id)


def is_web_address(url: str) -> bool:
    """Whether a shopper's browser may be sent to `url`."""
    if len(url) > MAX_URL:
        return False
    return bool(_URL.fullmatch(url) or _LOOPBACK.fullmatch(url))


def shown(error: ProviderError) -> ProviderError:
    """The provider's words as people may see them: on one line, without what is private."""
    return ProviderError(
        one_line(error.code, MAX_WORD),
        one_line(error.parameter, MAX_WORD),
        one_line(error.message, MAX_MESSAGE),
    )


def one_line(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, without card numbers, keys and addresses."""
    plain = _CONTROL.sub(" ", text[: most * 4])
    plain = _EMAIL.sub("[address]", _SECRETS.sub("[secret]", mask_card_numbers(plain)))
    return plain if len(plain) <= most else plain[: most - 1] + "…"
