"""Books against what the provider shows now: settles what is open and records external changes.

It is the one place where a reading of the provider's state changes a payment, whoever asked:
settling, a webhook, a shopper's return. So any order and any repetition of readings that are each
true when made gives the same books. Nothing here concludes from absence; that is the ladder's.
"""

from collections.abc import Collection

from msgspec.structs import replace

from tollkeeper.payments.judging import charge_mismatch, may_be_refund_of, shows_capture
from tollkeeper.payments.outcome import (
    STANDING_DISPUTES,
    Charge,
    DisputeSeen,
    OutcomeKind,
    RefundSeen,
    UnreadRow,
)
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.payments.results import (
    captured,
    charged,
    moved,
    refund_as_seen,
    totals,
    voided,
    with_attempt,
    with_refund,
)
from tollkeeper.payments.transitions import Transition


def reconcile_charge(books: Books, charge: Charge, now_ms: int, *, by: str, asked_ms: int) -> Books:
    """The books after `charge` was seen; unchanged where it tells nothing new or is not ours.

    `asked_ms` is when the question was put, by the store's clock: an answer that may be older than
    what ended the payment brings nothing back to life.
    """
    if charge_mismatch(books.payment, charge) is not None:
        return books
    before = books
    books = _settle_void(books, charge, now_ms, by)
    books = _settle_authorize(books, charge, by)
    books = _settle_capture(books, charge, by)
    books = _external(books, charge, now_ms, asked_ms, by)
    return _touched(before, books, now_ms)


def is_overtaken(books: Books, charge: Charge) -> bool:
    """Whether `charge`, after it was reconciled, shows life in a payment that has ended: a reading
    that was overtaken, so that the question must be put again."""
    ended = books.payment.status in {"failed", "canceled"}
    return ended and charge.state in _LATE and charge_mismatch(books.payment, charge) is None


def is_second(books: Books, charge: Charge) -> bool:
    """Whether `charge` names the payment, holds money, and is not the payment's own charge."""
    payment = books.payment
    other = payment.provider_id is not None and charge.provider_id != payment.provider_id
    return other and charge.payment_id == payment.id and charge.state in _LATE


def with_second(books: Books, charge: Charge) -> Books:
    """The books with attention for a second live charge of one payment."""
    note = (
        f"a second live charge {charge.provider_id} ({charge.state}) names this payment beside "
        f"{books.payment.provider_id}: void or refund one of them at the provider"
    )
    if charge.provider_id in (books.payment.attention or ""):
        return books
    return replace(books, payment=_for_a_person(books.payment, note))


def reconcile_refunds(
    books: Books,
    seen: tuple[RefundSeen, ...],
    new_ids: tuple[str, ...],
    now_ms: int,
    *,
    by: str,
    releases: frozenset[str] = frozenset(),
) -> Books:
    """The books after the provider's refunds of this charge were seen, complete or in part.

    `new_ids` are fresh refund ids, at least one for each refund that we may not know. `releases`:
    the integration versions whose partial captures the provider lists as refunds of the rest.
    """
    before = books
    spare = iter(new_ids)
    released = _released(books, seen, releases)
    for item in seen:
        if item.currency != books.payment.currency or item is released:
            continue
        ours = _refund_of(books, item)
        if ours is None and not _may_be_external(books, item):
            continue
        twin = _taken_for_external(books, item, ours)
        if twin is not None:
            books = with_refund(books, replace(twin, status="failed", updated_ms=now_ms))
        if ours is None:
            books = with_refund(books, _external_refund(books.payment, item, next(spare), now_ms))
            books = _with_likeness(books, item)
        else:
            books = _settle_refund(books, ours, item, now_ms, by)
    return _touched(before, books, now_ms)


