"""Stripe, API version 2022-11-15: a PaymentIntent shows its charge as `latest_charge`.

Pinned by the `Stripe-Version` header. Since this version `charges` is gone from PaymentIntents
and a charge no longer carries its refunds, so refunds are listed on their own.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from tollkeeper.integrations.values import (
    Amount,
    EventUnreadable,
    HookAddress,
    Integration,
    Order,
    SignatureRefused,
    Surroundings,
    Unit,
    WireReply,
    WireRequest,
    form,
    read_amount,
    sent_amount,
    storable,
    units_of,
    words,
)
from tollkeeper.payments.outcome import (
    Charge,
    ChargeState,
    Decline,
    DeclineReason,
    DisputeSeen,
    DisputeState,
    Doubt,
    Event,
    EventTopic,
    FailureCode,
    Operation,
    Outcome,
    ProviderError,
    RefundSeen,
    RefundState,
    Refusal,
    UnreadRow,
    unknown,
)

VERSION: Final = "2022-11-15"
TOLERANCE_S: Final = 300
PAGE: Final = 100
METADATA_LEFT: Final = 48
"""Stripe takes 50 keys of metadata, and two are ours."""


class Metadata(msgspec.Struct):
    tollkeeper_payment: str | None = None
    tollkeeper_attempt: str | None = None


class RedirectToUrl(msgspec.Struct):
    url: str | None = None


class NextAction(msgspec.Struct):
    redirect_to_url: RedirectToUrl | None = None


class LastPaymentError(msgspec.Struct):
    code: str | None = None
    decline_code: str | None = None


class LatestCharge(msgspec.Struct):
    amount_refunded: Amount
    amount_captured: Amount | None = None
    captured: bool | None = None
    disputed: bool | None = None


class PaymentIntent(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    amount_capturable: Amount | None = None
    amount_received: Amount | None = None
    metadata: Metadata | None = None
    next_action: NextAction | None = None
    last_payment_error: LastPaymentError | None = None
    latest_charge: LatestCharge | str | None = None


class Refund(msgspec.Struct):
    """Stripe describes the status and the metadata of a refund as nullable."""

    id: str
    amount: Amount
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: Metadata | None = None


class Dispute(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    reason: str = ""
    payment_intent: str | None = None


class Referenced(msgspec.Struct):
    metadata: Metadata | None = None


class Listed(Referenced):
    """What every row of a listing must show: an id to go on from, and whose it is."""

    id: str = ""


class IntentList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class RefundList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class DisputeList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class Error(msgspec.Struct):
    type: str
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None
    message: str | None = None
    payment_intent: PaymentIntent | None = None


class ErrorReply(msgspec.Struct):
    error: Error


class EventList(msgspec.Struct):
    data: list[msgspec.Raw]


class HookEndpoint(msgspec.Struct):
    url: str
    status: str
    api_version: str | None = None


class HookEndpoints(msgspec.Struct):
    data: list[HookEndpoint]


class EventData(msgspec.Struct):
    object: msgspec.Raw


class EventReply(msgspec.Struct):
    id: str
    type: str
    data: EventData
    created: int = 0


class EventObject(msgspec.Struct):
    id: str
    payment_intent: str | None = None
    metadata: Metadata | None = None


class RelatedObject(msgspec.Struct):
    id: str


class ThinEvent(msgspec.Struct):
    """An event of the second generation: it names an object and does not show it."""

    id: str
    type: str
    related_object: RelatedObject


INTENT_STATES: Final[dict[str, ChargeState]] = {
    "requires_confirmation": "open",
    "requires_payment_method": "open",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "authorized",
    "succeeded": "captured",
    "canceled": "canceled",
}
REFUND_STATES: Final[dict[str, RefundState]] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
DISPUTE_STATES: Final[dict[str, DisputeState]] = {
    "needs_response": "open",
    "under_review": "open",
    "won": "won",
    "lost": "lost",
    "prevented": "prevented",
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
}
"""A word that is missing here counts as open, so that a person looks at the dispute."""

DECLINE_WORDS: Final[dict[DeclineReason, str]] = {
    "insufficient_funds": "insufficient_funds",
    "limit_exceeded": "withdrawal_count_limit_exceeded card_velocity_exceeded",
    "card_expired": "expired_card invalid_expiry_month invalid_expiry_year",
    "incorrect_security_code": "incorrect_cvc invalid_cvc",
    "incorrect_details": "incorrect_number invalid_number incorrect_zip invalid_account",
    "lost_or_stolen": "lost_card stolen_card pickup_card",
    "suspected_fraud": "fraudulent merchant_blacklist",
    "authentication_required": "authentication_required",
    "authentication_failed": "payment_intent_authentication_failure",
    "not_supported": "card_not_supported currency_not_supported transaction_not_allowed",
    "try_again_later": "issuer_not_available processing_error try_again_later reenter_transaction",
    "do_not_honor": "do_not_honor call_issuer",
    "declined": "generic_decline card_declined",
}
DECLINE_REASONS: Final = {w: reason for reason, ws in DECLINE_WORDS.items() for w in words(ws)}
REFUSED_STATUSES: Final = frozenset({401, 403, 404, 405, 410, 415, 429})
OURS_STATUSES: Final = frozenset({401, 403})
LATER_STATUS: Final = 429
REFUSAL_WORDS: Final[dict[FailureCode, str]] = {
    "amount_too_small": "amount_too_small",
    "amount_too_large": "amount_too_large",
    "payment_method_unusable": """
        invalid_card_type payment_intent_incompatible_payment_method
        payment_method_currency_mismatch payment_method_invalid_parameter
        payment_method_not_available payment_method_unactivated payment_method_unexpected_state
        source_not_chargeable token_already_used
        """,
    "authentication_required": "payment_intent_authentication_failure",
    "already_captured": "charge_already_captured",
    "already_refunded": "charge_already_refunded",
    "not_refundable": "charge_not_refundable",
    "authorization_expired": """
        capture_charge_authorization_expired charge_expired_for_capture
        """,
    "disputed": "charge_disputed refund_disputed_payment",
    "provider_balance": "balance_insufficient insufficient_funds",
    "provider_configuration": """
        account_closed account_country_invalid_address account_invalid api_key_expired
        livemode_mismatch platform_account_required platform_api_key_expired secret_key_required
        testmode_charges_only
        """,
    "try_again": "lock_timeout rate_limit",
    "refused": """
        capture_unauthorized_payment country_unsupported customer_max_payment_methods email_invalid
        invalid_charge_amount invalid_charge_amount_no_decimal_compatible parameter_invalid_empty
        parameter_invalid_integer parameter_invalid_string_blank parameter_invalid_string_empty
        parameter_missing parameter_unknown parameters_exclusive payment_intent_unexpected_state
        resource_missing return_url_required url_invalid
        """,
}
"""Codes of refusals that executed nothing. Source: docs.stripe.com/error-codes. A refusal of type
`invalid_request_error` whose code is missing here is confirmed by one look."""

REFUSAL_REASONS: Final = {w: reason for reason, ws in REFUSAL_WORDS.items() for w in words(ws)}
MESSAGE_REASONS: Final[tuple[tuple[str, FailureCode], ...]] = (
    ("unrefunded amount", "already_refunded"),
    ("paymentmethod", "payment_method_unusable"),
    ("payment method", "payment_method_unusable"),
    ("your account", "provider_configuration"),
)
"""What to tell the shop where Stripe gives no code; the text decides nothing else."""

RETRY_AFTER_MOST_S: Final = 3_600
EVENT_WORDS: Final[dict[EventTopic, str]] = {
    "charge": """
        payment_intent.amount_capturable_updated payment_intent.canceled
        payment_intent.payment_failed payment_intent.processing payment_intent.requires_action
        payment_intent.succeeded charge.captured charge.expired charge.failed charge.succeeded
        """,
    "refund": "charge.refunded charge.refund.updated refund.created refund.updated refund.failed",
    "dispute": "charge.dispute.created charge.dispute.updated charge.dispute.closed",
}
EVENT_TOPICS: Final = {w: topic for topic, ws in EVENT_WORDS.items() for w in words(ws)}
UNITS: Final = units_of(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BIF BMD BND BOB BRL BSD BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD
    HKD HNL HTG HUF IDR ILS INR JMD JPY KES KGS KHR KMF KRW KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD
    MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN PYG QAR RON
    RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SVC SZL THB TJS TOP TRY TTD TWD TZS UAH USD
    UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW
    """,
    {
        "ISK": Unit(theirs=100),
        "UGX": Unit(theirs=100),
        "MGA": Unit(ours=100, step_minor=100),
        **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), Unit(step_minor=10)),
    },
)
"""Stripe's presentment currencies. It counts krona and Ugandan shilling in hundredths, which must
come whole, and ariary in units; of three decimals the last must be 0. Forint and Taiwan dollar
differ in payouts only. Source: docs.stripe.com/currencies, "Special cases"."""

