"""Rollouts in the store: their rows and records, who fell where, and what replicas act on."""

import contextlib
from typing import Any, Final

import msgspec
from sqlalchemy import (
    LargeBinary,
    bindparam,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql import ClauseElement

from tollkeeper.flows.ports import Follow, Job, Place, Rerouting, RoutingRow
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import (
    Crossings,
    Record,
    Rollout,
    Shadows,
    by_name,
    of_any_release,
)
from tollkeeper.routing.routes import Rule
from tollkeeper.store import tables as t
from tollkeeper.store.operations.changes import UPSERT_JOB, event_statements, fresh_job
from tollkeeper.store.statements import Operation, Refused, Result, Statement, insert_for

_encode: Final = msgspec.json.Encoder().encode
_decode_rollout: Final = msgspec.json.Decoder(Rollout).decode
_decode_record: Final = msgspec.json.Decoder(Record).decode


def _decode(body: bytes) -> Rollout:
    """A stored rollout, of this release or of an older one."""
    try:
        return _decode_rollout(body)
    except msgspec.ValidationError:
        return msgspec.convert(by_name(msgspec.json.decode(body)), Rollout)


def _record(body: bytes) -> Record:
    """A stored record, of this release or of an older one."""
    try:
        return _decode_record(body)
    except msgspec.ValidationError:
        return msgspec.convert(by_name(msgspec.json.decode(body)), Record)


_rules: Final = msgspec.json.Decoder(tuple[Rule, ...]).decode

ONE: Final = 1
"""The only row of `routing`."""

CHANNEL: Final = "tollkeeper_routes"
"""Where PostgreSQL tells every replica that the routes have changed, as soon as it is committed."""

NEWEST: Final = 200
"""Rollouts that are looked back at; an older candidate's is forgotten."""


def _rollout(body: bytes) -> Rollout:
    return of_any_release(_decode(body))


def _insert(table: Any) -> Any:
    return lambda d: insert_for(d)(table).values({c.name: bindparam(c.name) for c in table.c})


def _count_up(dialect: str) -> Any:
    statement = insert_for(dialect)(t.routing).values(
        id=literal(ONE), revision=literal(1), rules=bindparam("rules")
    )
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "revision": t.routing.c.revision + 1,
            "rules": func.coalesce(statement.excluded.rules, t.routing.c.rules),
        },
    )


def _uncounted(_: str) -> ClauseElement:
    a = t.assignments.c
    return (
        select(
            a.unit, a.payment_id, a.canary, a.share_ppm, a.decided_ms, a.failed, a.unreadable,
            a.declined, a.latency_ms, a.assigned_ms,
        )
        .where(
            a.rollout_id == bindparam("rollout_id"),
            a.counted.is_(None),
            or_(a.decided_ms.is_not(None), a.assigned_ms <= bindparam("lost_before_ms")),
        )
        .order_by(a.assigned_ms, a.unit)
        .limit(bindparam("limit"))
    )  # fmt: skip


def _wake(dialect: str) -> ClauseElement:
    """Settling of every payment of the canary that is unknown becomes due now."""
    mine = select(t.canary_payments.c.payment_id).where(
        t.canary_payments.c.rollout_id == bindparam("rollout_id")
    )
    doubtful = select(t.payments.c.id).where(
        t.payments.c.id == t.jobs.c.subject, t.payments.c.outcome_known.is_(False)
    )
    return (
        update(t.jobs)
        .where(
            t.jobs.c.kind == literal("settle"),
            t.jobs.c.subject.in_(mine),
            doubtful.exists(),
            t.jobs.c.run_at_ms > bindparam("now_ms"),
        )
        .values(run_at_ms=bindparam("now_ms"))
    )


def _due(_: str) -> ClauseElement:
    """Drawn payments that are decided: a cross-read of what still goes on would say nothing."""
    c, p = t.canary_payments.c, t.payments.c
    return (
        select(c.payment_id)
        .select_from(t.canary_payments.join(t.payments, p.id == c.payment_id))
        .where(
            c.rollout_id == bindparam("rollout_id"),
            c.cross_read == literal("due"),
            p.outcome_known.is_(True),
            p.status != literal("processing"),
            p.status != literal("requires_action"),
        )
        .order_by(c.payment_id)
        .limit(bindparam("limit"))
    )


