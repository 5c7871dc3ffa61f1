"""Payment intents: created, confirmed, captured, canceled, updated; the operations on the wire."""

from contextlib import suppress
from typing import Any

from tollkeeper.simulator.stripe import charging, problems
from tollkeeper.simulator.stripe.calls import Call, intent_of, shelves_of
from tollkeeper.simulator.stripe.cards import CARDS, TOKENS
from tollkeeper.simulator.stripe.currencies import check_amount, check_step
from tollkeeper.simulator.stripe.parameters import merged_metadata
from tollkeeper.simulator.stripe.problems import Problem
from tollkeeper.simulator.stripe.records import Intent, Origin
from tollkeeper.simulator.stripe.versions import at_least
from tollkeeper.simulator.stripe.world import World

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
)


def check_create(world: World, call: Call) -> None:
    """What is refused before execution."""
    check_amount(call.params["amount"], call.params["currency"].lower())
    if call.get("confirm"):
        _refuse_redirects_to_nowhere(call)
    elif call.get("return_url") or call.get("off_session"):
        name = "return_url" if call.get("return_url") else "off_session"
        raise problems.invalid(name, f"You can only use `{name}` when `confirm` is set to `true`.")


def _refuse_redirects_to_nowhere(call: Call) -> None:
    """With automatic payment methods a shopper might be sent away, so there must be a way back."""
    methods = _automatic_methods(call)
    if methods is None or methods.get("allow_redirects") == "never" or call.get("return_url"):
        return
    message = (
        "This PaymentIntent is configured to accept payment methods enabled in your Dashboard."
        " Because some of these might redirect your customer off of your page, you must provide"
        " a `return_url`, or set `automatic_payment_methods[allow_redirects]` to `never`."
    )
    raise Problem(400, message)


def _automatic_methods(call: Call) -> dict[str, Any] | None:
    """As asked for; since 2023-08-16 also when neither they nor a list of types is given."""
    given = call.get("automatic_payment_methods")
    if given is not None:
        enabled = given.get("enabled") == "true"
        redirects = given.get("allow_redirects", "always")
        return {"allow_redirects": redirects, "enabled": True} if enabled else None
    if call.get("payment_method_types") or not at_least(call.version, "2023-08-16"):
        return None
    return {"allow_redirects": "always", "enabled": True}


def create_intent(world: World, call: Call) -> Intent:
    """POST /v1/payment_intents."""
    _check_customer(world, call)
    method = _method(world, call, call.get("customer"))
    intent = _new_intent(world, call)
    shelves_of(world, call).intents.add(intent)
    world.emit("payment_intent.created", intent, call.origin)
    if method is not None:
        intent.payment_method = method
        intent.status = "requires_confirmation"
    if call.get("confirm"):
        _confirm(world, call, intent)
    return intent


def _new_intent(world: World, call: Call) -> Intent:
    identifier = world.new_id("pi")
    default = "automatic_async" if at_least(call.version, "2024-04-10") else "automatic"
    automatic = _automatic_methods(call)
    types = call.get("payment_method_types") or (["card", "link"] if automatic else ["card"])
    return Intent(
        id=identifier,
        account=call.account.id,
        amount=call.params["amount"],
        currency=call.params["currency"].lower(),
        created=world.now(),
        client_secret=f"{identifier}_secret_{world.new_id('s')[2:]}",
        origin=call.origin,
        capture_method=call.get("capture_method", default),
        confirmation_method=call.get("confirmation_method", "automatic"),
        payment_method_types=types,
        automatic_payment_methods=automatic,
        return_url=call.get("return_url"),
        customer=call.get("customer"),
        description=call.get("description"),
        receipt_email=call.get("receipt_email"),
        setup_future_usage=call.get("setup_future_usage"),
        statement_descriptor=call.get("statement_descriptor"),
        statement_descriptor_suffix=call.get("statement_descriptor_suffix"),
        transfer_group=call.get("transfer_group"),
        shipping=call.get("shipping"),
        multicapture=_asks_multicapture(call),
        metadata=merged_metadata({}, call.get("metadata")),
    )


def _asks_multicapture(call: Call) -> bool:
    card = call.get("payment_method_options", {}).get("card")
    return isinstance(card, dict) and card.get("request_multicapture") == "if_available"


def _check_customer(world: World, call: Call) -> None:
    customer = call.get("customer")
    if customer and shelves_of(world, call).customers.get(customer) is None:
        raise problems.no_such("customer", customer, "customer", 400)


def _method(world: World, call: Call, customer: str | None) -> str | None:
    """The payment method named in the call, attached; raises Problem (400) if there is none."""
    named = call.get("payment_method")
    if named is None:
        data = call.get("payment_method_data") or {}
        card = data.get("card")
        named = card.get("token") if isinstance(card, dict) else None
        if named is None:
            return None
        if named not in TOKENS and named not in CARDS:
            raise problems.no_such("token", str(named), "payment_method_data[card][token]", 400)
    method = world.make_method(named)
    if method is None:
        raise problems.no_such("PaymentMethod", named, "payment_method", 400)
    _check_method(world, method, customer)
    return method


def _check_method(world: World, identifier: str, customer: str | None) -> None:
    """Refusals without a code, as observed at Stripe: a method of a customer, or one used up."""
    method = world.methods[identifier]
    if method.customer and customer is None:
        raise Problem(400, problems.CUSTOMER_MISSING)
    if method.customer and customer != method.customer:
        raise problems.not_the_customers(identifier)
    if method.used and not method.customer and world.config.refuses_used_methods:
        raise Problem(400, problems.METHOD_USED)


