"""What must always hold, of our books against the provider's own ledger.

One module, three users: the seeded simulation, the kill -9 harness, and `tollkeeper doctor`. The
numbers are those of INVARIANTS in the documentation. Values in, violations out.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import msgspec

from tollkeeper.payments.audit import (
    AuditBody,
    AuditRow,
    SealDigest,
    broken_link,
    key_digest,
    read_body,
    row_digest,
)
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.payments.results import HOLDS_MONEY
from tollkeeper.payments.transitions import reachable

PAYMENT_KEY: Final = "tollkeeper_payment"
LIVE: Final = frozenset({"requires_capture", "succeeded"})
_MOVES: Final = reachable()
_NONE: Final[Mapping[str, Collection[str]]] = MappingProxyType({})


class Violation(msgspec.Struct, frozen=True):
    """`invariant`: its number (`I4`); `subject`: payment, charge or key; `detail`: a sentence."""

    invariant: str
    subject: str
    detail: str


class LedgerCapture(msgspec.Struct, frozen=True):
    """A capture in the provider's ledger; the key is empty where it came with the charge."""

    amount_minor: int
    idempotency_key: str


class LedgerRefund(msgspec.Struct, frozen=True):
    """Money given back (`kind` refund), or released uncaptured (`release`)."""

    refund_id: str
    kind: str
    amount_minor: int
    status: str
    source: str
    idempotency_key: str


class LedgerCharge(msgspec.Struct, frozen=True):
    """A charge in the provider's ledger: the truth. Other fields of a ledger are ignored."""

    charge_id: str
    payment_intent_id: str
    idempotency_key: str
    metadata: dict[str, str]
    live: bool
    amount_minor: int
    currency: str
    amount_captured_minor: int
    amount_refunded_minor: int
    captures: list[LedgerCapture]
    refunds: list[LedgerRefund]


class LedgerIntent(msgspec.Struct, frozen=True):
    """An intent; `open`: it could still be confirmed and charge somebody."""

    payment_intent_id: str
    open: bool
    metadata: dict[str, str]


class Ledger(msgspec.Struct, frozen=True):
    """The provider's books, `G`."""

    charges: list[LedgerCharge]
    intents: list[LedgerIntent]


class Given(msgspec.Struct, frozen=True):
    """An answer that a caller was given: its key, the HTTP status and the payment it named."""

    key: str
    status: int
    payment_id: str


class BoundKey(msgspec.Struct, frozen=True):
    """An idempotency key and what it is bound to."""

    account: str
    key: str
    fingerprint: str
    payment_id: str
    refund_id: str | None


class Audited(msgspec.Struct, frozen=True):
    """One payment as a doctor reads it; `faults`: what the store finds wrong with its rows. Without
    books where a row cannot be read."""

    payment_id: str
    books: Books | None
    audit: list[AuditRow]
    faults: tuple[str, ...] = ()


class Seal(msgspec.Struct, frozen=True):
    """One seal as stored; `heads`: how many it covers."""

    seq: int
    heads: int
    previous: str
    hash: str


