"""API keys: only the digest of a secret is kept."""

from typing import Any, Final

from tollkeeper.flows.ports import ApiKey
from tollkeeper.store import tables as t
from tollkeeper.store.statements import Operation, columns_of, sql
from tollkeeper.store.topic import Topic, reads, writes

UPSERT_API_KEY: Final = sql(
    "upsert_api_key",
    """
    INSERT INTO api_keys (id, digest, account, role, label, api_version, created_ms, revoked_ms)
    VALUES (:id, :digest, :account, :role, :label, :api_version, :created_ms, :revoked_ms)
    ON CONFLICT (id) DO UPDATE SET
      role = excluded.role, label = excluded.label, revoked_ms = excluded.revoked_ms
    """,
)
FIND_API_KEY: Final = sql(
    "find_api_key", f"SELECT {columns_of(t.api_keys)} FROM api_keys WHERE digest = :digest"
)
LIST_API_KEYS: Final = sql(
    "list_api_keys", f"SELECT {columns_of(t.api_keys)} FROM api_keys ORDER BY id"
)


def save_api_key(key: ApiKey) -> Operation[None]:
    """Inserts a key, or updates its label, role and revocation."""
    yield UPSERT_API_KEY, {c.name: getattr(key, c.name) for c in t.api_keys.c}


def find_api_key(digest: str) -> Operation[ApiKey | None]:
    """The key whose secret has this digest."""
    rows = yield FIND_API_KEY, {"digest": digest}
    return _api_key(tuple(rows[0])) if rows else None


def list_api_keys() -> Operation[list[ApiKey]]:
    """Every key, oldest first."""
    rows = yield LIST_API_KEYS, {}
    return [_api_key(tuple(row)) for row in rows]


def _api_key(row: tuple[Any, ...]) -> ApiKey:
    return ApiKey(**dict(zip((c.name for c in t.api_keys.c), row, strict=True)))


class ApiKeys(Topic):
    """API keys."""

    save_api_key = writes(save_api_key)
    find_api_key = reads(find_api_key)
    list_api_keys = reads(list_api_keys)
