"""Planted bugs about what the service concludes, and about what it does with later facts."""

from typing import Any, Final

import msgspec

from tollkeeper.flows.payments import (
    acts,
    answers,
    create,
    follow_up,
    questions,
    settle,
    settlement_run,
)
from tollkeeper.flows.payments import look as look_flow
from tollkeeper.payments import change, closing, late, reconcile, reservation, results, settlement
from tollkeeper.payments.outcome import Outcome, Refusal
from tollkeeper.routing.router import Router
from tollkeeper.testing import planting
from tollkeeper.testing.planting import Bug, Patch

_OWN: Final[list[Bug]] = []
_bug = planting.collector(_OWN)


def _unchanged(books: Any, *_: Any) -> Any:
    return books


# Conclusions that a fact contradicts


@_bug("A payment that was called not executed stays failed, whatever shows its charge.")
def conclusion_never_corrected() -> list[Patch]:
    return [(reconcile, "_found_late", _unchanged)]


@_bug("A refund that was called not executed stays failed, whatever shows it.")
def refund_never_corrected() -> list[Patch]:
    return [(reconcile, "_refund_found_late", _unchanged)]


@_bug("A capture that takes effect late counts as one that was made at the provider.")
def late_capture_taken_for_external() -> list[Patch]:
    return [(reconcile, "_concluded_captures", lambda *_: [])]


@_bug("A refund that was corrected does not count against what may still be refunded.")
def corrected_refund_not_counted() -> list[Patch]:
    real = reservation.refundable_minor

    def refundable(books: Any) -> int:
        corrected = {a.refund_id for a in books.attempts if a.corrected_ms is not None}
        again = sum(r.amount_minor for r in books.refunds if r.id in corrected)
        return int(real(books) + again)

    return [(reservation, "refundable_minor", refundable)]


@_bug("A webhook about a payment that has failed is no reason to look.")
def webhook_after_the_end_ignored() -> list[Patch]:
    real = vars(settle)["next_step"]

    def step(books: Any, look: Any, policy: Any, now_ms: int, **rest: Any) -> Any:
        if rest["refresh"] and books.payment.status == "failed" and not books.open_attempts():
            return settlement.DONE
        return real(books, look, policy, now_ms, **rest)

    return [(settle, "next_step", step)]


@_bug("Nothing is looked at again after a conclusion from absence.")
def late_looks_forgotten() -> list[Patch]:
    return [(settlement, "_late_due", lambda *_: None)]


@_bug("Late looks are about charges, and leave refunds out.")
def late_looks_without_refunds() -> list[Patch]:
    return [(settlement, "refunds_due", lambda books, _: settlement.pending_refunds(books))]


@_bug("A correction is booked, and the shop gets no event.")
def correction_without_its_event() -> list[Patch]:
    return [
        (change, "corrected_attempts", lambda *_: iter(())),
        (change, "corrected_refunds", lambda *_: iter(())),
    ]


@_bug("A correction is booked, and asks for no attention.")
def correction_without_attention() -> list[Patch]:
    return [(reconcile, "_for_a_person", lambda payment, _: payment)]


@_bug("An intent that lands late and waits for a shopper is left open.")
def late_intent_left_open() -> list[Patch]:
    return [(settlement, "_is_left_open", lambda *_: False)]


# What absence proves


@_bug("A row of our own that cannot be read is taken for absence.")
def unread_row_taken_for_absence() -> list[Patch]:
    return [
        (questions, "may_be_charge_of", lambda *_: False),
        (questions, "unread_may_be_refund_in_doubt", lambda *_: False),
    ]


@_bug("One row that cannot be read makes the whole list unusable.")
def poisoned_row_hides_the_page() -> list[Patch]:
    return [
        (questions, "may_be_charge_of", lambda *_: True),
        (questions, "unread_may_be_refund_in_doubt", lambda *_: True),
    ]


@_bug("The provider says that a request with our key is running, and absence counts all the same.")
def key_in_use_taken_for_absence() -> list[Patch]:
    def absent(payment: Any, attempt: Any, look: Any, policy: Any, now_ms: int) -> Any:
        del payment, look, policy, now_ms
        return settlement.Step("not_executed", attempt)

    return [(settlement, "_absent", absent)]


@_bug("Charges are looked for by our clock, however far the provider's is off.")
def clock_difference_ignored() -> list[Patch]:
    return [(settlement_run.SettlementRun, "skew_ms", property(lambda _: 0))]


@_bug("An empty list is believed, whichever account our key opens.")
def list_of_another_account_believed() -> list[Patch]:
    async def shows(_: Any) -> bool:
        return True

    return [(acts, "_key_shows_ours", shows)]


# What follows a result at once


@_bug("A refusal that no table knows is proof, without a look.")
def unlisted_refusal_believed() -> list[Patch]:
    real = vars(look_flow)["glance_for"]

    def glance(outcome: Outcome) -> Any:
        found = real(outcome)
        return None if found == "confirm" else found

    return [(look_flow, "glance_for", glance)]


@_bug("A look that shows the charge does not change a refusal that no table knows.")
def refusal_believed_against_the_look() -> list[Patch]:
    real = vars(create)["settled_at_once"]

    async def settled(w: Any, books: Any, attempt: Any, heard: Any) -> Any:
        found = await real(w, books, attempt, heard)
        return heard if heard.outcome.refusal is not None else found

    return [(create, "settled_at_once", settled), (follow_up, "settled_at_once", settled)]