class SealedHead(msgspec.Struct, frozen=True):
    """A head that seal number `seal` covers; `found`: the hash that this audit row has now."""

    payment_id: str
    audit_seq: int
    seal: int
    head: str
    found: str | None


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds besides books: `bound` maps a caller's key to its payment and `keys` are
    the same rows whole; `orphans`: payments that have an audit and no row; `waiting` the jobs by
    kind with when the earliest is due; then the deliveries that are pending and the jobs that will
    make them."""

    bound: Mapping[str, str]
    waiting: Mapping[str, tuple[int, int]]
    keys: tuple[BoundKey, ...] = ()
    orphans: frozenset[str] = frozenset()
    pending_deliveries: frozenset[str] = frozenset()
    delivery_jobs: frozenset[str] = frozenset()


def check_books(
    books: Books, audit: list[AuditRow], handles: Mapping[str, Collection[str]] = _NONE
) -> Iterator[Violation]:
    """What one payment's rows must satisfy by themselves, at every commit. `handles`: the versions
    whose payments each version declares that it can follow up."""
    payment = books.payment
    held = sum(a.amount_minor for a in books.open_attempts() if a.operation in HOLDS_MONEY)
    if payment.reserved_minor != held:
        yield Violation("I13", payment.id, f"reserved {payment.reserved_minor}, rows say {held}")
    at_once = payment.status == "succeeded" and payment.capture_method == "automatic"
    if at_once and payment.captured_minor != payment.amount_minor:
        detail = (
            f"captured {payment.captured_minor} of {payment.amount_minor}, which is all at once"
        )
        yield Violation("I13", payment.id, detail)
    # a refund in the provider's dashboard may overtake one of ours; the provider refuses ours then
    overtaken = _overtaken(books)
    ours = [
        r.amount_minor
        for r in books.refunds
        if r.origin == "api" and r.status != "failed" and r.id not in overtaken
    ]
    if sum(ours) > payment.captured_minor:
        yield Violation("I2", payment.id, "our refunds exceed what was captured")
    if not 0 <= payment.refunded_minor <= payment.captured_minor <= payment.amount_minor:
        yield Violation("I2", payment.id, "not refunded <= captured <= authorized in our books")
    yield from _check_chain(books, audit)
    yield from _check_sends(books, handles)


def _overtaken(books: Books) -> set[str]:
    """Refunds under way while one that was taken for not executed turned out to have taken effect:
    what was left when they began is left no more, and the provider refuses them."""
    found_ms = [a.corrected_ms for a in books.attempts if a.refund_id and a.corrected_ms]
    newest_ms = max(found_ms, default=0)
    return {
        attempt.refund_id
        for attempt in books.open_attempts()
        if attempt.refund_id is not None and attempt.first_sent_ms <= newest_ms
    }


def _check_chain(books: Books, audit: list[AuditRow]) -> Iterator[Violation]:
    payment = books.payment
    broken = broken_link(audit)
    whole = False
    if broken is not None:
        yield Violation("I7", payment.id, f"audit chain: {broken}")
    elif not audit or (audit[-1].seq, audit[-1].hash) != (payment.seq, payment.audit_head):
        yield Violation("I7", payment.id, f"{len(audit)} audit rows for {payment.seq} changes")
    else:
        whole = True
    try:
        bodies = [read_body(row.body) for row in audit]
    except msgspec.MsgspecError as error:
        yield Violation("I7", payment.id, f"audit row unreadable: {error}")
        return
    for old, new in pairwise(body.status for body in bodies):
        if old != new and (old, new) not in _MOVES:
            yield Violation("I5", payment.id, f"moved from {old} to {new}")
    if whole:
        yield from _check_digests(books, audit[-1], bodies)


def _check_digests(books: Books, last: AuditRow, bodies: list[AuditBody]) -> Iterator[Violation]:
    """Every row is what its last change wrote, and none is gone."""
    payment = books.payment
    as_audited = msgspec.structs.replace(payment, audit_head=last.previous)
    if row_digest(as_audited) != bodies[-1].digest:
        yield Violation("I7", payment.id, "the payment is not what its last audit row says")
    rows: dict[str, Attempt | Refund | Dispute] = {a.id: a for a in books.attempts}
    rows |= {r.id: r for r in books.refunds}
    rows |= {d.id: d for d in books.disputes}
    told: dict[str, str] = {}
    for body in bodies:
        told |= {entry.id: entry.digest for entry in body.attempts}
        told |= {entry.id: entry.digest for entry in (*body.refunds, *body.disputes)}
    for id_, digest in told.items():
        row = rows.pop(id_, None)
        if row is None:
            yield Violation("I7", payment.id, f"{id_} is gone")
        elif row_digest(row) != digest:
            yield Violation("I7", payment.id, f"{id_} is not what the audit says")
    for id_ in rows:
        yield Violation("I7", payment.id, f"no audit row says {id_}")


def _check_sends(books: Books, handles: Mapping[str, Collection[str]]) -> Iterator[Violation]:
    payment = books.payment
    sent = [a for a in books.attempts if a.operation == "authorize"]
    for attempt in sent[:-1]:
        if attempt.result_class not in {"A", "B1"}:
            detail = f"sent again after {attempt.id} of class {attempt.result_class}"
            yield Violation("I11", payment.id, detail)
    reversals = [a for a in books.open_attempts() if a.purpose == "reverse"]
    if len(reversals) > 1:
        detail = f"reversed again, and {reversals[0].id} is not settled"
        yield Violation("I11", payment.id, detail)
    for attempt in books.attempts:
        before_move = attempt.first_sent_ms <= (payment.moved_ms or 0)
        owner = payment.moved_from if before_move else payment.integration
        if attempt.operation == "authorize" or attempt.integration == owner:
            continue
        able = owner in handles.get(attempt.integration, ())
        if not able or not (attempt.routed or _had_no_effect_before(books, attempt, owner)):
            detail = f"{attempt.operation} went to {attempt.integration}"
            yield Violation("I6", payment.id, detail)


def _had_no_effect_before(books: Books, attempt: Attempt, owner: str | None) -> bool:
    """Whether the same was tried through the payment's own version, proved to be without effect."""
    return any(
        tried.integration == owner
        and (tried.operation, tried.refund_id) == (attempt.operation, attempt.refund_id)
        and tried.first_sent_ms < attempt.first_sent_ms
        and tried.result_class in {"A", "B1"}
        for tried in books.attempts
    )


