"""CPU that a payment costs: our service's process, and what it adds to the bare provider call.

`./dev bench payments` creates payments that are captured at once, on SQLite (FULL) and PostgreSQL,
1 and 16 at a time, and reads the CPU of the service's process alone. Beside it, in the same run: a
straightforward service (FastAPI, async SQLAlchemy, the provider's own library) that writes alike.
With `--rollout` instead: what a running rollout adds (routing, evidence, their statements and the
controller), measured between two runs without one. With `--beside TREE`: the service of another
checkout, in turns with ours. Example: `./dev bench payments --payments 4000`
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rig

BENCH = Path(__file__).parent
STRAIGHTFORWARD = BENCH.parent / ".venv-bench" / "bin" / "python"
WARM = 300
ROLLOUT = {
    "candidate": "stripe@2026-03-25.dahlia", "steps_percent": [5, 100], "floor_percent": 5,
    "dwell_seconds": 100_000, "shadow_payments": 0, "override": "a measurement",
}  # fmt: skip
AT_ONCE = (1, 16)


def measured(
    program: rig.Program, port: int, secret: str, count: int, at_once: int
) -> dict[str, float]:
    """CPU in milliseconds a payment, and payments a second."""
    name = os.urandom(6).hex()
    warm = rig.payments(secret, f"warm-{name}", WARM)
    work = rig.payments(secret, name, count)
    rig.run(lambda: rig.drive(port, warm, at_once))
    before = program.cpu_seconds()
    load = rig.run(lambda: rig.drive(port, work, at_once))
    spent = program.cpu_seconds() - before
    assert load.statuses == {201: count}, load.statuses
    return {"cpu_ms": spent / count * 1000, "per_second": count / load.seconds}


def bare(provider: str, count: int, at_once: int) -> float:
    """CPU in milliseconds of one provider call by our client, alone in a process."""
    return rig.program("bare", provider, "--calls", count, "--at-once", at_once)["cpu_ms"]


@contextmanager
def straightforward(folder: Path, database: str, provider: str) -> Iterator[rig.Service]:
    """The straightforward service, on tables of its own in `database`."""
    port = rig.free_port()
    arguments = [
        str(STRAIGHTFORWARD),
        str(BENCH / "rig" / "straightforward.py"),
        "--port",
        str(port),
    ]
    arguments += ["--database", database, "--provider", provider]
    program = rig.Program(arguments, folder / "straightforward.log", measured=True)
    try:
        program.wait_for(f"http://127.0.0.1:{port}/ready")
        yield rig.Service(program, port, "key")
    finally:
        program.stop()


def rows(
    folder: Path, provider: str, store: str, database: str, given: Any
) -> Iterator[dict[str, Any]]:
    alone = {at_once: bare(provider, given.payments, at_once) for at_once in AT_ONCE}
    with rig.service(folder, database, provider) as ours:
        for at_once in AT_ONCE:
            rig.say(f"{store}, {at_once} at once: ours")
            found = measured(ours.program, ours.port, ours.secret, given.payments, at_once)
            yield row("tollkeeper", store, at_once, found, alone[at_once])
    if given.alone:
        return
    other = str(folder / "straightforward.sqlite3") if store == "sqlite" else database
    with straightforward(folder, other, provider) as theirs:
        for at_once in AT_ONCE:
            rig.say(f"{store}, {at_once} at once: straightforward")
            count = max(300, given.payments // 3)
            found = measured(theirs.program, theirs.port, theirs.secret, count, at_once)
            yield row("straightforward", store, at_once, found, alone[at_once])


def with_rollout(
    folder: Path, provider: str, store: str, database: str, count: int
) -> Iterator[dict[str, Any]]:
    """The same service without a rollout, with one that stays at 5 %, and without one again."""
    with rig.service(folder, database, provider) as ours:

        def once(at_once: int) -> float:
            return measured(ours.program, ours.port, ours.secret, count, at_once)["cpu_ms"]

        for at_once in AT_ONCE:
            rig.say(f"{store}, {at_once} at once: without, with, and without a rollout")
            before = once(at_once)
            rig.call(ours, "/v1/rollouts", ROLLOUT)
            during = once(at_once)
            rig.call(ours, "/v1/rollouts/stop", {"reason": "measured"})
            after = once(at_once)
            yield {
                "store": store,
                "at_once": at_once,
                "without_ms": round((before + after) / 2, 3),
                "with_ms": round(during, 3),
                "added_us": round((during - (before + after) / 2) * 1000),
            }


ROUNDS = 3


def beside(
    tree: Path, folder: Path, provider: str, store: str, count: int
) -> Iterator[dict[str, Any]]:
    """Ours and another checkout's service in turns, on databases of their own; medians."""
    import statistics  # noqa: PLC0415 - for this mode alone

    here = BENCH.parent
    ours_db, theirs_db = (str(folder / f"{name}.sqlite3") for name in ("ours", "theirs"))
    with (
        rig.service_of(here, folder, ours_db, provider) as ours,
        rig.service_of(tree, folder, theirs_db, provider) as theirs,
    ):
        for at_once in AT_ONCE:
            costs: dict[str, list[float]] = {"ours": [], "theirs": []}
            for number in range(ROUNDS):
                rig.say(f"{store}, {at_once} at once: round {number + 1} of {ROUNDS}")
                for name, one in (("ours", ours), ("theirs", theirs)):
                    found = measured(one.program, one.port, one.secret, count, at_once)
                    costs[name].append(found["cpu_ms"])
            mine, other = (statistics.median(costs[name]) for name in ("ours", "theirs"))
            yield {
                "store": store, "at_once": at_once, "ours_ms": round(mine, 3),
                "theirs_ms": round(other, 3), "ratio": round(mine / other, 3),
            }  # fmt: skip