@_bug(
    "A look that shows nothing turns an unknown result into a refusal, and another version sends."
)
def failover_after_an_empty_look() -> list[Patch]:
    real = vars(create)["settled_at_once"]

    async def settled(w: Any, books: Any, attempt: Any, heard: Any) -> Any:
        found = await real(w, books, attempt, heard)
        if found.outcome.kind != "unknown":
            return found
        nothing = Outcome(kind="failed", refusal=Refusal("nothing", "the look showed nothing"))
        return msgspec.structs.replace(found, outcome=nothing)

    return [(create, "settled_at_once", settled), (follow_up, "settled_at_once", settled)]


@_bug("A payment fails over to a candidate that was not proved.")
def failover_to_an_unproved_candidate() -> list[Patch]:
    def other_versions(self: Any, name: str, account: str | None) -> list[Any]:
        return [self.installed[other] for other in sorted(self.installed) if other != name]

    return [(Router, "other_versions", other_versions)]


@_bug("An effect that a version misread, or could not read, confirms a refusal.")
def misread_effect_confirms_a_refusal() -> list[Patch]:
    real = look_flow._judged  # noqa: SLF001

    def judged(books: Any, attempt: Any, shown: Outcome) -> look_flow.Seen:
        seen = real(books, attempt, shown)
        return seen if seen.answered else look_flow.Seen(None, answered=True)

    return [
        (look_flow, "_judged", judged),
        (look_flow, "charge_mismatch", lambda *_: None),
        (look_flow, "_moved_otherwise", lambda *_: False),
        (look_flow, "may_be_charge_of", lambda *_: False),
        (look_flow, "unread_may_be_refund", lambda *_: False),
    ]


# Money that others move


@_bug("The rest that a partial capture releases counts as a refund.")
def release_counted_as_refund() -> list[Patch]:
    return [(reconcile, "_released", lambda *_: None)]


@_bug("A refund made at the provider is taken for a released authorization.")
def refund_taken_for_a_release() -> list[Patch]:
    def released(books: Any, seen: Any, _: Any) -> Any:
        known = {r.provider_id for r in books.refunds}
        return next((s for s in seen if s.provider_id not in known and not s.attempt_id), None)

    return [(reconcile, "_released", released)]


@_bug("A charge that shows up late is reversed, although its account keeps such charges.")
def reversal_unasked() -> list[Patch]:
    real = closing._with_reversal  # noqa: SLF001

    def with_reversal(before: Any, after: Any, policy: Any) -> Any:
        every = frozenset({after.payment.account})
        return real(before, after, msgspec.structs.replace(policy, reversing_accounts=every))

    return [(closing, "_with_reversal", with_reversal)]


@_bug("A charge that shows up late stays, although its account wants it reversed.")
def reversal_forgotten() -> list[Patch]:
    return [(closing, "_with_reversal", lambda _before, after, _policy: after)]


@_bug("A late charge is reversed without asking whether a reversal was committed before.")
def reversal_made_twice() -> list[Patch]:
    real = vars(settle)["next_step"]

    def step(books: Any, *values: Any, **rest: Any) -> Any:
        chosen = real(books, *values, **rest)
        # the second of two is enough to be found, and no pass may go round for ever
        under_way = [a for a in books.open_attempts() if a.purpose == "reverse"]
        alone = len(under_way) == len(books.open_attempts()) == 1
        again = chosen == settlement.WAIT and alone and books.payment.reversing
        may = again and late.still_reversible(_blind(books))
        return settlement.Step("reverse") if may else chosen

    async def reverse(current: Any, _: Any) -> None:
        w = current.runtime
        attempt_id, refund_id = w.new_id("att"), w.new_id("re")

        def begin(books: Any) -> Any:
            blind = _blind(books)
            if not books.payment.reversing or not late.still_reversible(blind):
                return books
            opened = late.open_reversal(blind, attempt_id, refund_id, w.store.now_ms())
            books = results.with_attempt(books, opened.attempts[-1])
            for refund in opened.refunds:
                books = results.with_refund(books, refund)
            return reservation.sent_by(results.totals(books), attempt_id, w.sender)

        await acts._send_new(current, attempt_id, begin, "settling.reversing")  # noqa: SLF001

    steps = {**settle._STEPS, "reverse": reverse}  # noqa: SLF001
    return [(settle, "next_step", step), (settle, "_STEPS", steps)]


def _blind(books: Any) -> Any:
    attempts = tuple(a for a in books.attempts if a.purpose != "reverse")
    known = {a.refund_id for a in attempts}
    refunds = tuple(r for r in books.refunds if r.origin != "api" or r.id in known)
    return results.totals(msgspec.structs.replace(books, attempts=attempts, refunds=refunds))


@_bug("An older word about a dispute overwrites a newer one.")
def older_dispute_word_wins() -> list[Patch]:
    return [(reconcile, "_is_older", lambda *_: False)]


# Accounts


@_bug("A reference is looked up first, and not held in the payment's commit.")
def reference_checked_and_not_held() -> list[Patch]:
    real = create._held_reference  # noqa: SLF001

    async def held(*values: Any) -> None:
        await real(*values)

    return [(create, "_held_reference", held)]


@_bug("A follow-up does not ask whose payment it is.")
def payment_of_another_account_moved() -> list[Patch]:
    real = vars(follow_up)["load"]

    async def load(w: Any, payment_id: str, account: str | None = None) -> Any:
        del account
        return await real(w, payment_id)

    return [(answers, "load", load), (follow_up, "load", load)]


BUGS: Final = tuple(_OWN)
"""Every bug of this kind."""
