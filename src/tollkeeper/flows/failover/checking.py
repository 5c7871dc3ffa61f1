"""Looking up what a version that traffic was given to made of its first payments, as a job.

A disagreement corrects the payment's books, and the controller takes the version out.
"""

from typing import Final

from tollkeeper.failover.checks import Verdict
from tollkeeper.failover.rule import Trial
from tollkeeper.flows.comparing import compared
from tollkeeper.flows.ports import Job, TrialRow
from tollkeeper.flows.recording import load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.payment import Payment

MAX_TRIES: Final = 16
FIRST_PAUSE_MS: Final = 500
LONGEST_PAUSE_MS: Final = 30_000
"""Together some five minutes: then nobody could answer."""

ACTOR: Final = "failover"


async def check(runtime: Runtime, job: Job) -> None:
    """Runs one `failover_check` job, whose subject is `VERSION|PAYMENT`."""
    version, _, payment_id = job.subject.partition("|")
    verdict = await _verdict(runtime, version, payment_id)
    if verdict is None and job.tries < MAX_TRIES:
        pause_ms = min(FIRST_PAUSE_MS << min(job.tries, 6), LONGEST_PAUSE_MS)
        await runtime.store.postpone_job(job, runtime.store.now_ms() + pause_ms)
        return
    row = TrialRow(
        id=f"check_{payment_id}",
        provider=version.partition("@")[0],
        version=version,
        checked=version,
        at_ms=runtime.store.now_ms(),
        payment_id=payment_id,
        trial=Trial(first="later"),
        verdict=verdict or "unanswered",
    )
    await runtime.store.note_trial(row)
    await runtime.store.finish_job(job)


async def _verdict(runtime: Runtime, version: str, payment_id: str) -> Verdict | None:
    """What another version sees; `None` where it must be asked again."""
    try:
        books = await load(runtime, payment_id)
    except NotFound:
        return "unanswered"
    payment = books.payment
    if payment.moved_from == version:
        return "disagreed"  # corrected by this, and what came after was not written down
    if payment.integration != version:
        return "unanswered"  # taken over by another version: it says nothing about this one
    if payment.is_undecided or not payment.outcome_known or books.open_attempts():
        return None
    if payment.provider_id is None:
        return "agreed"  # known, and nothing is at the provider that could be seen otherwise
    for reader in await _readers(runtime, version, payment):
        said = await compared(runtime, books, reader, ACTOR)
        if said is not None:
            return "agreed" if said == "agreed" else "disagreed"
    return None


async def _readers(runtime: Runtime, version: str, payment: Payment) -> list[str]:
    """Versions that may see the payment, those that do not fail first."""
    watch = await runtime.store.load_watch(version.partition("@")[0])
    others = runtime.router.other_versions(version, payment.account)
    able = [other.name for other in others if version in other.handles]
    return sorted(able, key=lambda name: watch is not None and watch.is_failing(name))
