"""Jobs: rows with a time, a lease and a fence; who lost the fence may not finish the job."""

from typing import Any, Final

import msgspec

from tollkeeper.flows.ports import Due, Job
from tollkeeper.store.statements import Operation, Statement, sql
from tollkeeper.store.topic import Topic, reads, writes, writes_long

FENCES: Final = 1 << 20
"""Claims that one making of a job may see; with Unix milliseconds as its age it fits 64 bits."""

UPSERT_JOB: Final = sql(
    "upsert_job",
    """
    INSERT INTO jobs (kind, subject, run_at_ms, lease_until_ms, fence, tries)
    VALUES (:kind, :subject, :run_at_ms, :lease_until_ms, :fence, :tries)
    ON CONFLICT (kind, subject) DO UPDATE SET
      run_at_ms = excluded.run_at_ms, lease_until_ms = 0, fence = jobs.fence + 1, tries = 0
    """,
)
"""Makes a job, or moves it: a new fence takes it away from whoever holds it."""

DELETE_JOB: Final = sql("delete_job", "DELETE FROM jobs WHERE kind = :kind AND subject = :subject")


def _listed(name: str) -> tuple[str, str]:
    """The texts of a JSON array that is given as the parameter `name`, on SQLite and PostgreSQL."""
    return (
        f"SELECT value FROM json_each(:{name})",
        f"SELECT jsonb_array_elements_text(CAST(:{name} AS jsonb))",
    )


def _due(name: str, joined: str, account: str, peer: tuple[str, str]) -> Statement:
    """Due jobs of one kind, oldest first, without those of full accounts and full peers. `peer`:
    where the peer is read from, on SQLite and PostgreSQL; `{peer}` in `joined` stands for it."""
    texts = [
        f"""
        SELECT jobs.subject, {account}, {mine} FROM jobs {joined.format(peer=mine)}
        WHERE jobs.kind = :kind AND jobs.run_at_ms <= :now_ms AND jobs.lease_until_ms <= :now_ms
          AND {account} NOT IN ({accounts}) AND {mine} NOT IN ({peers})
        ORDER BY jobs.run_at_ms LIMIT :limit
        """
        for mine, accounts, peers in zip(
            peer, _listed("full_accounts"), _listed("full_peers"), strict=True
        )
    ]
    return sql(name, texts[0], postgresql=texts[1])


_VERSION: Final = "coalesce(payments.integration, '')"
DUE: Final = {
    # the peer is the provider of the integration version that carries the payment
    "payments": _due(
        "due_payments",
        "LEFT JOIN payments ON payments.id = jobs.subject",
        "coalesce(payments.account, '')",
        (f"substr({_VERSION}, 1, instr({_VERSION}, '@') - 1)", f"split_part({_VERSION}, '@', 1)"),
    ),
    # the peer is the endpoint, which the subject names after its event
    "deliveries": _due(
        "due_deliveries",
        "LEFT JOIN webhook_endpoints ON webhook_endpoints.id = {peer}",
        "coalesce(webhook_endpoints.account, '')",
        ("substr(jobs.subject, instr(jobs.subject, '|') + 1)", "split_part(jobs.subject, '|', 2)"),
    ),
    "none": _due("due_plain", "", "''", ("''", "''")),
}
"""Due jobs of one kind, by where their account and their peer are read from."""

_TAKE: Final = """
    UPDATE jobs SET lease_until_ms = :lease, fence = fence + 1, tries = tries + 1
    WHERE (kind, subject) IN (SELECT kind, subject FROM due)
    RETURNING kind, subject, fence, tries
    """
_THESE: Final = """
    SELECT kind, subject FROM jobs
    WHERE kind = :kind AND subject IN ({subjects})
      AND run_at_ms <= :now_ms AND lease_until_ms <= :now_ms
    """
_SQLITE, _POSTGRESQL = (_THESE.format(subjects=listed) for listed in _listed("subjects"))
CLAIM_THESE: Final = sql(
    "claim_these",
    f"WITH due AS ({_SQLITE}) {_TAKE}",
    postgresql=f"WITH due AS ({_POSTGRESQL} FOR UPDATE SKIP LOCKED) {_TAKE}",
)
_DUE_NOW: Final = """
    SELECT kind, subject FROM jobs WHERE run_at_ms <= :now_ms AND lease_until_ms <= :now_ms
    ORDER BY run_at_ms LIMIT :limit
    """