def is_sum_misread(
    books: Books, seen: tuple[RefundSeen, ...], charge: Charge | None, releases: frozenset[str]
) -> bool:
    """Whether a whole listing holds refunds that we do not know, and its sum is not what the charge
    shows as given back: then one of both was misread. Without a reference nothing else tells."""
    shown = charge.refunded_minor if charge is not None and charge.state == "captured" else None
    if shown is None or all(_refund_of(books, item) is not None for item in seen):
        return False
    listed = sum(item.amount_minor for item in seen if item.state != "failed")
    rest = released_minor(books, releases)
    return shown not in {listed, listed - rest, listed + rest}


def unread_may_be_refund(books: Books, row: UnreadRow, attempt_ids: Collection[str]) -> bool:
    """Whether a row of a charge's refunds that could not be read is the refund of one of these
    attempts, or could be: it carries no reference, and its id is that of no refund that we know."""
    if row.may_be_ours or row.attempt_id in attempt_ids:
        return True
    known = {refund.provider_id for refund in books.refunds}
    return row.attempt_id is None and row.provider_id not in known


def reconcile_disputes(
    books: Books, seen: tuple[DisputeSeen, ...], new_ids: tuple[str, ...], now_ms: int
) -> Books:
    """The books after disputes were listed; `new_ids` has a fresh id for each. A listing shows what
    is so now: `told_s` of its rows is the provider's time then. In that same second a dispute that
    it shows as ended may have been opened again, and the event about that must still count: an open
    dispute is asked about again, and an ended one is not."""
    for item, new_id in zip(seen, new_ids, strict=False):
        ended = item.state not in STANDING_DISPUTES
        dated = replace(item, told_s=item.told_s - 1) if ended and item.told_s else item
        books = reconcile_dispute(books, dated, new_id, now_ms)
    return books


def reconcile_dispute(books: Books, seen: DisputeSeen, new_id: str, now_ms: int) -> Books:
    """The books after a dispute was seen. What the provider said last, by its own clock, counts; of
    one second, an end counts more than an opening. A listing shows what is so now."""
    told_ms = seen.told_s * 1000 or now_ms
    known = next((d for d in books.disputes if d.provider_id == seen.provider_id), None)
    if known is None:
        dispute = Dispute(
            id=new_id,
            payment_id=books.payment.id,
            provider_id=seen.provider_id,
            state=seen.state,
            amount_minor=seen.amount_minor,
            reason=seen.reason,
            created_ms=now_ms,
            updated_ms=now_ms,
            told_ms=told_ms,
        )
        disputes = (*books.disputes, dispute)
    elif (known.state, known.amount_minor) == (seen.state, seen.amount_minor):
        return _heard_again(books, known, seen.told_s * 1000)
    elif _is_older(seen.state, told_ms, known):
        return books
    else:
        again = replace(
            known,
            state=seen.state,
            amount_minor=seen.amount_minor,
            updated_ms=now_ms,
            told_ms=told_ms,
        )
        disputes = tuple(again if d.id == known.id else d for d in books.disputes)
    disputed = any(d.state in UNDECIDED_DISPUTES for d in disputes)
    payment = replace(books.payment, disputed=disputed, updated_ms=now_ms)
    return replace(books, disputes=disputes, payment=payment)


def _heard_again(books: Books, known: Dispute, told_ms: int) -> Books:
    """The same state was said again: an event from before that is older now, if it comes late."""
    if told_ms <= known.told_ms:
        return books
    again = replace(known, told_ms=told_ms)
    return replace(books, disputes=tuple(again if d.id == known.id else d for d in books.disputes))


def _is_older(state: str, told_ms: int, known: Dispute) -> bool:
    """Whether the provider said this before what the books know."""
    if told_ms // 1000 != known.told_ms // 1000:
        return told_ms < known.told_ms
    return state in STANDING_DISPUTES and known.state not in STANDING_DISPUTES


def misses_dispute(books: Books, charge: Charge) -> bool:
    """Whether the provider shows a disputed charge of which the books know no dispute."""
    ours = charge_mismatch(books.payment, charge) is None
    return ours and charge.disputed is True and not books.disputes


