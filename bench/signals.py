"""What signals cost: CPU a payment, memory over an hour of heavy traffic, and one `why`.

`./dev bench signals`: counting of an attempt and its answer; batches and looks at a rate, as CPU a
payment; memory at 1,000 payments a second for `--seconds` of virtual time; a look computed from the
store at the counts of `--stored` payments.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from tollkeeper.flows.live.counting import Counting, Shopper
from tollkeeper.flows.signals import commands
from tollkeeper.routing.routes import Condition, Routes, Rule
from tollkeeper.signals.cells import api_cell, cell_of
from tollkeeper.signals.counts import (
    Batch,
    Cell,
    Gauges,
    Window,
    decode,
    encode,
    fold,
    interned,
)
from tollkeeper.signals.history import usual_of
from tollkeeper.signals.observation import Observation
from tollkeeper.signals.series import Rolling
from tollkeeper.signals.verdict import attribute
from tollkeeper.store import migrate
from tollkeeper.store.sqlite import ThreadedSQLite
from tollkeeper.store.store import SqlStore

ROUNDS = 5
VERSIONS = ("stripe@2022-08-01", "stripe@2022-11-15", "stripe@2026-03-25.dahlia")
CURRENCIES = ("EUR", "USD", "JPY")
START_MS = 1_795_000_000_000


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def seconds(run: Callable[[], object], count: int) -> float:
    """The least of `ROUNDS` rounds, in CPU-seconds a call."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            run()
        found.append((time.process_time() - began) / count)
    return min(found)