REFUND_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
EXPAND: Final = ("expand[]", "latest_charge")


def request(operation: Operation, order: Order) -> WireRequest:
    """The request for `operation`, complete but for credentials."""
    intent = quote(order.provider_id or "", safe="")
    match operation:
        case "authorize":
            return _post("/v1/payment_intents", order, _authorize_fields(order))
        case "capture":
            fields = [("amount_to_capture", _amount(order)), EXPAND]
            if not order.final:
                fields.append(("final_capture", "false"))
            return _post(f"/v1/payment_intents/{intent}/capture", order, fields)
        case "void":
            return _post(f"/v1/payment_intents/{intent}/cancel", order, [EXPAND])
        case "refund":
            return _post("/v1/refunds", order, _refund_fields(order))
        case "lookup":
            return _get(f"/v1/payment_intents/{intent}", [EXPAND])
        case "find":
            window = [
                ("created[gte]", str(order.created_from_s)),
                ("created[lte]", str(order.created_to_s)),
                ("expand[]", "data.latest_charge"),
            ]
            return _get("/v1/payment_intents", _paged(window, order))
        case "list_refunds":
            fields = [("payment_intent", order.provider_id or "")]
            return _get("/v1/refunds", _paged(fields, order))
        case "list_disputes":
            fields = [("payment_intent", order.provider_id or "")]
            return _get("/v1/disputes", _paged(fields, order))


