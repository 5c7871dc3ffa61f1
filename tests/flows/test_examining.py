"""The doctor: whatever is altered in the books behind the service's back is found."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.stage import Stage, stage

from tollkeeper.flows.operations.doctor import Report, examine

PATH = "flows.sqlite3"


async def make_books(s: Stage) -> str:
    """A payment with a refund, and a second payment; both are sealed, and the first again after a
    change. Gives the first one's id."""
    made = await s.create(customer="cus_1")
    await s.create()
    await s.store.seal_audit(s.clock.now_ms(), 100)
    await s.refund(made["id"], 100)
    await s.store.seal_audit(s.clock.now_ms(), 100)
    assert (await examined(s)).violations == []
    return str(made["id"])


async def examined(s: Stage) -> Report:
    return await examine(s.store, None, quiet=False)


def alter(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / PATH, isolation_level=None)) as file:
        for statement in statements:
            assert file.execute(statement).rowcount > 0, statement


def rewrite(folder: Path, table: str, **fields: Any) -> None:
    """Changes fields in the body of every row of `table`'s first payment."""
    with closing(sqlite3.connect(folder / PATH, isolation_level=None)) as file:
        of = "id" if table == "payments" else "payment_id"
        key, body = file.execute(f"SELECT {of}, body FROM {table} ORDER BY {of}").fetchone()  # noqa: S608
        new = msgspec.json.encode(msgspec.json.decode(body) | fields)
        file.execute(f"UPDATE {table} SET body = ? WHERE {of} = ?", (new, key))  # noqa: S608


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("payments", {"captured_minor": 999}),
        ("payments", {"currency": "USD"}),
        ("payments", {"customer": "cus_2"}),
        ("payments", {"payment_method": "pm_other"}),
        ("payments", {"metadata": {"a": "b"}}),
        ("attempts", {"provider_id": "pi_other"}),
        ("attempts", {"amount_minor": 1}),
        ("refunds", {"amount_minor": 1}),
    ],
)
async def test_an_altered_body_is_found(tmp_path: Path, table: str, fields: dict[str, Any]) -> None:
    async with stage(tmp_path) as s:
        await make_books(s)
        rewrite(tmp_path, table, **fields)
        assert (await examined(s)).violations


GONE = [
    "DELETE FROM attempts WHERE payment_id = '{id}'",
    "DELETE FROM refunds WHERE payment_id = '{id}'",
    "DELETE FROM audit WHERE payment_id = '{id}'",
]
ALTERATIONS = {
    "a column": ["UPDATE payments SET amount_minor = 5 WHERE id = '{id}'"],
    "an account": ["UPDATE payments SET account = 'acc_2' WHERE id = '{id}'"],
    "an attempt's column": ["UPDATE attempts SET outcome = NULL WHERE payment_id = '{id}'"],
    "an attempt gone": ["DELETE FROM attempts WHERE payment_id = '{id}'"],
    "a refund gone": ["DELETE FROM refunds WHERE payment_id = '{id}'"],
    "the last audit row gone": [
        "DELETE FROM audit WHERE payment_id = '{id}' AND seq = (SELECT max(seq) FROM audit)"
    ],
    "a payment gone": ["DELETE FROM payments WHERE id = '{id}'"],
    "a payment gone with all its rows and keys": [
        *GONE,
        "DELETE FROM sealed_heads WHERE payment_id = '{id}'",
        "DELETE FROM payments WHERE id = '{id}'",
        "DELETE FROM idempotency_keys WHERE payment_id = '{id}'",
    ],
    "a payment gone with all but what seals say": [
        *GONE,
        "DELETE FROM payments WHERE id = '{id}'",
        "DELETE FROM idempotency_keys WHERE payment_id = '{id}'",
    ],
    "a key pointed elsewhere": [
        "UPDATE idempotency_keys SET payment_id = (SELECT id FROM payments WHERE id <> '{id}')"
        " WHERE key = 'key-1'"
    ],
    "a key pointed at nothing": [
        "UPDATE idempotency_keys SET payment_id = 'pay_x' WHERE key = 'key-1'"
    ],
    "a key gone": ["DELETE FROM idempotency_keys WHERE key = 'key-1'"],
    "a forged seal": ["UPDATE audit_seals SET hash = 'f00' WHERE seq = 2"],
    "a seal gone": ["DELETE FROM audit_seals WHERE seq = 1"],
    "the newest seal gone": ["DELETE FROM audit_seals WHERE seq = 2"],
    "a seal added": ["INSERT INTO audit_seals VALUES (3, 1, 0, 'x', 'y')"],
    "a sealed head gone": ["DELETE FROM sealed_heads WHERE seal = 1 AND payment_id = '{id}'"],
}


@pytest.mark.parametrize("what", ALTERATIONS)
async def test_altered_rows_are_found(tmp_path: Path, what: str) -> None:
    async with stage(tmp_path) as s:
        id_ = await make_books(s)
        alter(tmp_path, *(statement.format(id=id_) for statement in ALTERATIONS[what]))
        assert (await examined(s)).violations


@pytest.mark.parametrize("table", ["payments", "attempts", "refunds", "audit"])
async def test_an_unreadable_row_is_told_and_the_rest_is_examined(
    tmp_path: Path, table: str
) -> None:
    async with stage(tmp_path) as s:
        id_ = await make_books(s)
        of = "id" if table == "payments" else "payment_id"
        alter(tmp_path, f"UPDATE {table} SET body = x'7b00ff' WHERE {of} = '{id_}'")  # noqa: S608
        report = await examined(s)
        assert any(v.subject == id_ and "unreadable" in v.detail for v in report.violations)
        assert {v.subject for v in report.violations} <= {id_, "key-1", "key-3"}
        assert report.payments == 2
