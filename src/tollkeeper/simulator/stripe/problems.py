"""The provider's refusals: one exception, and one constructor for each documented error.

Source: Stripe's public error reference and messages quoted in public issue trackers.
"""

from typing import Any, Final

import msgspec

DOC_BASE = "https://stripe.com/docs/error-codes/"


class Problem(Exception):
    """A reply other than success: `status` and the members of the body's `error` object.

    `intent` names the payment intent whose current state belongs into the error; `headers` go
    with the reply.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        intent: str | None = None,
        **members: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        self.intent = intent
        found = {"code": code, "message": message, "param": param, "type": kind, **members}
        self.error: dict[str, Any] = {
            name: value for name, value in found.items() if value is not None
        }
        if code is not None:
            self.error["doc_url"] = DOC_BASE + code.replace("_", "-")


def body_of(error: dict[str, Any]) -> bytes:
    """The reply's body for an `error` object."""
    return msgspec.json.encode({"error": error})


METHOD_USED: Final = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
    " attachment, shared with a connected account without Customer attachment, or was detached from"
    " a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach"
    " it to a Customer first."
)
CUSTOMER_MISSING: Final = (
    "The payment method you provided is attached to a customer so for security purposes you must"
    " provide the customer in the request."
)


def missing(param: str) -> Problem:
    return Problem(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> Problem:
    return Problem(
        400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param
    )


def empty(param: str) -> Problem:
    message = (
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset"
        f" a parameter; however '{param}' cannot be unset."
    )
    return Problem(400, message, code="parameter_invalid_empty", param=param)


def not_an_integer(param: str, value: object) -> Problem:
    return Problem(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)


def too_low(param: str, least: int) -> Problem:
    message = f"This value must be greater than or equal to {least}."
    return Problem(400, message, code="parameter_invalid_integer", param=param)


def not_a_word(param: str, words: tuple[str, ...]) -> Problem:
    return Problem(400, f"Invalid {param}: must be one of {', '.join(words)}", param=param)


def invalid(param: str, message: str) -> Problem:
    return Problem(400, message, param=param)


def malformed(message: str) -> Problem:
    return Problem(400, message)


def no_such(kind: str, identifier: str, param: str, status: int = 404) -> Problem:
    return Problem(status, f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


def no_key() -> Problem:
    return Problem(401, "You did not provide an API key.")


def bad_key(key: str) -> Problem:
    return Problem(401, f"Invalid API Key provided: {_shown(key)}")


def _shown(key: str) -> str:
    return key[:8] + "*" * 8 + key[-4:] if len(key) > 16 else "*" * len(key)


def expired_key(key: str) -> Problem:
    return Problem(401, f"Expired API Key provided: {_shown(key)}", code="api_key_expired")


def restricted_key(key: str, account: str, operation: str) -> Problem:
    message = (
        f"The provided key '{_shown(key)}' does not have the required permissions for this endpoint"
        f" on account '{account}' ({operation})."
    )
    return Problem(403, message)


def not_the_customers(method: str) -> Problem:
    message = (
        f"The customer does not have a payment method with the ID {method}."
        " The payment method must be attached to the customer."
    )
    return Problem(400, message, code="resource_missing", param="payment_method")


def bad_version(version: str) -> Problem:
    return Problem(400, f"Invalid Stripe API version: {version}")


def no_route(method: str, path: str) -> Problem:
    return Problem(404, f"Unrecognized request URL ({method[:20]}: {path[:200]!a}).")


def too_many_requests(retry_after_seconds: int = 1) -> Problem:
    problem = Problem(429, "Request rate limit exceeded.", code="rate_limit")
    problem.headers = {
        "stripe-rate-limited-reason": "global-rate",
        "retry-after": str(retry_after_seconds),
    }
    return problem


def lock_timeout(retry_after_seconds: int = 0) -> Problem:
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is"
        " currently accessing it. If you see this error intermittently, retry the request."
    )
    problem = Problem(429, message, code="lock_timeout")
    problem.headers = {"stripe-should-retry": "true"}
    if retry_after_seconds:
        problem.headers |= {"retry-after": str(retry_after_seconds)}
    return problem


def maintenance(retry_after_seconds: int) -> Problem:
    message = "The API is down for maintenance. Try again later."
    problem = Problem(503, message, kind="api_error")
    problem.headers = {"retry-after": str(retry_after_seconds)}
    return problem


def key_in_use(key: str) -> Problem:
    message = f"There is currently another in-progress request using this Idempotent Key: {key}."
    problem = Problem(409, message, code="idempotency_key_in_use")
    problem.headers = {"stripe-should-retry": "true"}
    return problem


def key_reused(key: str) -> Problem:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first"
        f" used with. Try using a key other than '{key}' if you meant to execute a different"
        " request."
    )
    return Problem(400, message, kind="idempotency_error")


def unexpected_state(intent: str, action: str, status: str, allowed: str) -> Problem:
    message = (
        f"This PaymentIntent could not be {action} because it has a status of {status}."
        f" Only a PaymentIntent with one of the following statuses may be {action}: {allowed}."
    )
    return Problem(400, message, code="payment_intent_unexpected_state", intent=intent)