def _authorize_fields(order: Order) -> list[tuple[str, str]]:
    fields = [
        ("amount", _amount(order)),
        ("currency", order.currency.lower()),
        ("confirm", "true"),
        ("capture_method", order.capture_method),
        ("payment_method", order.payment_method),
        ("payment_method_types[]", "card"),
        *_metadata(order),
        *_shops_own(order),
        EXPAND,
    ]
    if order.return_url:
        fields.append(("return_url", order.return_url))
    if order.description:
        fields.append(("description", order.description))
    if order.multicapture:
        fields.append(("payment_method_options[card][request_multicapture]", "if_available"))
    return fields


def _refund_fields(order: Order) -> list[tuple[str, str]]:
    fields = [
        ("payment_intent", order.provider_id or ""),
        ("amount", _amount(order)),
        *_metadata(order),
    ]
    if order.reason in REFUND_REASONS:
        fields.append(("reason", order.reason))
    return fields


def _amount(order: Order) -> str:
    return str(sent_amount(UNITS, order.currency, order.amount_minor))


def _ours(amount: int, currency: str) -> int:
    """An amount as Stripe counts it, in our minor units; ValueError where it is none."""
    return read_amount(UNITS, currency.upper(), amount)


def _metadata(order: Order) -> list[tuple[str, str]]:
    return [
        ("metadata[tollkeeper_payment]", order.payment_id),
        ("metadata[tollkeeper_attempt]", order.attempt_id),
    ]


