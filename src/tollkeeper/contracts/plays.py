"""Plays: this goes in, that must come out. What a description cannot show, a rehearsal does.

A play is a sequence of scenes at a live endpoint, a provider's sandbox or our simulator. Each scene
is one operation of an integration version and what must come of it. Pure: scenes in, verdicts out;
`flows.check` carries them to the endpoint.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tollkeeper.integrations.version import OperationInput
from tollkeeper.payments.outcome import Charge, Operation, Outcome

CURRENCY: Final = "EUR"
AMOUNT_MINOR: Final = 2_000


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a scene must bring. Only what is set is asked; amounts in minor units.

    `same_charge`: the charge is the one of the play's first scene (else it is a new one).
    """

    kind: str
    state: str | None = None
    reason: str | None = None
    captured_minor: int | None = None
    capturable_minor: int | None = None
    refund_minor: int | None = None
    same_charge: bool = False
    redirect: bool = False
    found: bool = False


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: what is changed in the order, and what must come of it. `again` repeats the
    idempotency key of the scene before; `webhook` reads the event about it instead of sending."""

    operation: Operation
    must: Said
    order: Mapping[str, Any] = {}
    again: bool = False
    webhook: bool = False


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """A name that states a fact, and its scenes."""

    name: str
    scenes: tuple[Scene, ...]


def _authorize(must: Said, card: str = "pm_card_visa", **order: Any) -> Scene:
    return Scene(operation="authorize", must=must, order={"payment_method": card, **order})


PAID: Final = Said(
    kind="approved", state="captured", captured_minor=AMOUNT_MINOR, capturable_minor=0
)
HELD: Final = Said(
    kind="approved", state="authorized", captured_minor=0, capturable_minor=AMOUNT_MINOR
)
MANUAL: Final = {"capture_method": "manual"}


def _declined(card: str, reason: str) -> Play:
    must = Said(kind="declined", reason=reason)
    return Play(name=f"a card is declined: {reason}", scenes=(_authorize(must, card),))


PLAYS: Final[tuple[Play, ...]] = (
    Play(name="a card is charged at once", scenes=(_authorize(PAID),)),
    Play(
        name="an authorization is captured",
        scenes=(
            _authorize(HELD, **MANUAL),
            Scene(
                operation="capture",
                must=Said(
                    kind="approved",
                    state="captured",
                    captured_minor=AMOUNT_MINOR,
                    same_charge=True,
                ),
            ),
        ),
    ),
    Play(
        name="a part of an authorization is captured and the rest released",
        scenes=(
            _authorize(HELD, **MANUAL),
            Scene(
                operation="capture",
                order={"amount_minor": 500},
                must=Said(
                    kind="approved",
                    state="captured",
                    captured_minor=500,
                    capturable_minor=0,
                    same_charge=True,
                ),
            ),
        ),
    ),
    Play(
        name="an authorization is voided",
        scenes=(
            _authorize(HELD, **MANUAL),
            Scene(
                operation="void",
                must=Said(kind="approved", state="canceled", same_charge=True),
            ),
        ),
    ),
    Play(
        name="a part of a charge is refunded and the refund is listed",
        scenes=(
            _authorize(PAID),
            Scene(
                operation="refund",
                order={"amount_minor": 700},
                must=Said(kind="approved", refund_minor=700),
            ),
            Scene(operation="list_refunds", must=Said(kind="approved", found=True)),
        ),
    ),
    _declined("pm_card_visa_chargeDeclined", "declined"),
    _declined("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    _declined("pm_card_visa_chargeDeclinedExpiredCard", "card_expired"),
    _declined("pm_card_visa_chargeDeclinedIncorrectCvc", "incorrect_security_code"),
    _declined("pm_card_visa_chargeDeclinedLostCard", "lost_or_stolen"),
    Play(
        name="a card that needs authentication redirects the shopper",
        scenes=(
            _authorize(
                Said(kind="pending", state="requires_action", redirect=True),
                "pm_card_threeDSecure2Required",
            ),
        ),
    ),
    Play(
        name="the same key twice is one charge",
        scenes=(
            _authorize(PAID),
            msgspec.structs.replace(
                _authorize(msgspec.structs.replace(PAID, same_charge=True)), again=True
            ),
        ),
    ),
    Play(
        name="a charge is looked up by its id",
        scenes=(
            _authorize(PAID),
            Scene(operation="lookup", must=msgspec.structs.replace(PAID, same_charge=True)),
        ),
    ),
    Play(
        name="a signed webhook tells whose charge it is, and a wrong signature nothing",
        scenes=(
            _authorize(PAID),
            Scene(operation="lookup", must=Said(kind="approved"), webhook=True),
        ),
    ),
    Play(
        name="a charge is found by our reference",
        scenes=(_authorize(PAID), Scene(operation="find", must=Said(kind="approved", found=True))),
    ),
)


def told(said: Outcome) -> dict[str, str]:
    """An outcome as fields that two readings can be compared by. Why something is unknown is left
    out: two versions may doubt for different reasons."""
    fields: dict[str, str] = {"kind": said.kind}
    if said.decline is not None:
        fields["decline"] = said.decline.reason
    if said.refusal is not None:
        fields["refusal"] = said.refusal.code
    for part in (said.charge, said.refund):
        if part is not None:
            fields |= {
                name: str(value)
                for name, value in msgspec.structs.asdict(part).items()
                if value is not None and name != "decline"
            }
    return fields


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One scene that did not bring what it must, or not what it brought for the baseline."""

    play: str
    operation: Operation
    expected: str
    seen: str


