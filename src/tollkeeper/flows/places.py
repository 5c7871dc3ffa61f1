"""How many requests that move money each provider holds, so that one that hangs leaves the rest.

A place is taken before anything is stored or sent, so that a refusal has had no effect.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tollkeeper.kernel.errors import Overloaded


class Places:
    """The places of one process, `most` for each provider."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, int] = {}

    @contextmanager
    def at(self, integration: str) -> Iterator[None]:
        """Holds a place at the provider of an integration version. Raises `Overloaded` where it
        has none."""
        provider = integration.partition("@")[0]
        taken = self._taken.get(provider, 0)
        if taken >= self._most:
            raise Overloaded(f"{self._most} payments wait for {provider} already")
        self._taken[provider] = taken + 1
        try:
            yield
        finally:
            self._taken[provider] -= 1
