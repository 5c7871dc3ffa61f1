"""Classes of result: what one attempt's outcome proves, and so whether anything may be sent again.

Law: in doubt it is C. Once a connection was acquired, no reply means C; an approval whose amount,
currency or reference is not ours means C; nothing but a parsed proof means B1.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from tollkeeper.payments.outcome import (
    Charge,
    Doubt,
    Outcome,
    OutcomeKind,
    RefundSeen,
    Refusal,
    UnreadRow,
    unknown,
)
from tollkeeper.payments.payment import Attempt, Books, MoneyOperation, Payment, ResultClass

NOT_SENT: Final = "not_sent"
"""The refusal code of class A."""


def not_sent(error: str, detail: str) -> Outcome:
    """The outcome of an attempt that never reached a connection, or whose request could not be
    built. `error` is an RFC 9209 word or `build_error`."""
    return Outcome(kind="failed", refusal=Refusal(NOT_SENT, f"{error}: {detail}"[:200]))


def silence(stage: str, error: str) -> Outcome:
    """The outcome of an attempt that had a connection and got no whole reply."""
    return unknown("silence", f"no usable reply at stage {stage}: {error}")


def classify(outcome: Outcome) -> ResultClass | None:
    """A, B1, B2 or C; `None` for an approval and for a pending result."""
    if outcome.kind == "failed":
        refusal = outcome.refusal
        return "A" if refusal is not None and refusal.code == NOT_SENT else "B1"
    if outcome.kind == "declined":
        return "B2"
    return "C" if outcome.kind == "unknown" else None


def may_send_elsewhere(result_class: ResultClass | None) -> bool:
    """Whether another version may be tried: only on proof that the first had no effect."""
    return result_class in {"A", "B1"}


def judge(payment: Payment, attempt: Attempt, outcome: Outcome) -> Outcome:
    """`outcome`, or `unknown` in its place where what it says is not what we asked for."""
    if outcome.kind not in {"approved", "pending", "declined"}:
        return outcome
    wrong = _CHECKS[attempt.operation](payment, attempt, outcome) or _contradiction(outcome)
    if wrong is None:
        return outcome
    return msgspec.structs.replace(
        outcome, kind="unknown", decline=None, doubt=Doubt("mismatch", wrong)
    )


def judge_seen(payment: Payment, attempt: Attempt, outcome: Outcome) -> Outcome:
    """As `judge`, for what another version sees right after the send. A hold that it takes for
    captured is not believed: nobody can have captured it yet, and there is no second reading."""
    said = judge(payment, attempt, outcome)
    charge = said.charge
    hold = attempt.operation == "authorize" and payment.capture_method == "manual"
    if not hold or charge is None or not charge.captured_minor or said.kind == "unknown":
        return said
    wrong = f"captured {charge.captured_minor}, and only a hold was asked for"
    return msgspec.structs.replace(
        said, kind="unknown", decline=None, doubt=Doubt("mismatch", wrong)
    )


def is_whole(said: Outcome) -> bool:
    """Whether an answer to a question was read to its last row, and says more than a status. No
    question is declined: who reads that has misread the answer."""
    read = said.is_known and not is_decline(said)
    return read and not refused_by_status_alone(said) and not said.unread


def is_doubtful(books: Books, said: Outcome) -> bool:
    """Whether an answer should be read by a second version: it holds less money captured than was
    known, and no provider undoes a capture; or it would end a doubt as a decline, and who misreads
    it is never asked about the payment again."""
    payment = books.payment
    charges = said.charges if said.charge is None else (said.charge, *said.charges)
    mine = [charge for charge in charges if charge.payment_id == payment.id]
    known = [charge for charge in mine if charge.provider_id == payment.provider_id]
    if any(charge.captured_minor < payment.captured_minor for charge in known):
        return True
    return bool(books.open_attempts()) and any(charge.state == "declined" for charge in mine)


def _contradiction(outcome: Outcome) -> str | None:
    """Why a decline cannot be one: its own charge has moved money, or still may."""
    charge = outcome.charge
    if outcome.kind != "declined" or charge is None or charge.state in _DECLINED_IN:
        return None
    return f"declined, and its charge is {charge.state}"


def _check_authorize(payment: Payment, attempt: Attempt, outcome: Outcome) -> str | None:
    charge = outcome.charge
    if charge is None:
        return None if outcome.kind == "declined" else "no charge in the reply"
    return charge_mismatch(payment, charge) or (
        f"reference {charge.attempt_id} is not {attempt.id}"
        if charge.attempt_id != attempt.id
        else None
    )


def _check_capture(payment: Payment, attempt: Attempt, outcome: Outcome) -> str | None:
    charge = outcome.charge
    if charge is None:
        return None if outcome.kind == "declined" else "no charge in the reply"
    if wrong := charge_mismatch(payment, charge):
        return wrong
    expected = payment.captured_minor + attempt.amount_minor
    if outcome.kind == "approved" and charge.captured_minor != expected:
        return f"captured {charge.captured_minor}, expected {expected}"
    if outcome.kind == "approved" and not shows_capture(payment, attempt, charge):
        return f"the capture was to be final, and the charge is {charge.state}"
    return None


def shows_capture(payment: Payment, attempt: Attempt, charge: Charge) -> bool:
    """Whether `charge` shows that the capture took effect: its sum, and after a final one that
    nothing is held any more, which is all that a release of the rest changes."""
    if charge.captured_minor != payment.captured_minor + attempt.amount_minor:
        return False
    ended = charge.state == "captured" or charge.capturable_minor == 0
    return charge.state in {"captured", "authorized"} and (ended or not attempt.final)


def _check_void(payment: Payment, attempt: Attempt, outcome: Outcome) -> str | None:
    charge = outcome.charge
    if charge is None:
        return "no charge in the reply"
    if wrong := charge_mismatch(payment, charge):
        return wrong
    done = charge.state == "canceled" or outcome.kind == "pending"
    return None if done else f"{attempt.operation}: state {charge.state}"


def _check_refund(payment: Payment, attempt: Attempt, outcome: Outcome) -> str | None:
    seen = outcome.refund
    if seen is None:
        return None if outcome.kind == "declined" else "no refund in the reply"
    if seen.currency != payment.currency or seen.amount_minor != attempt.amount_minor:
        return f"refund of {seen.amount_minor} {seen.currency}, asked {attempt.amount_minor}"
    if seen.attempt_id != attempt.id:
        return f"reference {seen.attempt_id} is not {attempt.id}"
    return None


def seen_as(payment: Payment, attempt: Attempt, charge: Charge) -> Outcome | None:
    """What a charge that was looked up proves about an attempt, or `None` where it shows no
    effect."""
    if attempt.operation == "authorize":
        kind = _AUTHORIZED_AS.get(charge.state)
        return Outcome(kind=kind, charge=charge, decline=charge.decline) if kind else None
    if attempt.operation == "capture":
        done = shows_capture(payment, attempt, charge)
    else:
        done = attempt.operation == "void" and charge.state == "canceled"
    return Outcome(kind="approved", charge=charge) if done else None


def may_be_charge_of(payment: Payment, row: UnreadRow) -> bool:
    """Whether a row that could not be read is the payment's, or could be."""
    if row.payment_id is not None:
        return row.payment_id == payment.id
    fits = row.amount_minor is None or (row.amount_minor, row.currency) == (
        payment.amount_minor,
        payment.currency,
    )
    return row.may_be_ours and fits