def _touched(before: Books, after: Books, now_ms: int) -> Books:
    after = totals(after)
    if after == before:
        return before
    return replace(after, payment=replace(after.payment, updated_ms=now_ms))


def _open_attempt(books: Books, operation: str) -> Attempt | None:
    return next((a for a in books.open_attempts() if a.operation == operation), None)


def _corrected(books: Books, attempt: Attempt, by: str, now_ms: int, **found: str) -> Books:
    """The books with an attempt that was taken for not executed, and has taken effect after all."""
    outcome: OutcomeKind = "approved"
    again = replace(
        attempt, outcome=outcome, settled_by=by, corrected_ms=now_ms, detail="found later", **found
    )
    return with_attempt(books, again)


def _concluded(books: Books, operation: str) -> Attempt | None:
    """The newest attempt at `operation` whose absence was taken for proof."""
    said = (
        a
        for a in reversed(books.attempts)
        if a.operation == operation and a.concluded_ms is not None and a.corrected_ms is None
    )
    return next(said, None)


def _concluded_captures(books: Books, amount_minor: int) -> list[Attempt]:
    """The captures taken for not executed that explain `amount_minor`: the newest of just that
    amount, or all together."""
    said = [
        a
        for a in reversed(books.attempts)
        if a.operation == "capture" and a.concluded_ms is not None and a.corrected_ms is None
    ]
    alone = [attempt for attempt in said if attempt.amount_minor == amount_minor][:1]
    together = sum(attempt.amount_minor for attempt in said) == amount_minor
    return alone or (said if together else [])


def _settle_void(books: Books, charge: Charge, now_ms: int, by: str) -> Books:
    attempt = _open_attempt(books, "void")
    if attempt is None:
        return books
    if charge.state == "canceled":
        done = replace(attempt, outcome="approved", settled_by=by)
        return voided(with_attempt(books, done), done, now_ms)
    if charge.state in {"captured", "declined"}:
        failed = replace(attempt, outcome="failed", settled_by=by, detail=f"is {charge.state}")
        return with_attempt(books, failed)
    return books


def _settle_authorize(books: Books, charge: Charge, by: str) -> Books:
    attempt = _open_attempt(books, "authorize")
    undecided = books.payment.status in {"processing", "requires_action"}
    if not undecided or (attempt is not None and charge.attempt_id != attempt.id):
        return books
    kind = _AUTHORIZE_KIND.get(charge.state)
    if kind is None:
        return books
    if attempt is not None:
        settled = replace(attempt, outcome=kind, settled_by=by, provider_id=charge.provider_id)
        books = with_attempt(books, settled)
    return replace(books, payment=_decided(books.payment, charge))


def _decided(payment: Payment, charge: Charge) -> Payment:
    if charge.state == "declined":
        return replace(
            moved(payment, "declined"),
            decline_reason=charge.decline.reason if charge.decline else "declined",
            failure_code="declined",
            provider_id=charge.provider_id,
            redirect_url=None,
        )
    if charge.state == "canceled":
        return replace(
            moved(payment, "canceled_externally"),
            provider_id=charge.provider_id,
            redirect_url=None,
        )
    return charged(payment, charge)


def _settle_capture(books: Books, charge: Charge, by: str) -> Books:
    attempt = _open_attempt(books, "capture")
    if attempt is None:
        return books
    if shows_capture(books.payment, attempt, charge):
        done = replace(attempt, outcome="approved", settled_by=by)
        left = charge.capturable_minor
        return replace(with_attempt(books, done), payment=captured(books.payment, attempt, left))
    # captured, but not what we asked: no reading that we may believe; the ladder calls a person
    if charge.state == "canceled":
        failed = replace(attempt, outcome="failed", settled_by=by, detail=f"is {charge.state}")
        return with_attempt(books, failed)
    return books