def check_effects(books: Books, ledger: Ledger) -> Iterator[Violation]:
    """What one payment must satisfy against its charges in the ledger, at every commit and effect.
    `ledger` may hold this payment's part only."""
    payment = books.payment
    mine = [c for c in ledger.charges if c.metadata.get(PAYMENT_KEY) == payment.id]
    live = [c for c in mine if c.live]
    if len(live) > 1:
        ids = ", ".join(c.charge_id for c in live)
        yield Violation("I1", payment.id, f"{len(live)} live charges: {ids}")
    if payment.status == "failed" and live and not _is_concluded(books, live):
        yield Violation("I4", payment.id, f"failed with a live charge {live[0].charge_id}")
    if payment.status in LIVE and not mine:
        yield Violation("I4", payment.id, f"{payment.status} without a charge")
    for charge in mine:
        yield from _check_charge(books, charge)


def _is_concluded(books: Books, live: list[LedgerCharge]) -> bool:
    """Whether the payment failed on a conclusion from absence, which stands until a fact
    contradicts it: at quiet it must have been corrected (I16)."""
    keys = {charge.idempotency_key for charge in live}
    said = (a for a in books.attempts if a.concluded_ms is not None and a.corrected_ms is None)
    return keys <= {attempt.id for attempt in said}


def check_evidence(
    books: Books,
    effects_ms: Mapping[str, int],
    window_ms: int,
    sent_ms: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Violation]:
    """No conclusion from absence was made of an effect that took place within the window: then it
    was there to be seen. `effects_ms`: when the effect of each attempt took place; `sent_ms`: when
    it was sent last, where that is known better than from the books."""
    for attempt in books.attempts:
        if attempt.concluded_ms is None:
            continue
        landed_ms = effects_ms.get(attempt.id)
        last_ms = max(attempt.sent_ms, sent_ms.get(attempt.id, 0))
        if landed_ms is not None and landed_ms <= last_ms + window_ms:
            late_ms = landed_ms - last_ms
            detail = f"{attempt.id} had taken effect {late_ms} ms after its last send"
            yield Violation("I4", books.payment.id, f"concluded from absence, and {detail}")