HOLD_FENCE: Final = Statement(
    "hold_fence",
    lambda _: (
        update(t.jobs)
        .where(
            t.jobs.c.kind == bindparam("the_kind"),
            t.jobs.c.subject == bindparam("the_subject"),
            t.jobs.c.fence == bindparam("the_fence"),
        )
        .values(tries=t.jobs.c.tries)
    ),
    returns=False,
)
INSERT_ROLLOUT: Final = Statement("insert_rollout", _insert(t.rollouts), returns=False)
UPDATE_ROLLOUT: Final = Statement(
    "update_rollout",
    lambda _: (
        update(t.rollouts)
        .where(
            t.rollouts.c.id == bindparam("the_id"),
            t.rollouts.c.revision == bindparam("expected"),
        )
        .values(active=bindparam("active"), revision=bindparam("revision"), body=bindparam("body"))
    ),
    returns=False,
)
TELL: Final = Statement(
    "tell",
    lambda dialect: select(
        func.pg_notify(literal(CHANNEL), literal("")) if dialect == "postgresql" else literal(0)
    ),
    returns=True,
)
INSERT_RECORD: Final = Statement("insert_record", _insert(t.rollout_records), returns=False)
COUNT_UP: Final = Statement("count_up", _count_up, returns=False)
MARK_COUNTED: Final = Statement(
    "mark_counted",
    lambda _: (
        update(t.assignments)
        .where(
            t.assignments.c.rollout_id == bindparam("the_rollout"),
            t.assignments.c.unit == bindparam("the_unit"),
        )
        .values(counted=bindparam("counted"))
    ),
    returns=False,
)
MARK_FOLLOWED: Final = Statement(
    "mark_followed",
    lambda _: (
        update(t.assignments)
        .where(
            t.assignments.c.rollout_id == bindparam("the_rollout"),
            t.assignments.c.unit == bindparam("the_unit"),
        )
        .values(follow_counted=bindparam("counted"))
    ),
    returns=False,
)
FOLLOWS: Final = Statement(
    "follows",
    lambda _: (
        select(
            t.assignments.c.unit,
            t.assignments.c.share_ppm,
            t.assignments.c.canary,
            t.assignments.c.followed_failed,
        )
        .where(
            t.assignments.c.rollout_id == bindparam("rollout_id"),
            t.assignments.c.followed_failed.is_not(None),
            t.assignments.c.follow_counted.is_(None),
        )
        .order_by(t.assignments.c.unit)
        .limit(bindparam("limit"))
    ),
    returns=True,
)
MARK_CROSS_READ: Final = Statement(
    "mark_cross_read",
    lambda _: (
        update(t.canary_payments)
        .where(
            t.canary_payments.c.rollout_id == bindparam("the_rollout"),
            t.canary_payments.c.payment_id == bindparam("the_payment"),
        )
        .values(cross_read=bindparam("cross_read"))
    ),
    returns=False,
)
NOTE_CROSS_READ: Final = Statement(
    "note_cross_read",
    lambda _: (
        update(t.canary_payments)
        .where(
            t.canary_payments.c.rollout_id == bindparam("the_rollout"),
            t.canary_payments.c.payment_id == bindparam("the_payment"),
        )
        .values(
            cross_read=case(
                (
                    exists().where(
                        t.rollouts.c.id == bindparam("the_rollout"),
                        t.rollouts.c.active.is_(True),
                    ),
                    bindparam("cross_read", type_=t.TEXT),
                ),
                else_=null(),
            )
        )
    ),
    returns=False,
)
"""What is noted of a rollout that has just ended is forgotten, so that the sweep asks again."""