class Traffic:
    """Attempts of several versions, accounts and currencies; some decline, a few fail."""

    def __init__(self, accounts: int = 20) -> None:
        self.chance = random.Random(1)
        self.accounts = accounts
        self.counting = Counting(host="bench")
        self.number = 0

    def payment(self, at_ms: int) -> None:
        """Counts one attempt and the answer to it, as the flows and the door do."""
        self.number += 1
        draw = self.chance.random()
        approved = draw > 0.1
        seen = Observation(
            at_ms=at_ms, provider="stripe", integration=VERSIONS[self.number % 3],
            operation="authorize", kind="approved" if approved else "declined",
            result_class=None if approved else ("B2" if draw > 0.002 else "C"),
            error="" if approved else "do_not_honor", status=200 if approved else 402,
            phases_ms={"connect": 1.0, "tls": 2.0, "wait": 80.0}, total_ms=90, shows_id=True,
            account=f"acc_{self.number % self.accounts}", currency=CURRENCIES[self.number % 3],
        )  # fmt: skip
        shopper = Shopper(
            customer=f"c{self.chance.randrange(2_000_000)}", payment_id=f"pay_{self.number}",
            method="pm", amount_minor=1_000, currency="EUR", account=seen.account,
        )  # fmt: skip
        cell = cell_of(seen, host="bench", settings="0badcafe", country="DE")
        counting = self.counting
        number = counting.begin(at_ms, "stripe", seen.integration, "authorize")
        counting.end(number)
        counting.add(cell, at_ms, 90, phases_ms=seen.phases_ms, shopper=shopper)
        counting.add(api_cell("authorize", 201, "", host="bench"), at_ms, 95)

    def batch(self, second: int, rate: int) -> Batch:
        """A second of payments at `rate`."""
        for number in range(rate):
            self.payment(second * 1000 + number * 1000 // rate)
        return self.counting.take(second, "bench", Gauges(lag_ms=1.0, store_ms=2.0))


def cost_of_a_payment() -> None:
    traffic = Traffic()
    count = 20_000
    counted = seconds(lambda: traffic.payment(START_MS), count)
    say(f"{counted * 1e6:7.2f} us  counting of an attempt and its answer")
    for rate in (2, 20, 200):
        traffic = Traffic()
        began_s = START_MS // 1000
        history = [traffic.batch(began_s + n, rate) for n in range(300)]
        lines = [line for batch in history[:200] for line in batch.counted]
        usual = usual_of(lines, 200)
        rolling = Rolling(usual)
        batches = list(history)
        attribute_at(batches, usual, rolling)
        written = looked = 0.0
        for n in range(300, 360):
            one = traffic.batch(began_s + n, rate)
            before = time.process_time()
            encode(one)
            written += time.process_time() - before
            batches = [*batches[1:], one]
            before = time.process_time()
            attribute_at(batches, usual, rolling)
            looked += time.process_time() - before
        each = rate * 60
        whole = (counted + (written + looked) / each) * 1e6
        took = looked / 60 * 1e3
        say(f"{whole:7.2f} us  all of it at {rate} payments a second (a look: {took:.1f} ms)")


def attribute_at(batches: list[Batch], usual: object, rolling: Rolling) -> None:
    at_ms = (batches[-1].second + 1) * 1000
    window = Window(at_ms=at_ms, batches=tuple(batches))
    look = attribute(window, usual, rolling.series_of(window))  # type: ignore[arg-type]
    assert not look.alarms, look.alarms[:2]


def memory(span_s: int, rate: int) -> None:
    """What a process holds after so many seconds of heavy traffic with many accounts."""
    traffic = Traffic(accounts=5_000)
    tracemalloc.start()
    peaks, size, folded = [], 0, 0
    batches: list[Batch] = []
    cells: dict[Cell, Cell] = {}
    began = time.process_time()
    for n in range(span_s):
        one = traffic.batch(START_MS // 1000 + n, rate)
        body = encode(one)
        size, folded = len(body), one.dropped
        batches = [*batches, interned(decode(body), cells)][-360:]
        if n % max(span_s // 4, 1) == max(span_s // 4, 1) - 1:
            peaks.append(tracemalloc.get_traced_memory()[0] / 1e6)
    tracemalloc.stop()
    shown = ", ".join(f"{peak:.0f}" for peak in peaks)
    say(
        f"memory at {rate} payments a second of 5,000 accounts, after each quarter of {span_s} s: "
        f"{shown} MB; the last batch has {size} bytes, {folded} lines folded; "
        f"{time.process_time() - began:.0f} CPU-s"
    )


async def why(stored: int) -> None:
    """A look of a moment, wholly from the store."""
    rate = 50
    span_s = stored // rate
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bench.sqlite3"
        migrate.upgrade(str(path))
        clock = Still()
        store = SqlStore(ThreadedSQLite(path, raised), clock)
        traffic = Traffic()
        template = [traffic.batch(START_MS // 1000 + n, rate) for n in range(60)]
        begin = START_MS // 1000 - span_s
        await fill(store, template, begin, span_s)
        lines = [line for batch in template for line in batch.counted]
        await store.save_usual(begin, 60, fold(lines, begin))
        routes = Routes(rules=(Rule(condition=Condition(), weights={VERSIONS[0]: 100.0}),))
        wall, used = [], []
        for n in range(ROUNDS):
            before, spent = time.perf_counter(), time.process_time()
            await commands.look_at(store, routes, START_MS - n * 1_000_000)
            wall.append(time.perf_counter() - before)
            used.append(time.process_time() - spent)
        await store.close()
    say(
        f"{min(used) * 1e3:7.1f} ms of CPU, {min(wall) * 1e3:.1f} ms by the clock:  `why --at` "
        f"among the counts of {span_s * rate:,} payments"
    )


async def fill(store: SqlStore, template: list[Batch], begin: int, span_s: int) -> None:
    """Batches of the last 24 hours at most, as retention keeps them."""
    kept = min(span_s, 86_400)
    for n in range(kept):
        second = begin + span_s - kept + n
        one = template[n % 60]
        moved = Batch(second=second, replica="bench", counted=one.counted, gauges=one.gauges)
        for line in moved.counted:
            line.started_s = second
        await store.save_batch(moved)
        if n % 20_000 == 0:
            say(f"  {n} of {kept} batches written")


def raised(error: Exception) -> None:
    raise error


class Still:
    """A clock that stands."""

    def now_ms(self) -> int:
        return START_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3_600)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--stored", type=int, default=10_000_000)
    parser.add_argument("--only", choices=("cpu", "memory", "why"))
    given = parser.parse_args()
    if given.only in {None, "cpu"}:
        cost_of_a_payment()
    if given.only in {None, "memory"}:
        memory(given.seconds, given.rate)
    if given.only in {None, "why"}:
        asyncio.run(why(given.stored))
    return 0


if __name__ == "__main__":
    sys.exit(main())