def check_contradictions(books: Books, ledger: Ledger) -> Iterator[Violation]:
    """No conclusion outlives a fact that contradicts it: the ledger shows no effect of an attempt
    whose absence was taken for proof and which was not corrected."""
    mine = [c for c in ledger.charges if c.metadata.get(PAYMENT_KEY) == books.payment.id]
    live = [c for c in mine if c.live]
    seen = {c.idempotency_key for c in live if books.payment.status not in LIVE}
    seen |= _unbooked(books, [capture for c in live for capture in c.captures])
    seen |= {r.idempotency_key for c in live for r in c.refunds if _stands(r)}
    gone = books.payment.status in LIVE and bool(mine) and not live
    for attempt in books.attempts:
        if attempt.concluded_ms is None or attempt.corrected_ms is not None:
            continue
        if attempt.id in seen or (gone and attempt.operation == "void"):
            detail = f"{attempt.operation} {attempt.id} counts as not executed, and took effect"
            yield Violation("I16", books.payment.id, detail)


def _unbooked(books: Books, captures: list[LedgerCapture]) -> set[str]:
    """Keys of captures that took effect; of several for one amount any may have been corrected."""
    keys = {capture.idempotency_key for capture in captures}
    instead = {
        a.amount_minor
        for a in books.attempts
        if a.operation == "capture" and a.corrected_ms is not None and a.id not in keys
    }
    return {c.idempotency_key for c in captures if c.amount_minor not in instead}


def _stands(refund: LedgerRefund) -> bool:
    return refund.kind == "refund" and refund.status != "failed"


def check_corrections(
    books: Books, told: Collection[str], *, cleared: bool = True
) -> Iterator[Violation]:
    """A corrected conclusion was told to the shop and to a person. `told`: the types of the events
    about the payment; `cleared`: a person may have cleared the attention already."""
    payment = books.payment
    for attempt in books.attempts:
        if attempt.corrected_ms is None:
            continue
        event = "payment.corrected" if attempt.refund_id is None else "refund.corrected"
        if event not in told:
            yield Violation("I16", payment.id, f"{attempt.id} was corrected without {event}")
        if attempt.outcome != "approved":
            yield Violation("I16", payment.id, f"{attempt.id} is {attempt.outcome} again")
        if not cleared and payment.attention is None:
            yield Violation("I16", payment.id, f"{attempt.id} was corrected without attention")


def check_reversals(books: Books, *, wanted: bool) -> Iterator[Violation]:
    """A charge that showed up late is given back where the account wants it, and only there, at
    most once. `wanted`: the account's policy. What the shop captures it keeps. A hold
    that our own repetition made after the shopper's deadline is released everywhere. It holds at
    quiet."""
    payment = books.payment
    made = [a for a in books.attempts if a.purpose == "reverse"]
    if made and not wanted and not _made_by_late_repetition(books, made):
        yield Violation("I16", payment.id, "reversed, and the account keeps late charges")
    if sum(_has_reversed(books, a) for a in made) > 1:
        yield Violation("I1", payment.id, f"reversed {len(made)} times")
    found = [a.corrected_ms for a in books.attempts if a.operation == "authorize"]
    late = [at_ms for at_ms in found if at_ms is not None]
    left = payment.captured_minor > payment.refunded_minor or payment.status == "requires_capture"
    captures = [a.first_sent_ms for a in books.attempts if a.operation == "capture"]
    kept = any(at_ms > late[0] for at_ms in captures if late)
    if wanted and late and left and payment.status in LIVE and not made and not kept:
        yield Violation("I16", payment.id, "a late charge stands, and the account reverses them")


def _has_reversed(books: Books, reversal: Attempt) -> bool:
    """Whether a reversal took effect and its refund did not fail afterwards."""
    refund = books.refund(reversal.refund_id or "")
    failed = refund is not None and refund.status == "failed"
    return reversal.outcome in {"approved", "pending"} and not failed


def _made_by_late_repetition(books: Books, reversals: list[Attempt]) -> bool:
    repeated = any(
        a.settled_by == "replay" and a.sent_ms >= books.payment.deadline_ms
        for a in books.attempts
        if a.operation == "authorize"
    )
    return repeated and all(a.operation == "void" for a in reversals)