SELECT_ROLLOUT: Final = Statement(
    "select_rollout",
    lambda _: select(t.rollouts.c.body).where(t.rollouts.c.id == bindparam("id")),
    returns=True,
)
LIST_ROLLOUTS: Final = Statement(
    "list_rollouts",
    lambda _: select(t.rollouts.c.body).order_by(t.rollouts.c.id.desc()).limit(bindparam("limit")),
    returns=True,
)
LIST_ROLLOUTS_OF: Final = Statement(
    "list_rollouts_of",
    lambda _: (
        select(t.rollouts.c.body)
        .where(t.rollouts.c.account == bindparam("account"))
        .order_by(t.rollouts.c.id.desc())
        .limit(bindparam("limit"))
    ),
    returns=True,
)
LIST_ROLLOUTS_FOR_ALL: Final = Statement(
    "list_rollouts_for_all",
    lambda _: (
        select(t.rollouts.c.body)
        .where(t.rollouts.c.account.is_(None))
        .order_by(t.rollouts.c.id.desc())
        .limit(bindparam("limit"))
    ),
    returns=True,
)
ACTIVE_ROLLOUTS: Final = Statement(
    "active_rollouts",
    lambda _: (
        select(t.rollouts.c.body).where(t.rollouts.c.active.is_(True)).order_by(t.rollouts.c.id)
    ),
    returns=True,
)
LIST_RECORDS: Final = Statement(
    "list_records",
    lambda _: (
        select(t.rollout_records.c.body)
        .where(
            t.rollout_records.c.rollout_id == bindparam("rollout_id"),
            t.rollout_records.c.seq > bindparam("after"),
        )
        .order_by(t.rollout_records.c.seq)
        .limit(bindparam("limit"))
    ),
    returns=True,
)
UNCOUNTED: Final = Statement("uncounted", _uncounted, returns=True)
CROSSINGS: Final = Statement(
    "crossings",
    lambda _: (
        select(t.canary_payments.c.cross_read, func.count())
        .where(
            t.canary_payments.c.rollout_id == bindparam("rollout_id"),
            t.canary_payments.c.cross_read.is_not(None),
        )
        .group_by(t.canary_payments.c.cross_read)
    ),
    returns=True,
)
SHADOWS: Final = Statement(
    "shadows",
    lambda _: (
        select(t.shadow_readings.c.differs, func.count())
        .where(t.shadow_readings.c.rollout_id == bindparam("rollout_id"))
        .group_by(t.shadow_readings.c.differs)
    ),
    returns=True,
)
LIST_SHADOWS: Final = Statement(
    "list_shadows",
    lambda _: (
        select(t.shadow_readings.c.payment_id, t.shadow_readings.c.detail)
        .where(
            t.shadow_readings.c.rollout_id == bindparam("rollout_id"),
            t.shadow_readings.c.differs.is_(True),
        )
        .order_by(t.shadow_readings.c.payment_id)
        .limit(bindparam("limit"))
    ),
    returns=True,
)
SELECT_CROSS_READ: Final = Statement(
    "select_cross_read",
    lambda _: select(t.canary_payments.c.cross_read).where(
        t.canary_payments.c.rollout_id == bindparam("rollout_id"),
        t.canary_payments.c.payment_id == bindparam("payment_id"),
    ),
    returns=True,
)
DUE: Final = Statement("due", _due, returns=True)
SELECT_ROUTING: Final = Statement(
    "select_routing",
    lambda _: select(t.routing.c.revision, t.routing.c.rules).where(t.routing.c.id == literal(ONE)),
    returns=True,
)
SET_RULES: Final = Statement(
    "set_rules",
    lambda _: (
        update(t.routing)
        .where(
            t.routing.c.id == literal(ONE),
            t.routing.c.rules.is_not_distinct_from(bindparam("rules_were", type_=LargeBinary)),
        )
        .values(rules=bindparam("rules_now"), revision=t.routing.c.revision + 1)
    ),
    returns=False,
)
RESET_RULES: Final = Statement(
    "reset_rules",
    lambda _: (
        update(t.routing)
        .where(t.routing.c.id == literal(ONE))
        .values(rules=null(), revision=t.routing.c.revision + 1)
    ),
    returns=False,
)
SELECT_REVISION: Final = Statement(
    "select_revision",
    lambda _: select(t.routing.c.revision).where(t.routing.c.id == literal(ONE)),
    returns=True,
)
READ_ALL_AGAIN: Final = Statement(
    "read_all_again",
    lambda _: (
        update(t.canary_payments)
        .where(
            t.canary_payments.c.rollout_id == bindparam("rollout_id"),
            t.canary_payments.c.cross_read.is_not(None),
            t.canary_payments.c.cross_read != literal("disagreed"),
        )
        .values(cross_read=null())
    ),
    returns=False,
)
UNREAD: Final = Statement(
    "unread",
    # a replica may have drawn a payment for a cross-read in the moment of the end; each half is
    # searched by itself, where one search for both would walk through the whole rollout
    lambda _: union_all(
        *(
            select(t.canary_payments.c.payment_id).where(
                t.canary_payments.c.rollout_id == bindparam("rollout_id"), drawn
            )
            for drawn in (
                t.canary_payments.c.cross_read.is_(None),
                t.canary_payments.c.cross_read == literal("due"),
            )
        )
    ).limit(bindparam("limit")),
    returns=True,
)
WAKE_UNKNOWN: Final = Statement("wake_unknown", _wake, returns=False)