CLAIM_JOBS: Final = sql(
    "claim_jobs",
    f"WITH due AS ({_DUE_NOW}) {_TAKE}",
    # WITH, because a subquery that is planned as the inner side of a join runs, and locks, again
    postgresql=f"WITH due AS ({_DUE_NOW} FOR UPDATE SKIP LOCKED) {_TAKE}",
)
FINISH_JOB: Final = sql(
    "finish_job", "DELETE FROM jobs WHERE kind = :kind AND subject = :subject AND fence = :fence"
)
POSTPONE_JOB: Final = sql(
    "postpone_job",
    """
    UPDATE jobs SET run_at_ms = :run_at_ms, lease_until_ms = 0
    WHERE kind = :kind AND subject = :subject AND fence = :fence
    """,
)
NEXT_JOB: Final = sql("next_job", "SELECT min(run_at_ms) FROM jobs WHERE lease_until_ms <= :now_ms")
COUNT_JOBS: Final = sql(
    "count_jobs", "SELECT kind, count(*), min(run_at_ms) FROM jobs GROUP BY kind"
)
FREE_LEASES: Final = sql(
    "free_leases",
    "UPDATE jobs SET lease_until_ms = 0, fence = fence + 1 WHERE lease_until_ms > 0",
)
WAKE_ORPHANS: Final = sql(
    "wake_orphans",
    # from the few jobs to their attempts: the other way would read every attempt ever made
    """
    UPDATE jobs SET run_at_ms = :now_ms, lease_until_ms = 0, fence = fence + 1
    WHERE kind = 'settle' AND EXISTS (
      SELECT 1 FROM attempts WHERE attempts.payment_id = jobs.subject AND attempts.outcome IS NULL)
    """,
)


def fresh_job(run_at_ms: int, age: int) -> dict[str, Any]:
    """The columns of a job made anew. `age` grows from one making of a job to the next, so that
    whoever still holds the fence of a forerunner holds nothing."""
    return {"run_at_ms": run_at_ms, "lease_until_ms": 0, "fence": age * FENCES, "tries": 0}


def claim_jobs(now_ms: int, lease_ms: int, limit: int) -> Operation[list[Job]]:
    """Takes at most `limit` due jobs until `now_ms + lease_ms`; nobody else gets them meanwhile."""
    values = {"now_ms": now_ms, "lease": now_ms + lease_ms, "limit": limit}
    rows = yield CLAIM_JOBS, values
    return sorted([Job(*row) for row in rows], key=lambda job: (job.kind, job.subject))


def list_due(
    kind: str,
    parties: str,
    now_ms: int,
    *,
    full_accounts: list[str],
    full_peers: list[str],
    limit: int,
) -> Operation[list[Due]]:
    """At most `limit` due jobs of a kind, oldest first, with their account and their peer; none of
    the accounts and peers that are full."""
    values = {
        "kind": kind,
        "now_ms": now_ms,
        "full_accounts": _json(full_accounts),
        "full_peers": _json(full_peers),
        "limit": limit,
    }
    rows = yield DUE[parties], values
    return [Due(*row) for row in rows]


def claim_these(kind: str, subjects: list[str], now_ms: int, lease_ms: int) -> Operation[list[Job]]:
    """Takes those of the named jobs that are still due until `now_ms + lease_ms`."""
    values = {"kind": kind, "subjects": _json(subjects), "now_ms": now_ms}
    rows = yield CLAIM_THESE, values | {"lease": now_ms + lease_ms}
    return sorted([Job(*row) for row in rows], key=lambda job: job.subject)


def _json(texts: list[str]) -> str:
    return msgspec.json.encode(texts).decode()


def finish_job(job: Job) -> Operation[bool]:
    """Removes the job, unless its fence has moved on."""
    ((count,),) = yield FINISH_JOB, msgspec.structs.asdict(job)
    return bool(count)


def postpone_job(job: Job, run_at_ms: int) -> Operation[bool]:
    """Gives the job back for `run_at_ms`, unless its fence has moved on."""
    ((count,),) = yield POSTPONE_JOB, {**msgspec.structs.asdict(job), "run_at_ms": run_at_ms}
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


def wake_orphans(now_ms: int) -> Operation[int]:
    """Makes settling of every attempt that was being sent due now, and frees all leases: only for
    a process that knows it is the only one."""
    yield FREE_LEASES, {}
    ((count,),) = yield WAKE_ORPHANS, {"now_ms": now_ms}
    return int(count)


class Jobs(Topic):
    """Jobs."""

    claim_jobs = writes(claim_jobs)
    list_due = reads(list_due)
    claim_these = writes(claim_these)
    finish_job = writes(finish_job)
    postpone_job = writes(postpone_job)
    enqueue_job = writes(enqueue_job)
    next_job_ms = reads(next_job_ms)
    count_jobs = reads(count_jobs)
    wake_orphans = writes_long(wake_orphans)