def row(
    name: str, store: str, at_once: int, found: dict[str, float], bare_ms: float
) -> dict[str, Any]:
    return {
        "service": name,
        "store": store,
        "at_once": at_once,
        "cpu_ms": round(found["cpu_ms"], 3),
        "bare_call_ms": round(bare_ms, 3),
        "added_ms": round(found["cpu_ms"] - bare_ms, 3),
        "payments_per_second": round(found["per_second"]),
    }


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument("--payments", type=int, default=3000, help="of each kind (default 3000)")
    options.add_argument("--alone", action="store_true", help="without the straightforward service")
    options.add_argument("--rollout", action="store_true", help="what a rollout adds")
    options.add_argument("--beside", type=Path, help="another checkout (SQLite only)")
    given = options.parse_args()
    if given.rollout or given.beside:
        given.alone = True
    if not given.alone and not STRAIGHTFORWARD.exists():
        raise SystemExit("no straightforward service here: run `./dev bench-env`, or use --alone")
    found: list[dict[str, Any]] = []
    if given.beside:
        with rig.workplace() as folder, rig.simulator(folder) as provider:
            found += beside(given.beside.resolve(), folder, provider, "sqlite", given.payments)
        rig.show(found, as_json=given.json)
        return
    with rig.workplace() as folder, rig.databases(folder, rig.stores(given.store)) as urls:
        for store, database in urls.items():
            with rig.simulator(folder) as provider:
                if given.rollout:
                    found += with_rollout(folder, provider, store, database, given.payments)
                else:
                    found += rows(folder, provider, store, database, given)
    rig.show(found, as_json=given.json)
    if not given.alone and not given.json:
        ratios(found)


def ratios(found: list[dict[str, Any]]) -> None:
    costs = {(row["service"], row["store"], row["at_once"]): row["cpu_ms"] for row in found}
    for (name, store, at_once), cpu_ms in costs.items():
        if name == "tollkeeper":
            times = costs["straightforward", store, at_once] / cpu_ms
            print(f"{store}, {at_once} at once: the straightforward service takes {times:.1f}x")


if __name__ == "__main__":
    main()
