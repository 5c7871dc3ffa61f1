"""What is kept of many observations: counts by what they have in common, one batch for each second.

Law: a batch is written once and never changed, so that the batches of all replicas add up exactly
and a verdict computes again from what is stored. A count belongs to the second in which its attempt
*started*; its batch is that of the second in which it ended.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

type Kind = Literal["attempt", "webhook_in", "webhook_out", "api", "job"]
"""What was counted: an attempt or question sent to a provider, a webhook received or sent, a
request to our API, the run of a job."""

type Result = Literal["ok", "declined", "failed"]
"""`failed`: no usable result (class A, B1 or C; a rejected webhook; a 5xx of ours; a job's
error)."""

EDGES_MS: Final = (
    25, 40, 60, 90, 135, 200, 300, 450, 675, 1_000, 1_500, 2_250, 3_375, 5_000, 7_500, 11_000,
    30_000,
)  # fmt: skip
"""Upper edges of the buckets of durations, in milliseconds, each about 1.5 times the one before; a
last bucket has what took longer."""

REQUEST: Final = "request:"
"""Begins the pointer of a parameter of our request that the provider refused, before its name."""

OTHER: Final = "(other)"
"""Stands for values beyond what a batch keeps apart."""


class Cell(msgspec.Struct, frozen=True, array_like=True, kw_only=True, omit_defaults=True):
    """What counted things have in common; an empty text where it is not known or does not apply.

    `operation` of an attempt is one of payments, of a webhook its kind of event, of the API the
    operation or the route, of a job its kind. `stage`, `error` and `status` are those of an
    observation, with `admit`, `persist` and `webhook` as further stages. `pointer`: where a reply
    departed from what the version reads. `repeat`: 0 for the first attempt of a payment, 1 for the
    second and so on, 3 at most; 4 where the very same request was sent again within seconds.
    `settings`: a fingerprint of the settings, keys and trust store in
    force. `method` is the brand or kind of the payment method, `issuer` the bank, where known.
    `version`: the API version that a reply or webhook says it is rendered at, where that is another
    one than the one that reads it.
    """

    kind: Kind
    provider: str = ""
    integration: str = ""
    operation: str = ""
    host: str = ""
    result: Result = "ok"
    stage: str = ""
    error: str = ""
    status: int = 0
    shows_id: bool = False
    unreadable: bool = False
    pointer: str = ""
    repeat: int = 0
    account: str = ""
    currency: str = ""
    country: str = ""
    method: str = ""
    issuer: str = ""
    settings: str = ""
    version: str = ""


class Tally(msgspec.Struct, array_like=True, kw_only=True, omit_defaults=True):
    """How many, and what else adds up of them.

    `witnesses`: those that failed or were declined, but one for each customer and minute.
    `crowded`: those of a customer or of an address who tried more than two payment methods in ten
    minutes. `small`: amounts below a twentieth of the account's usual one. `took`: how many by
    bucket of `EDGES_MS`, of the whole duration; of a webhook since the provider made its event.
    `*_n` and `*_ms`: how many had that phase, and its milliseconds together; `wait` is the time to
    the first byte of a reply.
    """

    n: int = 0
    witnesses: int = 0
    crowded: int = 0
    small: int = 0
    took: dict[int, int] = {}
    connect_n: int = 0
    connect_ms: float = 0.0
    tls_n: int = 0
    tls_ms: float = 0.0
    wait_n: int = 0
    wait_ms: float = 0.0

    def add(self, other: "Tally") -> None:
        """Adds another tally of the same cell."""
        self.n += other.n
        self.witnesses += other.witnesses
        self.crowded += other.crowded
        self.small += other.small
        for bucket, count in other.took.items():
            self.took[bucket] = self.took.get(bucket, 0) + count
        self.connect_n += other.connect_n
        self.connect_ms += other.connect_ms
        self.tls_n += other.tls_n
        self.tls_ms += other.tls_ms
        self.wait_n += other.wait_n
        self.wait_ms += other.wait_ms


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Attempts under way when a batch was made that have waited for more than three seconds, by
    where they stand now: nothing of their future is known. Without a provider, operations of our
    own store that have, at the stage `persist`."""

    started_s: int
    provider: str
    integration: str
    operation: str
    stage: str
    n: int


