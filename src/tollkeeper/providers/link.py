"""The acknowledgement link: a signed, expiring token that opens one notice and nothing else.

Law: a token is checked before anything is read. The key is derived from the vault's for this
purpose alone, so that no other signature of the service is one.
"""

import base64
import hashlib
import hmac
from typing import Final

from tollkeeper.kernel.ids import ALPHABET, BODY_LENGTH

PURPOSE: Final = b"tollkeeper provider desk: link to one notice, version 1"
EXPIRY_LENGTH: Final = 9
SIGNATURE_BYTES: Final = 20
"""160 bits: base 32 without padding, and far beyond guessing at any rate."""

SIGNATURE_LENGTH: Final = 32
LENGTH: Final = BODY_LENGTH + EXPIRY_LENGTH + SIGNATURE_LENGTH
PREFIX: Final = "ntc"


def link_key(vault_key: str) -> bytes:
    """The key that signs links."""
    return hmac.new(vault_key.encode(), PURPOSE, hashlib.sha256).digest()


def token_of(key: bytes, notice_id: str, expires_ms: int) -> str:
    """The token of a notice until a moment (whole seconds, rounded down)."""
    said = notice_id.partition("_")[2] + f"{expires_ms // 1000:0{EXPIRY_LENGTH}x}"
    return said + _signature(key, said)


def opened(key: bytes, token: str, now_ms: int) -> tuple[str, int] | None:
    """The notice's id and the second in which the token ends; `None` for what is forged, cut,
    changed or expired."""
    if len(token) != LENGTH or not token.isascii():
        return None
    said, signature = token[:-SIGNATURE_LENGTH], token[-SIGNATURE_LENGTH:]
    if not hmac.compare_digest(_signature(key, said), signature):
        return None
    body, expiry = said[:BODY_LENGTH], said[BODY_LENGTH:]
    if set(body) - set(ALPHABET):
        return None
    expires_s = int(expiry, 16)
    if now_ms >= expires_s * 1000:
        return None
    return f"{PREFIX}_{body}", expires_s


def _signature(key: bytes, said: str) -> str:
    digest = hmac.new(key, said.encode(), hashlib.sha256).digest()[:SIGNATURE_BYTES]
    return base64.b32encode(digest).decode().lower()
