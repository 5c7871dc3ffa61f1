"""Charging a card for an intent: the issuer's word, authorization, capture, release.

Every function here is one complete effect on the books, with the events that tell of it.
"""

from typing import Any

from tollkeeper.simulator.stripe.cards import DECLINES, Card
from tollkeeper.simulator.stripe.disputes import open_dispute
from tollkeeper.simulator.stripe.problems import Problem
from tollkeeper.simulator.stripe.records import Capture, Charge, Intent, Origin, Refund
from tollkeeper.simulator.stripe.rendering import render_payment_method
from tollkeeper.simulator.stripe.versions import RELEASES_WITHOUT_REFUND, at_least
from tollkeeper.simulator.stripe.world import World


def charge_intent(world: World, intent: Intent, origin: Origin, *, authenticated: bool) -> None:
    """Ask the issuer and record its word, now or later; raises Problem (402) for a decline."""
    method = world.methods[intent.payment_method or ""]
    card = method.card
    decline = world.issuer.decline_of(card, world.chance)
    method.used = method.used or not decline
    charge = _new_charge(world, intent, card)
    charge.authenticated = authenticated
    world.shelves[intent.account].charges.add(charge)
    intent.charges.append(charge.id)
    if world.issuer.is_late(world.chance):
        _wait(world, intent, charge, decline, origin)
        return
    problem = _conclude(world, intent, charge, decline, origin)
    if problem is not None:
        raise problem


def _wait(world: World, intent: Intent, charge: Charge, decline: str, origin: Origin) -> None:
    """The issuer keeps us waiting: pending for now."""
    charge.pending = True
    intent.status = "processing"
    world.touch(charge)
    world.emit("charge.pending", charge, origin)
    world.emit("payment_intent.processing", intent, origin)

    def end() -> None:
        charge.pending = False
        _conclude(world, intent, charge, decline, Origin(source="issuer"))
        world.close_books()

    world.agenda.after(world.issuer.late_seconds, end)


def _conclude(
    world: World, intent: Intent, charge: Charge, decline: str, origin: Origin
) -> Problem | None:
    """The issuer has spoken; gives the refusal of a declined charge."""
    world.touch(charge)
    if decline:
        charge.declined, charge.decline_code = True, decline
        return _decline(world, intent, charge, origin)
    intent.last_payment_error = None
    if intent.capture_method == "manual":
        _authorize(world, intent, charge, origin)
    else:
        _take(world, intent, charge, origin)
    if charge.card.aftermath == "dispute":
        _plan_dispute(world, charge)
    return None


def _new_charge(world: World, intent: Intent, card: Card) -> Charge:
    return Charge(
        id=world.new_id("ch"),
        account=intent.account,
        intent=intent.id,
        amount=intent.amount,
        currency=intent.currency,
        created=world.now(),
        created_ms=world.now_ms(),
        origin=intent.confirmation,
        card=card,
        payment_method=intent.payment_method or "",
        metadata=dict(intent.metadata),
        customer=intent.customer,
        description=intent.description,
        receipt_email=intent.receipt_email,
        statement_descriptor=intent.statement_descriptor,
        statement_descriptor_suffix=intent.statement_descriptor_suffix,
        transfer_group=intent.transfer_group,
        shipping=intent.shipping,
        multicapture=intent.multicapture,
    )


def _decline(world: World, intent: Intent, charge: Charge, origin: Origin) -> Problem:
    intent.status = "requires_payment_method"
    method = render_payment_method(charge.payment_method, charge.card)
    intent.payment_method = None
    problem = card_problem(intent, charge.decline_code, charge.id, method)
    intent.last_payment_error = problem.error
    world.emit("charge.failed", charge, origin)
    world.emit("payment_intent.payment_failed", intent, origin)
    return problem


def card_problem(
    intent: Intent, decline_code: str, charge: str | None, method: dict[str, Any] | None
) -> Problem:
    """The refusal (402) that tells of a decline."""
    decline = DECLINES[decline_code]
    return Problem(
        402,
        decline.message,
        kind="card_error",
        code=decline.code,
        param="number" if decline_code == "incorrect_number" else None,
        intent=intent.id,
        decline_code=decline_code,
        charge=charge,
        payment_method=method,
    )


def _authorize(world: World, intent: Intent, charge: Charge, origin: Origin) -> None:
    seconds = world.config.authorization_seconds
    charge.capture_before = world.now() + int(seconds)
    intent.status = "requires_capture"
    intent.amount_capturable = intent.amount
    world.emit("charge.succeeded", charge, origin)
    world.emit("payment_intent.amount_capturable_updated", intent, origin)
    world.agenda.after(seconds, lambda: expire_authorization(world, intent))


