"""Giving money back: refunds by the merchant or its dashboard, and refunds that fail afterwards."""

from typing import Any

from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.calls import Call, shelves_of
from tollkeeper.simulator.stripe.currencies import check_step
from tollkeeper.simulator.stripe.disputes import is_charged_back
from tollkeeper.simulator.stripe.parameters import merged_metadata
from tollkeeper.simulator.stripe.problems import Problem
from tollkeeper.simulator.stripe.records import Charge, Origin, Refund
from tollkeeper.simulator.stripe.world import World


def create_refund(world: World, call: Call) -> Refund:
    """POST /v1/refunds."""
    charge = _charge_to_refund(world, call)
    amount = _amount(charge, call.get("amount"))
    return refund_charge(
        world,
        charge,
        amount,
        call.origin,
        reason=call.get("reason"),
        metadata=merged_metadata({}, call.get("metadata")),
    )


def check_refund(world: World, call: Call) -> None:
    """What is refused before execution: neither a charge nor an intent is named."""
    if not call.get("charge") and not call.get("payment_intent"):
        message = (
            "One of the following params should be provided for this request:"
            " payment_intent or charge."
        )
        raise Problem(400, message, code="parameter_missing")


def _charge_to_refund(world: World, call: Call) -> Charge:
    shelves = shelves_of(world, call)
    charge = None
    if identifier := call.get("charge"):
        charge = shelves.charges.get(identifier)
        if charge is None:
            raise problems.no_such("charge", identifier, "charge")
    else:
        identifier = call.get("payment_intent")
        intent = shelves.intents.get(identifier)
        if intent is None:
            raise problems.no_such("payment_intent", identifier, "payment_intent")
        charge = shelves.charges.get(intent.charges[-1]) if intent.charges else None
    _refuse_unrefundable(world, charge, identifier)
    assert charge is not None, "refused above"
    return charge


def _refuse_unrefundable(world: World, charge: Charge | None, identifier: str) -> None:
    if charge is None or charge.declined or charge.pending:
        raise Problem(400, f"This PaymentIntent ({identifier}) has no successful charge to refund.")
    if not charge.captured:
        message = (
            f"This uncaptured Charge was created by a PaymentIntent ({charge.intent}). You must"
            " cancel the PaymentIntent to reverse the authorization."
        )
        raise Problem(400, message)
    if is_charged_back(world, charge):
        message = f"Charge {charge.id} has been charged back; cannot issue a refund."
        raise Problem(400, message, code="charge_disputed")


def _amount(charge: Charge, asked: int | None) -> int:
    rest = charge.amount_captured - charge.returned
    if rest <= 0:
        message = f"Charge {charge.id} has already been refunded."
        raise Problem(400, message, code="charge_already_refunded")
    if asked is not None and asked > rest:
        # As observed at Stripe: `param`, no `code`.
        message = (
            f"Refund amount ({asked} {charge.currency}) is greater than unrefunded amount on"
            f" charge ({rest} {charge.currency})"
        )
        raise problems.invalid("amount", message)
    amount = rest if asked is None else asked
    check_step(amount, charge.currency, "amount")
    return amount


def refund_charge(
    world: World,
    charge: Charge,
    amount: int,
    origin: Origin,
    *,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Refund:
    """Give `amount` back; what is given back must not exceed what was captured."""
    assert 0 < amount <= charge.amount_captured - charge.returned
    slow = charge.card.aftermath == "refund_pending"
    refund = Refund(
        id=world.new_id("re"),
        account=charge.account,
        charge=charge.id,
        intent=charge.intent,
        amount=amount,
        currency=charge.currency,
        created=world.now(),
        created_ms=world.now_ms(),
        origin=origin,
        kind="refund",
        status="pending" if slow else "succeeded",
        reason=reason,
        balance_transaction=world.new_id("txn"),
        metadata=metadata or {},
    )
    world.shelves[charge.account].refunds.add(refund)
    charge.refunds.append(refund.id)
    charge.amount_refunded += amount
    charge.returned += amount
    world.touch(charge)
    world.emit("refund.created", refund, origin)
    world.emit("charge.refunded", charge, origin)
    _plan_aftermath(world, charge, refund)
    return refund


def _plan_aftermath(world: World, charge: Charge, refund: Refund) -> None:
    seconds = world.config.refund_settle_seconds
    if charge.card.aftermath == "refund_pending":
        world.agenda.after(seconds, lambda: settle_refund(world, refund))
    elif charge.card.aftermath == "refund_fails":
        world.agenda.after(seconds, lambda: fail_refund(world, refund))


def settle_refund(world: World, refund: Refund) -> None:
    """A pending refund arrives."""
    if refund.status != "pending":
        return
    refund.status = "succeeded"
    _announce_update(world, refund, {"status": "pending"})
    world.close_books()


def fail_refund(world: World, refund: Refund, reason: str = "expired_or_canceled_card") -> bool:
    """A refund comes back, even one that had succeeded; False if it cannot fail any more."""
    if refund.kind != "refund" or refund.status not in ("pending", "succeeded"):
        return False
    charge = world.shelves[refund.account].charges.get(refund.charge)
    assert charge is not None, "a refund has a charge"
    before = refund.status
    refund.status = "failed"
    refund.failure_reason = reason
    charge.amount_refunded -= refund.amount
    charge.returned -= refund.amount
    _announce_update(world, refund, {"status": before})
    world.emit("refund.failed", refund, Origin(source="issuer"))
    world.close_books()
    return True


def _announce_update(world: World, refund: Refund, previous: dict[str, Any]) -> None:
    charge = world.shelves[refund.account].charges.get(refund.charge)
    if charge is not None:
        world.touch(charge)
    origin = Origin(source="issuer")
    world.emit("charge.refund.updated", refund, origin, previous)
    world.emit("refund.updated", refund, origin, previous)