def _external(books: Books, charge: Charge, now_ms: int, asked_ms: int, by: str) -> Books:
    """Changes that no open attempt explains: those of an attempt that was taken for not executed,
    and those that were made at the provider. Waits while an open attempt could still explain them.
    """
    if any(a.operation != "refund" for a in books.open_attempts()):
        return books
    if books.payment.status == "requires_capture":
        return _after_authorization(books, charge, now_ms, by)
    if books.payment.status == "succeeded":
        return _captured_more(books, charge, asked_ms, by)
    return _found_late(books, charge, now_ms, asked_ms, by)


def _captured_more(books: Books, charge: Charge, asked_ms: int, by: str) -> Books:
    """The books after a newer look showed more captured than they hold: the capture was made at the
    provider, and was read as a smaller one before."""
    payment = books.payment
    more = charge.captured_minor > payment.captured_minor
    if charge.state != "captured" or not more or asked_ms <= payment.updated_ms:
        return books
    note = (
        f"{by} shows {charge.captured_minor} captured, where the books had "
        f"{payment.captured_minor}: check what was captured"
    )
    return replace(
        books, payment=_for_a_person(replace(payment, captured_minor=charge.captured_minor), note)
    )


def _after_authorization(books: Books, charge: Charge, now_ms: int, by: str) -> Books:
    payment = books.payment
    if charge.state == "canceled":
        due = payment.authorization_expires_ms
        ours = _concluded(books, "void")
        is_expired = due is not None and now_ms >= due
        move: Transition = "expired" if is_expired else "canceled_externally"
        if ours is not None:
            books, move = _corrected(books, ours, by, now_ms), "voided"
            payment = _for_a_person(payment, f"void {ours.id} took effect after all")
        return replace(books, payment=replace(moved(payment, move), capturable_minor=0))
    more = charge.captured_minor - payment.captured_minor
    if charge.state not in {"captured", "authorized"} or more <= 0:
        return books
    late = _concluded_captures(books, more)
    for ours in late:
        books = _corrected(books, ours, by, now_ms)
        note = f"capture {ours.id} of {ours.amount_minor} took effect after all"
        payment = _for_a_person(payment, note)
    if charge.state == "captured":
        move = "captured" if late else "captured_externally"
        payment = replace(moved(payment, move), capturable_minor=0)
    else:
        payment = replace(
            moved(payment, "partly_captured"), capturable_minor=charge.capturable_minor
        )
    return replace(books, payment=replace(payment, captured_minor=charge.captured_minor))


def for_a_person(books: Books, note: str) -> Books:
    """The books with attention that a person must clear, added once to what is there."""
    if note in (books.payment.attention or ""):
        return books
    return replace(books, payment=_for_a_person(books.payment, note))


def _for_a_person(payment: Payment, note: str) -> Payment:
    """Attention for a corrected conclusion; what needs attention already stays in the note."""
    before = f"{payment.attention}; " if payment.attention else ""
    return replace(payment, attention=f"{before}{note}"[:1000], attention_until="cleared")


def _found_late(books: Books, charge: Charge, now_ms: int, asked_ms: int, by: str) -> Books:
    payment = books.payment
    if charge.state == "declined" and payment.failure_code == "not_executed":
        return replace(books, payment=_declined_late(payment, charge))
    if not is_overtaken(books, charge) or asked_ms <= payment.updated_ms:
        return books
    attempt = books.attempt(charge.attempt_id or "")
    if attempt is not None and attempt.operation == "authorize":
        books = _corrected(books, attempt, by, now_ms, provider_id=charge.provider_id)
    payment = replace(
        moved(payment, _LATE[charge.state]),
        integration=_version_of(payment, attempt),
        provider_id=charge.provider_id,
        capturable_minor=charge.capturable_minor,
        captured_minor=charge.captured_minor,
        failure_code=None,
        decline_reason=None,
        provider_error=None,
    )
    note = (
        f"a live charge {charge.provider_id} was found by {by} after the payment had ended as "
        f"{books.payment.status}: void or refund it, or tell the shopper that it stands"
    )
    return replace(books, payment=_for_a_person(payment, note))


