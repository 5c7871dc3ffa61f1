"""Cross-reading one canary payment: looked up through the baseline, compared, and corrected where
the canary has misread it. A disagreement is for the controller, which rolls back at its next look.

Law: a baseline that fails itself is asked nothing while its rollout goes on. Another proved version
reads instead; where there is none, the question waits.
"""

from typing import Final

from tollkeeper.flows.comparing import compared
from tollkeeper.flows.ports import Job
from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.correction import reassign
from tollkeeper.payments.payment import Books
from tollkeeper.rollouts.crossing import is_agreement, is_disagreement
from tollkeeper.rollouts.failing import distrusted
from tollkeeper.rollouts.rollout import Rollout

MAX_TRIES: Final = 200
FIRST_PAUSE_MS: Final = 250
LONGEST_PAUSE_MS: Final = 10_000
"""Together half an hour: by then a shopper has authenticated or is too late, and a payment in doubt
is settled, or a person has it."""

ACTOR: Final = "cross-read"


async def cross_read(runtime: Runtime, job: Job) -> None:
    """Runs one `cross_read` job, whose subject is `ROLLOUT|PAYMENT`."""
    rollout_id, _, payment_id = job.subject.partition("|")
    rollout = await runtime.store.load_rollout(rollout_id)
    stands = await runtime.store.cross_read_of(rollout_id, payment_id)
    if rollout is None or stands != "asked":
        await runtime.store.finish_job(job)
        return
    reader = await _reader(runtime, rollout)
    verdict = await _compare(runtime, rollout, payment_id, reader)
    if verdict is None and reader is not None and job.tries >= MAX_TRIES:
        verdict = "unanswered"  # without a reader it waits, at most until the rollout's time is up
    now = await runtime.store.load_rollout(rollout_id)  # it may have ended meanwhile
    over = now is not None and _is_over(now)
    if over and is_agreement(verdict) and not await _is_moved(runtime, rollout, payment_id):
        verdict = None  # a follow-up is being sent: it goes back to the baseline after that
    if verdict is None:
        pause_ms = min(FIRST_PAUSE_MS * 2 ** min(job.tries, 10), LONGEST_PAUSE_MS)
        await runtime.store.postpone_job(job, runtime.store.now_ms() + pause_ms)
        return
    await runtime.store.note_cross_read(rollout_id, payment_id, verdict, over=over)
    runtime.live.wake_requested = runtime.live.wake_requested or is_disagreement(verdict)
    await runtime.store.finish_job(job)


async def _reader(runtime: Runtime, rollout: Rollout) -> str | None:
    """The version that the payment is looked up through; `None` while there is none to trust."""
    failing = distrusted(await runtime.store.load_watch(rollout.provider))
    reader = _successor(runtime, rollout, failing)
    if reader in failing and not _is_over(rollout):
        return None
    if reader == rollout.candidate:
        return None
    return reader if _is_proved(runtime, rollout, reader) else None


def _is_proved(runtime: Runtime, rollout: Rollout, name: str) -> bool:
    return runtime.live.routes.is_proved(name, rollout.condition.account)


async def _compare(
    runtime: Runtime, rollout: Rollout, payment_id: str, reader: str | None
) -> str | None:
    """`agreed`, `disagreed`, `nothing` where there is nothing to compare with, or `None` where it
    must be asked again."""
    try:
        books = await load(runtime, payment_id)
    except NotFound:
        return "nothing"
    payment = books.payment
    if rollout.candidate not in {payment.integration, payment.moved_from}:
        return "nothing"  # taken elsewhere: the canary says nothing about it any more
    undecided = payment.is_undecided
    if undecided or not payment.outcome_known or books.open_attempts():
        if _is_over(rollout):
            await _hand_over(runtime, rollout, books)  # the baseline settles it
        return None
    if payment.provider_id is None:
        return "nothing"  # known, and nothing at the provider to compare with
    if reader is None:
        return None
    return await compared(runtime, books, reader, ACTOR)


async def _is_moved(runtime: Runtime, rollout: Rollout, payment_id: str) -> bool:
    """Hands a payment of a candidate that was taken out over; whether it is the candidate's no
    more."""
    try:
        books = await load(runtime, payment_id)
    except NotFound:
        return True
    after = await _hand_over(runtime, rollout, books)
    return after.payment.integration != rollout.candidate


def _is_over(rollout: Rollout) -> bool:
    return not rollout.is_active and not rollout.is_promoted


async def _hand_over(runtime: Runtime, rollout: Rollout, books: Books) -> Books:
    """A candidate that was taken out takes no follow-up any more: its payments go back to the
    version that carried them before, as an audited move."""
    failing = distrusted(await runtime.store.load_watch(rollout.provider))

    def decide(current: Books) -> Books:
        sending = any(attempt.outcome is None for attempt in current.attempts)
        if current.payment.integration != rollout.candidate or sending:
            return current
        return reassign(current, _successor(runtime, rollout, failing), runtime.store.now_ms())

    return await record(runtime, books, decide, cause="payment.handed_over", actor=ACTOR)


def _successor(runtime: Runtime, rollout: Rollout, failing: frozenset[str]) -> str:
    """The baseline, unless that fails or was taken out itself meanwhile: then whatever carries most
    and can handle the candidate's payments. Where everything fails, the baseline all the same."""
    baseline, account = rollout.baseline, rollout.condition.account
    sound = baseline in runtime.installed and _is_proved(runtime, rollout, baseline)
    if sound and baseline not in failing:
        return baseline
    others = runtime.router.other_versions(rollout.candidate, account)
    able = [v.name for v in others if rollout.candidate in v.handles]
    weights = runtime.live.routes.rules[-1].weights

    def rank(name: str) -> tuple[bool, float]:
        return name not in failing, weights.get(name, 0.0)

    best = max(able, key=rank, default=baseline)
    return baseline if sound and best in failing else best
