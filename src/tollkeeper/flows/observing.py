"""What a payment says to the rollout that it fell into: where it stands, what it came to, and what
a candidate in the shadow would have made of it. And what the door counts of its own answers."""

import contextlib

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.checks import is_looked_up_later
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.trials import Sent, cause_of, has_ended, is_evidence, is_failing, trial_of
from tollkeeper.flows.ports import TrialRow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import Prepared, SendResult, prepare, read_by
from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.payments import judging
from tollkeeper.payments.assignment import Assignment, FirstResult, FollowUpResult, ShadowResult
from tollkeeper.payments.judging import judge
from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.routing.routes import (
    PPM,
    RouteChoice,
    RoutingContext,
    follow_up_key,
    is_drawn,
    units_of,
)
from tollkeeper.signals.cells import api_cell


def assignment_of(taken: RouteChoice, payment_id: str, now_ms: int) -> Assignment | None:
    """The place of a new payment in the rollout that it falls into, if any."""
    canary = taken.canary
    if canary is None or canary.is_shadow:
        return None
    return Assignment(
        rollout_id=canary.rollout_id,
        unit=taken.unit,
        payment_id=payment_id,
        arm="canary" if taken.is_canary else "baseline",
        share_ppm=taken.share_ppm,
        assigned_ms=now_ms,
        again_unit=taken.again_unit,
        again_ppm=taken.again_ppm,
        drawn=taken.is_canary and is_drawn(canary, payment_id),
    )


def is_failure(heard: SendResult) -> bool:
    """No usable answer by the version that sent it: class A, B1 or C, or read by another one."""
    return heard.unreadable or judging.is_failure(heard.outcome)


def observed_of(
    taken: RouteChoice, attempt: Attempt, heard: SendResult, now_ms: int
) -> FirstResult | None:
    """What the first attempt came to, for the rollout."""
    canary = taken.canary
    if canary is None or canary.is_shadow:
        return None
    return FirstResult(
        rollout_id=canary.rollout_id,
        unit=taken.unit,
        again_unit=taken.again_unit,
        payment_id=attempt.payment_id,
        failed=is_failure(heard),
        unreadable=heard.unreadable,
        declined=judging.is_decline(heard.outcome),
        latency_ms=heard.observation.total_ms if heard.observation is not None else 0,
        decided_ms=now_ms,
    )


def followed_of(
    runtime: Runtime, payment: Payment, attempt: Attempt, heard: SendResult
) -> FollowUpResult | None:
    """What the first follow-up of a payment came to, for the rollout that it may count in; only
    through the version that took the payment."""
    if attempt.operation == "authorize" or attempt.routed or payment.moved_from is not None:
        return None
    facts = context_of(payment)
    provider = attempt.integration.partition("@")[0]
    for canary in runtime.live.routes.canaries:
        if canary.candidate.partition("@")[0] != provider or not canary.is_running:
            continue
        if canary.condition.holds(facts):
            return FollowUpResult(
                rollout_id=canary.rollout_id,
                units=units_of(canary, facts),
                payment_id=payment.id,
                failed=is_failure(heard),
            )
    return None


def context_of(payment: Payment) -> RoutingContext:
    """What routing may know of a payment that exists."""
    return RoutingContext(
        unit=payment.customer or payment.id,
        payment_id=payment.id,
        currency=payment.currency,
        account=payment.account,
        country=payment.country,
    )


def shadowed_of(
    runtime: Runtime,
    taken: RouteChoice,
    books: Books,
    attempt: Attempt,
    prepared: Prepared,
    heard: SendResult,
) -> ShadowResult | None:
    """What a candidate in the shadow makes of the baseline's reply, and the request that it would
    have sent; nothing is sent. `None` where it could not compute anything of its own."""
    canary = taken.canary
    if canary is None or not canary.is_shadow or heard.reply is None:
        return None
    candidate = runtime.installed.get(canary.candidate)
    if candidate is None or candidate.outcome is prepared.integration.outcome:
        return None
    other = msgspec.structs.replace(attempt, integration=candidate.name)
    built = prepare(runtime, books, other)
    read = judge(books.payment, attempt, read_by(candidate, "authorize", heard.reply))
    found = []
    if built.request is None:
        found.append(f"request: {built.error}")
    elif prepared.request is not None and built.request.path != prepared.request.path:
        found.append(f"request: {built.request.path}, the baseline {prepared.request.path}")
    if _said(read) != _said(heard.outcome):
        found.append(f"reply: {_said(read)}, the baseline {_said(heard.outcome)}")
    return ShadowResult(
        rollout_id=canary.rollout_id,
        payment_id=attempt.payment_id,
        differs=bool(found),
        at_ms=runtime.store.now_ms(),
        detail="; ".join(found)[:500],
    )


