"""The questions of a settlement run: what the provider shows of a charge, refunds and disputes.

Law: nothing moves money here. An answer that could hide a row of ours proves no absence.
"""

from typing import Final

import msgspec

from tollkeeper.flows.payments.settlement_run import (
    SettlementRun,
    ask_versions,
    order_of,
    subject_of,
)
from tollkeeper.payments.judging import (
    charge_mismatch,
    may_be_charge_of,
)
from tollkeeper.payments.outcome import (
    Charge,
    DisputeSeen,
    RefundSeen,
    UnreadRow,
)
from tollkeeper.payments.payment import Attempt, is_open
from tollkeeper.payments.reconcile import (
    is_misshown,
    is_overtaken,
    is_second,
    is_sum_misread,
    may_be_in_doubt,
    reconcile_charge,
    reconcile_disputes,
    reconcile_refunds,
    unread_may_be_refund_in_doubt,
    with_second,
)
from tollkeeper.payments.restoring import HOLDING
from tollkeeper.payments.settlement import (
    Step,
    known_provider_id,
)

MAX_PAGES: Final = 200
"""Pages of one listing; a longer one is taken for unanswered, not for empty."""

FIND_MARGIN_S: Final = 300
"""How far the provider's clock may be from ours when charges are listed by creation time."""

LATE_MARGIN_S: Final = 3_600
"""How far back a late look reaches: the provider's clock may have been off when the charge was
made, and be right again."""

NEAR_S: Final = 10
"""How far from the send a charge is looked for at first: a busy account makes thousands in the
whole window, and a charge that is there needs no proof that nothing else is."""

MAX_LATE_PAGES: Final = 50
"""Pages of a listing that looks for what may have shown up late; reconciliation reads the rest."""


async def look_for_second(current: SettlementRun, hint: str) -> None:
    """A charge that is not the payment's, and names it: where it holds money a person must know."""
    said = await ask_versions(current, "lookup", order_of(current, hint))
    charge = said.charge
    if charge is None or not is_second(current.books, charge):
        return
    await current.record(lambda books: with_second(books, charge), "settling.second_charge")


async def lookup(current: SettlementRun, step: Step) -> None:
    runtime = current.runtime
    provider_id = known_provider_id(current.books, current.look)
    assert provider_id is not None, "a lookup needs the provider's id"
    asked_ms = runtime.store.now_ms()
    said = await ask_versions(current, "lookup", order_of(current, provider_id))
    charge = said.charge
    hinted = current.books.payment.provider_id is None
    not_ours = said.is_refused or (
        charge is not None and charge.payment_id != current.books.payment.id
    )
    if hinted and not_ours:
        # what named the id was mistaken: find the charge by our reference instead
        current.learn(hint=None)
        await (find(current, step) if step.attempt is not None else search(current, step))
    elif not said.is_answer or charge is None:
        current.learn(charge_failed=True)
    else:
        await _saw_charge(current, charge, asked_ms, "lookup")


async def find(current: SettlementRun, step: Step) -> None:
    """Looks for the charge around its send."""
    attempt = subject_of(current, step)
    until_ms = attempt.sent_ms + NEAR_S * 1000
    await _look_through(current, attempt, NEAR_S, until_ms, MAX_PAGES)
    current.learn(charge_near=current.look.charge is None)


async def search(current: SettlementRun, step: Step) -> None:
    """Looks for the charge wherever it could be: only this proves that there is none."""
    attempt = subject_of(current, step)
    until_ms = current.runtime.store.now_ms() + FIND_MARGIN_S * 1000
    if is_open(attempt):
        await _look_through(current, attempt, FIND_MARGIN_S, until_ms, MAX_PAGES)
    else:
        await _look_through(current, attempt, LATE_MARGIN_S, until_ms, MAX_LATE_PAGES)
    current.learn(charge_near=False)


async def _look_through(
    current: SettlementRun, attempt: Attempt, before_s: int, until_ms: int, pages: int
) -> None:
    """Lists charges made from `before_s` before the payment's first send until `until_ms`."""
    asked_ms = current.runtime.store.now_ms()
    found, whole = await _listed(current, before_s, until_ms, pages)
    ours = [c for c in found if c.attempt_id == attempt.id] if is_open(attempt) else found
    if ours:
        live = [c for c in ours if c.state in HOLDING]
        await _saw_charge(current, (live or ours)[0], asked_ms, "listing")
    elif whole:
        current.learn(charge=None, charge_asked_ms=asked_ms)
    else:
        current.learn(charge_failed=True)


