"""How fast unknown outcomes become known: the share settled within 60 seconds of their send.

`./dev bench settling` breaks a fifth of the provider's requests, ours that settle included: resets
before and after the effect, silence, and errors after it. Windows and timeouts are the default
ones. Prints the share, and how long settling took. Takes two minutes.
Example: `./dev bench settling --payments 1000 --json`
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import rig

WITHIN_SECONDS = 60.0
PATIENCE_SECONDS = 100.0
AT_ONCE = 48
FAULTS: list[dict[str, Any]] = [
    {"effect": "reset", "when": "before", "probability": 0.05},
    {"effect": "reset", "when": "after", "probability": 0.05},
    {"effect": "drop", "when": "after", "probability": 0.05},
    {"effect": "error", "when": "after", "probability": 0.05, "stored": False},
]


async def ask(port: int, request: bytes) -> tuple[int, Any]:
    async with rig.connections(port, 1) as (connection,):
        status, body = await connection.ask(request)
        return status, msgspec.json.decode(body)


async def break_provider(provider: str) -> None:
    port = int(provider.rpartition(":")[2])
    for fault in FAULTS:
        status, told = await ask(port, rig.post("/_control/faults", fault, {}))
        assert status == 200, told


async def pay(ours: rig.Service, count: int) -> list[str]:
    """Makes the payments; gives the ids of those whose outcome was not known at once."""
    doubtful: list[str] = []
    left = iter(rig.payments(ours.secret, "settling", count))

    async def caller(connection: rig.Connection) -> None:
        for request in left:
            status, body = await connection.ask(request)
            assert status in {201, 202}, body
            if status == 202:
                doubtful.append(msgspec.json.decode(body)["id"])

    async with rig.connections(ours.port, AT_ONCE) as made:
        await asyncio.gather(*(caller(connection) for connection in made))
    return doubtful


async def seconds_to_settle(ours: rig.Service, payment_id: str, patience_ends: float) -> float:
    """From the first send to the change that made the outcome known; infinite if it never came."""
    path = f"/v1/payments/{payment_id}"
    while time.monotonic() < patience_ends:
        _, payment = await ask(ours.port, rig.get(path, ours.secret))
        if payment["outcome"] == "known":
            _, attempts = await ask(ours.port, rig.get(f"{path}/attempts", ours.secret))
            sent = min(datetime.fromisoformat(a["first_sent_at"]) for a in attempts["data"])
            return (datetime.fromisoformat(payment["updated_at"]) - sent).total_seconds()
        await asyncio.sleep(0.5)
    return float("inf")


async def measured(ours: rig.Service, provider: str, count: int) -> dict[str, Any]:
    await break_provider(provider)
    doubtful = await pay(ours, count)
    rig.say(f"{len(doubtful)} of {count} outcomes unknown; settling")
    end = time.monotonic() + PATIENCE_SECONDS
    took = sorted(await asyncio.gather(*(seconds_to_settle(ours, id_, end) for id_ in doubtful)))
    within = sum(seconds <= WITHIN_SECONDS for seconds in took)
    return {
        "payments": count,
        "unknown": len(took),
        "settled_within_60_s_percent": round(within / len(took) * 100, 2),
        "p50_s": round(took[len(took) // 2], 2),
        "p99_s": round(took[int(len(took) * 0.99)], 2),
        "slowest_s": round(took[-1], 2),
    }


def rows(count: int, wanted: list[str]) -> Iterator[dict[str, Any]]:
    with rig.workplace() as folder, rig.databases(folder, wanted) as urls:
        for store, database in urls.items():
            with rig.simulator(folder) as provider, rig.service(folder, database, provider) as ours:

                async def work(ours: rig.Service = ours, provider: str = provider) -> Any:
                    return await measured(ours, provider, count)

                yield {"store": store, **rig.run(work)}


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument("--payments", type=int, default=1000)
    options.set_defaults(store="sqlite")
    given = options.parse_args()
    rig.show(list(rows(given.payments, rig.stores(given.store))), as_json=given.json)


if __name__ == "__main__":
    main()
