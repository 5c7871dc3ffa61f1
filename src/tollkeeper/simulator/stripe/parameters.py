"""What each operation accepts: a table of parameters, and the check that comes before execution."""

from typing import Any, Final, Literal

import msgspec

from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.forms import Params

Kind = Literal["integer", "text", "boolean", "hash", "list", "word", "free"]


class Parameter(msgspec.Struct, frozen=True):
    """`least` bounds integers from below; `words` are the closed set of a `word`."""

    kind: Kind
    required: bool = False
    words: tuple[str, ...] = ()
    least: int = 0
    nullable: bool = True


Table = dict[str, Parameter]

_TEXT: Final = Parameter("text")
_HASH: Final = Parameter("hash")
_FREE: Final = Parameter("free")
_BOOLEAN: Final = Parameter("boolean")
_EXPAND: Final = Parameter("list")
_AMOUNT: Final = Parameter("integer", required=True, least=1, nullable=False)
_SOME_AMOUNT: Final = Parameter("integer", least=1, nullable=False)

_SHARED: Final[Table] = {
    "expand": _EXPAND,
    "payment_method": Parameter("text", nullable=False),
    "payment_method_data": _HASH,
    "payment_method_options": _HASH,
    "payment_method_types": Parameter("list"),
    "receipt_email": _TEXT,
    "setup_future_usage": Parameter("word", words=("off_session", "on_session")),
    "shipping": _FREE,
}
_CONFIRMING: Final[Table] = {
    "return_url": Parameter("text", nullable=False),
    "off_session": _FREE,
    "error_on_requires_action": _BOOLEAN,
    "mandate": _TEXT,
    "mandate_data": _FREE,
    "use_stripe_sdk": _BOOLEAN,
    "confirmation_token": _TEXT,
    "radar_options": _HASH,
}
_DESCRIBING: Final[Table] = {
    "customer": _TEXT,
    "description": _TEXT,
    "metadata": _FREE,
    "statement_descriptor": _TEXT,
    "statement_descriptor_suffix": _TEXT,
    "transfer_group": _TEXT,
    "application_fee_amount": Parameter("integer"),
    "transfer_data": _HASH,
}
_CAPTURE_METHOD: Final = Parameter("word", words=("automatic", "automatic_async", "manual"))
_PAGE: Final[Table] = {
    "expand": _EXPAND,
    "limit": Parameter("integer", least=1, nullable=False),
    "starting_after": _TEXT,
    "ending_before": _TEXT,
    "created": _FREE,
}
_READ: Final[Table] = {"expand": _EXPAND}
_REFUND_REASON: Final = Parameter(
    "word", words=("duplicate", "fraudulent", "requested_by_customer")
)