def _shops_own(order: Order) -> list[tuple[str, str]]:
    """The shop's reference and metadata, as far as Stripe takes them beside our two keys. Source:
    docs.stripe.com/api/metadata."""
    own = {"reference": order.reference} if order.reference else {}
    own |= {name: text for name, text in order.metadata.items() if _travels(name)}
    return [(f"metadata[{name}]", text) for name, text in list(own.items())[:METADATA_LEFT]]


def _travels(name: str) -> bool:
    reserved = name.startswith("tollkeeper_") or name == "reference"
    return not reserved and not set("[]") & set(name)


def _paged(fields: list[tuple[str, str]], order: Order) -> list[tuple[str, str]]:
    fields.append(("limit", str(PAGE)))
    if order.cursor:
        fields.append(("starting_after", order.cursor))
    return fields


def _post(path: str, order: Order, fields: list[tuple[str, str]]) -> WireRequest:
    headers = (
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", order.attempt_id),
        ("stripe-version", VERSION),
    )
    return WireRequest(method="POST", path=path, headers=headers, body=form(fields).encode())


def _get(path: str, fields: list[tuple[str, str]]) -> WireRequest:
    headers = (("stripe-version", VERSION),)
    return WireRequest(method="GET", path=path, query=form(fields), headers=headers)


def credentials(secret: str) -> tuple[tuple[str, str], ...]:
    """The headers that authenticate with the account's secret key."""
    return (("authorization", f"Bearer {secret}"),)