def confirm_intent(world: World, call: Call) -> Intent:
    """POST /v1/payment_intents/{id}/confirm."""
    intent = intent_of(world, call)
    if intent.status not in CONFIRMABLE:
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being"
            " previously confirmed."
            if intent.status in ("succeeded", "requires_capture")
            else f"You cannot confirm this PaymentIntent: its status is {intent.status}."
        )
        code = "payment_intent_unexpected_state"
        raise Problem(400, message, code=code, intent=intent.id)
    method = _method(world, call, intent.customer)
    if method is not None:
        intent.payment_method = method
    intent.return_url = call.get("return_url", intent.return_url)
    intent.capture_method = call.get("capture_method", intent.capture_method)
    intent.multicapture = intent.multicapture or _asks_multicapture(call)
    _confirm(world, call, intent)
    return intent


def _confirm(world: World, call: Call, intent: Intent) -> None:
    if intent.payment_method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        code = "payment_intent_unexpected_state"
        raise Problem(400, message, code=code, intent=intent.id)
    card = world.methods[intent.payment_method].card
    intent.confirmation = call.origin
    if card.challenge == "required":
        if call.get("off_session", "false") != "false" or call.get("error_on_requires_action"):
            intent.status = "requires_payment_method"
            raise charging.card_problem(intent, "authentication_required", None, None)
        intent.status = "requires_action"
        world.emit("payment_intent.requires_action", intent, call.origin)
        return
    charging.charge_intent(world, intent, call.origin, authenticated=False)


def complete_challenge(world: World, intent: Intent, *, authenticated: bool) -> bool:
    """The shopper is back from the bank; False if the intent does not wait for that.

    What the issuer says to an authenticated charge shows in the intent, not in this answer.
    """
    if intent.status != "requires_action":
        return False
    origin = Origin(source="challenge")
    if authenticated:
        with suppress(Problem):  # A decline is recorded in the intent and told by events.
            charging.charge_intent(world, intent, origin, authenticated=True)
    else:
        _fail_authentication(world, intent, origin)
    world.close_books()
    return True


def _fail_authentication(world: World, intent: Intent, origin: Origin) -> None:
    intent.status = "requires_payment_method"
    intent.payment_method = None
    intent.last_payment_error = Problem(
        402,
        "The provided PaymentMethod has failed authentication.",
        code="payment_intent_authentication_failure",
    ).error
    world.emit("payment_intent.payment_failed", intent, origin)


def capture_intent(world: World, call: Call) -> Intent:
    """POST /v1/payment_intents/{id}/capture."""
    intent = intent_of(world, call)
    if intent.status != "requires_capture":
        raise problems.unexpected_state(intent.id, "captured", intent.status, "requires_capture")
    charge = shelves_of(world, call).charges.get(intent.charges[-1])
    assert charge is not None, "requires_capture has a charge"
    amount = call.get("amount_to_capture", intent.amount_capturable)
    if amount > intent.amount_capturable:
        message = (
            f"The amount to capture ({amount}) is greater than the remaining capturable amount"
            f" ({intent.amount_capturable})."
        )
        raise Problem(400, message, code="amount_too_large", param="amount_to_capture")
    check_step(amount, intent.currency, "amount_to_capture")
    final = call.get("final_capture", True)
    if amount == 0 and not (final and charge.captured):
        raise problems.too_low("amount_to_capture", 1)  # 0 only releases the rest of a multicapture
    if not final and not charge.multicapture:
        message = "`final_capture` may only be false if multicapture is available."
        raise problems.invalid("final_capture", message)
    intent.metadata = merged_metadata(intent.metadata, call.get("metadata"))
    charging.capture_charge(world, intent, charge, amount, call.origin, final=final)
    return intent


def cancel_intent(world: World, call: Call) -> Intent:
    """POST /v1/payment_intents/{id}/cancel."""
    intent = intent_of(world, call)
    if intent.status not in CANCELABLE:
        allowed = ", ".join(CANCELABLE)
        raise problems.unexpected_state(intent.id, "canceled", intent.status, allowed)
    charging.cancel_intent(world, intent, call.get("cancellation_reason"), call.origin)
    return intent


def update_intent(world: World, call: Call) -> Intent:
    """POST /v1/payment_intents/{id}."""
    intent = intent_of(world, call)
    _check_customer(world, call)
    amount = call.get("amount", intent.amount)
    currency = call.get("currency", intent.currency).lower()
    if (amount, currency) != (intent.amount, intent.currency):
        if intent.status not in CONFIRMABLE:
            allowed = ", ".join(CONFIRMABLE)
            raise problems.unexpected_state(intent.id, "updated", intent.status, allowed)
        check_amount(amount, currency)
        intent.amount, intent.currency = amount, currency
    method = _method(world, call, call.get("customer", intent.customer))
    if method is not None and intent.status in CONFIRMABLE:
        intent.payment_method, intent.status = method, "requires_confirmation"
    intent.metadata = merged_metadata(intent.metadata, call.get("metadata"))
    for name in ("description", "receipt_email", "customer", "statement_descriptor_suffix"):
        if name in call.params:
            setattr(intent, name, call.params[name])
    return intent


def retrieve_intent(world: World, call: Call) -> Intent:
    """GET /v1/payment_intents/{id}."""
    return intent_of(world, call)
