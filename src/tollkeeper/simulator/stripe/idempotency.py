"""Idempotency keys as the provider documents them: the first request's answer, whatever it was.

An answer is stored from the moment that execution begins, 5xx included, and kept at least 24 hours
from then. A refusal before execution (parameters, key, rate) is not stored. Keys belong to an
account.
"""

import hashlib
from collections import OrderedDict

import msgspec

from tollkeeper.simulator.stripe import forms, problems


class Answer(msgspec.Struct, frozen=True):
    """A stored answer: what is sent again, byte for byte, with the first request's id."""

    status: int
    body: bytes
    request_id: str
    version: str


class Entry(msgspec.Struct):
    fingerprint: bytes
    began_ms: int
    answer: Answer | None = None


class Keys:
    """The keys of all accounts."""

    def __init__(self, kept_seconds: float) -> None:
        self._kept_ms = int(kept_seconds * 1000)
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def find(self, account: str, key: str, fingerprint: bytes, now_ms: int) -> Answer | None:
        """The stored answer, or None if this is the first request with the key.

        Raises Problem: 400 if the key was used with other parameters, 409 if the first request
        is still executing.
        """
        self._forget(now_ms)
        entry = self._entries.get((account, key))
        if entry is None:
            return None
        if entry.fingerprint != fingerprint:
            raise problems.key_reused(key)
        if entry.answer is None:
            raise problems.key_in_use(key)
        return entry.answer

    def begin(self, account: str, key: str, fingerprint: bytes, now_ms: int) -> None:
        """Execution begins now: from here on the key is taken."""
        self._entries[account, key] = Entry(fingerprint, now_ms)

    def store(self, account: str, key: str, answer: Answer) -> None:
        """Execution is over; a key that was forgotten meanwhile stays forgotten."""
        entry = self._entries.get((account, key))
        if entry is not None:
            entry.answer = answer

    def release(self, account: str, key: str) -> None:
        """Execution did not begin after all."""
        self._entries.pop((account, key), None)

    def _forget(self, now_ms: int) -> None:
        oldest_ms = now_ms - self._kept_ms
        while self._entries:
            name, entry = next(iter(self._entries.items()))
            if entry.began_ms > oldest_ms:
                return
            del self._entries[name]


def fingerprint(method: str, path: str, sent: forms.Pairs) -> bytes:
    """Equal for requests with the same parameters, in whatever order they were sent."""
    parameters = "&".join(sorted([f"{name}={value}" for name, value in sent]))
    text = f"{method} {path}\n{parameters}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