ADOPT: Final = Statement(
    "adopt",
    lambda d: (
        insert_for(d)(t.canary_payments)
        .values({name: bindparam(name) for name in ("rollout_id", "payment_id", "assigned_ms")})
        .on_conflict_do_nothing()
    ),
    returns=False,
)
LOOKED_AT: Final = Statement(
    "looked_at",
    lambda _: (
        select(func.count())
        .select_from(t.jobs.join(t.payments, t.payments.c.id == t.jobs.c.subject))
        .where(
            or_(t.jobs.c.kind == literal("settle"), t.jobs.c.kind == literal("refresh")),
            t.payments.c.integration == bindparam("integration"),
        )
    ),
    returns=True,
)
NEEDED: Final = Statement(
    "needed",
    lambda _: (
        select(t.payments.c.status, t.payments.c.outcome_known, func.count())
        .where(t.payments.c.integration == bindparam("integration"))
        .group_by(t.payments.c.status, t.payments.c.outcome_known)
    ),
    returns=True,
)


def insert_rollout(rollout: Rollout, record: Record, event: OutEvent) -> Operation[bool]:
    """Begins a rollout with its first record, its event and its controller's job; false where the
    provider has one already, which other accounts' rollouts do not count as."""
    rows = yield ACTIVE_ROLLOUTS, {}
    for other in _readable(rows):
        running = other.provider == rollout.provider and other.status != "promoted"
        if running and not _are_of_two_accounts(other, rollout):
            raise Refused(False)  # noqa: FBT003 - the operation's answer
    named = {"id": rollout.id, "provider": rollout.provider, "account": rollout.condition.account}
    yield INSERT_ROLLOUT, _row(rollout) | named
    yield INSERT_RECORD, _record_row(rollout.id, record)
    yield from event_statements(event)
    yield (
        UPSERT_JOB,
        {"kind": "advance", "subject": rollout.id}
        | fresh_job(rollout.created_ms, rollout.created_ms),
    )
    yield COUNT_UP, {"rules": None}
    yield TELL, {}
    return True


def _are_of_two_accounts(one: Rollout, other: Rollout) -> bool:
    """Whether no payment can meet both, since each names an account of its own."""
    accounts = {one.condition.account, other.condition.account}
    return len(accounts) == 2 and None not in accounts


def save_rollout(
    job: Job | None,
    rollout: Rollout,
    record: Record | None,
    *,
    units: tuple[str, ...],
    follows: tuple[str, ...],
    crossing: tuple[str, ...],
    events: tuple[OutEvent, ...],
    rules: Rerouting | None,
) -> Operation[bool]:
    """Writes a rollout that was decided upon its revision before this one, all or nothing; false
    where that has moved on, or where `job`, whose holder decides, is another's by now.

    `units` and the follow-ups `follows` were counted by `record`; `crossing` are payments that are
    to be looked up; where the stored rules are no more what `rules` says, nothing happens.
    """
    if job is not None:
        ((held,),) = yield (
            HOLD_FENCE,
            {"the_kind": job.kind, "the_subject": job.subject, "the_fence": job.fence},
        )
        if not held:
            raise Refused(False)  # noqa: FBT003 - the operation's answer
    row = _row(rollout) | {"the_id": rollout.id, "expected": rollout.revision - 1}
    ((count,),) = yield UPDATE_ROLLOUT, row
    if not count:
        raise Refused(False)  # noqa: FBT003 - the operation's answer
    if record is not None:
        yield INSERT_RECORD, _record_row(rollout.id, record)
    for unit in units:
        values = {"the_rollout": rollout.id, "the_unit": unit, "counted": rollout.seq}
        yield MARK_COUNTED, values
    for unit in follows:
        values = {"the_rollout": rollout.id, "the_unit": unit, "counted": rollout.seq}
        yield MARK_FOLLOWED, values
    yield from _ask_about(rollout.id, crossing, rollout.updated_ms)
    for event in events:
        yield from event_statements(event)
    if record is not None and not rollout.is_active and rollout.status != "promoted":
        yield WAKE_UNKNOWN, {"rollout_id": rollout.id, "now_ms": rollout.updated_ms}
        # what came after an agreement may have been misread, and all go back to the baseline
        yield READ_ALL_AGAIN, {"rollout_id": rollout.id}
    yield from _reroute(rules)
    yield TELL, {}
    return True