def check_references(payments: Iterable[Books]) -> Iterator[Violation]:
    """Of payments that asked for a reference of their own, at most one holds it: unless one that
    had failed came back to life by a correction."""
    holders: dict[tuple[str, str | None], list[Payment]] = {}
    for books in payments:
        payment = books.payment
        corrected = any(a.corrected_ms is not None for a in books.attempts)
        if not payment.unique_reference or corrected or payment.status in {"failed", "canceled"}:
            continue
        holders.setdefault((payment.account, payment.reference), []).append(payment)
    for (_, reference), found in holders.items():
        if len(found) > 1:
            ids = ", ".join(payment.id for payment in found)
            yield Violation("I8", found[-1].id, f"{ids} all have the reference {reference!r}")


def check_disputes(books: Books, states: Mapping[str, str]) -> Iterator[Violation]:
    """Every dispute is what the provider said last. `states`: by the dispute's provider id."""
    known = {d.provider_id: d.state for d in books.disputes}
    for id_, state in states.items():
        if known.get(id_) != state:
            detail = f"dispute {id_} is {known.get(id_)} in our books, {state} at the provider"
            yield Violation("I5", books.payment.id, detail)


def check_unhidden(payments: Iterable[Books], poisoned: str) -> Iterator[Violation]:
    """While a row of `poisoned` (a payment) cannot be read, no doubt about another payment waits,
    once every wait has passed; but for a request that the provider says is still running."""
    for books in payments:
        if books.payment.id == poisoned:
            continue
        for attempt in books.open_attempts():
            if not attempt.in_use:
                detail = f"{attempt.operation} {attempt.id} waits for a row of {poisoned}"
                yield Violation("I17", books.payment.id, detail)


def check_waits(overdue_ms: Mapping[str, int], bound_ms: int) -> Iterator[Violation]:
    """No payment's settling waits beyond a bound, whatever other accounts do. `overdue_ms`: how
    long the job of each payment has been due and not started."""
    for id_, waited_ms in overdue_ms.items():
        if waited_ms > bound_ms:
            yield Violation("I17", id_, f"its settling has been due for {waited_ms} ms")


def _check_charge(books: Books, charge: LedgerCharge) -> Iterator[Violation]:
    name = charge.charge_id
    if not 0 <= charge.amount_refunded_minor <= charge.amount_captured_minor <= charge.amount_minor:
        yield Violation("I2", name, "not refunded <= captured <= authorized at the provider")
    cause = books.attempt(charge.idempotency_key)
    if cause is None or cause.operation != "authorize":
        yield Violation("I2", name, f"no attempt {charge.idempotency_key} was committed for it")
    elif (cause.amount_minor, books.payment.currency) != (charge.amount_minor, charge.currency):
        yield Violation("I2", name, f"{charge.amount_minor} {charge.currency} was not asked for")
    keys = [c.idempotency_key for c in charge.captures if c.idempotency_key]
    keys += [r.idempotency_key for r in charge.refunds if _is_ours(r)]
    for key, count in Counter(keys).items():
        if count > 1:
            yield Violation("I1", name, f"{key} took effect {count} times")
    for capture in charge.captures:
        if capture.idempotency_key and capture.idempotency_key != charge.idempotency_key:
            yield from _check_cause(
                books, name, "capture", capture.idempotency_key, capture.amount_minor
            )
    for refund in charge.refunds:
        if _is_ours(refund):
            yield from _check_cause(
                books, name, "refund", refund.idempotency_key, refund.amount_minor
            )


def _is_ours(refund: LedgerRefund) -> bool:
    return refund.kind == "refund" and refund.source == "api"


def _check_cause(
    books: Books, charge: str, operation: str, key: str, amount_minor: int
) -> Iterator[Violation]:
    cause: Attempt | None = books.attempt(key)
    if cause is None or cause.operation != operation or cause.amount_minor != amount_minor:
        yield Violation("I2", charge, f"a {operation} of {amount_minor} that no attempt asked for")


