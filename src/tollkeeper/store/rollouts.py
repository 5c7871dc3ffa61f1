"""Rollouts in the store: their rows and records, and what replicas act on."""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from tollkeeper.flows.ports import Job, Rerouting, RoutingRow
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import Record, Rollout, by_name, of_any_release
from tollkeeper.rollouts.starting import is_in_the_way
from tollkeeper.routing.routes import Rule
from tollkeeper.store import tables as t
from tollkeeper.store.canaries import (
    MARK_COUNTED,
    MARK_FOLLOWED,
    READ_ALL_AGAIN,
    WAKE_UNKNOWN,
    ask_about,
)
from tollkeeper.store.events import event_statements
from tollkeeper.store.jobs import UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Operation, Result, Rollback, insert_into, sql
from tollkeeper.store.topic import Topic, reads, reads_at_one_moment, writes

_encode: Final = msgspec.json.Encoder().encode
_decode_rollout: Final = msgspec.json.Decoder(Rollout).decode
_decode_record: Final = msgspec.json.Decoder(Record).decode
_rules: Final = msgspec.json.Decoder(tuple[Rule, ...]).decode

CHANNEL: Final = "tollkeeper_routes"
"""Where PostgreSQL tells every replica that the routes have changed, as soon as it is committed."""

NEWEST: Final = 200
"""Rollouts that are looked back at; an older candidate's is forgotten."""

HOLD_FENCE: Final = sql(
    "hold_fence",
    """
    UPDATE jobs SET tries = tries WHERE kind = :kind AND subject = :subject AND fence = :fence
    """,
)
INSERT_ROLLOUT: Final = insert_into(t.rollouts, "insert_rollout")
UPDATE_ROLLOUT: Final = sql(
    "update_rollout",
    """
    UPDATE rollouts SET active = :active, revision = :revision, body = :body
    WHERE id = :id AND revision = :expected
    """,
)
INSERT_RECORD: Final = insert_into(t.rollout_records, "insert_record")
SELECT_ROLLOUT: Final = sql("select_rollout", "SELECT body FROM rollouts WHERE id = :id")
LIST_ROLLOUTS: Final = sql(
    "list_rollouts", "SELECT body FROM rollouts ORDER BY id DESC LIMIT :limit"
)
LIST_ROLLOUTS_OF: Final = sql(
    "list_rollouts_of",
    "SELECT body FROM rollouts WHERE account = :account ORDER BY id DESC LIMIT :limit",
)
LIST_ROLLOUTS_FOR_ALL: Final = sql(
    "list_rollouts_for_all",
    "SELECT body FROM rollouts WHERE account IS NULL ORDER BY id DESC LIMIT :limit",
)
ACTIVE_ROLLOUTS: Final = sql(
    "active_rollouts", "SELECT body FROM rollouts WHERE active IS TRUE ORDER BY id"
)
LIST_RECORDS: Final = sql(
    "list_records",
    """
    SELECT body FROM rollout_records WHERE rollout_id = :rollout_id AND seq > :after
    ORDER BY seq LIMIT :limit
    """,
)
TELL: Final = sql("tell", "SELECT 0", postgresql=f"SELECT pg_notify('{CHANNEL}', '')")
SELECT_ROUTING: Final = sql("select_routing", "SELECT revision, rules FROM routing WHERE id = 1")
SELECT_REVISION: Final = sql("select_revision", "SELECT revision FROM routing WHERE id = 1")
COUNT_UP: Final = sql(
    "count_up",
    """
    INSERT INTO routing (id, revision, rules) VALUES (1, 1, NULL)
    ON CONFLICT (id) DO UPDATE SET revision = routing.revision + 1
    """,
)
SET_RULES: Final = sql(
    "set_rules",
    """
    UPDATE routing SET revision = revision + 1, rules = :rules_now
    WHERE id = 1 AND rules IS :rules_were
    """,
    postgresql="""
    UPDATE routing SET revision = revision + 1, rules = :rules_now
    WHERE id = 1 AND rules IS NOT DISTINCT FROM :rules_were
    """,
)
RESET_RULES: Final = sql(
    "reset_rules", "UPDATE routing SET revision = revision + 1, rules = NULL WHERE id = 1"
)
LOOKED_AT: Final = sql(
    "looked_at",
    """
    SELECT count(*) FROM jobs JOIN payments ON payments.id = jobs.subject
    WHERE (kind = 'settle' OR kind = 'refresh') AND integration = :integration
    """,
)
NEEDED: Final = sql(
    "needed",
    """
    SELECT status, outcome_known, count(*) FROM payments WHERE integration = :integration
    GROUP BY status, outcome_known
    """,
)


