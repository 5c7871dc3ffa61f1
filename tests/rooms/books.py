"""Books in every situation that a payment can be in, for the tests of the payments room."""

from typing import Any

from msgspec.structs import replace
from tests.store.stage import authorized, fresh_books

from tollkeeper.payments.outcome import Charge, Outcome, RefundSeen, Refusal, unknown
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.reservation import open_capture, open_refund, open_void
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.settlement import Policy

NOW_MS = 1_700_000_000_000
POLICY = Policy(
    send_ms=32_000, window_ms=45_000, retention_ms=86_400_000, attention_ms=600_000,
    authorization_ms=604_800_000, action_ms=900_000,
)  # fmt: skip


def charge(books: Books, state: str, **fields: Any) -> Charge:
    """The payment's charge as the provider would show it, consistent in itself."""
    amount = books.payment.amount_minor
    sums = {"authorized": {"capturable_minor": amount}, "captured": {"captured_minor": amount}}
    defaults: dict[str, Any] = {
        "provider_id": books.payment.provider_id or "pi_1",
        "state": state,
        "amount_minor": amount,
        "currency": books.payment.currency,
        "payment_id": books.payment.id,
        "attempt_id": books.attempts[0].id,
        "redirect_url": "http://bank" if state == "requires_action" else None,
        **sums.get(state, {}),
    }
    return Charge(**(defaults | fields))


def approved(books: Books, state: str, **fields: Any) -> Outcome:
    kind = "approved" if state in {"authorized", "captured", "canceled"} else "pending"
    return Outcome(kind=kind, charge=charge(books, state, **fields))  # type: ignore[arg-type]


def refused(code: str = "resource_missing") -> Outcome:
    return Outcome(kind="failed", refusal=Refusal(code))


SILENT = unknown("silence", "no reply")


def sending(**fields: Any) -> Books:
    return fresh_books(**fields)


def doubtful() -> Books:
    books = sending()
    return apply_outcome(books, books.attempts[0], SILENT, NOW_MS)


def held(**fields: Any) -> Books:
    return authorized(fresh_books(**fields))


def paid(amount: int | None = None, **fields: Any) -> Books:
    """Captured, in whole or in part."""
    books, attempt = capturing(held(**fields), amount)
    total = attempt.amount_minor
    return apply_outcome(books, attempt, approved(books, "captured", captured_minor=total), NOW_MS)


def waiting_for_shopper() -> Books:
    books = sending()
    return apply_outcome(books, books.attempts[0], approved(books, "requires_action"), NOW_MS)


def capturing(
    books: Books, amount: int | None = None, *, final: bool = True
) -> tuple[Books, Attempt]:
    opened = open_capture(books, "att_capture", NOW_MS, amount_minor=amount, final=final)
    return opened, opened.attempts[-1]


def voiding(books: Books) -> tuple[Books, Attempt]:
    opened = open_void(books, "att_void", NOW_MS)
    return opened, opened.attempts[-1]


def refunding(books: Books, amount: int | None = None, number: int = 1) -> tuple[Books, Attempt]:
    opened = open_refund(
        books, f"att_refund_{number}", f"re_{number}", NOW_MS, amount_minor=amount, reason=None
    )
    return opened, opened.attempts[-1]


def seen(attempt: Attempt | None, state: str = "succeeded", **fields: Any) -> RefundSeen:
    defaults: dict[str, Any] = {
        "provider_id": f"re_of_{attempt.id if attempt else 'dashboard'}",
        "state": state,
        "amount_minor": attempt.amount_minor if attempt else 100,
        "currency": "EUR",
        "attempt_id": attempt.id if attempt else None,
    }
    return RefundSeen(**(defaults | fields))


def refunded(
    books: Books, amount: int | None = None, number: int = 1, state: str = "succeeded"
) -> Books:
    opened, attempt = refunding(books, amount, number)
    kind: Any = "pending" if state == "pending" else "approved"
    return apply_outcome(opened, attempt, Outcome(kind=kind, refund=seen(attempt, state)), NOW_MS)


def later(books: Books, **fields: Any) -> Books:
    return replace(books, payment=replace(books.payment, **fields))