async def _listed(
    current: SettlementRun, before_s: int, until_ms: int, pages: int
) -> tuple[list[Charge], bool]:
    """The payment's charges, and whether the listing proves that there are no others: it was
    answered to its end, no row of it could be one of ours, and the clocks agree."""
    books = current.books
    first_ms = min(a.first_sent_ms for a in books.attempts)
    skew_s = current.skew_ms // 1000
    order = msgspec.structs.replace(
        order_of(current, None),
        created_from_s=first_ms // 1000 - before_s + min(0, skew_s),
        created_to_s=until_ms // 1000 + max(0, skew_s),
    )
    found: list[Charge] = []
    whole = True
    for _ in range(pages):
        said = await ask_versions(current, "find", order)
        if not said.is_answer:
            return found, False
        found += [c for c in said.charges if c.payment_id == books.payment.id]
        whole = whole and not any(may_be_charge_of(books.payment, row) for row in said.unread)
        if said.next_cursor is None:
            return found, whole and abs(current.skew_ms) <= FIND_MARGIN_S * 1000
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    return found, False


async def _saw_charge(current: SettlementRun, charge: Charge, asked_ms: int, by: str) -> None:
    if charge_mismatch(current.books.payment, charge) is not None:
        # a reading that cannot be of our charge proves nothing, and absence least of all
        current.learn(charge_failed=True)
        return
    current.learn(charge=charge, charge_asked_ms=asked_ms)
    now_ms = current.runtime.store.now_ms()
    await current.record(
        lambda books: reconcile_charge(books, charge, now_ms, by=by, asked_ms=asked_ms),
        f"settling.{by}",
    )
    if is_overtaken(current.books, charge):
        current.learn(charge_failed=True)


async def list_refunds(current: SettlementRun, step: Step) -> None:
    provider_id = known_provider_id(current.books, current.look)
    assert provider_id is not None, "refunds belong to a charge"
    order = order_of(current, provider_id)
    asked_ms = current.runtime.store.now_ms()
    seen: list[RefundSeen] = []
    unread: list[UnreadRow] = []
    for _ in range(MAX_PAGES):
        said = await ask_versions(current, "list_refunds", order)
        if not said.is_answer:
            current.learn(refunds_failed=True)
            return
        seen += said.refunds
        unread += said.unread
        if said.next_cursor is None:
            break
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    else:
        current.learn(refunds_failed=True)
        return
    releases = current.runtime.releases
    if not unread and is_sum_misread(current.books, tuple(seen), current.look.charge, releases):
        current.learn(refunds_failed=True)
        return
    misshown = any(is_misshown(current.books, item) for item in seen)
    misshown = misshown or any(may_be_in_doubt(current.books, item) for item in seen)
    if misshown or any(unread_may_be_refund_in_doubt(current.books, row) for row in unread):
        current.learn(refunds_failed=True)  # what was read counts, and proves no absence
    # every row of the list is of this charge: what cannot be read now is read another time
    current.learn(refunds_asked_ms=asked_ms, refunds_unread=bool(unread))
    true = tuple(item for item in seen if not is_misshown(current.books, item))
    new_ids = tuple(current.runtime.new_id("re") for _ in true)
    now_ms = current.runtime.store.now_ms()
    await current.record(
        lambda books: reconcile_refunds(
            books, true, new_ids, now_ms, by="listing", releases=releases
        ),
        "settling.refunds",
    )


async def list_disputes(current: SettlementRun, step: Step) -> None:
    """Reads the charge's disputes, so that a lost webhook hides none."""
    provider_id = current.books.payment.provider_id
    assert provider_id is not None, "disputes belong to a charge"
    current.learn(disputes_asked=True)
    order = order_of(current, provider_id)
    seen: list[DisputeSeen] = []
    for _ in range(MAX_PAGES):
        said = await ask_versions(current, "list_disputes", order)
        if not said.is_answer or said.unread:
            current.learn(disputes_failed=True)
        seen += said.disputes
        if said.next_cursor is None:
            break
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    now_ms = current.runtime.store.now_ms()
    told_s = (now_ms + current.skew_ms) // 1000
    dated = tuple(msgspec.structs.replace(item, told_s=told_s) for item in seen)
    new_ids = tuple(current.runtime.new_id("dp") for _ in dated)
    await current.record(
        lambda books: reconcile_disputes(books, dated, new_ids, now_ms), "settling.disputes"
    )