def _said(outcome: Outcome) -> str:
    """An outcome in a few words: kind, state, decline, and what it could not read."""
    words: list[str] = [outcome.kind]
    if outcome.charge is not None and outcome.is_known:
        words.append(outcome.charge.state)
    if outcome.decline is not None:
        words.append(outcome.decline.reason)
    if outcome.doubt is not None:
        words.append(f"{outcome.doubt.kind} {outcome.doubt.pointer}".strip())
    return " ".join(words)


async def note_begun(runtime: Runtime, books: Books, taken: RouteChoice, first: str) -> None:
    """Tells the watch of a payment that a share has drawn for one of two versions, before anything
    is sent: such payments are counted in the order in which they begin. What is not told here is
    not counted as drawn."""
    share = taken.share
    if share is None or not share.share_ppm or not _is_watched(runtime, first):
        return
    trial = Trial(first="later", share=share.share_ppm / PPM, through_w=taken.is_moved)
    mine = books.attempts[0].id
    id_ = f"0_{mine}"  # it is read before the end, which may come in the same millisecond
    row = _row(runtime, books.payment, id_, first, trial, candidate=share.candidate)
    with contextlib.suppress(StoreDoubt, Unavailable):  # evidence alone: the payment goes on
        await runtime.store.note_trial(replace(row, begins=mine))


def _is_watched(runtime: Runtime, version: str) -> bool:
    provider = version.partition("@")[0]
    policy = runtime.live.routes.policies.get(provider) or runtime.provider(provider).failover
    return policy != "off"


async def note_first(
    runtime: Runtime,
    books: Books,
    taken: RouteChoice,
    versions: list[str],
    sends: list[SendResult],
    *,
    tossed: bool,
) -> None:
    """Tells the watch on the carrying version how a payment went: at once where it failed or a
    failover goes on, else as one of those that did not fail."""
    if not _is_watched(runtime, versions[0]):
        return
    made = _sent(versions, sends)
    is_drawn = taken.share is not None and taken.share.share_ppm > 0
    if not is_evidence(made[0]) and not is_drawn:
        return
    failed = is_failing(made[0])
    is_open = taken.share is not None and taken.share.is_open
    checked = _checked(runtime, taken, books.payment, versions[0])
    is_told = failed or is_open or bool(checked)
    if failed:
        runtime.live.noted_failing(versions[0], runtime.clock.monotonic())
    elif not is_told:
        runtime.live.unfailed[versions[0]] += 1
    if not is_told:
        return
    row = _trial_row(runtime, books, taken, made, sends[0], tossed=tossed, checked=checked)
    with contextlib.suppress(StoreDoubt, Unavailable):  # evidence alone: the payment stands
        await runtime.store.note_trial(row)
        runtime.live.wake_requested = True


def evidence_of(first: SendResult, heard: SendResult) -> SendResult:
    """What a send says of its version: the result before a look. A refusal that no table knows may
    be a decline, as the look then shows, and that is no failure."""
    if not first.unreadable and judging.is_decline(heard.outcome):
        return replace(heard, own=heard.outcome, unreadable=False)
    return replace(first, read_by=heard.read_by)


async def note_follow_up(
    runtime: Runtime,
    payment: Payment,
    first: Attempt,
    versions: list[str],
    sends: list[SendResult],
    *,
    tossed: bool,
) -> None:
    """Tells the watch how a capture, void or refund went, whose `first` attempt it was: one by one
    where it failed or an episode is open. It counts for no authorization."""
    if not _is_watched(runtime, versions[0]):
        return
    made = _sent(versions, sends)
    key = follow_up_key(versions[0], first.operation)
    if is_failing(made[0]):
        runtime.live.noted_failing(key, runtime.clock.monotonic())
    elif is_evidence(made[0]) and not _is_follow_up_open(runtime, payment, first.operation):
        runtime.live.unfailed[key] += 1
        return
    elif not is_evidence(made[0]):
        return
    row = _follow_up_row(runtime, payment, first, made, sends[0], tossed=tossed)
    with contextlib.suppress(StoreDoubt, Unavailable):  # evidence alone: the follow-up stands
        await runtime.store.note_trial(row)
        runtime.live.wake_requested = True


