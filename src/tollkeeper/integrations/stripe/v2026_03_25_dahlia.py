"""Stripe, API version 2026-03-25.dahlia: the current dated version when this was written.

Pinned by the `Stripe-Version` header. What we read has kept its shape since 2022-11-15: the charge
is `latest_charge`, and refunds are listed on their own. Since 2023-08-16 Stripe offers every
payment method by default, so `payment_method_types` is what keeps us to cards.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
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
    Event,
    EventTopic,
    Operation,
    Outcome,
    RefundSeen,
    RefundState,
    Refusal,
    unknown,
)

VERSION: Final = "2026-03-25.dahlia"
TOLERANCE_S: Final = 300
PAGE: Final = 100


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


class PaymentIntent(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    amount_capturable: Amount | None = None
    amount_received: Amount | None = None
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    next_action: NextAction | None = None
    last_payment_error: LastPaymentError | None = None
    latest_charge: LatestCharge | str | None = None


class Refund(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    payment_intent: str | None = None
    metadata: Metadata = msgspec.field(default_factory=Metadata)


class Dispute(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    reason: str = ""
    payment_intent: str | None = None


class ListedIntent(msgspec.Struct):
    id: str
    metadata: Metadata = msgspec.field(default_factory=Metadata)


class IntentList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class RefundList(msgspec.Struct):
    data: list[Refund]
    has_more: bool


class Error(msgspec.Struct):
    type: str
    code: str | None = None
    decline_code: str | None = None
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


class EventObject(msgspec.Struct):
    id: str
    payment_intent: str | None = None
    metadata: Metadata = msgspec.field(default_factory=Metadata)


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
    "won": "won",
    "lost": "lost",
    "warning_closed": "won",
}
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
LATER_STATUSES: Final = frozenset({401, 429})
REFUSED_CODES: Final = words(
    """
    amount_too_large amount_too_small api_key_expired charge_already_captured
    charge_already_refunded charge_disputed charge_expired_for_capture country_unsupported
    email_invalid invalid_charge_amount invalid_charge_amount_no_decimal_compatible
    parameter_invalid_empty parameter_invalid_integer
    parameter_invalid_string_blank parameter_invalid_string_empty parameter_missing
    parameter_unknown parameters_exclusive payment_intent_incompatible_payment_method
    payment_intent_unexpected_state payment_method_invalid_parameter
    payment_method_unexpected_state refund_disputed_payment resource_missing
    secret_key_required testmode_charges_only url_invalid
    """
)
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


def _authorize_fields(order: Order) -> list[tuple[str, str]]:
    fields = [
        ("amount", _amount(order)),
        ("currency", order.currency.lower()),
        ("confirm", "true"),
        ("capture_method", order.capture_method),
        ("payment_method", order.payment_method),
        ("payment_method_types[]", "card"),
        *_metadata(order),
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
        body = storable(reply.body)
        said = _READERS[operation](body) if reply.status == 200 else _refusal(reply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        pointer = _pointer(str(error))
        said = unknown("decode", f"{operation}: {error}", pointer, reply.body[:80])
    return msgspec.structs.replace(said, provider_request_id=reply.header("request-id"))


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
        payment_id=intent.metadata.tollkeeper_payment,
        attempt_id=intent.metadata.tollkeeper_attempt,
        redirect_url=redirect,
        decline=decline,
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
        return Outcome(kind="declined", refund=seen, decline=Decline("declined", refund.status))
    return Outcome(kind="pending" if seen.state == "pending" else "approved", refund=seen)


def _refund_seen(refund: Refund) -> RefundSeen | None:
    state = REFUND_STATES.get(refund.status)
    if state is None:
        return None
    return RefundSeen(
        provider_id=refund.id,
        state=state,
        amount_minor=_ours(refund.amount, refund.currency),
        currency=refund.currency.upper(),
        charge_id=refund.payment_intent,
        attempt_id=refund.metadata.tollkeeper_attempt,
    )


def _read_list(body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=IntentList)
    charges, last = [], None
    for raw in page.data:
        listed = msgspec.json.decode(raw, type=ListedIntent)
        last = listed.id
        if listed.metadata.tollkeeper_payment is None:
            continue
        said = _read_intent(raw)
        if said.charge is None:
            return said
        charges.append(said.charge)
    cursor = last if page.has_more else None
    return Outcome(kind="approved", charges=tuple(charges), next_cursor=cursor)


def _read_refunds(body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=RefundList)
    seen = [_refund_seen(refund) for refund in page.data]
    if None in seen:
        return unknown("contract", "refund status word not known", "/data/-/status")
    cursor = page.data[-1].id if page.has_more and page.data else None
    return Outcome(
        kind="approved", refunds=tuple(item for item in seen if item), next_cursor=cursor
    )


def _refusal(reply: WireReply) -> Outcome:
    """A reply that is not 200: a decline, a proof that nothing was executed, or unknown."""
    error = _error(reply.body)
    if reply.status == 402 and error is not None and error.type == "card_error":
        said = _intent(error.payment_intent) if error.payment_intent else None
        if said is not None and said.charge is None:
            return said  # its intent cannot be read, so neither can what it says about it
        charge = said.charge if said is not None else None
        return Outcome(kind="declined", decline=_decline(error), charge=charge)
    if reply.status in REFUSED_STATUSES:
        code = error.code if error is not None and error.code else f"http_{reply.status}"
        later = reply.status in LATER_STATUSES
        return Outcome(kind="failed", refusal=Refusal(code, f"status {reply.status}", later))
    if reply.status == 400 and error is not None and error.code in REFUSED_CODES:
        return Outcome(kind="failed", refusal=Refusal(error.code or "", error.type))
    word = f"{error.type} {error.code}" if error is not None else reply.body[:60]
    return unknown("status", f"status {reply.status}", "", word)


def _error(body: bytes) -> Error | None:
    try:
        return msgspec.json.decode(body, type=ErrorReply).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _decline(error: Error | LastPaymentError) -> Decline:
    word = error.decline_code or error.code or ""
    reason = DECLINE_REASONS.get(word) or DECLINE_REASONS.get(error.code or "", "declined")
    return Decline(reason, word)


def event(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...], now_ms: int) -> Event:
    """The webhook in our words, after its signature and its time were checked."""
    _check_signature(body, headers.get("stripe-signature", ""), secrets, now_ms)
    try:
        said = msgspec.json.decode(storable(body), type=EventReply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EventUnreadable(f"the body is no event: {error}") from error
    try:
        return _EVENT_READERS[EVENT_TOPICS.get(said.type, "other")](said)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _unread_event(said)


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
        payment_id=item.metadata.tollkeeper_payment,
        attempt_id=item.metadata.tollkeeper_attempt,
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
        payment_id=item.metadata.tollkeeper_payment,
        attempt_id=item.metadata.tollkeeper_attempt,
        charge=charge,
    )


def _refund_event(said: EventReply) -> Event:
    item = msgspec.json.decode(said.data.object, type=EventObject)
    return Event(
        event_id=said.id,
        word=said.type,
        topic="refund",
        charge_id=item.payment_intent,
        payment_id=item.metadata.tollkeeper_payment,
        attempt_id=item.metadata.tollkeeper_attempt,
    )


def _dispute_event(said: EventReply) -> Event:
    dispute = msgspec.json.decode(said.data.object, type=Dispute)
    seen = DisputeSeen(
        provider_id=dispute.id,
        state=DISPUTE_STATES.get(dispute.status, "open"),
        amount_minor=_ours(dispute.amount, dispute.currency),
        currency=dispute.currency.upper(),
        reason=dispute.reason,
    )
    return Event(
        event_id=said.id,
        word=said.type,
        topic="dispute",
        charge_id=dispute.payment_intent,
        dispute=seen,
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
    in_flight_window_s=45,
    retention_s=86_400,
    authorization_s=604_800,
    units=UNITS,
    signed=signed,
    events_request=events_request,
    events=events,
    surroundings_request=surroundings_request,
    surroundings=surroundings,
    handles=frozenset({"stripe@2022-08-01", "stripe@2022-11-15"}),
    reads={
        "authorize": PaymentIntent,
        "capture": PaymentIntent,
        "void": PaymentIntent,
        "refund": Refund,
        "lookup": PaymentIntent,
        "find": IntentList,
        "list_refunds": RefundList,
        "error": ErrorReply,
        "event": EventReply,
        "surroundings": HookEndpoints,
        "events": EventList,
    },
    nested={"IntentList.data": PaymentIntent, "EventData.object": EventObject},
    words={
        "authorize": {"status": tuple(INTENT_STATES)},
        "capture": {"status": tuple(INTENT_STATES)},
        "void": {"status": tuple(INTENT_STATES)},
        "lookup": {"status": tuple(INTENT_STATES)},
        "refund": {"status": tuple(REFUND_STATES)},
        "find": {"data[].status": tuple(INTENT_STATES)},
        "list_refunds": {"data[].status": tuple(REFUND_STATES)},
    },
)
