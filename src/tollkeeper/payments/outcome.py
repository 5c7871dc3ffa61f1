"""What came of asking a provider, in our words: the value that every integration version returns.

Law: a word that no table knows, a missing field or an unreadable reply is `unknown` with a Doubt
that says why. It is never a guess and never an exception.
"""

from typing import Literal

import msgspec

Operation = Literal["authorize", "capture", "void", "refund", "lookup", "find", "list_refunds"]
"""`lookup` reads one charge by the provider's id, `find` lists charges by our reference and
`list_refunds` lists one charge's refunds; the other four move money."""

OutcomeKind = Literal["approved", "declined", "pending", "failed", "unknown"]

ChargeState = Literal[
    "open", "requires_action", "processing", "authorized", "captured", "canceled", "declined"
]
"""`open`: exists at the provider, moved nothing, and could still be confirmed."""

RefundState = Literal["pending", "succeeded", "failed"]

DisputeState = Literal["open", "won", "lost"]

DeclineReason = Literal[
    "insufficient_funds",
    "card_expired",
    "incorrect_security_code",
    "incorrect_details",
    "lost_or_stolen",
    "suspected_fraud",
    "authentication_required",
    "authentication_failed",
    "not_supported",
    "limit_exceeded",
    "try_again_later",
    "do_not_honor",
    "declined",
]
"""Why an issuer or provider said no. `declined` where it gave no reason that we know."""

DoubtKind = Literal["status", "decode", "contract", "mismatch", "silence"]


class Decline(msgspec.Struct, frozen=True):
    """A no with a reason. `code` is the provider's own word, for people only."""

    reason: DeclineReason
    code: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Proof that nothing was executed. `code` is the provider's word or `http_<status>`; `later`:
    the same may be taken later, of whichever version (too many requests, a key that is off)."""

    code: str
    detail: str = ""
    later: bool = False


class Doubt(msgspec.Struct, frozen=True):
    """Why an outcome is unknown. `pointer` is a JSON pointer into the reply, `seen` what stood
    there (cut to 80 characters)."""

    kind: DoubtKind
    detail: str
    pointer: str = ""
    seen: str = ""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One charge as the provider shows it now. Amounts are minor units of `currency`."""

    provider_id: str
    state: ChargeState
    amount_minor: int
    currency: str
    capturable_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int | None = None
    payment_id: str | None = None
    attempt_id: str | None = None
    redirect_url: str | None = None
    decline: Decline | None = None


class RefundSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One refund as the provider shows it now. `charge_id` is the charge's provider id."""

    provider_id: str
    state: RefundState
    amount_minor: int
    currency: str
    charge_id: str | None = None
    attempt_id: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one operation. Which fields are set depends on `kind` and the operation.

    `charge` for authorize, capture, void and lookup; `refund` for refund; `charges` or `refunds`
    and `next_cursor` for listings (a page; `None` is the last page).
    """

    kind: OutcomeKind
    charge: Charge | None = None
    refund: RefundSeen | None = None
    charges: tuple[Charge, ...] = ()
    refunds: tuple[RefundSeen, ...] = ()
    next_cursor: str | None = None
    decline: Decline | None = None
    refusal: Refusal | None = None
    doubt: Doubt | None = None
    provider_request_id: str = ""


EventTopic = Literal["charge", "refund", "dispute", "other"]


class DisputeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One dispute as the provider shows it. `state` is `open`, `won` or `lost`."""

    provider_id: str
    state: DisputeState
    amount_minor: int
    currency: str
    reason: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's webhook in our words. `word` is the provider's own type.

    `charge_id`, `payment_id` and `attempt_id` are what it says about whom it concerns; `topic` is
    `other` for types that no table knows.
    """

    event_id: str
    word: str
    topic: EventTopic
    charge_id: str | None = None
    payment_id: str | None = None
    attempt_id: str | None = None
    charge: Charge | None = None
    refund: RefundSeen | None = None
    dispute: DisputeSeen | None = None


def unknown(kind: DoubtKind, detail: str, pointer: str = "", seen: object = "") -> Outcome:
    """An `unknown` outcome; `seen` is shown as text, cut to 80 characters."""
    return Outcome(kind="unknown", doubt=Doubt(kind, detail, pointer, str(seen)[:80]))
