"""Chargebacks: a shopper's bank takes money back, and later keeps it or returns it."""

from tollkeeper.simulator.records import Charge, Dispute, Origin
from tollkeeper.simulator.world import World

ISSUER = Origin(source="issuer")


def open_dispute(world: World, charge: Charge, reason: str) -> Dispute | None:
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
    )
    world.shelves[charge.account].disputes.add(dispute)
    charge.disputed = True
    charge.disputes.append(dispute.id)
    world.touch(charge)
    world.emit("charge.dispute.created", dispute, ISSUER)
    world.close_books()
    return dispute


def close_dispute(world: World, dispute: Dispute, *, won: bool) -> None:
    """The bank decides; `won` is the merchant's view. A closed dispute stays as it is."""
    if dispute.status in ("won", "lost"):
        return
    dispute.status = "won" if won else "lost"
    charge = world.shelves[dispute.account].charges.get(dispute.charge)
    if charge is not None:
        world.touch(charge)
    world.emit("charge.dispute.closed", dispute, ISSUER)
    world.close_books()
