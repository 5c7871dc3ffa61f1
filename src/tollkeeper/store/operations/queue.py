"""Jobs: rows with a time, a lease and a fence; who lost the fence may not finish the job."""

from typing import Any, Final

import msgspec
from sqlalchemy import Text, bindparam, cast, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from tollkeeper.flows.ports import Due, Job
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


def _listed(dialect: str, name: str) -> Any:
    """The texts of a JSON array that is given as the parameter `name`."""
    given = bindparam(name, type_=Text)
    if dialect == "sqlite":
        return select(func.json_each(given).table_valued("value").c.value)
    array = cast(given, postgresql.JSONB)
    return select(func.jsonb_array_elements_text(array).column_valued(name))


def _due_of(dialect: str, account: Any, peer: Any, source: Any) -> ClauseElement:
    """Due jobs of one kind, oldest first, without those of full accounts and full peers."""
    return (
        select(t.jobs.c.subject, account, peer)
        .select_from(source)
        .where(
            t.jobs.c.kind == bindparam("kind"),
            t.jobs.c.run_at_ms <= bindparam("now_ms"),
            t.jobs.c.lease_until_ms <= bindparam("now_ms"),
            account.not_in(_listed(dialect, "full_accounts")),
            peer.not_in(_listed(dialect, "full_peers")),
        )
        .order_by(t.jobs.c.run_at_ms)
        .limit(bindparam("limit"))
    )


def _due_payments(dialect: str) -> ClauseElement:
    """The peer is the integration version that carries the payment."""
    source = t.jobs.outerjoin(t.payments, t.payments.c.id == t.jobs.c.subject)
    account = func.coalesce(t.payments.c.account, literal(""))
    provider = _before(dialect, func.coalesce(t.payments.c.integration, literal("")), "@")
    return _due_of(dialect, account, provider, source)


def _due_deliveries(dialect: str) -> ClauseElement:
    """The peer is the endpoint, which the subject names after its event."""
    endpoint = _after(dialect, t.jobs.c.subject, "|")
    source = t.jobs.outerjoin(t.webhook_endpoints, t.webhook_endpoints.c.id == endpoint)
    account = func.coalesce(t.webhook_endpoints.c.account, literal(""))
    return _due_of(dialect, account, endpoint, source)


def _due_plain(dialect: str) -> ClauseElement:
    return _due_of(dialect, literal(""), literal(""), t.jobs)


def _before(dialect: str, text: Any, mark: str) -> Any:
    if dialect == "sqlite":
        return func.substr(text, 1, func.instr(text, literal(mark)) - 1)
    return func.split_part(text, literal(mark), 1)


def _after(dialect: str, text: Any, mark: str) -> Any:
    if dialect == "sqlite":
        return func.substr(text, func.instr(text, literal(mark)) + 1)
    return func.split_part(text, literal(mark), 2)


def _claim_these(dialect: str) -> ClauseElement:
    due = (
        select(t.jobs.c.kind, t.jobs.c.subject)
        .where(
            t.jobs.c.kind == bindparam("kind"),
            t.jobs.c.subject.in_(_listed(dialect, "subjects")),
            t.jobs.c.run_at_ms <= bindparam("now_ms"),
            t.jobs.c.lease_until_ms <= bindparam("now_ms"),
        )
        .with_for_update(skip_locked=True)
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


DUE: Final = {
    "payments": Statement("due_payments", _due_payments, returns=True),
    "deliveries": Statement("due_deliveries", _due_deliveries, returns=True),
    "none": Statement("due_plain", _due_plain, returns=True),
}
"""Due jobs of one kind, by where their account and their peer are read from."""

CLAIM_THESE: Final = Statement("claim_these", _claim_these, returns=True)
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


def list_due(
    kind: str,
    parties: str,
    now_ms: int,
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
