"""Looking up what a version that traffic was given to made of its first payments, as a job.

Where two other versions see a payment otherwise, its books are corrected, and the controller takes
the version out. Where it is one against one, both are taken out, and the payment needs a person;
what carries traffic stays.
"""

from typing import Final

from tollkeeper.failover.checks import Verdict
from tollkeeper.failover.rule import Trial
from tollkeeper.flows.comparing import Sight, believe, call_for_a_person, looked_at
from tollkeeper.flows.ports import Job, TrialRow
from tollkeeper.flows.recording import load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.payment import Books, Payment
from tollkeeper.routing.rules import carrying

MAX_TRIES: Final = 16
FIRST_PAUSE_MS: Final = 500
LONGEST_PAUSE_MS: Final = 30_000
"""Together some five minutes: then nobody could answer."""

PATIENT_TRIES: Final = 4
"""Tries, some eight seconds, in which a reader that does not answer now is waited for: it may tell
which of two others is right."""

ACTOR: Final = "failover"


async def check(runtime: Runtime, job: Job) -> None:
    """Runs one `failover_check` job, whose subject is `VERSION|PAYMENT`."""
    version, _, payment_id = job.subject.partition("|")
    verdicts = await _verdicts(runtime, version, payment_id, hurries=job.tries > PATIENT_TRIES)
    if not verdicts and job.tries < MAX_TRIES:
        pause_ms = min(FIRST_PAUSE_MS << min(job.tries, 6), LONGEST_PAUSE_MS)
        await runtime.store.postpone_job(job, runtime.store.now_ms() + pause_ms)
        return
    for name, verdict in (verdicts or {version: "unanswered"}).items():
        row = TrialRow(
            id=f"check_{name}_{payment_id}",
            provider=version.partition("@")[0],
            version=name,
            checked=name,
            at_ms=runtime.store.now_ms(),
            payment_id=payment_id,
            trial=Trial(first="later"),
            verdict=verdict,
        )
        await runtime.store.note_trial(row)
    await runtime.store.finish_job(job)


async def _verdicts(
    runtime: Runtime, version: str, payment_id: str, *, hurries: bool
) -> dict[str, Verdict]:
    """What other versions see, and what that says of each; empty where it must be asked again.
    `hurries`: a reader that gives no answer is not waited for any more."""
    try:
        books = await load(runtime, payment_id)
    except NotFound:
        return {version: "unanswered"}
    payment = books.payment
    if payment.moved_from == version:
        return {version: "disagreed"}  # corrected by this, and what came after was not written
    if payment.integration != version:
        return {version: "unanswered"}  # another one has it: it says nothing about this one
    if payment.is_undecided or not payment.outcome_known or books.open_attempts():
        return {}
    if payment.provider_id is None:
        return {version: "agreed"}  # nothing is at the provider that could be seen otherwise
    readers = await _readers(runtime, version, payment)
    return await _compared(runtime, version, books, readers, hurries=hurries)


async def _compared(
    runtime: Runtime, version: str, books: Books, readers: list[str], *, hurries: bool
) -> dict[str, Verdict]:
    """Two against one: where one reader sees the payment otherwise, another one is asked as well.
    Where it is one against one, neither is believed, and the payment needs a person."""
    against: list[Sight] = []
    silent = 0
    for reader in readers:
        seen = await looked_at(runtime, books, reader)
        if seen is None:
            silent += 1
            continue
        if not seen.why:
            wrong: dict[str, Verdict] = {other.reader: "disagreed" for other in against}
            return {version: "agreed", **wrong}
        if any(other.why == seen.why for other in against):
            is_done = await believe(runtime, books, seen, ACTOR)
            return {version: "disagreed"} if is_done else {}
        against.append(seen)
    if not against or (silent and not hurries):
        return {}
    await call_for_a_person(runtime, books, against[0], ACTOR)
    carried = carrying(runtime.live.routes.rules, version.partition("@")[0])
    idle = [other.reader for other in against if other.reader not in carried]
    return dict.fromkeys([version, *idle], "disagreed")


async def _readers(runtime: Runtime, version: str, payment: Payment) -> list[str]:
    """Versions that may see the payment, those that do not fail first."""
    watch = await runtime.store.load_watch(version.partition("@")[0])
    others = runtime.router.other_versions(version, payment.account)
    able = [other.name for other in others if version in other.handles]
    return sorted(able, key=lambda name: watch is not None and watch.is_failing(name))