def _reroute(rules: Rerouting | None) -> Operation[None]:
    if rules is None:
        yield COUNT_UP, {"rules": None}
        return
    before = None if rules.before is None else _encode(rules.before)
    ((count,),) = yield SET_RULES, {"rules_now": _encode(rules.after), "rules_were": before}
    if not count:
        raise Refused(False)  # noqa: FBT003 - the operation's answer


def _ask_about(rollout_id: str, payments: tuple[str, ...], now_ms: int) -> Operation[None]:
    """Lookups of payments through the baseline, as jobs."""
    for payment_id in payments:
        yield from note_cross_read(rollout_id, payment_id, "asked")
        name = {"kind": "cross_read", "subject": f"{rollout_id}|{payment_id}"}
        yield UPSERT_JOB, name | fresh_job(now_ms, now_ms)


def adopt(rollout_id: str, payments: tuple[str, ...], now_ms: int) -> Operation[None]:
    """Counts what a promoted version took among its rollout's payments, so that they are looked
    up."""
    for payment_id in payments:
        row = {"rollout_id": rollout_id, "payment_id": payment_id, "assigned_ms": now_ms}
        yield ADOPT, row


def looked_at(integration: str) -> Operation[int]:
    """Payments of a version that settling still looks at."""
    ((count,),) = yield LOOKED_AT, {"integration": integration}
    return int(count)


def sweep(rollout_id: str, now_ms: int, limit: int) -> Operation[int]:
    """Asks about canary payments that nobody has looked up since the end; gives how many."""
    rows = yield UNREAD, {"rollout_id": rollout_id, "limit": limit}
    yield from _ask_about(rollout_id, tuple(str(row[0]) for row in rows), now_ms)
    return len(rows)


def _row(rollout: Rollout) -> dict[str, Any]:
    return {
        "active": rollout.is_active,
        "revision": rollout.revision,
        "body": _encode(rollout),
    }


def _record_row(rollout_id: str, record: Record) -> dict[str, Any]:
    return {
        "rollout_id": rollout_id,
        "seq": record.seq,
        "at_ms": record.at_ms,
        "told": record.cause == "command"
        or (record.decision is not None and record.decision.kind != "hold"),
        "body": _encode(record),
    }


def load_rollout(rollout_id: str) -> Operation[Rollout | None]:
    """One rollout."""
    rows = yield SELECT_ROLLOUT, {"id": rollout_id}
    return _rollout(rows[0][0]) if rows else None


def list_rollouts(limit: int) -> Operation[list[Rollout]]:
    """At most `limit` rollouts, the newest first."""
    rows = yield LIST_ROLLOUTS, {"limit": limit}
    return _readable(rows)


def list_rollouts_of(account: str, limit: int) -> Operation[list[Rollout]]:
    """At most `limit` rollouts whose condition names `account`, the newest first."""
    rows = yield LIST_ROLLOUTS_OF, {"account": account, "limit": limit}
    return _readable(rows)


def _readable(rows: Result) -> list[Rollout]:
    """The rollouts that this release can read. Another one has no share here: one row that is
    broken, or of a newer release, must take neither payments nor the kill switch down."""
    found = []
    for row in rows:
        with contextlib.suppress(msgspec.MsgspecError):
            found.append(_rollout(row[0]))
    return found


def list_records(rollout_id: str, after: int, limit: int) -> Operation[list[Record]]:
    """Records of a rollout above the number `after`, oldest first."""
    rows = yield LIST_RECORDS, {"rollout_id": rollout_id, "after": after, "limit": limit}
    return [_record(row[0]) for row in rows]


def uncounted(rollout_id: str, lost_before_ms: int, limit: int) -> Operation[list[Place]]:
    """Assignments that no record counts yet: decided, or given to somebody before
    `lost_before_ms` and never decided."""
    values = {"rollout_id": rollout_id, "lost_before_ms": lost_before_ms, "limit": limit}
    rows = yield UNCOUNTED, values
    return [Place(*row) for row in rows]


