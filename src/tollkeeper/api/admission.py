"""What the door remembers about one running service: keys seen, requests inside, rates.

Requests inside are counted by pot: what fills one pot takes no place of another.

Law: it belongs to a runtime and is thrown away with it, so that nothing leaks from one service (or
one simulated life) to the next; times are the runtime's own; everything is bounded.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, NoReturn, Protocol

from litestar.datastructures import State

from tollkeeper.flows.operations.keys import digest_of, live_key
from tollkeeper.flows.ports import ApiKey
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Overloaded, RateLimited, Unauthenticated

KEY_SECONDS: Final = 2.0
"""How long a revoked key may live on in this process."""

WRONG_KEYS_PER_SECOND: Final = 1.0
WRONG_KEYS_AT_ONCE: Final = 50.0
"""How often one peer is told that a key is unknown; more often it is told to slow down."""

LINKS_PER_SECOND: Final = 1.0
LINKS_AT_ONCE: Final = 30.0
"""How often one peer may open the page of a notice, or send its form: far above any person."""

TOLD_PER_SECOND: Final = 0.1
"""How often the log is told of unknown keys, whoever shows them."""

MAX_KEYS: Final = 1024
MAX_DESKS: Final = 4
BURST_SECONDS: Final = 1.0
"""A key that was quiet may send this many seconds' worth of its rate at once."""


class Running(Protocol):
    """A service as the door needs it; `app.state.service` holds it. The caller may swap it between
    requests."""

    runtime: Runtime
    draining: bool


Pot = Literal["payments", "reads", "inbound", "shoppers", "administration"]

POTS: Final[dict[Pot, str]] = {
    "payments": "max_in_flight",
    "reads": "max_reads_in_flight",
    "inbound": "max_inbound_in_flight",
    "shoppers": "max_shoppers_in_flight",
    "administration": "max_administration_in_flight",
}
"""Every pot of requests, and the setting that says how many it holds."""

MAX_ARRIVING_BYTES: Final = 67_108_864
"""What all bodies that are still arriving may have together: with a key or without, the memory of
one process bears it beside everything else."""


class Admission:
    """Per-runtime memory. `in_flight` counts the requests that are inside, by pot."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.in_flight: dict[Pot, int] = dict.fromkeys(POTS, 0)
        self.arriving_bytes = 0
        self._keys: dict[str, tuple[ApiKey, float]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._links: dict[str, tuple[float, float]] = {}
        self._wrong: dict[str, tuple[float, float]] = {}
        self._told: dict[str, tuple[float, float]] = {}
        self.wrong_keys = 0

    def refuse_if_full(self, pot: Pot) -> None:
        """Raises `Overloaded` where the pot has no place now."""
        limit: int = getattr(self.runtime.settings, POTS[pot])
        if self.in_flight[pot] >= limit:
            raise Overloaded(f"{limit} requests of this kind ({pot}) are being served already")

    @contextmanager
    def inside(self, pot: Pot) -> Iterator[None]:
        """Counts a request in for as long as it is handled, or refuses it."""
        self.refuse_if_full(pot)
        self.in_flight[pot] += 1
        try:
            yield
        finally:
            self.in_flight[pot] -= 1

    @contextmanager
    def arriving(self) -> Iterator[Callable[[int], None]]:
        """Gives what counts the bytes of one body while it arrives. Raises `Overloaded` where too
        many are arriving."""
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            if self.arriving_bytes + size > MAX_ARRIVING_BYTES:
                raise Overloaded("too many large requests are arriving at once")
            held += size
            self.arriving_bytes += size

        try:
            yield hold
        finally:
            self.arriving_bytes -= held

    async def key_of(self, secret: str) -> ApiKey | None:
        """The live key with this secret."""
        digest = digest_of(secret)
        now = self.runtime.clock.monotonic()
        known = self._keys.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        key = await live_key(self.runtime.store, digest)
        if key is None:
            self._keys.pop(digest, None)
            return None
        _make_room(self._keys, MAX_KEYS)
        self._keys[digest] = (key, now + KEY_SECONDS)
        return key

    def refuse_wrong_key(self, peer: str) -> NoReturn:
        """Raises `Unauthenticated`, or `RateLimited` for a peer that has shown many wrong keys. A
        right key is never slowed down by wrong ones: a proxy makes one peer of all callers."""
        self.wrong_keys += 1
        if self._take(self._told, "", TOLD_PER_SECOND, 1.0):
            self.runtime.tell("key_refused", peer=peer, since_start=self.wrong_keys)
        if not self._take(self._wrong, peer, WRONG_KEYS_PER_SECOND, WRONG_KEYS_AT_ONCE):
            raise RateLimited("too many unknown API keys from this address")
        raise Unauthenticated("the API key is not known, or was revoked")

    def slow_down(self, peer: str) -> None:
        """Raises `RateLimited` for a peer that shows many links within a short time."""
        if not self._take(self._links, peer, LINKS_PER_SECOND, LINKS_AT_ONCE):
            raise RateLimited("too many requests with links from this address")

    def _take(
        self, buckets: dict[str, tuple[float, float]], name: str, rate: float, most: float
    ) -> bool:
        """Takes one token from a bucket that fills at `rate` up to `most`; false where none is
        left."""
        now = self.runtime.clock.monotonic()
        tokens, since = buckets.pop(name, (most, now))
        tokens = min(most, tokens + (now - since) * rate)
        _make_room(buckets, MAX_KEYS)
        buckets[name] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)
        return tokens >= 1.0

    def spend(self, key: ApiKey) -> None:
        """Takes one token from the key's bucket; `RateLimited` where none is left."""
        rate = self.runtime.settings.requests_per_second_per_key
        if rate <= 0:
            return
        now = self.runtime.clock.monotonic()
        most = max(1.0, rate * BURST_SECONDS)
        tokens, since = self._buckets.get(key.id, (most, now))
        tokens = min(most, tokens + (now - since) * rate)
        if tokens < 1.0:
            wait = math.ceil((1.0 - tokens) / rate)
            refused = RateLimited(f"this key may send {rate:g} requests a second")
            refused.retry_after_seconds = max(1, wait)
            raise refused
        _make_room(self._buckets, MAX_KEYS)
        self._buckets[key.id] = (tokens - 1.0, now)


def _make_room[V](entries: dict[str, V], most: int) -> None:
    if len(entries) >= most:
        entries.pop(next(iter(entries)))


def admission_of(state: State) -> Admission:
    """The desk of the service that runs now; a new one for a runtime not seen before."""
    runtime: Runtime = state.service.runtime
    desks: dict[int, Admission] = state.desks
    desk = desks.get(id(runtime))
    if desk is None or desk.runtime is not runtime:
        if len(desks) >= MAX_DESKS:
            desks.pop(next(iter(desks)))
        desk = desks[id(runtime)] = Admission(runtime)
    return desk
