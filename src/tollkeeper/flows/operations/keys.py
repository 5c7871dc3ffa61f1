"""API keys: made once, shown once, kept as a digest; and what each role may do.

Law: a role may do all that the roles before it may, on its own account alone; only `platform` acts
on what concerns every account.
"""

import hashlib
from typing import Final, Literal

import msgspec

from tollkeeper.flows.ports import ApiKey, Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Fault, Invalid, NotFound
from tollkeeper.kernel.ids import ALPHABET

Role = Literal["viewer", "service", "operator", "admin", "platform"]

PLATFORM: Final = "platform"
"""The role of those who run the installation for all accounts."""


ROLES: Final[dict[Role, str]] = {
    "viewer": "reads payments, refunds and events",
    "service": "takes, captures, voids and refunds payments",
    "operator": "sees attempts, audit rows, webhook deliveries and its account's rollouts, and "
    "ends those rollouts",
    "admin": "manages webhook endpoints and their secrets; starts and promotes rollouts that its "
    "account alone meets",
    "platform": "starts rollouts for every account; sees and ends the rollouts of every account",
}
"""Every role, weakest first, and what it adds."""

API_VERSIONS: Final = ("2026-11-24",)
"""Versions of the public API, oldest first. A key is pinned to the newest when it is made."""

SECRET_PREFIX: Final = "tk_"  # noqa: S105 - what every secret begins with, none itself
SECRET_LENGTH: Final = 32
"""Characters of five bits each: 160 bits of chance."""

LABEL_LENGTH: Final = 200
ACCOUNT_LENGTH: Final = 64


async def create_key(runtime: Runtime, account: str, role: str, label: str) -> tuple[ApiKey, str]:
    """Makes a key; gives it with its secret, which is never shown again."""
    _check(account, role, label)
    secret = SECRET_PREFIX + "".join(ALPHABET[runtime.chance.bits(5)] for _ in range(SECRET_LENGTH))
    key = ApiKey(
        id=runtime.new_id("key"),
        digest=digest_of(secret),
        account=account,
        role=role,
        label=label,
        api_version=API_VERSIONS[-1],
        created_ms=runtime.clock.now_ms(),
    )
    await runtime.store.save_api_key(key)
    return key, secret


async def revoke_key(runtime: Runtime, key_id: str) -> ApiKey:
    """Ends a key; replicas notice within two seconds. Revoking twice keeps the first time."""
    found = next((key for key in await runtime.store.list_api_keys() if key.id == key_id), None)
    if found is None:
        raise NotFound(f"no key {key_id}")
    if found.revoked_ms is not None:
        return found
    revoked = msgspec.structs.replace(found, revoked_ms=runtime.clock.now_ms())
    await runtime.store.save_api_key(revoked)
    return revoked


async def live_key(store: Store, digest: str) -> ApiKey | None:
    """The key whose secret has this digest, unless it was revoked."""
    key = await store.find_api_key(digest)
    return key if key is not None and key.revoked_ms is None else None


async def list_keys(store: Store) -> list[ApiKey]:
    """Every key, oldest first."""
    return await store.list_api_keys()


def digest_of(secret: str) -> str:
    """SHA-256 in hex: a secret has 160 bits of chance, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def allows(role: str, needed: Role) -> bool:
    """Whether a key of `role` may do what `needed` may."""
    order = list(ROLES)
    return role in order and order.index(role) >= order.index(needed)


def _check(account: str, role: str, label: str) -> None:
    faults = []
    if role not in ROLES:
        faults.append(Fault("/role", f"one of {', '.join(ROLES)}"))
    if not account or len(account) > ACCOUNT_LENGTH or not account.isascii():
        faults.append(Fault("/account", f"1 to {ACCOUNT_LENGTH} ASCII characters"))
    if len(label) > LABEL_LENGTH or "\0" in label:
        faults.append(Fault("/label", f"at most {LABEL_LENGTH} characters"))
    if faults:
        raise Invalid("a key cannot be made of this", faults=tuple(faults))
