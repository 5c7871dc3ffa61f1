"""Chargebacks and inquiries: a shopper's bank asks, takes money back, keeps it or returns it.

A bank may decide again, and an inquiry may become a chargeback. Source: Stripe's public
description of the dispute object and its public list of event types.
"""

from typing import Final, get_args

from tollkeeper.simulator.stripe.records import Charge, Dispute, DisputeStatus, Origin
from tollkeeper.simulator.stripe.world import World

ISSUER = Origin(source="issuer")

STATUSES: Final[tuple[DisputeStatus, ...]] = get_args(DisputeStatus)
CLOSED: Final[tuple[DisputeStatus, ...]] = ("warning_closed", "won", "lost", "prevented")
WITHDRAWN: Final[tuple[DisputeStatus, ...]] = ("needs_response", "under_review", "lost")
"""While a dispute is one of these, the bank holds the money."""


def open_dispute(
    world: World, charge: Charge, reason: str, status: DisputeStatus = "needs_response"
) -> Dispute | None:
    """Dispute what remains of a captured charge; None if there is nothing to dispute."""
    amount = charge.amount_captured - charge.returned
    if charge.disputed or amount <= 0:
        return None
    dispute = Dispute(
        id=world.new_id("du"),
        account=charge.account,
        charge=charge.id,
        intent=charge.intent,
        amount=amount,
        currency=charge.currency,
        created=world.now(),
        reason=reason,
        status=status,
    )
    world.shelves[charge.account].disputes.add(dispute)
    charge.disputed = True
    charge.disputes.append(dispute.id)
    world.touch(charge)
    world.emit("charge.dispute.created", dispute, ISSUER)
    _move_funds(world, dispute)
    world.close_books()
    return dispute


def decide_dispute(world: World, dispute: Dispute, status: DisputeStatus) -> None:
    """The bank moves a dispute to `status`, also one that it had closed before.

    Repeating the present status changes nothing.
    """
    if dispute.status == status:
        return
    previous, dispute.status = dispute.status, status
    charge = world.shelves[dispute.account].charges.get(dispute.charge)
    if charge is not None:
        world.touch(charge)
    kind = "charge.dispute.closed" if status in CLOSED else "charge.dispute.updated"
    world.emit(kind, dispute, ISSUER, {"status": previous})
    _move_funds(world, dispute)
    world.close_books()


def _move_funds(world: World, dispute: Dispute) -> None:
    withdrawn = dispute.status in WITHDRAWN
    if withdrawn == dispute.withdrawn:
        return
    dispute.withdrawn = withdrawn
    move = "withdrawn" if withdrawn else "reinstated"
    world.emit(f"charge.dispute.funds_{move}", dispute, ISSUER)


def is_charged_back(world: World, charge: Charge) -> bool:
    """Whether a dispute of `charge` blocks refunds: an inquiry or a prevented dispute does not."""
    disputes = world.shelves[charge.account].disputes
    found = [disputes.get(identifier) for identifier in charge.disputes]
    return any(dispute is not None and dispute.blocks_refunds for dispute in found)
