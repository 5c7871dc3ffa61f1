"""How many requests that move money each provider holds, so that one that hangs leaves the rest,
and how many of them are one account's, so that no account takes them all.

A place is taken before anything is stored or sent, so that a refusal has had no effect.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tollkeeper.kernel.errors import Overloaded

ACCOUNT_SHARE: Final = 0.5
"""How many of a provider's places one account may hold, once a process has served another one
too."""


class Places:
    """The places of one process, `most` for each provider."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, Counter[str]] = {}
        self._accounts: set[str] = set()

    @contextmanager
    def at(self, integration: str, account: str) -> Iterator[None]:
        """Holds a place at the provider of an integration version for a payment of `account`.
        Raises `Overloaded` where there is none."""
        provider = integration.partition("@")[0]
        taken = self._taken.setdefault(provider, Counter())
        self._accounts.add(account)
        if taken.total() >= self._most:
            raise Overloaded(f"{self._most} payments wait for {provider} already")
        share = max(1, int(self._most * ACCOUNT_SHARE))
        if len(self._accounts) > 1 and taken[account] >= share:
            raise Overloaded(f"{share} payments of this account wait for {provider} already")
        taken[account] += 1
        try:
            yield
        finally:
            taken[account] -= 1
            if not taken[account]:
                del taken[account]