def may_be_refund_of(attempt: Attempt, currency: str, seen: RefundSeen) -> bool:
    """Whether a refund that shows no reference could be the effect of `attempt`."""
    same = (seen.amount_minor, seen.currency) == (attempt.amount_minor, currency)
    return not seen.referenced and same and attempt.operation == "refund"


def charge_mismatch(payment: Payment, charge: Charge) -> str | None:
    """Why `charge` cannot be the charge of `payment`, or `None`."""
    if charge.currency != payment.currency:
        return f"currency {charge.currency}, expected {payment.currency}"
    if charge.amount_minor != payment.amount_minor:
        return f"amount {charge.amount_minor}, expected {payment.amount_minor}"
    at_once = payment.capture_method == "automatic"
    if at_once and charge.state == "authorized":
        return "authorized and not captured, expected to be captured at once"
    if at_once and charge.state == "captured" and charge.captured_minor != payment.amount_minor:
        return f"captured {charge.captured_minor} of {payment.amount_minor}"
    held = charge.capturable_minor + charge.captured_minor
    if charge.state == "authorized" and held != payment.amount_minor:
        return f"capturable and captured are {held}, expected {payment.amount_minor}"
    if charge.payment_id != payment.id:
        return f"reference {charge.payment_id} is not {payment.id}"
    if payment.provider_id is not None and charge.provider_id != payment.provider_id:
        return f"provider id {charge.provider_id}, expected {payment.provider_id}"
    return None


_DECLINED_IN: Final = frozenset({"declined", "open", "canceled"})
"""States of a charge that a decline leaves; a capture that is declined leaves it open or gone."""

_AUTHORIZED_AS: Final[dict[str, OutcomeKind]] = {
    "authorized": "approved",
    "captured": "approved",
    "requires_action": "pending",
    "processing": "pending",
    "declined": "declined",
}
"""What a charge's state says about its authorization; a state that is missing proves nothing."""

_CHECKS: Final[dict[MoneyOperation, Callable[[Payment, Attempt, Outcome], str | None]]] = {
    "authorize": _check_authorize,
    "capture": _check_capture,
    "void": _check_void,
    "refund": _check_refund,
}


def refused_by_status_alone(said: Outcome) -> bool:
    """Whether a status alone refused it, as a version's that is no more: another one may ask."""
    return said.refusal is not None and said.refusal.code.startswith("http_")


def is_failure(outcome: Outcome) -> bool:
    """Whether a version gave no usable answer: class A, B1 or C. A decline is an answer."""
    return classify(outcome) in {"A", "B1", "C"}


def is_decline(outcome: Outcome) -> bool:
    """Whether the issuer or the provider said no (class B2)."""
    return classify(outcome) == "B2"
