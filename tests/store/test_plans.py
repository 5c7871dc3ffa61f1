"""Reading by id and reading pages never scan a table, on either database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.store.backends import OnPostgres

from tollkeeper.store import (
    canaries,
    commit,
    events,
    failovers,
    jobs,
    keys,
    migrate,
    payments,
    rollouts,
    webhooks,
)
from tollkeeper.store.statements import Statement
from tollkeeper.store.tables import metadata

FILTERS: tuple[tuple[str, ...], ...] = ((), ("status",), ("customer",), ("reference",))
PAGES = [
    payments.page(filters, backwards=backwards)
    for filters in FILTERS
    for backwards in (False, True)
]
VALUES: dict[str, Any] = {
    "id": "pay_1", "account": "acc_1", "cursor": "pay_5", "limit": 20, "status": "processing",
    "customer": "c5", "reference": "r5", "attempt_id": "att_1", "payment_id": "pay_1",
    "provider_id": "pi_5", "key": "k", "digest": "d", "event_id": "evt_1", "endpoint_id": "we_1",
    "seq": 1, "after": "pay_1", "now_ms": 5, "lease": 9, "kind": "settle", "subject": "pay_1",
    "fence": 1, "rollout_id": "ro_1", "lost_before_ms": 5, "before": 50,
    "full_accounts": '["acc_1"]', "full_peers": '["we_1"]', "subjects": '["pay_1"]',
    "provider": "p5", "version": "v5", "after_ms": 5, "after_id": "att_5", "from_ms": 5,
    "to_ms": 50, "from_s": 5, "to_s": 50,
}  # fmt: skip
INDEXED: list[Statement] = [
    payments.SELECT_BOOKS, payments.SELECT_PAYMENT, payments.SELECT_BY_PROVIDER_ID,
    payments.SELECT_EXCHANGE, payments.SELECT_AUDIT, events.SELECT_EVENT, events.PAGE_EVENTS,
    payments.PAGE_IDS, commit.SELECT_KEY, commit.SELECT_LINK, webhooks.SELECT_ENDPOINT,
    webhooks.SELECT_DELIVERY, webhooks.LIST_DELIVERIES, webhooks.LIST_ENDPOINTS, keys.FIND_API_KEY,
    jobs.CLAIM_JOBS, jobs.CLAIM_THESE, *jobs.DUE.values(), jobs.FINISH_JOB,
    rollouts.LIST_ROLLOUTS_OF, rollouts.LIST_ROLLOUTS_FOR_ALL, *PAGES,
    failovers.SELECT_WATCH, failovers.LIST_RECORDS, failovers.LIST_TRIALS, failovers.COUNT_TRIALS,
    failovers.COUNT_BETWEEN,
]  # fmt: skip
FILL = """
INSERT INTO payments (id, account, status, outcome_known, amount_minor, currency, captured_minor,
  refunded_minor, integration, provider_id, customer, reference, created_ms, updated_ms, seq,
  audit_head, body)
SELECT 'pay_' || n, 'acc_' || (n % 50), 'processing', {true}, 1, 'EUR', 0, 0, 'v', 'pi_' || n,
  'c' || n, 'r' || n, n, n, 1, '', {empty} FROM {numbers};
INSERT INTO attempts SELECT 'pay_' || n, 'att_' || n, 'authorize', 'v', NULL, n, {empty}
  FROM {numbers};
INSERT INTO refunds SELECT 'pay_' || n, 're_' || n, 'pending', 1, NULL, {empty} FROM {numbers};
INSERT INTO disputes SELECT 'pay_' || n, 'dp_' || n, 'open', 'p', {empty} FROM {numbers};
INSERT INTO exchanges SELECT 'att_' || n, 'pay_' || n, {true}, NULL, NULL FROM {numbers};
INSERT INTO audit SELECT 'pay_' || n, 1, n, 'a', {empty}, '', '' FROM {numbers};
INSERT INTO events SELECT 'evt_' || n, 'acc_' || (n % 50), 'pay_' || n, 't', n, {empty}
  FROM {numbers};
