"""What this process has counted in the second that goes on, until it is written as a batch.

Law: bounded in memory at any rate. Lines beyond `MAX_LINES` are folded into coarser ones, and the
batch says how many were. Customers are known as digests, for a minute or ten, and never written.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from tollkeeper.integrations.version import WireReply
from tollkeeper.signals.counts import (
    EDGES_MS,
    OTHER,
    Batch,
    Cell,
    Counted,
    Gauges,
    Probe,
    Tally,
    Waiting,
)

MAX_LINES: Final = 300
"""Lines of one batch that are kept apart, of what went well and as many of what did not. Beyond it
accounts, countries and banks are counted together, so that six minutes take a bounded space."""

MAX_CUSTOMERS: Final = 100_000
"""Customers that are remembered at once; beyond them each failure is a witness of its own."""

MAX_ACCOUNTS: Final = 10_000

WITNESS_MS: Final = 60_000
METHODS_MS: Final = 600_000
MANY_METHODS: Final = 2
SMALL_PART: Final = 20
LONG_WAIT_S: Final = 3
NOTHING: Final[Mapping[int, int]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Shopper:
    """Who paid with what, and how much: for counts alone. A question knows its payment alone."""

    customer: str = ""
    payment_id: str = ""
    method: str = ""
    amount_minor: int = 0
    currency: str = ""
    account: str = ""


@dataclass
class Customers:
    """Who failed in this minute, and how many payment methods a customer used in ten minutes."""

    minute: int = -1
    failed: set[int] = field(default_factory=set)
    span: int = -1
    methods: dict[int, frozenset[int]] = field(default_factory=dict)

    def is_witness(self, shopper: Shopper, integration: str, at_ms: int) -> bool:
        """Whether this failure is the first of its customer, and of its payment, in its minute
        through one version. What is asked about a payment that failed is a consequence, and one
        that is asked again and again is one failure."""
        if at_ms // WITNESS_MS != self.minute:
            self.minute = at_ms // WITNESS_MS
            self.failed.clear()
        payment = hash(shopper.payment_id)
        if shopper.customer or shopper.method:
            names = {name for name in (shopper.customer, shopper.payment_id) if name}
            known = {hash((name, integration)) for name in names}
        else:
            known = {payment}
        is_first = not known & self.failed
        if len(self.failed) < MAX_CUSTOMERS:
            self.failed |= known | {payment}
        return is_first

    def is_crowded(self, customer: str, method: str, at_ms: int) -> bool:
        """Whether the customer has used more than two payment methods within ten minutes."""
        if at_ms // METHODS_MS != self.span:
            self.span = at_ms // METHODS_MS
            self.methods.clear()
        known = hash(customer)
        used = self.methods.get(known, frozenset())
        if len(used) <= MANY_METHODS and (
            known in self.methods or len(self.methods) < MAX_CUSTOMERS
        ):
            used = self.methods[known] = used | {hash(method)}
        return len(used) > MANY_METHODS


@dataclass(kw_only=True)
class Counting:
    """Counts of the second that goes on. `host`: the name of this machine, on every line.
    `totals` count since the process started, by kind, provider, operation and result; `gauges` are
    those of the last batch. `clock_ms`: how far our clock is ahead of the providers'."""

    host: str = ""
    lines: dict[tuple[int, Cell], Tally] = field(default_factory=dict)
    probes: list[Probe] = field(default_factory=list)
    dropped: int = 0
    dropped_ever: int = 0
    totals: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    customers: Customers = field(default_factory=Customers)
    gauges: Gauges = field(default_factory=Gauges)
    clock_ms: float | None = None
    _clocked_s: int = 0
    _usual: dict[tuple[str, str], float] = field(default_factory=dict)
    _kept: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    _under_way: dict[int, tuple[int, str, str, str]] = field(default_factory=dict)
    _number: int = 0

    def add(
        self,
        cell: Cell,
        at_ms: int,
        total_ms: float,
        *,
        phases_ms: Mapping[str, float] | None = None,
        shopper: Shopper | None = None,
        lag_ms: float | None = None,
    ) -> None:
        """Counts one thing that ended at `at_ms` by the store's clock, after `total_ms`. `lag_ms`
        of a webhook: how long ago the provider made its event, where that is known."""
        self.totals[cell.kind, cell.provider, cell.operation, cell.result] += 1
        tally = self._line(int(at_ms - total_ms) // 1000, cell)
        tally.n += 1
        bucket = bisect_left(EDGES_MS, total_ms if lag_ms is None else lag_ms)
        tally.took[bucket] = tally.took.get(bucket, 0) + 1
        if cell.result != "ok":
            is_witness = self.customers.is_witness
            tally.witnesses += shopper is None or is_witness(shopper, cell.integration, at_ms)
        if shopper is not None and shopper.method:
            tally.crowded += self.customers.is_crowded(shopper.customer, shopper.method, at_ms)
            tally.small += self._is_small(shopper)
        if phases_ms:
            _add_phases(tally, phases_ms)

    def _line(self, second: int, cell: Cell) -> Tally:
        found = self.lines.get((second, cell))
        if found is None:
            is_ok = cell.result == "ok"
            if self._kept[is_ok] >= MAX_LINES:
                self.dropped += 1
                cell = coarser(cell)
                found = self.lines.get((second, cell))
            if found is None:
                found = self.lines[second, cell] = Tally(took={})
                self._kept[is_ok] += 1
        return found

    def _is_small(self, shopper: Shopper) -> bool:
        key = (shopper.account, shopper.currency)
        usual = self._usual.get(key)
        if usual is None:
            if len(self._usual) < MAX_ACCOUNTS:
                self._usual[key] = float(shopper.amount_minor)
            return False
        # a mean that forgets: its last two hundred payments or so
        self._usual[key] = usual + (shopper.amount_minor - usual) / 200
        return shopper.amount_minor * SMALL_PART < usual

    def begin(self, at_ms: int, provider: str, integration: str, operation: str) -> int:
        """An attempt goes out; gives its number, for `end`."""
        self._number += 1
        self._under_way[self._number] = (at_ms // 1000, provider, integration, operation)
        return self._number

    def compare_clocks(self, at_ms: int, reply: WireReply) -> None:
        """Compares our clock with the one that a reply is dated by, once a second at most."""
        if at_ms // 1000 != self._clocked_s:
            self._clocked_s = at_ms // 1000
            theirs_ms = reply.date_ms()
            if theirs_ms is not None:
                self.clock_ms = float(at_ms - theirs_ms)

    def end(self, number: int) -> None:
        """An attempt is over."""
        self._under_way.pop(number, None)

    def take(
        self, second: int, replica: str, gauges: Gauges, stuck: Mapping[int, int] = NOTHING
    ) -> Batch:
        """The batch of all that has started until `second`, since the last one. What started later
        stays for the next one. `stuck`: operations of our store that hang, by the second in which
        they began."""
        later = {key: tally for key, tally in self.lines.items() if key[0] > second}
        batch = Batch(
            second=second,
            replica=replica,
            host=self.host,
            counted=[
                Counted(at, cell, tally) for (at, cell), tally in self.lines.items() if at <= second
            ],
            waiting=[*self._waiting(second), *_stuck(stuck)],
            probes=self.probes,
            gauges=gauges,
            dropped=self.dropped,
        )
        self.dropped_ever += self.dropped
        self.lines, self.probes, self.dropped = later, [], 0
        self._kept = {True: 0, False: 0}
        self.gauges = gauges
        return batch

    def _waiting(self, second: int) -> list[Waiting]:
        long = Counter(key for key in self._under_way.values() if key[0] <= second - LONG_WAIT_S)
        return [
            Waiting(started, provider, integration, operation, "", n)
            for (started, provider, integration, operation), n in sorted(long.items())
        ]


def _stuck(began: Mapping[int, int]) -> list[Waiting]:
    return [Waiting(at_s, "", "", "store", "persist", n) for at_s, n in sorted(began.items())]


def coarser(cell: Cell) -> Cell:
    """The cell without what callers and issuers can make many of."""
    return replace(
        cell,
        account=OTHER if cell.account else "",
        country=OTHER if cell.country else "",
        issuer=OTHER if cell.issuer else "",
        method=OTHER if cell.method else "",
        error="" if cell.stage == "provider" else cell.error,  # its own words have no end
        pointer="",
        version="",
        currency=OTHER if cell.currency else "",
    )


def _add_phases(tally: Tally, phases_ms: Mapping[str, float]) -> None:
    connect = phases_ms.get("connect")
    if connect is not None:
        tally.connect_n += 1
        tally.connect_ms += connect
    tls = phases_ms.get("tls")
    if tls is not None:
        tally.tls_n += 1
        tally.tls_ms += tls
    wait = phases_ms.get("wait")
    if wait is not None:
        tally.wait_n += 1
        tally.wait_ms += wait