class Probe(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A question that moves no money. `name`: `anchor` (a neutral address, to tell our network from
    the provider's), `golden` and `golden_previous` (a reading question through the carrying version
    and through the one before), `second` (the same to another provider), `store` (a small write).
    `asked`: sent because a verdict was in doubt, not by routine."""

    at_ms: int
    name: Literal["anchor", "golden", "golden_previous", "second", "store"]
    tried: int
    failed: int
    provider: str = ""
    integration: str = ""
    host: str = ""
    error: str = ""
    took_ms: float = 0.0
    asked: bool = False


class Gauges(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How the process itself was in that second; `None` where it was not measured. The largest lag
    of the event loop and the longest wait for the store in milliseconds, the share of file
    descriptors and of the database's disk in use from 0 to 1, the offset of our clock to the
    providers' in milliseconds."""

    lag_ms: float | None = None
    store_ms: float | None = None
    descriptors: float | None = None
    disk: float | None = None
    clock_ms: float | None = None


class Counted(msgspec.Struct, array_like=True):
    """One line of a batch: how many of one cell started in one second."""

    started_s: int
    cell: Cell
    tally: Tally


class Batch(msgspec.Struct, array_like=True, kw_only=True, omit_defaults=True):
    """What one replica counted in one second, by the store's clock. `dropped`: how many lines were
    folded into others because there were too many."""

    second: int
    replica: str
    host: str = ""
    counted: list[Counted] = []
    waiting: list[Waiting] = []
    probes: list[Probe] = []
    gauges: Gauges = Gauges()
    dropped: int = 0


type ChangeKind = Literal[
    "deploy", "settings", "routes", "rollout", "failover", "migration", "infrastructure",
    "description", "status_feed", "certificate", "announced",
]  # fmt: skip


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changed, ours or the provider's, with where it can be felt: an empty text
    means everywhere. `announced` is an announcement for the future or a maintenance window.
    `until_ms` of a certificate: when it ends."""

    at_ms: int
    kind: ChangeKind
    text: str
    provider: str = ""
    integration: str = ""
    host: str = ""
    account: str = ""
    settings: str = ""
    until_ms: int = 0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """All that a verdict at `at_ms` may be computed from: the batches written until then, oldest
    first; older batches folded to `usual`; changes, oldest first. `carrying` by provider: the
    version with most weight, then the others, as the routes were at `at_ms`."""

    at_ms: int
    batches: tuple[Batch, ...]
    usual: tuple[Counted, ...] = ()
    usual_seconds: int = 0
    changes: tuple[Change, ...] = ()
    carrying: Mapping[str, tuple[str, ...]] = {}


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Batch).decode


def encode(batch: Batch) -> bytes:
    """A batch for the store."""
    return _encode(batch)


def decode(body: bytes) -> Batch:
    """A stored batch."""
    return _decode(body)


def fold(lines: Iterable[Counted], started_s: int) -> list[Counted]:
    """Lines of many seconds as one line for each cell, under `started_s`."""
    sums: dict[Cell, Tally] = {}
    for line in lines:
        found = sums.get(line.cell)
        if found is None:
            found = sums[line.cell] = Tally(took={})
        found.add(line.tally)
    return [Counted(started_s, cell, tally) for cell, tally in sums.items()]


LONGEST_S: Final = 120
"""No line started longer than this before its batch was made: attempts end after half a minute."""


def since(batches: Iterable[Batch], from_s: int) -> tuple[Batch, ...]:
    """Of batches what started in second `from_s` or later."""
    return tuple(
        batch if batch.second >= from_s + LONGEST_S else _cut(batch, from_s)
        for batch in batches
        if batch.second >= from_s
    )


def _cut(batch: Batch, from_s: int) -> Batch:
    return Batch(
        second=batch.second,
        replica=batch.replica,
        host=batch.host,
        counted=[line for line in batch.counted if line.started_s >= from_s],
        waiting=[one for one in batch.waiting if one.started_s >= from_s],
        probes=[probe for probe in batch.probes if probe.at_ms >= from_s * 1000],
        gauges=batch.gauges,
        dropped=batch.dropped,
    )


MANY_CELLS: Final = 20_000


def interned(batch: Batch, cells: dict[Cell, Cell]) -> Batch:
    """A batch whose equal cells are one and the same object as those of the batches before it."""
    if len(cells) > MANY_CELLS:
        cells.clear()
    for line in batch.counted:
        line.cell = cells.setdefault(line.cell, line.cell)
    return batch