INSERT INTO idempotency_keys SELECT 'acc_1', 'k' || n, 'f', 't', 'pay_' || n, NULL, NULL, NULL, NULL
  FROM {numbers};
INSERT INTO deliveries SELECT 'evt_' || n, 'we_' || (n % 50), 'pending', 0, NULL, NULL, n
  FROM {numbers};
INSERT INTO webhook_endpoints SELECT 'we_' || n, 'acc_' || n, {true}, {empty} FROM {numbers};
INSERT INTO jobs SELECT 'settle', 'pay_' || n, 1000 + n, 0, 0, 0 FROM {numbers};
INSERT INTO jobs SELECT 'deliver', 'evt_' || n || '|we_' || (n % 50), 1000 + n, 0, 0, 0
  FROM {numbers};
INSERT INTO rollouts SELECT 'ro_' || n, 'p', false, 1, {empty},
  CASE WHEN n % 5 = 0 THEN NULL ELSE 'acc_' || (n % 50) END FROM {numbers};
INSERT INTO failover_watches SELECT 'p' || n, 1, {empty} FROM {numbers};
INSERT INTO failover_records SELECT 'p' || (n % 50), n, n, {empty} FROM {numbers};
INSERT INTO failover_trials SELECT 'att_' || n, 'p' || (n % 50), 'v' || (n % 50), n, {empty}
  FROM {numbers};
INSERT INTO version_counts SELECT 'v' || (n % 50), n, 1 FROM {numbers};
INSERT INTO api_keys SELECT 'key_' || n, 'd' || n, 'a', 'r', 'l', 'v', n, NULL FROM {numbers};
"""


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "plans.sqlite3"
    migrate.upgrade(str(path))
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


@pytest.mark.parametrize("statement", INDEXED, ids=lambda s: s.name)
def test_sqlite_searches_an_index(sqlite: sqlite3.Connection, statement: Statement) -> None:
    text, values = statement.sql("sqlite", VALUES)
    plan = [row[3] for row in sqlite.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    scans = [step for step in plan if step.startswith("SCAN") and "due" not in step]
    # an array that is given as a parameter is no table of ours
    assert [step for step in scans if "VIRTUAL TABLE" not in step] == []
    assert any("SEARCH" in step for step in plan)
    assert [step for step in plan if "TEMP B-TREE" in step] == []


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (canaries.UNCOUNTED, "assignments_uncounted"),
        (canaries.FOLLOWS, "assignments_followed"),
        (canaries.CROSSINGS, "canary_payments_cross_read"),
        (canaries.DUE, "canary_payments_cross_read"),
        (canaries.UNREAD, "canary_payments_cross_read"),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_a_controllers_look_does_not_grow_with_its_rollout(
    sqlite: sqlite3.Connection, statement: Statement, index: str
) -> None:
    text, values = statement.sql("sqlite", VALUES)
    plan = [row[3] for row in sqlite.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert any(index in step for step in plan), plan


@pytest.mark.postgres
async def test_postgres_searches_an_index(postgres: OnPostgres) -> None:
    text = FILL.format(true="true", empty="''::bytea", numbers="generate_series(1, 20000) AS n")
    emptied = f"TRUNCATE {', '.join(metadata.tables)}"
    connection = await asyncpg.connect(postgres.dsn)
    scanned = []
    try:
        await connection.execute(emptied)  # whatever an earlier test left
        for statement in filter(str.strip, text.split(";")):
            await connection.execute(statement)
        await connection.execute("ANALYZE")
        for asked in INDEXED:
            sql, values = asked.sql("postgresql", VALUES)
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *values)]
            if any("Seq Scan" in line or " Sort" in line for line in plan):
                scanned.append((asked.name, plan))
    finally:
        await connection.execute(emptied)
        await connection.close()
    assert scanned == []
