"""The control API: what only the operator of the simulator may do, all under `/_control/`.

It reads the books, puts faults in force, and makes happen what no merchant asks for: disputes,
refunds in the dashboard, refunds that fail, authorizations that expire, shoppers at their bank.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollkeeper.simulator.core.faults import FaultRule, Faults
from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe import charging, disputes, intents, refunding
from tollkeeper.simulator.stripe.config import KeyConfig
from tollkeeper.simulator.stripe.describing import description
from tollkeeper.simulator.stripe.issuer import IssuerModel
from tollkeeper.simulator.stripe.records import (
    Charge,
    Dispute,
    DisputeStatus,
    Intent,
    Origin,
    Refund,
)
from tollkeeper.simulator.stripe.webhooks import Outbox
from tollkeeper.simulator.stripe.world import World

SETTINGS: Final = (
    "latency_seconds",
    "rate_limit_per_second",
    "honors_idempotency",
    "authorization_seconds",
    "async_capture_seconds",
    "refund_settle_seconds",
    "dispute_seconds",
    "clock_offset_seconds",
    "webhook_clock_offset_seconds",
    "refuses_used_methods",
    "untold_captures",
    "webhook_delay_seconds",
)
"""Members of the configuration that may change while the simulator runs."""

DASHBOARD: Final = Origin(source="dashboard")


class Refused(Exception):
    """`status` and a sentence for the operator."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Nothing(msgspec.Struct):
    """A body without members."""


class DisputeBody(msgspec.Struct, forbid_unknown_fields=True):
    """`status` of `warning_needs_response` makes it an inquiry."""

    reason: str = "fraudulent"
    status: DisputeStatus = "needs_response"


class CloseBody(msgspec.Struct, forbid_unknown_fields=True):
    """`won` is the merchant's view."""

    won: bool


class DecideBody(msgspec.Struct, forbid_unknown_fields=True):
    status: DisputeStatus


class MethodBody(msgspec.Struct, forbid_unknown_fields=True):
    """`card` is a published test payment method; `customer` the owner, `used` whether a charge was
    made with it."""

    card: str = "pm_card_visa"
    customer: str = ""
    used: bool = False


class RefundBody(msgspec.Struct, forbid_unknown_fields=True):
    """`amount` in minor units; all that is left unless told."""

    amount: int | None = None