def _is_follow_up_open(runtime: Runtime, payment: Payment, operation: str) -> bool:
    found = runtime.live.routes.follow_ups.get(follow_up_key(payment.integration, operation))
    return found is not None and found.is_open


def _follow_up_row(
    runtime: Runtime,
    payment: Payment,
    first: Attempt,
    made: list[Sent],
    heard: SendResult,
    *,
    tossed: bool,
) -> TrialRow:
    mine = made[0].version
    others = [payment.integration, *runtime.router.able_names(payment.integration, payment.account)]
    candidate = next((name for name in others if name != mine), "")
    trial = trial_of(
        made, candidate, share=0.0, through_w=False, tossed=tossed, told_bad=not has_ended(made[-1])
    )
    row = _row(runtime, payment, first.id, mine, trial, candidate=candidate)
    helped = has_ended(made[-1]) and made[-1].version != mine
    return replace(
        row,
        read_by=heard.read_by,
        operation=first.operation,
        owner=payment.integration,
        helped_by=made[-1].version if helped else "",
        cause=cause_of(made[0]) if is_failing(made[0]) else "",
    )


def _sent(versions: list[str], sends: list[SendResult]) -> list[Sent]:
    return [
        Sent(name, heard.own or heard.outcome, heard.unreadable)
        for name, heard in zip(versions, sends, strict=True)
    ]


def _trial_row(
    runtime: Runtime,
    books: Books,
    taken: RouteChoice,
    made: list[Sent],
    first: SendResult,
    *,
    tossed: bool,
    checked: str,
) -> TrialRow:
    payment = books.payment
    other = taken.share.candidate if taken.share is not None else ""
    candidate = other or next((s.version for s in made if s.version != made[0].version), "")
    helped = has_ended(made[-1]) and made[-1].version != made[0].version
    trial = trial_of(
        made,
        candidate,
        share=taken.share.share_ppm / PPM if taken.share is not None else 0.0,
        through_w=taken.is_moved,
        tossed=tossed,
        told_bad=payment.is_told_badly,
    )
    row = _row(runtime, payment, books.attempts[0].id, made[0].version, trial, candidate=candidate)
    return replace(
        row,
        read_by=first.read_by,
        unread_by=_unread_by(runtime, payment, made[0].version, first),
        helped_by=made[-1].version if helped else "",
        cause=cause_of(made[0]) if is_failing(made[0]) else "",
        checked=checked,
    )


def _unread_by(
    runtime: Runtime, payment: Payment, version: str, heard: SendResult
) -> tuple[str, ...]:
    """The versions that were asked to read a reply to `version`, where none of them could."""
    if not heard.unreadable or heard.read_by:
        return ()
    return tuple(v.name for v in runtime.router.other_versions(version, payment.account))


def _row(
    runtime: Runtime, payment: Payment, id_: str, version: str, trial: Trial, *, candidate: str
) -> TrialRow:
    return TrialRow(
        id=id_,
        provider=version.partition("@")[0],
        version=version,
        at_ms=runtime.store.now_ms(),
        payment_id=payment.id,
        trial=trial,
        candidate=candidate,
        currency=payment.currency,
        account=payment.account,
        country=payment.country,
    )


def _checked(runtime: Runtime, taken: RouteChoice, payment: Payment, first: str) -> str:
    """The version that took the payment in the end, where it is one that traffic is given to, or
    one that rescued it: until enough of its payments were looked up, and then one in a hundred of
    those that it carries. Empty where none is."""
    mine = payment.integration
    if payment.provider_id is None:
        return ""  # nothing is there that could be looked up
    if mine in runtime.live.routes.checked_enough:
        now_s = runtime.store.now_ms() / 1000
        is_drawn = mine == first and is_looked_up_later(payment.id)
        return mine if is_drawn and runtime.live.may_look_up_later(now_s) else ""
    is_new = taken.share is not None and taken.share.checked == mine
    return mine if is_new or mine != first else ""


def count_answer(runtime: Runtime, operation: str, status: int, code: str, seconds: float) -> None:
    """Counts one answer of our own API: its operation or route, its status, and the code of the
    error that it told, empty for none."""
    counting = runtime.live.counting
    cell = api_cell(operation, status, code, host=counting.host)
    counting.add(cell, runtime.store.now_ms(), seconds * 1000)