def insert_rollout(rollout: Rollout, record: Record, event: OutEvent) -> Operation[bool]:
    """Begins a rollout with its first record, its event and its controller's job; false where the
    provider has one already, which other accounts' rollouts do not count as."""
    rows = yield ACTIVE_ROLLOUTS, {}
    if any(is_in_the_way(other, rollout) for other in _readable(rows)):
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    named = {"id": rollout.id, "provider": rollout.provider, "account": rollout.condition.account}
    yield INSERT_ROLLOUT, _row(rollout) | named
    yield INSERT_RECORD, _record_row(rollout.id, record)
    yield from event_statements(event)
    yield (
        UPSERT_JOB,
        {"kind": "advance", "subject": rollout.id}
        | fresh_job(rollout.created_ms, rollout.created_ms),
    )
    yield COUNT_UP, {}
    yield TELL, {}
    return True


def save_rollout(
    job: Job | None,
    rollout: Rollout,
    *,
    record: Record | None = None,
    units: tuple[str, ...] = (),
    follows: tuple[str, ...] = (),
    crossing: tuple[str, ...] = (),
    events: tuple[OutEvent, ...] = (),
    rules: Rerouting | None = None,
) -> Operation[bool]:
    """Writes a rollout that was decided upon its revision before this one, all or nothing; false
    where that has moved on, or where `job`, whose holder decides, is another's by now.

    `units` and the follow-ups `follows` were counted by `record`; `crossing` are payments that are
    to be looked up; where the stored rules are no more what `rules` says, nothing happens.
    """
    if job is not None:
        ((held,),) = yield HOLD_FENCE, msgspec.structs.asdict(job)
        if not held:
            raise Rollback(False)  # noqa: FBT003 - the operation's answer
    row = _row(rollout) | {"id": rollout.id, "expected": rollout.revision - 1}
    ((count,),) = yield UPDATE_ROLLOUT, row
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    if record is not None:
        yield INSERT_RECORD, _record_row(rollout.id, record)
    for unit in units:
        values = {"rollout_id": rollout.id, "unit": unit, "counted": rollout.seq}
        yield MARK_COUNTED, values
    for unit in follows:
        values = {"rollout_id": rollout.id, "unit": unit, "counted": rollout.seq}
        yield MARK_FOLLOWED, values
    yield from ask_about(rollout.id, crossing, rollout.updated_ms)
    for event in events:
        yield from event_statements(event)
    if record is not None and not rollout.is_active and rollout.status != "promoted":
        yield WAKE_UNKNOWN, {"rollout_id": rollout.id, "now_ms": rollout.updated_ms}
        # what came after an agreement may have been misread, and all go back to the baseline
        yield READ_ALL_AGAIN, {"rollout_id": rollout.id}
    yield from reroute(rules)
    yield TELL, {}
    return True


def reroute(rules: Rerouting | None) -> Operation[None]:
    """Counts the routes up, with other rules where `rules` are given; refuses where the stored ones
    are no more what it says."""
    if rules is None:
        yield COUNT_UP, {}
        return
    before = None if rules.before is None else _encode(rules.before)
    ((count,),) = yield SET_RULES, {"rules_now": _encode(rules.after), "rules_were": before}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer


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


def set_rules(rules: Rerouting, event: OutEvent) -> Operation[bool]:
    """Writes routing rules that a person gave; false where the stored ones have changed since."""
    yield COUNT_UP, {}  # the row may not be there yet
    yield from reroute(rules)
    yield from event_statements(event)
    yield TELL, {}
    return True


def reset_rules() -> Operation[None]:
    """Forgets the stored routes: the settings' weights count again."""
    yield RESET_RULES, {}
    yield TELL, {}


def routing_revision() -> Operation[int]:
    """Grows with every change of what replicas act on."""
    rows = yield SELECT_REVISION, {}
    return int(rows[0][0]) if rows else 0


def open_jobs(integration: str) -> Operation[int]:
    """Payments of a version that settling still looks at."""
    ((count,),) = yield LOOKED_AT, {"integration": integration}
    return int(count)


def needed(integration: str) -> Operation[dict[tuple[str, bool], int]]:
    """Payments of one version, by status and whether their outcome is known."""
    rows = yield NEEDED, {"integration": integration}
    return {(str(row[0]), bool(row[1])): int(row[2]) for row in rows}


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


def _rollout(body: bytes) -> Rollout:
    return of_any_release(_decode(body))


class Rollouts(Topic):
    """Rollouts and routes."""

    insert_rollout = writes(insert_rollout)
    save_rollout = writes(save_rollout)
    load_rollout = reads(load_rollout)
    list_rollouts = reads(list_rollouts)
    list_rollouts_of = reads(list_rollouts_of)
    list_records = reads(list_records)
    routing = reads_at_one_moment(routing)
    routing_revision = reads(routing_revision)
    set_rules = writes(set_rules)
    reset_rules = writes(reset_rules)
    open_jobs = reads(open_jobs)
    needed = reads(needed)

    async def routing_signal(self) -> asyncio.Event | None:
        """Set when another replica has changed the routes; `None` where the store cannot tell."""
        return await self.driver.signal(CHANNEL)