def check_quiet(books: Books, ledger: Ledger, now_ms: int) -> Iterator[Violation]:
    """What one payment must satisfy once faults have stopped and every wait has passed."""
    payment = books.payment
    if books.open_attempts() and payment.attention is None:
        attempt = books.open_attempts()[0]
        detail = f"{attempt.operation} {attempt.id} is still {attempt.outcome or 'sending'}"
        yield Violation("I14", payment.id, detail)
        return
    if payment.status == "processing" and not books.open_attempts():
        yield Violation("I14", payment.id, "still processing with nothing open")
    if payment.status == "requires_action" and now_ms > payment.deadline_ms + 120_000:
        yield Violation("I14", payment.id, "the shopper's deadline has passed")
    yield from check_contradictions(books, ledger)
    if books.open_attempts():
        return
    yield from _check_sums(books, [c for c in ledger.charges if _is_of(books, c)])
    for intent in ledger.intents:
        if intent.metadata.get(PAYMENT_KEY) == payment.id and intent.open:
            yield from _check_open_intent(books, intent)


def _is_of(books: Books, charge: LedgerCharge) -> bool:
    return charge.metadata.get(PAYMENT_KEY) == books.payment.id


def _check_open_intent(books: Books, intent: LedgerIntent) -> Iterator[Violation]:
    payment = books.payment
    failed_by_absence = payment.status == "failed" and payment.decline_reason is None
    if failed_by_absence or payment.status == "canceled":
        detail = f"{payment.status}, but {intent.payment_intent_id} could still be confirmed"
        yield Violation("I4", payment.id, detail)


def _check_sums(books: Books, mine: list[LedgerCharge]) -> Iterator[Violation]:
    payment = books.payment
    live = [c for c in mine if c.live]
    if payment.status in LIVE and not live:
        yield Violation("I4", payment.id, f"{payment.status} without a live charge")
    captured = sum(c.amount_captured_minor for c in live)
    if captured != payment.captured_minor:
        detail = f"captured {payment.captured_minor} in our books, {captured} at the provider"
        yield Violation("I13", payment.id, detail)
    refunded = sum(c.amount_refunded_minor for c in live)
    if refunded != payment.refunded_minor:
        detail = f"refunded {payment.refunded_minor} in our books, {refunded} at the provider"
        yield Violation("I13", payment.id, detail)
    if payment.status in {"canceled", "failed"} and live:
        yield Violation("I4", payment.id, f"{payment.status} with a live charge")
    known = {r.provider_id for r in books.refunds}
    for refund in (r for c in live for r in c.refunds if r.kind == "refund"):
        if refund.refund_id not in known:
            yield Violation("I2", payment.id, f"refund {refund.refund_id} is not in our books")


