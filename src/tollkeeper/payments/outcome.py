"""What came of asking a provider, in our words: the value that every integration version returns.

Law: a word that no table knows, a missing field or an unreadable reply is `unknown` with a Doubt
that says why. It is never a guess and never an exception.
"""

from typing import Final, Literal, get_args

import msgspec

Operation = Literal[
    "authorize", "capture", "void", "refund", "lookup", "find", "list_refunds", "list_disputes"
]
"""`lookup` reads one charge by the provider's id, `find` lists charges by our reference,
`list_refunds` and `list_disputes` list what belongs to one charge; the other four move money."""

OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
QUESTIONS: Final[frozenset[Operation]] = frozenset(
    {"lookup", "find", "list_refunds", "list_disputes"}
)
"""The operations that read and move no money."""

OutcomeKind = Literal["approved", "declined", "pending", "failed", "unknown"]

ChargeState = Literal[
    "open", "requires_action", "processing", "authorized", "captured", "canceled", "declined"
]
"""`open`: exists at the provider, moved nothing, and could still be confirmed."""

RefundState = Literal["pending", "succeeded", "failed"]

DisputeState = Literal["open", "won", "lost", "prevented", "inquiry", "inquiry_closed"]
STANDING_DISPUTES: Final[frozenset[DisputeState]] = frozenset({"open", "inquiry"})
"""States from which a dispute goes on; the others are ends, which a bank rarely takes back."""

"""`inquiry`: the bank asks before it disputes; `prevented`: settled before it became a dispute."""

FailureCode = Literal[
    "declined",
    "not_sent",
    "not_executed",
    "not_completed",
    "refused",
    "try_again",
    "provider_configuration",
    "amount_too_small",
    "amount_too_large",
    "payment_method_unusable",
    "authentication_required",
    "already_captured",
    "already_refunded",
    "not_refundable",
    "authorization_expired",
    "disputed",
    "provider_balance",
    "failed_at_provider",
]
"""Why a payment or a refund failed, in words that never change; `failures.FAILURES` explains."""

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

DoubtKind = Literal["status", "decode", "contract", "mismatch", "silence", "in_use"]
"""`in_use`: the provider says that a request with our own key is still running."""


class ProviderError(msgspec.Struct, frozen=True):
    """The provider's own words about an error, for people only. They are bounded and masked before
    they are stored."""

    code: str = ""
    parameter: str = ""
    message: str = ""


class Decline(msgspec.Struct, frozen=True):
    """A no with a reason. `code` is the provider's own word, for people only."""

    reason: DeclineReason
    code: str = ""
    error: ProviderError | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Proof that nothing was executed. `code` is the provider's word or `http_<status>`.

    `later`: the same request may be accepted later (too many requests); `retry_after_s` is the
    pause that the provider asked for, 0 where it named none. `ours`: our key or our account at the
    provider is at fault. `certain`: the version's tables know the code; where they do not, one look
    at the provider must confirm that no money moved. `reason` is the stable word for shops.
    """

    code: str
    detail: str = ""
    later: bool = False
    ours: bool = False
    certain: bool = True
    retry_after_s: int = 0
    reason: FailureCode = "refused"
    error: ProviderError | None = None


class Doubt(msgspec.Struct, frozen=True):
    """Why an outcome is unknown. `pointer` is a JSON pointer into the reply, `seen` what stood
    there (cut to 80 characters)."""

    kind: DoubtKind
    detail: str
    pointer: str = ""
    seen: str = ""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One charge as the provider shows it now. Amounts are minor units of `currency`. `disputed`:
    whether it was ever disputed, `None` where the provider does not say."""

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
    disputed: bool | None = None


class RefundSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One refund as the provider shows it now. `charge_id` is the charge's provider id; with
    `referenced` false the row did not show whose refund it is."""

    provider_id: str
    state: RefundState
    amount_minor: int
    currency: str
    charge_id: str | None = None
    attempt_id: str | None = None
    referenced: bool = True


class DisputeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One dispute as the provider shows it. `told_s` is when the provider said so, in Unix seconds
    by its own clock; 0 for a listing, which shows what is so now."""

    provider_id: str
    state: DisputeState
    amount_minor: int
    currency: str
    reason: str = ""
    told_s: int = 0


class UnreadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a listing that could not be read. `payment_id` and `attempt_id` are the references
    that it carries; with `may_be_ours` they could not be read either. `amount_minor` and `currency`
    are what it shows of the money, where that could be read."""

    doubt: Doubt
    provider_id: str = ""
    payment_id: str | None = None
    attempt_id: str | None = None
    may_be_ours: bool = False
    amount_minor: int | None = None
    currency: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one operation. Which fields are set depends on `kind` and the operation.

    `charge` for authorize, capture, void and lookup; `refund` for refund; `charges`, `refunds` or
    `disputes`, with `unread` and `next_cursor`, for listings (a page; `None` is the last page).
    `replayed`: the provider says that it repeated a stored answer. `may_retry` is what it says
    about sending the same again, `None` where it says nothing.
    """

    kind: OutcomeKind
    charge: Charge | None = None
    refund: RefundSeen | None = None
    charges: tuple[Charge, ...] = ()
    refunds: tuple[RefundSeen, ...] = ()
    disputes: tuple[DisputeSeen, ...] = ()
    unread: tuple[UnreadRow, ...] = ()
    next_cursor: str | None = None
    replayed: bool = False
    may_retry: bool | None = None
    decline: Decline | None = None
    refusal: Refusal | None = None
    doubt: Doubt | None = None
    provider_request_id: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it says what became of the request, or answers a question."""
        return self.kind != "unknown"

    @property
    def is_answer(self) -> bool:
        """Whether a question was answered."""
        return self.kind == "approved"

    @property
    def is_refused(self) -> bool:
        """Whether the provider refused: nothing was executed."""
        return self.kind == "failed"

    @property
    def had_no_effect(self) -> bool:
        """Whether it was refused or declined."""
        return self.kind in {"failed", "declined"}

    @property
    def was_processed(self) -> bool:
        """Whether the provider took our key, and the request to its end."""
        return self.kind in {"approved", "pending", "declined"}

    @property
    def is_silence(self) -> bool:
        """Whether nothing was answered."""
        return self.doubt is not None and self.doubt.kind == "silence"

    @property
    def is_unreadable(self) -> bool:
        """Whether a reply came that could not be read, or cannot be about our request."""
        return self.doubt is not None and self.doubt.kind in {"decode", "contract", "mismatch"}

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the same question may get an answer at once: silence, or a status of trouble."""
        return self.doubt is not None and self.doubt.kind in {"silence", "status"}


EventTopic = Literal["charge", "refund", "dispute", "other"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's webhook in our words. `provider_type` is its own word for it.

    `charge_id`, `payment_id` and `attempt_id` are what it says about whom it concerns; `topic` is
    `other` for types that no table knows.
    """

    event_id: str
    provider_type: str
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