def _version_of(payment: Payment, attempt: Attempt | None) -> str:
    """The version that follows a charge up: the one that made it, unless its payments were handed
    over since."""
    if attempt is None or attempt.integration == payment.moved_from:
        return payment.integration
    return attempt.integration


def _declined_late(payment: Payment, charge: Charge) -> Payment:
    """A payment that failed for want of an effect, and was declined when its request landed."""
    return replace(
        payment,
        decline_reason=charge.decline.reason if charge.decline else "declined",
        failure_code="declined",
        provider_id=charge.provider_id,
    )


def _refund_of(books: Books, seen: RefundSeen) -> Refund | None:
    """The refund that a row shows: by our reference, else by the provider's id."""
    attempt = books.attempt(seen.attempt_id or "")
    ours = books.refund(attempt.refund_id or "") if attempt is not None else None
    known = (r for r in books.refunds if r.provider_id == seen.provider_id)
    return ours or next(known, None)


def _taken_for_external(books: Books, seen: RefundSeen, ours: Refund | None) -> Refund | None:
    """The external refund that turns out to be one of ours, now that its reference can be read."""
    if ours is None or ours.origin == "external":
        return None
    return next(
        (
            r
            for r in books.refunds
            if r.origin == "external" and r.provider_id == seen.provider_id and r.status != "failed"
        ),
        None,
    )


def _with_likeness(books: Books, seen: RefundSeen) -> Books:
    """The books with attention where a refund without a reference may be one of ours that was taken
    for not executed."""
    currency = books.payment.currency
    like = [
        a.refund_id
        for a in books.attempts
        if a.outcome == "failed" and may_be_refund_of(a, currency, seen)
    ]
    if not like:
        return books
    note = (
        f"refund {seen.provider_id} of {seen.amount_minor} shows no reference, and may be "
        f"{', '.join(str(one) for one in like)}, which was taken for not executed"
    )
    return replace(books, payment=_for_a_person(books.payment, note))


def _may_be_external(books: Books, seen: RefundSeen) -> bool:
    """Whether a refund that we did not make is money given back. Where nothing was captured, or a
    capture or a cancellation is not settled yet, it may be an authorization that was released; and
    more than was captured and not given back yet is a misreading."""
    open_operations = {a.operation for a in books.open_attempts()}
    currency = books.payment.currency
    if any(may_be_refund_of(a, currency, seen) for a in books.open_attempts()):
        return False  # it could be ours, which is not settled yet
    payment = totals(books).payment
    left = payment.captured_minor - payment.refunded_minor
    possible = seen.state == "failed" or 0 < seen.amount_minor <= left
    return payment.captured_minor > 0 and possible and not open_operations - {"refund"}


def _released(
    books: Books, seen: tuple[RefundSeen, ...], releases: frozenset[str]
) -> RefundSeen | None:
    """The rest of an authorization that a partial capture released, where the provider lists it as
    a refund: that depends on the version that captured. It is the oldest refund (listings are
    newest first) of exactly that amount that is not ours."""
    rest = released_minor(books, releases)
    if rest == 0:
        return None
    for item in reversed(seen):
        if item.amount_minor == rest and _refund_of(books, item) is None:
            return item
        if item.amount_minor == rest and item.attempt_id is None:
            return None  # it was taken for an external refund before, and stays one
    return None


def released_minor(books: Books, releases: frozenset[str]) -> int:
    """How much the provider lists as refunded that was only released, in minor units. `releases`:
    the integration versions whose partial captures it lists so."""
    payment = books.payment
    done = [a for a in books.attempts if a.operation == "capture" and a.outcome == "approved"]
    if not done or not releases or payment.status != "succeeded":
        return 0  # what was captured outside tells no version: then nothing is taken for a release
    # an answer that another version read tells that the provider worked as for that one
    as_another = done[-1].settled_by == "reread"
    if done[-1].integration not in releases and not as_another:
        return 0
    return payment.amount_minor - payment.captured_minor