def wrong(
    play: Play, scene: Scene, order: OperationInput, first: Charge | None, said: Outcome
) -> list[str]:
    """What is wrong with the outcome of a scene; nothing when it is as it must be."""
    must, found = scene.must, []
    if said.kind != must.kind and not (must.kind == "approved" and _is_slow_refund(scene, said)):
        why = said.doubt.detail if said.doubt is not None else ""
        why = said.refusal.code if said.refusal is not None else why
        return [f"{said.kind} {why}".strip() + f", not {must.kind}"]
    for name, check in _CHECKS.items():
        problem = check(must, order, first, said)
        if problem is not None:
            found.append(f"{name}: {problem}")
    return found


def _is_slow_refund(scene: Scene, said: Outcome) -> bool:
    return scene.operation == "refund" and said.kind == "pending"


def _state(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    seen = said.charge.state if said.charge is not None else None
    return f"{seen}, not {must.state}" if must.state not in {None, seen} else None


def _money(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    charge = said.charge
    if charge is None:
        return None
    if (charge.amount_minor, charge.currency) != (AMOUNT_MINOR, CURRENCY):
        return f"{charge.amount_minor} {charge.currency}, asked {AMOUNT_MINOR} {CURRENCY}"
    if must.captured_minor not in {None, charge.captured_minor}:
        return f"captured {charge.captured_minor}, not {must.captured_minor}"
    if must.capturable_minor not in {None, charge.capturable_minor}:
        return f"capturable {charge.capturable_minor}, not {must.capturable_minor}"
    return None


def _identity(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    if must.same_charge and first is not None and said.charge is not None:
        if said.charge.provider_id != first.provider_id:
            return f"another charge, {said.charge.provider_id} and not {first.provider_id}"
        if said.charge.payment_id != order.payment_id:
            return f"our reference came back as {said.charge.payment_id}"
    return None


def _reason(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    seen = said.decline.reason if said.decline is not None else None
    return f"{seen}, not {must.reason}" if must.reason not in {None, seen} else None


def _redirect(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    url = said.charge.redirect_url if said.charge is not None else None
    return "nowhere to send the shopper" if must.redirect and not url else None


def _refund(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    seen = said.refund
    if must.refund_minor is None:
        return None
    if seen is None or (seen.amount_minor, seen.currency) != (must.refund_minor, CURRENCY):
        return f"{seen.amount_minor if seen else 'none'}, not {must.refund_minor}"
    return None


def _listing(must: Said, order: OperationInput, first: Charge | None, said: Outcome) -> str | None:
    if not must.found:
        return None
    charges = [c.payment_id for c in said.charges]
    refunds = [r.attempt_id for r in said.refunds]
    return None if order.payment_id in charges or refunds else "not in the listing"


_CHECKS: Final[
    Mapping[str, Callable[[Said, OperationInput, Charge | None, Outcome], str | None]]
] = {
    "state": _state,
    "money": _money,
    "charge": _identity,
    "decline": _reason,
    "redirect": _redirect,
    "refund": _refund,
    "listing": _listing,
}
