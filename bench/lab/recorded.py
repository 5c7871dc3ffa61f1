"""A world played through: its payments as batches of counts, as the product's collector writes
them, with gauges and probes, and windows of them."""

import math
from typing import Any

import numpy as np

from lab.disturbed import (
    AUTHORIZE,
    CAPTURE,
    FAILED,
    ISSUERS,
    LOOKUP,
    OK,
    OPERATIONS,
    POINTERS,
    REFUND,
    RESULTS,
    STAGES,
    WEBHOOK,
    WINDOW_S,
    WORDS,
    Rows,
    World,
    fresh,
    happen,
    joined,
    stream,
)
from tollkeeper.signals.counts import (
    EDGES_MS,
    Batch,
    Cell,
    Counted,
    Gauges,
    Probe,
    Tally,
    Waiting,
    Window,
    fold,
)
from tollkeeper.signals.history import Usual, usual_of


def cells_of(world: World, rows: Rows) -> list[Cell]:
    """The cell of each row."""
    known: dict[tuple[int, ...], Cell] = {}
    fields = (
        "op", "prov", "ver", "host", "result", "stage", "word", "status", "pid", "ptr", "repeat",
        "acct", "cur", "ctry", "brand", "iss", "settings",
    )  # fmt: skip
    made = []
    for key in zip(*(rows[field].tolist() for field in fields), strict=True):
        cell = known.get(key)
        if cell is None:
            cell = known[key] = _cell(world, dict(zip(fields, key, strict=True)))
        made.append(cell)
    return made


def _cell(world: World, row: dict[str, int]) -> Cell:
    host, word = f"h{row['host']}", WORDS[row["word"]]
    settings = f"s{row['settings']}" if world.knows_settings else ""
    if row["op"] == WEBHOOK:
        return Cell(
            kind="webhook_in", provider=f"p{row['prov']}", operation="charge", host=host,
            result=RESULTS[row["result"]], stage=STAGES[row["stage"]], error=word,
            settings=settings,
        )  # fmt: skip
    return Cell(
        kind="attempt", provider=f"p{row['prov']}", integration=f"p{row['prov']}@{row['ver']}",
        operation=OPERATIONS[row["op"]], host=host, result=RESULTS[row["result"]],
        stage=STAGES[row["stage"]], error=word, status=row["status"], shows_id=bool(row["pid"]),
        unreadable=word in {"decode", "contract", "mismatch"}, pointer=POINTERS[row["ptr"]],
        repeat=min(row["repeat"], 3), account=f"a{row['acct']}", currency=f"c{row['cur']}",
        country=f"l{row['ctry']}" if world.knows_country else "", method=f"b{row['brand']}",
        issuer=f"i{row['iss']}" if world.knows_issuer else "", settings=settings,
    )  # fmt: skip