def check_answers(
    given: Iterable[Given], holdings: Holdings, payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """Every key answered 2xx has its one payment, and two answers to a key named the same one."""
    named: dict[str, str] = {}
    for answer in given:
        if not 200 <= answer.status < 300:
            continue
        if answer.payment_id not in payments:
            yield Violation("I3", answer.key, f"answered {answer.payment_id}, which is not there")
        if holdings.bound.get(answer.key) != answer.payment_id:
            yield Violation("I3", answer.key, f"bound to {holdings.bound.get(answer.key)}")
        if named.setdefault(answer.key, answer.payment_id) != answer.payment_id:
            yield Violation("I8", answer.key, "answered with two payments")


def claims_of(audit: Iterable[AuditRow]) -> list[str]:
    """The digests of the idempotency keys that a payment's changes bound; none of what is
    unreadable, which the check of the chain reports."""
    try:
        return [key for row in audit if (key := read_body(row.body).key) is not None]
    except msgspec.MsgspecError:
        return []


def check_keys(
    keys: Iterable[BoundKey], claims: Mapping[str, str], accounts: Mapping[str, str | None]
) -> Iterator[Violation]:
    """Every key is bound to the payment whose audit says so (`claims`: digest to payment id), of
    its own account (`accounts`: payment id to account, `None` where it cannot be read)."""
    for bound in keys:
        digest = key_digest(bound.account, bound.key, bound.fingerprint, bound.refund_id)
        if bound.payment_id not in accounts:
            yield Violation("I3", bound.key, f"bound to {bound.payment_id}, which is not there")
        elif accounts[bound.payment_id] not in {None, bound.account}:
            yield Violation("I10", bound.key, f"bound to {bound.payment_id} of another account")
        elif claims.get(digest) != bound.payment_id:
            detail = f"bound to {bound.payment_id}, whose audit does not say so"
            yield Violation("I8", bound.key, detail)


def check_claims(keys: Iterable[BoundKey], claims: Mapping[str, str]) -> Iterator[Violation]:
    """No key that a payment's audit speaks of is gone: it would execute a second time."""
    held = {key_digest(k.account, k.key, k.fingerprint, k.refund_id) for k in keys}
    for digest, payment_id in claims.items():
        if digest not in held:
            yield Violation("I8", payment_id, "an idempotency key of its audit is gone")


class SealCheck:
    """Recomputes every seal while the sealed heads go by in order of payment and audit row."""

    def __init__(self, seals: list[Seal]) -> None:
        self._seals = {seal.seq: seal for seal in seals}
        self._digests = {seal.seq: SealDigest(seal.previous) for seal in seals}
        self._counts: Counter[int] = Counter()
        self._newest = 0

    def look(self, head: SealedHead) -> Iterator[Violation]:
        """One sealed head; those of seals made since the seals were read are passed over."""
        self._newest = max(self._newest, head.seal)
        if head.seal not in self._seals:
            return
        self._digests[head.seal].add(head.payment_id, head.head)
        self._counts[head.seal] += 1
        if head.found is None:
            detail = f"audit row {head.audit_seq}, which seal {head.seal} covers, is gone"
            yield Violation("I7", head.payment_id, detail)
        elif head.found != head.head:
            detail = f"audit row {head.audit_seq} is not the one that seal {head.seal} covers"
            yield Violation("I7", head.payment_id, detail)

    def finish(self, present: Iterable[int]) -> Iterator[Violation]:
        """What all heads together say about the seals. `present`: the seals that there are now."""
        previous, expected = "", 1
        if self._newest > max(present, default=0):
            yield Violation("I7", f"seal {self._newest}", "is gone, and what it covers is there")
        for seq, seal in sorted(self._seals.items()):
            if seq != expected or seal.previous != previous:
                yield Violation("I7", f"seal {seq}", "does not follow the seal before it")
            if (self._counts[seq], self._digests[seq].hash) != (seal.heads, seal.hash):
                yield Violation("I7", f"seal {seq}", "does not seal the heads that it covers")
            previous, expected = seal.hash, seq + 1


def check_orphaned(holdings: Holdings) -> Iterator[Violation]:
    """No payment is gone whose audit is there."""
    for payment_id in sorted(holdings.orphans):
        yield Violation("I7", payment_id, "has an audit, and the payment is gone")


def check_holdings(holdings: Holdings, now_ms: int, slack_ms: int) -> Iterator[Violation]:
    """No work sleeps past its time, and no event is without a fate."""
    for kind, (count, due_ms) in sorted(holdings.waiting.items()):
        if due_ms + slack_ms < now_ms:
            yield Violation("I15", kind, f"{count} jobs, the first {now_ms - due_ms} ms overdue")
    for delivery in sorted(holdings.pending_deliveries - holdings.delivery_jobs):
        yield Violation("I9", delivery, "an event is owed and nothing will deliver it")


def check_orphans(payments: Mapping[str, Books], ledger: Ledger) -> Iterator[Violation]:
    """Every charge at the provider belongs to a payment of ours."""
    for charge in ledger.charges:
        payment_id = charge.metadata.get(PAYMENT_KEY)
        if payment_id not in payments:
            yield Violation("I2", charge.charge_id, f"no payment {payment_id} was committed")