class FailBody(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = "expired_or_canceled_card"


class ChallengeBody(msgspec.Struct, forbid_unknown_fields=True):
    authenticated: bool


class Control(msgspec.Struct):
    """What the functions of the table ROUTES act on."""

    world: World
    faults: Faults
    outbox: Outbox

    def handle(self, request: SimRequest) -> SimReply:
        """Answer a control request as JSON; refusals carry `detail`."""
        parts = request.path.strip("/").split("/")
        target = parts[2] if len(parts) > 2 else ""
        pattern = "/".join([*parts[:2], *(["{id}"] if target else []), *parts[3:]])
        action = ROUTES.get((request.method, f"/{pattern}"))
        if action is None:
            return _json(404, {"detail": f"no control at {request.method} {request.path}"})
        try:
            return _json(200, action(self, target, request.body or b"{}"))
        except Refused as refused:
            return _json(refused.status, {"detail": refused.detail})
        except (msgspec.MsgspecError, ValueError) as error:
            return _json(422, {"detail": str(error)})


def health(control: Control, target: str, body: bytes) -> Any:
    """Says that the simulator is up."""
    return {"ok": True, "now_ms": control.world.now_ms()}


def ledger(control: Control, target: str, body: bytes) -> Any:
    """The books; the schema is `ledger.Ledger`."""
    return control.world.ledger()


def openapi(control: Control, target: str, body: bytes) -> Any:
    """The provider's published description (OpenAPI), at its newest version."""
    return description()


def list_faults(control: Control, target: str, body: bytes) -> Any:
    """The rules in force, each with its hits."""
    return list(control.faults.rules.values())


def add_fault(control: Control, target: str, body: bytes) -> Any:
    """Puts a rule in force; the body is a `faults.FaultRule`."""
    return control.faults.add(msgspec.json.decode(body, type=FaultRule))


def clear_faults(control: Control, target: str, body: bytes) -> Any:
    """Removes every rule."""
    control.faults.clear()
    return []


def remove_fault(control: Control, target: str, body: bytes) -> Any:
    """Removes one rule."""
    if not control.faults.remove(target):
        raise Refused(404, f"no fault {target}")
    return {"removed": target}


def read_issuer(control: Control, target: str, body: bytes) -> Any:
    """How cards are approved and declined."""
    return control.world.issuer


def write_issuer(control: Control, target: str, body: bytes) -> Any:
    """Replaces the issuer model; the body is an `issuer.IssuerModel`."""
    control.world.issuer = msgspec.json.decode(body, type=IssuerModel)
    return control.world.issuer


def read_settings(control: Control, target: str, body: bytes) -> Any:
    """The members of the configuration that may change while it runs."""
    return {name: getattr(control.world.config, name) for name in SETTINGS}


def write_settings(control: Control, target: str, body: bytes) -> Any:
    """Changes some of these members."""
    config = control.world.config
    current = {name: getattr(config, name) for name in SETTINGS}
    for name, value in msgspec.json.decode(body, type=dict[str, Any]).items():
        if name not in current:
            raise Refused(422, f"no setting {name!r}; there are: {', '.join(SETTINGS)}")
        setattr(config, name, msgspec.convert(value, type(current[name])))
    return read_settings(control, target, body)


def outbox(control: Control, target: str, body: bytes) -> Any:
    """Webhooks that were not accepted yet, and the events given up."""
    return {
        "pending": [
            {
                "event": delivery.event.id,
                "type": delivery.event.type,
                "url": delivery.endpoint.url,
                "attempts": delivery.attempts,
                "status": delivery.status,
                "due_ms": delivery.due_ms,
            }
            for delivery in control.outbox.pending.values()
        ],
        "abandoned": list(control.outbox.abandoned),
    }


def dispute(control: Control, target: str, body: bytes) -> Any:
    """A shopper disputes what remains of a charge; `status` may make it an inquiry."""
    wanted = msgspec.json.decode(body, type=DisputeBody)
    charge = _charge(control, target)
    dispute = disputes.open_dispute(control.world, charge, wanted.reason, wanted.status)
    if dispute is None:
        raise Refused(409, "there is nothing to dispute")
    return control.world.render(dispute)


def close(control: Control, target: str, body: bytes) -> Any:
    """The bank decides a dispute, for the first time or again: `won` or not."""
    wanted = msgspec.json.decode(body, type=CloseBody)
    dispute: Dispute = _found(control.world.find_dispute(target), target)
    disputes.decide_dispute(control.world, dispute, "won" if wanted.won else "lost")
    return control.world.render(dispute)


def decide(control: Control, target: str, body: bytes) -> Any:
    """The bank moves a dispute to any `status`, also one that was closed."""
    wanted = msgspec.json.decode(body, type=DecideBody)
    dispute: Dispute = _found(control.world.find_dispute(target), target)
    disputes.decide_dispute(control.world, dispute, wanted.status)
    return control.world.render(dispute)


def put_key(control: Control, target: str, body: bytes) -> Any:
    """Makes or changes a key: expired, restricted to `allowed`, or of another account."""
    wanted = msgspec.json.decode(body, type=KeyConfig)
    control.world.put_key(wanted)
    return wanted


def make_method(control: Control, target: str, body: bytes) -> Any:
    """Makes a payment method that may belong to a customer or be used up; gives its `id`."""
    wanted = msgspec.json.decode(body, type=MethodBody)
    identifier = control.world.make_method(wanted.card)
    if identifier is None:
        raise Refused(422, f"no card {wanted.card}")
    method = control.world.methods[identifier]
    method.customer, method.used = wanted.customer, wanted.used
    return {"id": identifier, **msgspec.structs.asdict(wanted)}


def refund(control: Control, target: str, body: bytes) -> Any:
    """Somebody refunds a charge in the provider's dashboard."""
    wanted = msgspec.json.decode(body, type=RefundBody)
    charge = _charge(control, target)
    rest = charge.amount_captured - charge.returned
    amount = rest if wanted.amount is None else wanted.amount
    if not 0 < amount <= rest or disputes.is_charged_back(control.world, charge):
        raise Refused(409, f"at most {rest} can be refunded, and nothing while disputed")
    refund = refunding.refund_charge(control.world, charge, amount, DASHBOARD)
    control.world.close_books()
    return control.world.render(refund)


def fail_refund(control: Control, target: str, body: bytes) -> Any:
    """A refund comes back, even after it had succeeded."""
    wanted = msgspec.json.decode(body, type=FailBody)
    refund: Refund = _found(control.world.find_refund(target), target)
    if not refunding.fail_refund(control.world, refund, wanted.reason):
        raise Refused(409, f"a refund that is {refund.status} cannot fail")
    return control.world.render(refund)


def expire(control: Control, target: str, body: bytes) -> Any:
    """An authorization's time is over now."""
    intent = _intent(control, target)
    if intent.status != "requires_capture":
        raise Refused(409, f"an intent that is {intent.status} holds no authorization")
    charging.expire_authorization(control.world, intent)
    return control.world.render(intent)


def challenge(control: Control, target: str, body: bytes) -> Any:
    """The shopper passes or fails authentication, without a browser."""
    wanted = msgspec.json.decode(body, type=ChallengeBody)
    intent = _intent(control, target)
    done = intents.complete_challenge(control.world, intent, authenticated=wanted.authenticated)
    if not done:
        raise Refused(409, f"an intent that is {intent.status} waits for no challenge")
    return control.world.render(intent)


def _charge(control: Control, identifier: str) -> Charge:
    return _found(control.world.find_charge(identifier), identifier)


def _intent(control: Control, identifier: str) -> Intent:
    return _found(control.world.find_intent(identifier), identifier)


def _found[R](record: R | None, identifier: str) -> R:
    if record is None:
        raise Refused(404, f"there is no {identifier}")
    return record


def _json(status: int, document: Any) -> SimReply:
    body = msgspec.json.encode(document)
    return SimReply(status, [("content-type", "application/json")], body)


ROUTES: Final[dict[tuple[str, str], Callable[[Control, str, bytes], Any]]] = {
    ("GET", "/_control/health"): health,
    ("GET", "/_control/ledger"): ledger,
    ("GET", "/_control/openapi.json"): openapi,
    ("GET", "/_control/faults"): list_faults,
    ("POST", "/_control/faults"): add_fault,
    ("DELETE", "/_control/faults"): clear_faults,
    ("DELETE", "/_control/faults/{id}"): remove_fault,
    ("GET", "/_control/issuer"): read_issuer,
    ("POST", "/_control/issuer"): write_issuer,
    ("GET", "/_control/settings"): read_settings,
    ("POST", "/_control/settings"): write_settings,
    ("GET", "/_control/outbox"): outbox,
    ("POST", "/_control/charges/{id}/dispute"): dispute,
    ("POST", "/_control/charges/{id}/refund"): refund,
    ("POST", "/_control/disputes/{id}/close"): close,
    ("POST", "/_control/disputes/{id}/decide"): decide,
    ("POST", "/_control/keys"): put_key,
    ("POST", "/_control/payment_methods"): make_method,
    ("POST", "/_control/refunds/{id}/fail"): fail_refund,
    ("POST", "/_control/intents/{id}/expire"): expire,
    ("POST", "/_control/intents/{id}/challenge"): challenge,
}