def _settle_refund(books: Books, ours: Refund, seen: RefundSeen, now_ms: int, by: str) -> Books:
    if seen.amount_minor != ours.amount_minor:
        return books
    attempt = next((a for a in books.open_attempts() if a.refund_id == ours.id), None)
    if attempt is not None:
        kind = "declined" if seen.state == "failed" else "approved"
        settled = replace(attempt, outcome=kind, settled_by=by, provider_id=seen.provider_id)
        books = with_attempt(books, settled)
    elif ours.status == "failed" and ours.provider_id is None and seen.state != "failed":
        return _refund_found_late(books, ours, seen, now_ms, by)
    if ours.status == "failed" or (ours.status == "succeeded" and seen.state == "pending"):
        # what the provider said to have failed stays so, and an older reading undoes no newer one
        return (
            books
            if ours.provider_id
            else with_refund(books, replace(ours, provider_id=seen.provider_id))
        )
    if (ours.status, ours.provider_id) == (seen.state, seen.provider_id):
        return books
    updated = refund_as_seen(ours, seen, now_ms)
    if seen.state == "failed":
        updated = replace(updated, failure_code="failed_at_provider")
    return with_refund(books, updated)


def _refund_found_late(books: Books, ours: Refund, seen: RefundSeen, now_ms: int, by: str) -> Books:
    """The books after a refund that was taken for not executed turned up at the provider."""
    attempt = next((a for a in reversed(books.attempts) if a.refund_id == ours.id), None)
    if attempt is not None:
        books = _corrected(books, attempt, by, now_ms, provider_id=seen.provider_id)
    again = replace(refund_as_seen(ours, seen, now_ms), failure_code=None, provider_error=None)
    books = totals(with_refund(books, again))
    note = f"refund {ours.id} ({seen.provider_id}) of {ours.amount_minor} took effect after all"
    twins = [
        r.id
        for r in books.refunds
        if r.id != ours.id and r.amount_minor == ours.amount_minor and r.status != "failed"
    ]
    if twins:
        note += f"; {', '.join(twins)} gave back the same amount: check that both are wanted"
    return replace(books, payment=_for_a_person(books.payment, note))


def _external_refund(payment: Payment, seen: RefundSeen, new_id: str, now_ms: int) -> Refund:
    return Refund(
        id=new_id,
        payment_id=payment.id,
        amount_minor=seen.amount_minor,
        status=seen.state,
        origin="external",
        created_ms=now_ms,
        updated_ms=now_ms,
        provider_id=seen.provider_id,
        reason="made at the provider",
    )


def unread_may_be_refund_in_doubt(books: Books, row: UnreadRow) -> bool:
    """Whether a row that could not be read is a refund of ours in doubt, or could be."""
    return unread_may_be_refund(books, row, [attempt.id for attempt in books.open_attempts()])


def may_be_in_doubt(books: Books, seen: RefundSeen) -> bool:
    """Whether a refund without a reference could be one of ours that is not settled."""
    known = any(refund.provider_id == seen.provider_id for refund in books.refunds)
    currency = books.payment.currency
    return not known and any(may_be_refund_of(a, currency, seen) for a in books.open_attempts())


def is_misshown(books: Books, seen: RefundSeen) -> bool:
    """Whether `seen` is by its reference a refund of ours in doubt, and otherwise is not: then the
    listing proves nothing about it."""
    mine = next((a for a in books.open_attempts() if a.id == seen.attempt_id), None)
    if mine is None:
        return False
    same = (seen.amount_minor, seen.currency) == (mine.amount_minor, books.payment.currency)
    return not same


_AUTHORIZE_KIND: dict[str, OutcomeKind] = {
    "authorized": "approved",
    "captured": "approved",
    "requires_action": "pending",
    "processing": "pending",
    "declined": "declined",
    "canceled": "failed",
}
UNDECIDED_DISPUTES = frozenset({"open"})
"""States in which the money of a charge is disputed; an inquiry only asks."""

_LATE: dict[str, Transition] = {
    "authorized": "found_authorized",
    "captured": "found_paid",
}
