"""The one tree of errors: each says a stable code, whose side broke, and what to do next.

A decline is a value and not an error. A class here is raised where the caller cannot have what it
asked for; `money_may_have_moved` says whether a blind retry could be dangerous.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

Side = Literal["caller", "ours", "provider"]


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input: `pointer` (JSON pointer into the body, or the name of
    a header or parameter) and a sentence about it."""

    pointer: str
    detail: str


class TollkeeperError(Exception):
    """The root. `code` is stable and documented; `detail` is for the person who reads it."""

    code: ClassVar[str] = "internal_error"
    side: ClassVar[Side] = "ours"
    retryable: ClassVar[bool] = False
    money_may_have_moved: ClassVar[bool] = False
    advice: ClassVar[str] = "Tell the operators the request id."
    retry_after_seconds: int = 1
    """When a retryable request is worth repeating; where it is raised may know better."""
    failure_code: str | None = None
    """The stable word of a provider's refusal."""
    provider_error: Mapping[str, str] | None = None
    """The provider's own words, masked: `code`, `parameter` and `message`, for people."""

    def __init__(self, detail: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class Malformed(TollkeeperError):
    code = "malformed_request"
    side = "caller"
    advice = "Send well-formed JSON with the documented fields."


class MissingIdempotencyKey(TollkeeperError):
    code = "idempotency_key_missing"
    side = "caller"
    advice = "Send an Idempotency-Key header: a fresh random value per payment, reused on retries."


class Unauthenticated(TollkeeperError):
    code = "unauthenticated"
    side = "caller"
    advice = "Send a valid API key as a bearer token."


class Forbidden(TollkeeperError):
    code = "forbidden"
    side = "caller"
    advice = "Use a key whose role and account allow this: `tollkeeper keys create --role ...`."


class NotFound(TollkeeperError):
    code = "not_found"
    side = "caller"
    advice = "Check the id; a key sees only its own account."


class MethodNotAllowed(TollkeeperError):
    code = "method_not_allowed"
    side = "caller"
    advice = "Use one of the methods that the Allow header names."


class Conflict(TollkeeperError):
    code = "state_conflict"
    side = "caller"
    advice = "Read the payment or the rollout again: its status does not allow this now."


class ReferenceInUse(Conflict):
    """`unique_reference` was asked for, and another live payment has the reference."""

    code = "reference_in_use"
    advice = "Use the payment that the message names, or another reference."


class GateClosed(TollkeeperError):
    """A rollout without a passing check of the candidate."""

    code = "gate_closed"
    side = "caller"
    advice = "Check the provider's newest description, or override with a reason, which is kept."


class InFlight(TollkeeperError):
    code = "request_in_flight"
    side = "caller"
    retryable = True
    advice = "The first request with this key is still running; retry in a second."


class TooLarge(TollkeeperError):
    code = "body_too_large"
    side = "caller"
    advice = "Send a smaller body."


class HeadersTooLarge(TollkeeperError):
    code = "headers_too_large"
    side = "caller"
    advice = "Send fewer or shorter headers; together they may have 32 kilobytes."


class Unsupported(TollkeeperError):
    code = "unsupported_media_type"
    side = "caller"
    advice = "Send JSON with Content-Type: application/json."


class Invalid(TollkeeperError):
    code = "invalid_request"
    side = "caller"
    advice = "Correct the fields that `errors` points at."


class UnreadableText(Invalid):
    """A text that is a description by its first words, and cannot be parsed."""

    code = "unreadable_text"
    advice = "Fetch the description again; it breaks off, or is not JSON or YAML."


class KeyReused(TollkeeperError):
    code = "idempotency_key_reused"
    side = "caller"
    advice = "This key is bound to another request for ever; use a fresh key."


class CardNumberRefused(TollkeeperError):
    code = "card_number_refused"
    side = "caller"
    advice = "Never send card numbers here: tokenize at the provider and send the token."


class BadSignature(TollkeeperError):
    code = "bad_signature"
    side = "caller"
    advice = "Check the webhook endpoint's secret, and the sender's clock."


class RequestTimeout(TollkeeperError):
    code = "request_timeout"
    side = "caller"
    retryable = True
    advice = "The request arrived too slowly and nothing was done; retry with the same key."


class Overloaded(TollkeeperError):
    code = "overloaded"
    retryable = True
    advice = "Nothing was done; retry with the same key after Retry-After seconds."


class Closed(TollkeeperError):
    """`accept_payments` is false."""

    code = "closed_for_payments"
    retryable = True
    retry_after_seconds = 30
    advice = "Nothing was done; retry with the same key after Retry-After seconds."


class RateLimited(TollkeeperError):
    code = "rate_limited"
    side = "caller"
    retryable = True
    advice = "Nothing was done; slow down and retry with the same key after Retry-After seconds."


class ProviderRefused(TollkeeperError):
    """The provider proved that it executed nothing."""

    code = "provider_refused"
    side = "provider"
    advice = "Nothing was executed. Read the payment; if it still allows this, use a fresh key."


class RefusedForNow(TollkeeperError):
    """The provider refused it for now: too many requests, or a key of ours that is off."""

    code = "provider_refused_for_now"
    side = "provider"
    retryable = True
    retry_after_seconds = 5
    advice = "Nothing was executed; send it again after Retry-After seconds, with a fresh key."


class NotSent(TollkeeperError):
    """The provider could not be reached, so nothing can have happened."""

    code = "provider_unreachable"
    side = "provider"
    retryable = True
    advice = "Nothing was executed; send it again with a fresh key."


class Unavailable(TollkeeperError):
    code = "store_unavailable"
    retryable = True
    advice = "The store did not answer; retry with the same key, which never pays twice."


class StoreDoubt(TollkeeperError):
    """A commit's acknowledgement was lost: it may have happened. Repeat the same operation."""

    code = "store_doubt"
    retryable = True
    money_may_have_moved = True
    advice = "Retry with the same key, which never pays twice."


class Misconfigured(TollkeeperError):
    code = "misconfigured"
    advice = "Correct the setting that the message names."