def tallies_of(rows: Rows) -> list[Tally]:
    """The tally of each row alone."""
    order = np.argsort(rows["te"], kind="stable")
    bad = rows["result"] != OK
    seen: set[tuple[int, int]] = set()
    witness = np.zeros(len(order), int)
    for place in order[bad[order]].tolist():
        key = (int(rows["cust"][place]), int(rows["te"][place]) // 60)
        witness[place] = key not in seen
        seen.add(key)
    buckets = np.searchsorted(EDGES_MS, (rows["te"] - rows["ts"]) * 1000).tolist()
    made = []
    for place, bucket in enumerate(buckets):
        tally = Tally(
            n=1, witnesses=int(witness[place]), crowded=int(rows["crowd"][place]),
            small=int(rows["small"][place]), took={bucket: 1},
        )  # fmt: skip
        for name in ("connect", "tls", "wait"):
            value = float(rows[name][place])
            if not math.isnan(value):
                setattr(tally, f"{name}_n", 1)
                setattr(tally, f"{name}_ms", value * 1000)
        made.append(tally)
    return made


def usual_of_world(world: World) -> Usual:
    """Yesterday, which is wrong by -25 to +30 % in each of its rates."""
    rng = world.rng

    def wrong() -> float:
        return float(rng.uniform(0.75, 1.3))

    count = 4_000
    ts = rng.uniform(0, 100_000, count)
    parts = [fresh(world, ts, AUTHORIZE)]
    for op, share in ((CAPTURE, 0.25), (REFUND, 0.04), (LOOKUP, 0.10)):
        some = rng.random(count) < share
        parts.append(fresh(world, ts[some], op))
    hooks = fresh(world, ts[rng.random(count) < 0.95 * (1 - world.declines)], WEBHOOK)
    rows = joined([*parts, hooks])
    kept, world.blips = world.blips, []
    banks = world.bank_declines * rng.uniform(0.75, 1.3, ISSUERS)
    happen(world, rows, noise=world.noise * wrong(), declines=banks)
    world.blips = kept
    failed = (rows["result"] == FAILED) & (rng.random(len(rows["ts"])) < 0.5)
    rows["repeat"][failed] += 1
    if not world.knows_ids:
        rows["pid"][:] = 0
    if not world.knows_phases:
        rows["connect"][:], rows["tls"][:] = np.nan, np.nan
    pairs = zip(cells_of(world, rows), tallies_of(rows), strict=True)
    lines = fold((Counted(0, cell, tally) for cell, tally in pairs), 0)
    return usual_of(lines, int(count / (world.rate * wrong())))


class Recording:
    """A world played through: its batches by second, and windows of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        rows = stream(world)
        self.payments = int(((rows["op"] == AUTHORIZE) & (rows["repeat"] == 0)).sum())
        self.size = int(world.end) + 31
        self.batches = [
            [Batch(second=s, replica=f"r{h}", host=f"h{h}") for h in range(world.hosts)]
            for s in range(self.size)
        ]
        self._count(rows)
        self._wait(rows)
        self._measure()
        self.usual = usual_of_world(world)

    def _count(self, rows: Rows) -> None:
        hosts, seconds = rows["host"].tolist(), rows["te"].astype(int).tolist()
        starts = rows["ts"].astype(int).tolist()
        both = zip(cells_of(self.world, rows), tallies_of(rows), strict=True)
        groups: dict[tuple[int, int], dict[tuple[int, Cell], Tally]] = {}
        for place, (cell, tally) in enumerate(both):
            lines = groups.setdefault((seconds[place], hosts[place]), {})
            found = lines.get((starts[place], cell))
            if found is None:
                lines[starts[place], cell] = tally
            else:
                found.add(tally)
            if rows["op"][place] == AUTHORIZE:
                _api(lines, starts[place], cell)
        for (second, host), lines in groups.items():
            if 0 <= second < self.size:
                counted = self.batches[second][host].counted
                counted.extend(
                    Counted(start, cell, tally) for (start, cell), tally in lines.items()
                )

    def _wait(self, rows: Rows) -> None:
        """Attempts under way for more than three seconds, in each second while they are."""
        long = (rows["te"] - rows["ts"] > 3) & (rows["op"] != WEBHOOK)
        shown = {"dns", "connect", "tls", "persist"}
        for place in np.flatnonzero(long).tolist():
            stage = STAGES[rows["stage"][place]]
            prov = int(rows["prov"][place])
            waiting = Waiting(
                int(rows["ts"][place]), f"p{prov}", f"p{prov}@{rows['ver'][place]}",
                OPERATIONS[rows["op"][place]], stage if stage in shown else "wait", 1,
            )  # fmt: skip
            for second in range(int(rows["ts"][place]) + 3, int(rows["te"][place])):
                if second < self.size:
                    self.batches[second][int(rows["host"][place])].waiting.append(waiting)

    def _measure(self) -> None:
        """Gauges, and probes that run all the time: every five seconds, some of which fail to
        run."""
        world, rng = self.world, self.world.rng
        for second, row in enumerate(self.batches):
            live = world.start <= second < world.end
            for host, batch in enumerate(row):
                spike = rng.uniform(20, 120) if rng.random() < 0.005 else 0.0
                here = live and world.lag_host in {None, host}
                batch.gauges = Gauges(
                    lag_ms=rng.exponential(4) + spike + here * world.lag_ms * rng.uniform(0.6, 1.4),
                    store_ms=rng.exponential(3) + live * world.wait_ms * rng.uniform(0.6, 1.4),
                    disk=world.disk if live else 0.5,
                    descriptors=world.descriptors if here else 0.2,
                    clock_ms=rng.normal(0, 20) + live * world.clock_ms,
                )
                if second % 5 == 0 and rng.random() < 0.88:
                    lost = rng.random() < max(live * world.anchor[host], 0.01)
                    batch.probes.append(self._probe("anchor", second, host, 1, int(lost)))
            if second % 5 == 0 and rng.random() < 0.88:
                lost = rng.random() < max(live * world.store, 0.003)
                row[0].probes.append(self._probe("store", second, 0, 1, int(lost)))

    def _probe(
        self, name: Any, second: int, host: int, tried: int, failed: int, *, asked: bool = False
    ) -> Probe:
        return Probe(
            at_ms=second * 1000 + 500, name=name, tried=tried, failed=failed, host=f"h{host}",
            asked=asked,
        )  # fmt: skip

    def ask(self, wanted: tuple[str, ...], at: int) -> None:
        """Sends the probes that a look wants; they answer two seconds later, or never."""
        world, rng, second = self.world, self.world.rng, min(at + 2, self.size - 1)
        row, noise = self.batches[second], world.noise
        chances = world.golden or (noise, noise)
        if "anchor" in wanted:
            for host, batch in enumerate(row):
                if rng.random() < 0.88:
                    failed = int(rng.binomial(5, max(world.anchor[host], 0.01)))
                    batch.probes.append(self._probe("anchor", second, host, 5, failed, asked=True))
        for name, chance in zip(("golden", "golden_previous"), chances, strict=True):
            exists = name == "golden" or world.versions[world.at_provider] > 1
            if name in wanted and exists and rng.random() < 0.88:
                failed = int(rng.binomial(5, min(max(chance, noise), 1)))
                row[0].probes.append(self._probe(name, second, 0, 5, failed, asked=True))
        if "second" in wanted and world.providers > 1 and rng.random() < 0.88:
            failed = int(rng.binomial(5, max(world.second, noise)))
            row[0].probes.append(self._probe("second", second, 0, 5, failed, asked=True))

    def window(self, at: int) -> Window:
        """What is known at the beginning of this second."""
        return Window(
            at_ms=at * 1000,
            batches=tuple(b for row in self.batches[max(0, at - WINDOW_S) : at] for b in row),
            changes=tuple(c for c in self.world.changes if c.at_ms <= at * 1000),
        )


def _api(lines: dict[tuple[int, Cell], Tally], start: int, cell: Cell) -> None:
    """The request to our API that an authorization came from: it fails where we turned it away or
    could not keep its result."""
    broke = cell.result == "failed" and cell.stage in {"admit", "persist"}
    made = Cell(
        kind="api", operation="create_payment", host=cell.host, settings=cell.settings,
        result="failed" if broke else "ok", stage=cell.stage if broke else "",
        error=cell.error if broke else "", status=503 if broke else 201,
    )  # fmt: skip
    found = lines.get((start, made))
    if found is None:
        found = lines[start, made] = Tally(took={})
    found.n += 1
    found.witnesses += broke
