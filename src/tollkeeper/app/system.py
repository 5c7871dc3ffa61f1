"""What the machine gives: clocks, randomness, and the vault that seals bytes at rest."""

import asyncio
import base64
import os
import secrets
import time
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollkeeper.app.logging import log
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.settings import Settings
from tollkeeper.store.postgres import Postgres

NONCE_BYTES: Final = 12
CLOCK_CHECK_SECONDS: Final = 30.0


class SystemClock:
    """The real clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemChance:
    """The operating system's randomness."""

    def bits(self, count: int) -> int:
        return int.from_bytes(os.urandom((count + 7) // 8)) >> (-count % 8)

    def uniform(self) -> float:
        return secrets.randbits(53) / (1 << 53)


class AesVault:
    """AES-256-GCM with a fresh nonce before each text."""

    def __init__(self, key: bytes, nonce: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._cipher = AESGCM(key)
        self._nonce = nonce

    def seal(self, plain: bytes) -> bytes:
        nonce = self._nonce(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def open(self, sealed: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None


def vault_of(settings: Settings) -> AesVault:
    """The vault that `settings.vault_key` opens. Without a key nothing may be stored."""
    if not settings.vault_key:
        raise Misconfigured(
            "vault_key is not set: 32 random bytes in base64, for example from "
            "`openssl rand -base64 32`; losing it loses the sealed exchanges, never the books"
        )
    try:
        key = base64.b64decode(settings.vault_key, validate=True)
    except ValueError as error:
        raise Misconfigured(f"vault_key is not base64: {error}") from error
    if len(key) != 32:
        raise Misconfigured(f"vault_key has {len(key)} bytes, not 32")
    return AesVault(key)


class ServerClock:
    """The store's clock where the store is a server: ours, corrected by a measured offset."""

    def __init__(self, local: SystemClock) -> None:
        self._local = local
        self._offset_ms = 0

    def now_ms(self) -> int:
        return self._local.now_ms() + self._offset_ms

    async def follow(self, driver: Postgres) -> None:
        """Measures the offset again and again; a failed measurement keeps the last one."""
        while True:
            try:
                self._offset_ms = await driver.clock_offset_ms(self._local.now_ms)
            except Exception as error:  # noqa: BLE001 - the store's own calls report its absence
                log.warning("store_clock_not_measured", error=str(error))
            await self._local.sleep(CLOCK_CHECK_SECONDS)

    async def measure(self, driver: Postgres) -> None:
        """Measures the offset once."""
        self._offset_ms = await driver.clock_offset_ms(self._local.now_ms)