def _take(world: World, intent: Intent, charge: Charge, origin: Origin) -> None:
    charge.captured = True
    charge.amount_captured = charge.amount
    charge.captures.append(Capture(charge.amount, world.now_ms(), Origin(source="charge")))
    intent.status = "succeeded"
    intent.amount_received = charge.amount
    if intent.capture_method == "automatic_async":
        seconds = world.config.async_capture_seconds
        world.agenda.after(seconds, lambda: _book_balance(world, charge))
    else:
        charge.balance_transaction = world.new_id("txn")
    world.emit("charge.succeeded", charge, origin)
    world.emit("payment_intent.succeeded", intent, origin)


def _book_balance(world: World, charge: Charge) -> None:
    """The balance transaction of an asynchronous capture appears later, and `charge.updated`."""
    charge.balance_transaction = world.new_id("txn")
    world.emit("charge.updated", charge, Origin(source="capture"), {"balance_transaction": None})


def capture_charge(
    world: World, intent: Intent, charge: Charge, amount: int, origin: Origin, *, final: bool
) -> None:
    """Capture `amount`; a final capture releases the rest and ends the intent.

    An amount of 0 is only the end of a multicapture.
    """
    assert amount > 0 or (final and charge.captured), "0 ends a multicapture, no more"
    charge.captured = True
    charge.amount_captured += amount
    if amount:
        charge.captures.append(Capture(amount, world.now_ms(), origin))
        charge.balance_transaction = world.new_id("txn")
    intent.amount_received += amount
    intent.amount_capturable -= amount
    world.touch(charge)
    if not final:
        world.emit("charge.updated", charge, origin)
        world.emit("payment_intent.amount_capturable_updated", intent, origin)
        return
    intent.status = "succeeded"
    _release(world, intent, charge, "capture", origin)
    world.emit("charge.captured", charge, origin)
    world.emit("payment_intent.succeeded", intent, origin)


def cancel_intent(world: World, intent: Intent, reason: str | None, origin: Origin) -> None:
    """Cancel an intent that is not final, releasing whatever is authorized."""
    charge = _authorized_charge(world, intent)
    if charge is not None:
        if not charge.amount_captured:
            charge.released = "voided"
        _release(world, intent, charge, "cancel", origin)
    if intent.amount_received:
        # Part of a multicapture was taken: canceling the rest completes the intent.
        intent.status = "succeeded"
        world.emit("payment_intent.succeeded", intent, origin)
        return
    _end(world, intent, reason, origin)


def expire_authorization(world: World, intent: Intent) -> None:
    """The authorization's time is over: released, and the intent canceled."""
    charge = _authorized_charge(world, intent)
    if charge is None:
        return
    origin = Origin(source="expiry")
    if not charge.amount_captured:
        charge.released = "expired"
    _release(world, intent, charge, "expiry", origin)
    world.emit("charge.expired", charge, origin)
    if intent.amount_received:
        intent.status = "succeeded"
        world.emit("payment_intent.succeeded", intent, origin)
    else:
        _end(world, intent, "expired", origin)
    world.close_books()


def _end(world: World, intent: Intent, reason: str | None, origin: Origin) -> None:
    intent.status = "canceled"
    intent.canceled_at = world.now()
    intent.cancellation_reason = reason
    world.emit("payment_intent.canceled", intent, origin)


def _authorized_charge(world: World, intent: Intent) -> Charge | None:
    if intent.status != "requires_capture":
        return None
    return world.shelves[intent.account].charges.get(intent.charges[-1])


def _release(world: World, intent: Intent, charge: Charge, source: str, origin: Origin) -> None:
    """Give back what is still held; money that was never captured does not move.

    Since RELEASES_WITHOUT_REFUND no refund tells of it. The version of the request decides, and
    the account's own version where no request asked for it.
    """
    rest, intent.amount_capturable = intent.amount_capturable, 0
    charge.capture_before = None
    world.touch(charge)
    if rest == 0:
        return
    version = origin.api_version or world.accounts[charge.account].api_version
    if at_least(version, RELEASES_WITHOUT_REFUND):
        charge.amount_released += rest
        return
    charge.captured_untold = world.config.untold_captures and not charge.amount_captured
    _list_release(world, charge, rest, source, origin)


def _list_release(world: World, charge: Charge, rest: int, source: str, origin: Origin) -> None:
    """The older form: the release is listed among the refunds, and counts in their sum."""
    release = Refund(
        id=world.new_id("re"),
        account=charge.account,
        charge=charge.id,
        intent=charge.intent,
        amount=rest,
        currency=charge.currency,
        created=world.now(),
        created_ms=world.now_ms(),
        origin=Origin(origin.request_id, origin.idempotency_key, origin.api_version, source),
        kind="release",
        status="succeeded",
        reason="expired_uncaptured_charge" if source == "expiry" else None,
    )
    world.shelves[charge.account].refunds.add(release)
    charge.refunds.append(release.id)
    charge.amount_refunded += rest
    world.emit("charge.refunded", charge, origin)


def _plan_dispute(world: World, charge: Charge) -> None:
    seconds = world.config.dispute_seconds
    world.agenda.after(seconds, lambda: open_dispute(world, charge, "fraudulent"))
