"""Payments a second on one core, what we add to the provider's latency, and what stays in memory.

`./dev bench throughput` drives the service at 1, 16 and 64 payments at once on SQLite (FULL) and on
PostgreSQL, with the same SQL alone and the bare provider call beside it, then counts on to
`--payments` and prints what the process holds. `busy` is the share of its core that the service
used: below 100 % the load, the simulator or the disk was the limit.
Example: `./dev bench throughput --store sqlite --payments 100000`
"""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import rig

AT_ONCE = (1, 16, 64)
EACH = 3000
WARM = 300
CHUNK = 5000


def at(ours: rig.Service, at_once: int) -> tuple[rig.Load, float]:
    """The load of EACH payments, and the service's CPU seconds."""
    name = os.urandom(6).hex()
    rig.run(lambda: rig.drive(ours.port, rig.payments(ours.secret, f"w{name}", WARM), at_once))
    work = rig.payments(ours.secret, name, EACH)
    before = ours.program.cpu_seconds()
    load = rig.run(lambda: rig.drive(ours.port, work, at_once))
    assert load.statuses == {201: EACH}, load.statuses
    return load, ours.program.cpu_seconds() - before


def speeds(provider: str, store: str, ours: rig.Service, alone: str) -> Iterator[Any]:
    for at_once in AT_ONCE:
        rig.say(f"{store}, {at_once} at once")
        sql = rig.program("sql", alone, "--payments", EACH, "--at-once", at_once)
        bare = rig.program("bare", provider, "--calls", EACH, "--at-once", at_once)
        load, cpu = at(ours, at_once)
        yield {
            "store": store,
            "at_once": at_once,
            "payments_per_second": round(EACH / load.seconds),
            "busy_percent": round(cpu / load.seconds * 100),
            "sql_alone_per_second": round(sql["per_second"]),
            "p50_ms": round(load.percentile_ms(0.5), 2),
            "p99_ms": round(load.percentile_ms(0.99), 2),
            "bare_p50_ms": round(bare["p50_ms"], 2),
            "bare_p99_ms": round(bare["p99_ms"], 2),
            "added_p50_ms": round(load.percentile_ms(0.5) - bare["p50_ms"], 2),
            "added_p99_ms": round(load.percentile_ms(0.99) - bare["p99_ms"], 2),
        }


def memory(ours: rig.Service, store: str, wanted: int) -> Iterator[dict[str, Any]]:
    """Resident megabytes as the number of payments grows."""
    made = len(AT_ONCE) * (EACH + WARM)
    yield {"store": store, "payments": made, "resident_mb": megabytes(ours)}
    while made < wanted:
        work = rig.payments(ours.secret, f"m{made}-{os.urandom(4).hex()}", CHUNK)
        load = rig.run(partial(rig.drive, ours.port, work, 16))
        made += CHUNK
        rig.say(f"{store}: {made} payments, {CHUNK / load.seconds:.0f} a second")
        yield {"store": store, "payments": made, "resident_mb": megabytes(ours)}


def megabytes(ours: rig.Service) -> float:
    return round(ours.program.resident_bytes() / 1e6, 1)


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument(
        "--payments", type=int, default=10_000, help="for the memory (default 10000)"
    )
    given = options.parse_args()
    wanted = rig.stores(given.store)
    speed: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    with (
        rig.workplace() as folder,
        rig.databases(folder, wanted) as urls,
        rig.databases(folder / "alone", wanted) as others,
    ):
        for store, database in urls.items():
            with rig.simulator(folder) as provider, rig.service(folder, database, provider) as ours:
                speed += speeds(provider, store, ours, others[store])
                held += memory(ours, store, given.payments)
    rig.show(speed, as_json=given.json)
    rig.show(held, as_json=given.json)


if __name__ == "__main__":
    main()