TABLES: Final[dict[str, Table]] = {
    "payment_intents.create": {
        **_SHARED, **_CONFIRMING, **_DESCRIBING,
        "amount": _AMOUNT,
        "currency": Parameter("text", required=True, nullable=False),
        "automatic_payment_methods": _HASH,
        "capture_method": _CAPTURE_METHOD,
        "confirm": _BOOLEAN,
        "confirmation_method": Parameter("word", words=("automatic", "manual")),
        "on_behalf_of": _TEXT,
    },
    "payment_intents.retrieve": {**_READ, "client_secret": _TEXT},
    "payment_intents.update": {
        **_SHARED, **_DESCRIBING,
        "amount": _SOME_AMOUNT,
        "currency": Parameter("text", nullable=False),
        "capture_method": _CAPTURE_METHOD,
    },
    "payment_intents.confirm": {**_SHARED, **_CONFIRMING, "capture_method": _CAPTURE_METHOD},
    "payment_intents.capture": {
        "expand": _EXPAND,
        "amount_to_capture": Parameter("integer", least=0, nullable=False),
        "final_capture": _BOOLEAN,
        "metadata": _FREE,
        "statement_descriptor": _TEXT,
        "statement_descriptor_suffix": _TEXT,
        "application_fee_amount": Parameter("integer"),
        "transfer_data": _HASH,
    },
    "payment_intents.cancel": {
        "expand": _EXPAND,
        "cancellation_reason": Parameter(
            "word", words=("duplicate", "fraudulent", "requested_by_customer", "abandoned")
        ),
    },
    "payment_intents.list": {**_PAGE, "customer": _TEXT},
    "charges.retrieve": _READ,
    "charges.list": {**_PAGE, "payment_intent": _TEXT, "customer": _TEXT},
    "refunds.create": {
        "expand": _EXPAND,
        "amount": _SOME_AMOUNT,
        "charge": Parameter("text", nullable=False),
        "payment_intent": Parameter("text", nullable=False),
        "metadata": _FREE,
        "reason": _REFUND_REASON,
        "refund_application_fee": _BOOLEAN,
        "reverse_transfer": _BOOLEAN,
    },
    "refunds.retrieve": _READ,
    "refunds.list": {**_PAGE, "payment_intent": _TEXT, "charge": _TEXT},
    "customers.create": {
        "expand": _EXPAND, "email": _TEXT, "name": _TEXT, "description": _TEXT, "metadata": _FREE,
        "phone": _TEXT, "payment_method": _TEXT,
    },
    "customers.retrieve": _READ,
    "disputes.retrieve": _READ,
    "disputes.list": {**_PAGE, "payment_intent": _TEXT, "charge": _TEXT},
    "events.retrieve": _READ,
    "events.list": {**_PAGE, "type": _TEXT, "types": Parameter("list")},
    "webhook_endpoints.create": {
        "expand": _EXPAND,
        "url": Parameter("text", required=True, nullable=False),
        "enabled_events": Parameter("list", required=True),
        "api_version": _TEXT,
        "description": _TEXT,
        "metadata": _FREE,
        "connect": _BOOLEAN,
    },
    "webhook_endpoints.retrieve": _READ,
    "webhook_endpoints.list": _PAGE,
    "webhook_endpoints.delete": {},
    "balance.retrieve": _READ,
    "account.retrieve": _READ,
}  # fmt: skip


def check(params: Params, operation: str) -> Params:
    """The parameters with integers and booleans converted; raises Problem (400) for what is
    unknown, missing or of the wrong kind. Nested members stay text."""
    table = TABLES[operation]
    checked: Params = {}
    for name, value in params.items():
        parameter = table.get(name)
        if parameter is None:
            raise problems.unknown(name)
        checked[name] = _converted(name, value, parameter)
    for name, parameter in table.items():
        if parameter.required and checked.get(name) in (None, []):
            raise problems.missing(name)
    return checked


def _converted(name: str, value: Any, parameter: Parameter) -> Any:
    if value == "":
        if not parameter.nullable:
            raise problems.empty(name)
        return "" if parameter.kind == "free" else None
    match parameter.kind:
        case "integer":
            return _integer(name, value, parameter.least)
        case "boolean":
            return _boolean(name, value)
        case "word":
            return _word(name, value, parameter.words)
        case "free":
            return value
        case kind:
            return _shaped(name, value, kind)


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, str) or not _is_integer(value):
        raise problems.not_an_integer(name, value)
    number = int(value)
    if number < least:
        raise problems.too_low(name, least)
    return number


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def _boolean(name: str, value: object) -> bool:
    if value == "true":
        return True
    if value == "false":
        return False
    raise problems.invalid(name, f"Invalid boolean: {value!s:.80}")


def _word(name: str, value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise problems.not_a_word(name, words)
    return str(value)


_SHAPES: Final[dict[str, tuple[type, str]]] = {
    "text": (str, "string"),
    "hash": (dict, "hash"),
    "list": (list, "array"),
}


def _shaped(name: str, value: Any, kind: str) -> Any:
    shape, noun = _SHAPES[kind]
    if not isinstance(value, shape):
        raise problems.invalid(name, f"Invalid {noun}: {value!s:.80}")
    return value


def merged_metadata(old: dict[str, str], given: Any) -> dict[str, str]:
    """Metadata after an update: an empty value removes a key, an empty string removes all."""
    if given is None:
        return old
    if given == "":
        return {}
    if not isinstance(given, dict):
        raise problems.invalid("metadata", "Invalid hash")
    merged = {**old, **given}
    for key, value in merged.items():
        if not isinstance(value, str) or len(key) > 40 or len(value) > 500:
            raise problems.invalid(f"metadata[{key[:40]}]", "Metadata is 40 and 500 characters.")
    merged = {key: value for key, value in merged.items() if value != ""}
    if len(merged) > 50:
        raise problems.invalid("metadata", "You cannot have more than 50 metadata keys.")
    return merged
