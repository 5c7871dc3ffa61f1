"""Jobs: rows with a time, a lease and a fence; who lost the fence may not finish the job."""

from typing import Final

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.sql import ClauseElement

from tollkeeper.flows.ports import Job
from tollkeeper.store import tables as t
from tollkeeper.store.operations.changes import UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Operation, Statement


def _claim(_: str) -> ClauseElement:
    due = (
        select(t.jobs.c.kind, t.jobs.c.subject)
        .where(
            t.jobs.c.run_at_ms <= bindparam("now_ms"),
            t.jobs.c.lease_until_ms <= bindparam("now_ms"),
        )
        .order_by(t.jobs.c.run_at_ms)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        # once: a subquery that is planned as the inner side of a join runs, and locks, again
        .cte("due")
    )
    return (
        update(t.jobs)
        .where(tuple_(t.jobs.c.kind, t.jobs.c.subject).in_(select(due.c.kind, due.c.subject)))
        .values(
            lease_until_ms=bindparam("lease"), fence=t.jobs.c.fence + 1, tries=t.jobs.c.tries + 1
        )
        .returning(t.jobs.c.kind, t.jobs.c.subject, t.jobs.c.fence, t.jobs.c.tries)
    )


CLAIM_JOBS: Final = Statement("claim_jobs", _claim, returns=True)
FINISH_JOB: Final = Statement(
    "finish_job",
    lambda _: delete(t.jobs).where(
        t.jobs.c.kind == bindparam("kind"),
        t.jobs.c.subject == bindparam("subject"),
        t.jobs.c.fence == bindparam("the_fence"),
    ),
    returns=False,
)
POSTPONE_JOB: Final = Statement(
    "postpone_job",
    lambda _: (
        update(t.jobs)
        .where(
            t.jobs.c.kind == bindparam("the_kind"),
            t.jobs.c.subject == bindparam("the_subject"),
            t.jobs.c.fence == bindparam("the_fence"),
        )
        .values(run_at_ms=bindparam("run_at_ms"), lease_until_ms=0)
    ),
    returns=False,
)
NEXT_JOB: Final = Statement(
    "next_job",
    lambda _: select(func.min(t.jobs.c.run_at_ms)).where(
        t.jobs.c.lease_until_ms <= bindparam("now_ms")
    ),
    returns=True,
)
COUNT_JOBS: Final = Statement(
    "count_jobs",
    lambda _: select(t.jobs.c.kind, func.count(), func.min(t.jobs.c.run_at_ms)).group_by(
        t.jobs.c.kind
    ),
    returns=True,
)


def claim_jobs(now_ms: int, lease_ms: int, limit: int) -> Operation[list[Job]]:
    """Takes at most `limit` due jobs until `now_ms + lease_ms`; nobody else gets them meanwhile."""
    values = {"now_ms": now_ms, "lease": now_ms + lease_ms, "limit": limit}
    rows = yield CLAIM_JOBS, values
    return sorted([Job(*row) for row in rows], key=lambda job: (job.kind, job.subject))


def finish_job(job: Job) -> Operation[bool]:
    """Removes the job, unless its fence has moved on."""
    ((count,),) = yield (
        FINISH_JOB,
        {"kind": job.kind, "subject": job.subject, "the_fence": job.fence},
    )
    return bool(count)


def postpone_job(job: Job, run_at_ms: int) -> Operation[bool]:
    """Gives the job back for `run_at_ms`, unless its fence has moved on."""
    values = {"the_kind": job.kind, "the_subject": job.subject, "the_fence": job.fence}
    ((count,),) = yield POSTPONE_JOB, {**values, "run_at_ms": run_at_ms}
    return bool(count)


def enqueue_job(kind: str, subject: str, run_at_ms: int) -> Operation[None]:
    """Adds a job or moves it to `run_at_ms`, with a new fence."""
    row = {"kind": kind, "subject": subject} | fresh_job(run_at_ms, run_at_ms)
    yield UPSERT_JOB, row


def next_job_ms(now_ms: int) -> Operation[int | None]:
    """When the earliest unleased job is due."""
    rows = yield NEXT_JOB, {"now_ms": now_ms}
    return rows[0][0] if rows else None


def count_jobs() -> Operation[dict[str, tuple[int, int]]]:
    """By kind: how many jobs, and when the earliest is due."""
    rows = yield COUNT_JOBS, {}
    return {kind: (count, first) for kind, count, first in sorted(rows)}