def outcome(operation: Operation, reply: WireReply) -> Outcome:
    """What the reply says, in our words; `unknown` for whatever the tables do not know."""
    try:
        body = reply.body if operation in LISTINGS else storable(reply.body)
        ok = reply.status == 200
        said = _READERS[operation](body) if ok else _refusal(operation, reply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        pointer = _pointer(str(error))
        said = unknown("decode", f"{operation}: {error}", pointer, reply.body[:80])
    return msgspec.structs.replace(
        said,
        provider_request_id=reply.header("request-id"),
        replayed=reply.header("idempotent-replayed") == "true",
        may_retry=_MAY_RETRY.get(reply.header("stripe-should-retry")),
    )


LISTINGS: Final = frozenset({"find", "list_refunds", "list_disputes"})
"""Their rows are read one by one: what is wrong with one hides no other."""

_MAY_RETRY: Final = {"true": True, "false": False}


def _pointer(message: str) -> str:
    """The JSON pointer that msgspec's message names: `... - at `$.a[...].b`` gives /a/-/b."""
    path = message.rpartition("`$")[2].rstrip("`") if "`$" in message else ""
    return path.replace("[...]", "/-").replace(".", "/")


def _read_intent(body: bytes) -> Outcome:
    return _intent(msgspec.json.decode(body, type=PaymentIntent))


def _intent(intent: PaymentIntent) -> Outcome:
    state = INTENT_STATES.get(intent.status)
    if state is None:
        return unknown("contract", "status word not known", "/status", intent.status)
    decline = None
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        state, decline = "declined", _decline(intent.last_payment_error)
    redirect = _redirect(intent)
    if state == "requires_action" and redirect is None:
        return unknown("contract", "no redirect to send the shopper to", "/next_action")
    latest = intent.latest_charge
    if state in {"authorized", "captured"} and latest is None:
        return unknown("contract", "no charge in the intent", "/latest_charge")
    details = latest if isinstance(latest, LatestCharge) else None
    captured = _captured(intent.amount, details) if details else intent.amount_received
    if state in {"authorized", "captured"} and captured is None:
        return unknown("contract", "no captured amount", "/latest_charge/amount_captured")
    charge = Charge(
        provider_id=intent.id,
        state=state,
        amount_minor=_ours(intent.amount, intent.currency),
        currency=intent.currency.upper(),
        capturable_minor=_ours(_capturable(intent, state, captured), intent.currency),
        captured_minor=_ours(captured if captured and state != "canceled" else 0, intent.currency),
        refunded_minor=_ours(
            details.amount_refunded if details and state == "captured" else 0, intent.currency
        ),
        payment_id=intent.metadata.tollkeeper_payment if intent.metadata else None,
        attempt_id=intent.metadata.tollkeeper_attempt if intent.metadata else None,
        redirect_url=redirect,
        decline=decline,
        disputed=details.disputed if details else None,
    )
    return Outcome(kind="approved", charge=charge, decline=decline)


def _captured(amount_minor: int, charge: LatestCharge) -> int | None:
    """What was captured. Where the sum is left out, only what follows for certain: nothing of what
    is not captured, and all of what is captured with nothing given back."""
    if charge.amount_captured is not None or charge.captured is None:
        return charge.amount_captured
    if not charge.captured:
        return 0
    return amount_minor if charge.amount_refunded == 0 else None


def _capturable(intent: PaymentIntent, state: ChargeState, captured: int | None) -> int:
    """What can be captured; where the sum is left out, all that an authorization still holds."""
    if intent.amount_capturable is not None:
        return intent.amount_capturable
    return intent.amount - (captured or 0) if state == "authorized" else 0


def _redirect(intent: PaymentIntent) -> str | None:
    action = intent.next_action
    return action.redirect_to_url.url if action and action.redirect_to_url else None


def _read_authorize(body: bytes) -> Outcome:
    said = _read_intent(body)
    if said.charge is None:
        return said
    match said.charge.state:
        case "authorized" | "captured":
            return said
        case "requires_action" | "processing":
            return msgspec.structs.replace(said, kind="pending")
        case "declined":
            return msgspec.structs.replace(said, kind="declined")
        case state:
            return unknown(
                "contract", "a confirmed intent cannot be in this state", "/status", state
            )


def _read_refund(body: bytes) -> Outcome:
    refund = msgspec.json.decode(body, type=Refund)
    seen = _refund_seen(refund)
    if seen is None:
        return unknown("contract", "refund status word not known", "/status", refund.status)
    if seen.state == "failed":
        decline = Decline("declined", refund.status or "")
        return Outcome(kind="declined", refund=seen, decline=decline)
    return Outcome(kind="pending" if seen.state == "pending" else "approved", refund=seen)


def _refund_seen(refund: Refund) -> RefundSeen | None:
    state = REFUND_STATES.get(refund.status or "")
    if state is None:
        return None
    return RefundSeen(
        provider_id=refund.id,
        state=state,
        amount_minor=_ours(refund.amount, refund.currency),
        currency=refund.currency.upper(),
        charge_id=refund.payment_intent,
        attempt_id=refund.metadata.tollkeeper_attempt if refund.metadata else None,
    )


def _read_list(body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=IntentList)
    charges, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
        elif row.metadata is not None and row.metadata.tollkeeper_payment is not None:
            said = _row(_read_intent, raw)
            if said.charge is None:
                unread.append(_unread(row, said))
            else:
                charges.append(said.charge)
    return _page(page, tuple(unread), charges=tuple(charges))


def _read_refunds(body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=RefundList)
    refunds, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
            continue
        said = _row(_read_refund, raw)
        if said.refund is None:
            unread.append(_unread(row, said))
        else:
            refunds.append(said.refund)
    return _page(page, tuple(unread), refunds=tuple(refunds))


def _read_disputes(body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=DisputeList)
    disputes, unread = [], []
    for raw in page.data:
        try:
            text = storable(bytes(raw))
            disputes.append(_dispute_seen(msgspec.json.decode(text, type=Dispute), 0))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            unread.append(UnreadRow(doubt=Doubt("decode", str(error)[:200]), may_be_ours=True))
    return _page(page, tuple(unread), disputes=tuple(disputes))


def _listed(raw: msgspec.Raw) -> Listed | UnreadRow:
    """A row's id and reference, which say whose it is, whatever else is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=Listed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        doubt = Doubt("decode", str(error)[:200], "/data/-")
    try:
        return Listed(metadata=msgspec.json.decode(raw, type=Referenced).metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return UnreadRow(doubt=doubt, may_be_ours=True)


def _row(read: Callable[[bytes], Outcome], raw: msgspec.Raw) -> Outcome:
    """One row, read by itself, so that its trouble is not that of the others."""
    try:
        return read(storable(bytes(raw)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return unknown("decode", str(error)[:200], _pointer(str(error)))


def _unread(row: Listed, said: Outcome) -> UnreadRow:
    doubt = said.doubt or Doubt("contract", "the row holds no charge")
    return UnreadRow(
        doubt=msgspec.structs.replace(doubt, pointer=f"/data/-{doubt.pointer}"),
        provider_id=row.id,
        payment_id=row.metadata.tollkeeper_payment if row.metadata else None,
        attempt_id=row.metadata.tollkeeper_attempt if row.metadata else None,
    )


def _page(
    page: IntentList | RefundList | DisputeList, unread: tuple[UnreadRow, ...], **read: Any
) -> Outcome:
    """One page. The list goes on after its last row, so that row must show its id."""
    cursor = None
    if page.has_more and page.data:
        last = _listed(page.data[-1])
        if isinstance(last, UnreadRow) or not last.id:
            return unknown("decode", "the last row's id cannot be read", "/data/-/id")
        cursor = last.id
    return Outcome(kind="approved", unread=unread, next_cursor=cursor, **read)


def _refusal(operation: Operation, reply: WireReply) -> Outcome:
    """A reply that is not 200: a decline, a proof that nothing was executed, or unknown."""
    error = _error(reply.body)
    if reply.status == 402 and error is not None and error.type == "card_error":
        said = _intent(error.payment_intent) if error.payment_intent else None
        if said is not None and said.charge is None:
            return said  # its intent cannot be read, so neither can what it says about it
        charge = said.charge if said is not None else None
        return Outcome(kind="declined", decline=_decline(error), charge=charge)
    if reply.status in REFUSED_STATUSES:
        return Outcome(kind="failed", refusal=_refused(reply, error, certain=True))
    if error is not None and _is_refusal(operation, reply.status, error):
        certain = error.code in REFUSAL_REASONS
        return Outcome(kind="failed", refusal=_refused(reply, error, certain=certain))
    in_use = error is not None and error.code == "idempotency_key_in_use"
    word = f"{error.type} {error.code}" if error is not None else reply.body[:60]
    return unknown("in_use" if in_use else "status", f"status {reply.status}", "", word)


def _is_refusal(operation: Operation, status: int, error: Error) -> bool:
    """Whether a 400 or 402 proves that the request was refused: Stripe calls it unacceptable, and
    what it shows has moved no money."""
    unacceptable = status in {400, 402} and error.type == "invalid_request_error"
    if not unacceptable and not (status == 400 and error.code in REFUSAL_REASONS):
        return False
    shown = error.payment_intent
    return operation != "authorize" or shown is None or INTENT_STATES.get(shown.status) == "open"


def _refused(reply: WireReply, error: Error | None, *, certain: bool) -> Refusal:
    code = error.code if error is not None and error.code else f"http_{reply.status}"
    ours = reply.status in OURS_STATUSES
    later = reply.status == LATER_STATUS or code == "lock_timeout"
    reason = _reason(code, error.message if error is not None else None)
    if ours or later:
        reason = "provider_configuration" if ours else "try_again"
    return Refusal(
        code,
        f"status {reply.status}" if error is None or certain else error.type,
        later=later,
        ours=reason == "provider_configuration",
        certain=certain,
        retry_after_s=_retry_after_s(reply),
        reason=reason,
        error=_provider_error(error) if error is not None else None,
    )


def _reason(code: str, message: str | None) -> FailureCode:
    if code in REFUSAL_REASONS:
        return REFUSAL_REASONS[code]
    text = (message or "").lower()
    return next((reason for part, reason in MESSAGE_REASONS if part in text), "refused")


def _provider_error(error: Error) -> ProviderError:
    return ProviderError(error.code or "", error.param or "", error.message or "")


def _retry_after_s(reply: WireReply) -> int:
    text = reply.header("retry-after")
    return min(int(text), RETRY_AFTER_MOST_S) if text.isascii() and text.isdigit() else 0


def _error(body: bytes) -> Error | None:
    try:
        return msgspec.json.decode(body, type=ErrorReply).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _decline(error: Error | LastPaymentError) -> Decline:
    word = error.decline_code or error.code or ""
    reason = DECLINE_REASONS.get(word) or DECLINE_REASONS.get(error.code or "", "declined")
    shown = _provider_error(error) if isinstance(error, Error) else None
    return Decline(reason, word, shown)


def event(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...], now_ms: int) -> Event:
    """The webhook in our words, after its signature and its time were checked."""
    _check_signature(body, headers.get("stripe-signature", ""), secrets, now_ms)
    try:
        said = msgspec.json.decode(storable(body), type=EventReply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _thin_event(body, str(error))
    try:
        return _EVENT_READERS[EVENT_TOPICS.get(said.type, "other")](said)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _unread_event(said)


def _thin_event(body: bytes, why: str) -> Event:
    """An event that only names an intent is a reason to look at it."""
    try:
        said = msgspec.json.decode(storable(body), type=ThinEvent)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EventUnreadable(f"the body is no event: {why}") from error
    named = said.related_object.id
    if not named.startswith("pi_"):
        return Event(event_id=said.id, word=said.type, topic="other")
    return Event(event_id=said.id, word=said.type, topic="charge", charge_id=named)


def _check_signature(body: bytes, header: str, secrets: tuple[str, ...], now_ms: int) -> None:
    parts = [part.partition("=") for part in header.split(",")]
    stamps = [value for key, _, value in parts if key.strip() == "t"]
    if not stamps or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12:
        raise SignatureRefused("no timestamp in the Stripe-Signature header")
    if abs(now_ms // 1000 - int(stamps[0])) > TOLERANCE_S:
        raise SignatureRefused(f"timestamp {stamps[0]} is more than {TOLERANCE_S} s off")
    given = [value for key, _, value in parts if key.strip() == "v1"]
    for secret in secrets:
        signed = hmac.new(secret.encode(), stamps[0].encode() + b"." + body, hashlib.sha256)
        for value in given:
            if hmac.compare_digest(signed.hexdigest().encode(), value.encode()):
                return
    raise SignatureRefused("no signature matches a secret of this endpoint")


def _other_event(said: EventReply) -> Event:
    return Event(event_id=said.id, word=said.type, topic="other")


def _unread_event(said: EventReply) -> Event:
    """A signed event about something that we cannot read whole: still a reason to look at it."""
    try:
        item = msgspec.json.decode(said.data.object, type=EventObject)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _other_event(said)
    return Event(
        event_id=said.id,
        word=said.type,
        topic="charge",
        charge_id=item.payment_intent or item.id,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
    )


def _charge_event(said: EventReply) -> Event:
    item = msgspec.json.decode(said.data.object, type=EventObject)
    is_intent = said.type.startswith("payment_intent.")
    charge = _read_intent(said.data.object).charge if is_intent else None
    return Event(
        event_id=said.id,
        word=said.type,
        topic="charge",
        charge_id=item.id if is_intent else item.payment_intent,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
        charge=charge,
    )


def _refund_event(said: EventReply) -> Event:
    item = msgspec.json.decode(said.data.object, type=EventObject)
    return Event(
        event_id=said.id,
        word=said.type,
        topic="refund",
        charge_id=item.payment_intent,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
    )


def _dispute_event(said: EventReply) -> Event:
    dispute = msgspec.json.decode(said.data.object, type=Dispute)
    return Event(
        event_id=said.id,
        word=said.type,
        topic="dispute",
        charge_id=dispute.payment_intent,
        dispute=_dispute_seen(dispute, said.created),
    )


def _dispute_seen(dispute: Dispute, told_s: int) -> DisputeSeen:
    return DisputeSeen(
        provider_id=dispute.id,
        state=DISPUTE_STATES.get(dispute.status, "open"),
        amount_minor=_ours(dispute.amount, dispute.currency),
        currency=dispute.currency.upper(),
        reason=dispute.reason,
        told_s=told_s,
    )


def signed(body: bytes, secret: str, now_ms: int) -> dict[str, str]:
    """The headers with which Stripe would send the event `body`: for rehearsals."""
    stamp = str(now_ms // 1000)
    mark = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return {"stripe-signature": f"t={stamp},v1={mark.hexdigest()}"}


def events_request() -> WireRequest:
    """Asks for the newest events, each as its webhook's body was."""
    return _get("/v1/events", [("limit", str(PAGE))])


def events(reply: WireReply) -> tuple[bytes, ...]:
    """The bodies of the listed events; none where the reply is no list."""
    try:
        listed = msgspec.json.decode(reply.body, type=EventList)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()
    return tuple(bytes(item) for item in listed.data)


def surroundings_request() -> WireRequest:
    """Asks for the webhook endpoints without naming a version, so that the reply tells the
    account's own."""
    return WireRequest(method="GET", path="/v1/webhook_endpoints", query=f"limit={PAGE}")


def surroundings(reply: WireReply) -> Surroundings | None:
    """The account's default version and its enabled endpoints; `None` where the reply is none."""
    try:
        listed = msgspec.json.decode(reply.body, type=HookEndpoints)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    hooks = tuple(
        HookAddress(item.url, item.api_version) for item in listed.data if item.status == "enabled"
    )
    return Surroundings(reply.header("stripe-version") or None, hooks)


_READERS: Final = {
    "authorize": _read_authorize,
    "capture": _read_intent,
    "void": _read_intent,
    "refund": _read_refund,
    "lookup": _read_intent,
    "find": _read_list,
    "list_refunds": _read_refunds,
    "list_disputes": _read_disputes,
}
_EVENT_READERS: Final = {
    "charge": _charge_event,
    "refund": _refund_event,
    "dispute": _dispute_event,
    "other": _other_event,
}

INTEGRATION: Final = Integration(
    provider="stripe",
    version=VERSION,
    base_url="https://api.stripe.com",
    request=request,
    outcome=outcome,
    event=event,
    credentials=credentials,
    in_flight_window_s=90,
    retention_s=86_400,
    authorization_s=604_800,
    units=UNITS,
    releases_as_refund=True,
    signed=signed,
    events_request=events_request,
    events=events,
    surroundings_request=surroundings_request,
    surroundings=surroundings,
    handles=frozenset({"stripe@2022-08-01", "stripe@2026-03-25.dahlia"}),
    reads={
        "authorize": PaymentIntent,
        "capture": PaymentIntent,
        "void": PaymentIntent,
        "refund": Refund,
        "lookup": PaymentIntent,
        "find": IntentList,
        "list_refunds": RefundList,
        "list_disputes": DisputeList,
        "error": ErrorReply,
        "event": EventReply,
        "surroundings": HookEndpoints,
        "events": EventList,
    },
    nested={
        "IntentList.data": PaymentIntent,
        "RefundList.data": Refund,
        "DisputeList.data": Dispute,
        "EventData.object": EventObject,
    },
    words={
        "authorize": {"status": tuple(INTENT_STATES)},
        "capture": {"status": tuple(INTENT_STATES)},
        "void": {"status": tuple(INTENT_STATES)},
        "lookup": {"status": tuple(INTENT_STATES)},
        "refund": {"status": tuple(REFUND_STATES)},
        "find": {"data[].status": tuple(INTENT_STATES)},
        "list_refunds": {"data[].status": tuple(REFUND_STATES)},
        "list_disputes": {"data[].status": tuple(DISPUTE_STATES)},
    },
)
