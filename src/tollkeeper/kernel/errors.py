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
    advice: ClassVar[str] = "Report the request id to the operators."
    retry_after_seconds: int = 1
    """When to repeat a retryable request; the code that raises may set another value."""
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
    advice = (
        "Send an Idempotency-Key header: a new random value for each payment, reused on retries."
    )


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
    advice = (
        "Check the id or the name; the detail lists names that exist. "
        "A key can read only its own account."
    )


class MethodNotAllowed(TollkeeperError):
    code = "method_not_allowed"
    side = "caller"
    advice = "Use one of the methods in the Allow header."


class Conflict(TollkeeperError):
    code = "state_conflict"
    side = "caller"
    advice = (
        "Fetch the payment (or rollout) again: its current status does not allow this operation."
    )


class ReferenceInUse(Conflict):
    """`unique_reference` was asked for, and another live payment has the reference."""

    code = "reference_in_use"
    advice = "Use the payment in the message, or send another reference."


class GateClosed(TollkeeperError):
    """A rollout without a passing check of the candidate."""

    code = "gate_closed"
    side = "caller"
    advice = (
        "Run the check with the provider's newest description, or override the gate with a reason, "
        "which is recorded."
    )


class InFlight(TollkeeperError):
    code = "request_in_flight"
    side = "caller"
    retryable = True
    advice = "The first request with this key is still running. Retry in a second."


class TooLarge(TollkeeperError):
    code = "body_too_large"
    side = "caller"
    advice = "Send a smaller body."


class HeadersTooLarge(TollkeeperError):
    code = "headers_too_large"
    side = "caller"
    advice = "Send fewer or shorter headers: at most 32 kilobytes together."


class Unsupported(TollkeeperError):
    code = "unsupported_media_type"
    side = "caller"
    advice = "Send JSON with Content-Type: application/json."


class Invalid(TollkeeperError):
    code = "invalid_request"
    side = "caller"
    advice = "Correct the input as the message says; `errors` names each fault."


class UnreadableText(Invalid):
    """A description that cannot be parsed, although it begins like one."""

    code = "unreadable_text"
    advice = "Download the description again: the file is truncated, or is neither JSON nor YAML."


class KeyReused(TollkeeperError):
    code = "idempotency_key_reused"
    side = "caller"
    advice = "This key belongs to another request. Use a new key."


class CardNumberRefused(TollkeeperError):
    code = "card_number_refused"
    side = "caller"
    advice = "Never send card numbers here. Create a token at the provider and send the token."


class BadSignature(TollkeeperError):
    code = "bad_signature"
    side = "caller"
    advice = "Check the secret of the webhook endpoint and the clock of the sender."


class RequestTimeout(TollkeeperError):
    code = "request_timeout"
    side = "caller"
    retryable = True
    advice = "The request arrived too slowly and nothing was done. Retry with the same key."


class Overloaded(TollkeeperError):
    code = "overloaded"
    retryable = True
    advice = "Nothing was done. Retry with the same key after Retry-After seconds."


class Closed(TollkeeperError):
    """`accept_payments` is false."""

    code = "closed_for_payments"
    retryable = True
    retry_after_seconds = 30
    advice = "Nothing was done. Retry with the same key after Retry-After seconds."


class RateLimited(TollkeeperError):
    code = "rate_limited"
    side = "caller"
    retryable = True
    advice = (
        "Nothing was done. Send fewer requests; retry with the same key after Retry-After seconds."
    )


class ProviderRefused(TollkeeperError):
    """The provider proved that it executed nothing."""

    code = "provider_refused"
    side = "provider"
    advice = (
        "Nothing was executed. Fetch the payment. If it still allows the operation, use a new key."
    )


class RefusedForNow(TollkeeperError):
    """The provider refused for now: too many requests, or one of our keys is invalid."""

    code = "provider_refused_for_now"
    side = "provider"
    retryable = True
    retry_after_seconds = 5
    advice = "Nothing was executed. Retry after Retry-After seconds with a new key."


class NoVersionWorks(TollkeeperError):
    """No installed version of the provider works, and the policy is to pause new payments."""

    code = "no_version_works"
    side = "provider"
    retryable = True
    retry_after_seconds = 10
    advice = "Nothing was done. Retry with the same key after Retry-After seconds."


class NotSent(TollkeeperError):
    """The provider could not be reached, so nothing can have happened."""

    code = "provider_unreachable"
    side = "provider"
    retryable = True
    advice = "Nothing was executed. Retry with a new key."


class Unavailable(TollkeeperError):
    code = "store_unavailable"
    retryable = True
    advice = "The store did not answer. Retry with the same key: that never pays twice."


class StoreFull(Unavailable):
    """The disk of the store takes no more: nothing was written."""

    code = "store_full"
    advice = (
        "The disk of the store is full. Make room there. Retry with the same key: that never pays "
        "twice."
    )


class StoreDoubt(TollkeeperError):
    """A commit's acknowledgement was lost: it may have happened. Repeat the same operation."""

    code = "store_doubt"
    retryable = True
    money_may_have_moved = True
    advice = "Retry with the same key: that never pays twice."


class Misconfigured(TollkeeperError):
    code = "misconfigured"
    advice = "Correct the setting in the message."