def follows(rollout_id: str, limit: int) -> Operation[list[Follow]]:
    """First follow-ups that no record counts yet."""
    rows = yield FOLLOWS, {"rollout_id": rollout_id, "limit": limit}
    return [Follow(*row) for row in rows]


def crossings(rollout_id: str, limit: int) -> Operation[tuple[Crossings, tuple[str, ...]]]:
    """How the rollout's cross-reads stand, and the payments that are to be asked about now."""
    rows = yield CROSSINGS, {"rollout_id": rollout_id}
    by = {str(row[0]): int(row[1]) for row in rows}
    due: tuple[str, ...] = ()
    if by.pop("due", 0):
        values = {"rollout_id": rollout_id, "limit": limit}
        due = tuple(str(row[0]) for row in (yield DUE, values))
    stand = Crossings(
        agreed=by.get("agreed", 0),
        disagreed=by.get("disagreed", 0),
        unanswered=by.get("unanswered", 0),
        nothing=by.get("nothing", 0),
        asked=sum(by.values()) + len(due),
    )
    return stand, due


def shadows(rollout_id: str) -> Operation[Shadows]:
    """How many replies the candidate read again, and how many of them otherwise."""
    rows = yield SHADOWS, {"rollout_id": rollout_id}
    by = {bool(row[0]): int(row[1]) for row in rows}
    return Shadows(computed=sum(by.values()), differing=by.get(True, 0))


def list_shadows(rollout_id: str, limit: int) -> Operation[list[tuple[str, str]]]:
    """Payments whose replies the candidate read otherwise, and how."""
    rows = yield LIST_SHADOWS, {"rollout_id": rollout_id, "limit": limit}
    return [(str(row[0]), str(row[1])) for row in rows]


def cross_read_of(rollout_id: str, payment_id: str) -> Operation[str | None]:
    """How the cross-read of a canary's payment stands: `None` where none was asked for."""
    rows = yield SELECT_CROSS_READ, {"rollout_id": rollout_id, "payment_id": payment_id}
    return rows[0][0] if rows else None


def note_cross_read(
    rollout_id: str, payment_id: str, verdict: str, *, over: bool = True
) -> Operation[None]:
    """What the baseline sees of a canary's payment. `over`: the rollout has ended, which was acted
    upon; else what is noted of one that has ended in this moment is forgotten."""
    values = {"the_rollout": rollout_id, "the_payment": payment_id, "cross_read": verdict}
    yield (MARK_CROSS_READ if over or verdict == "disagreed" else NOTE_CROSS_READ), values


def routing() -> Operation[RoutingRow]:
    """What replicas act on: the stored rules, if any, and every rollout that is watched."""
    rows = yield SELECT_ROUTING, {}
    newest: dict[str, Rollout] = {}
    for one in reversed(_readable((yield LIST_ROLLOUTS_FOR_ALL, {"limit": NEWEST}))):
        newest[one.candidate] = one
    active = _readable((yield ACTIVE_ROLLOUTS, {}))
    # an account's rollout proves nothing for the others, nor does it take a version from them
    unproved = {one.candidate for one in newest.values() if one.status != "promoted"}
    unproved_for: dict[str, frozenset[str]] = {}
    for one in active:
        account = one.condition.account
        if one.status == "promoted":
            continue
        if account is None:
            unproved.add(one.candidate)
        else:
            unproved_for[account] = unproved_for.get(account, frozenset()) | {one.candidate}
    revision, rules = (rows[0][0], rows[0][1]) if rows else (0, None)
    return RoutingRow(
        revision=revision,
        rules=_rules(rules) if rules else None,
        rollouts=tuple(active),
        unproved=frozenset(unproved),
        unproved_for=unproved_for,
    )


def reset_rules() -> Operation[None]:
    """Forgets what promotions made of the routes: the settings' weights count again."""
    yield RESET_RULES, {}
    yield TELL, {}


def routing_revision() -> Operation[int]:
    """Grows with every change of what replicas act on."""
    rows = yield SELECT_REVISION, {}
    return int(rows[0][0]) if rows else 0


def needed(integration: str) -> Operation[dict[tuple[str, bool], int]]:
    """Payments of one version, by status and whether their outcome is known."""
    rows = yield NEEDED, {"integration": integration}
    return {(str(row[0]), bool(row[1])): int(row[2]) for row in rows}
