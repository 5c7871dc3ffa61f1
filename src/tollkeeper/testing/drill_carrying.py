"""`tollkeeper drill carrying`: the provider changes under the version that carries everything.

No rollout runs. Each row starts a service and a provider of its own, lets shoppers pay while all is
well, breaks the provider, heals it, and waits until every payment is final. Law: what a shopper was
told is judged by the provider's ledger, never by our books.
"""

import asyncio
import contextlib
import difflib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, override

import aiohttp
import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

from tollkeeper import app as root
from tollkeeper.payments.invariants import PAYMENT_KEY, Ledger
from tollkeeper.signals.alerts import Alert
from tollkeeper.testing.drill_scene import Harm, Scene, Visit, harm_of, median_ms
from tollkeeper.testing.postgres import postgres_database

CARRIER: Final = "stripe@2022-08-01"
WEIGHTS: Final = {CARRIER: 100.0, "stripe@2022-11-15": 0.0, "stripe@2026-03-25.dahlia": 0.0}

_CARRIER_ALONE: Final = {"api_version": CARRIER.partition("@")[2]}
_CREATE: Final = {"operation": "payment_intents.create"}
_INTENTS: Final = {"operation": "payment_intents.*"}
_RENAMED: Final = {"effect": "rename_field", "object": "payment_intent", **_INTENTS}

ROWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "renamed_charges": (
        "renames `charges`, which another version does not need",
        {**_RENAMED, **_CARRIER_ALONE, "path": "charges", "to": "charge_list"},
    ),
    "new_parameter": (
        "requires a new parameter, of this version alone",
        {
            "effect": "require_parameter",
            "when": "before",
            "parameter": "mandate_data",
            **_CREATE,
            **_CARRIER_ALONE,
        },
    ),
    "switched_off": (
        "switches the version off (410)",
        {"effect": "sunset", "when": "before", "status": 410, **_CARRIER_ALONE},
    ),
    "renamed_status": (
        "renames `status`, for this version alone",
        {**_RENAMED, **_CARRIER_ALONE, "path": "status", "to": "state"},
    ),
    "renamed_status_everywhere": (
        "renames `status`, for every version",
        {**_RENAMED, "path": "status", "to": "state"},
    ),
    "error_before": (
        "answers 503 before the effect",
        {"effect": "error", "when": "before", "status": 503, **_CREATE},
    ),
    "error_after": (
        "answers 500 after the effect",
        {"effect": "error", "when": "after", "status": 500, "stored": False, **_CREATE},
    ),
}
"""What the provider does: the story, and the simulator's fault."""

CLEAN_SHARE: Final = 0.5
"""Of the seconds of the fault, how many pass before it."""

PATIENCE_SECONDS: Final = 180.0
"""How much longer than the fault a shopper waits for a final answer."""

MOST_LOOK_SECONDS: Final = 3.0

MOST_RECORDS: Final = 10_000


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row's figures. Shoppers are those who came while the provider was broken; `told_` counts
    first answers, `ended_` what became of the payments (`failed`: of shoppers with money).
    Latencies are of the first answer, in milliseconds, beside those before the fault (`clean_`).
    `first_moved_seconds`: after how many seconds of the fault the first shopper was sent to another
    version at once, and `all_moved_seconds` when the last one was sent to the broken version;
    `alarm_seconds` and `none_works_seconds`: when failover said so; `verdict_seconds`: when the
    first clear `verdict` was given. `None` where that never came.
    `wrong` counts shoppers whose final first answer the ledger contradicts. The last four are by
    the ledger, over all payments."""

    row: str
    story: str
    shoppers: int
    told_succeeded: int
    told_failed: int
    told_declined: int
    told_wait: int
    told_nothing: int
    ended_paid: int
    ended_failed: int
    ended_without_money: int
    never_final: int
    median_ms: float | None
    p95_ms: float | None
    clean_median_ms: float | None
    clean_p95_ms: float | None
    attempts: float
    final_seconds: float | None
    alarm_seconds: float | None = None
    none_works_seconds: float | None = None
    verdict_seconds: float | None = None
    verdict: str = ""
    first_moved_seconds: float | None
    all_moved_seconds: float | None
    wrong: int
    double: int
    lost: int
    misread: int
    unresolved: int

    @property
    def harmed(self) -> bool:
        """Whether a payment was harmed or a shopper was told what is not so."""
        return bool(self.double or self.lost or self.misread or self.wrong)


def figures(name: str, visits: Iterable[Visit], harm: Harm, ledger: Ledger) -> Row:
    """A row's figures from what its shoppers saw and what the provider's ledger says."""
    all_visits = list(visits)
    clean = [visit for visit in all_visits if visit.at < 0]
    during = [visit for visit in all_visits if visit.at >= 0]
    told = Counter(visit.said for visit in during)
    finals = [visit.final_seconds for visit in during if visit.final_seconds is not None]
    unpaid = [v for v in during if v.status in {"failed", "canceled"}]
    paid = _paid(ledger)
    return Row(
        row=name,
        story=ROWS[name][0],
        shoppers=len(during),
        told_succeeded=told["succeeded"],
        told_failed=told["failed"],
        told_declined=told["declined"],
        told_wait=told["wait"],
        told_nothing=told["no answer"] + told[""],
        ended_paid=sum(visit.status == "succeeded" for visit in during),
        ended_failed=sum(visit.has_money for visit in unpaid),
        ended_without_money=sum(not visit.has_money for visit in unpaid),
        never_final=len(during) - len(finals),
        median_ms=median_ms(visit.asked_seconds for visit in during),
        p95_ms=_p95_ms(during),
        clean_median_ms=median_ms(visit.asked_seconds for visit in clean),
        clean_p95_ms=_p95_ms(clean),
        attempts=round(statistics.fmean([v.attempts for v in during]), 2) if during else 0.0,
        final_seconds=round(statistics.median(finals), 2) if finals else None,
        first_moved_seconds=_first_moved(during),
        all_moved_seconds=_all_moved(during),
        wrong=sum(is_wrong(visit, paid) for visit in all_visits),
        double=harm.double,
        lost=harm.lost,
        misread=harm.misread,
        unresolved=harm.unresolved + harm.other,
    )


def _first_moved(during: list[Visit]) -> float | None:
    moved = [visit.at for visit in during if visit.taken_by not in {"", CARRIER}]
    return round(min(moved), 1) if moved else None


def _all_moved(during: list[Visit]) -> float | None:
    stayed = max((visit.at for visit in during if visit.taken_by == CARRIER), default=0.0)
    later = any(visit.at > stayed for visit in during if visit.taken_by)
    return round(stayed, 1) if later else None


def is_wrong(visit: Visit, paid: set[str]) -> bool:
    """Whether the shopper's first answer was final and is not what the ledger says."""
    if visit.said == "succeeded":
        return visit.payment_id not in paid
    return visit.said in {"failed", "declined"} and visit.payment_id in paid


def _paid(ledger: Ledger) -> set[str]:
    """The payments for which the provider holds a shopper's money."""
    return {c.metadata.get(PAYMENT_KEY, "") for c in ledger.charges if c.live}


def _p95_ms(visits: list[Visit]) -> float | None:
    found = sorted(visit.asked_seconds for visit in visits)
    return round(found[min(int(len(found) * 0.95), len(found) - 1)] * 1000, 1) if found else None


class CarryingScene(Scene):
    """Shoppers who wait longer, and a line of progress for each thing that happens."""

    most_look_seconds = MOST_LOOK_SECONDS

    def __init__(
        self, folder: Path, database: str, name: str, seconds: float, seed: int, replicas: int = 1
    ) -> None:
        super().__init__(folder, database, replicas, dict(WEIGHTS), seed)
        self.struck_ms = 0
        self.final_seconds = seconds + PATIENCE_SECONDS
        self._name = name

    @override
    def listen(self, text: str) -> None:
        progress.print(f"{self._name}: {text}", soft_wrap=True)


async def run(scene: CarryingScene, name: str, rate: float, seconds: float) -> Row:
    """Plays one row to its end and compares it with the provider's ledger."""
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as scene.session:
        try:
            await scene.open()
            scene.tell(f"{rate:g} shoppers a second, all is well")
            shoppers = asyncio.create_task(scene.shop(rate))
            await asyncio.sleep(seconds * CLEAN_SHARE)
            scene.struck_ms = int(time.time() * 1000)
            await scene.strike(ROWS[name][1], f"the provider {ROWS[name][0]}")
            await asyncio.sleep(seconds)
            scene.paying = False
            await scene.heal()
            await shoppers
            scene.tell("every shopper has a final answer; the books and the ledger are compared")
            report = await scene.settle_and_examine()
            said, verdict = await _decisions(scene)
            async with scene.session.get(f"{scene.provider}/_control/ledger") as reply:
                ledger = msgspec.json.decode(await reply.read(), type=Ledger)
        finally:
            await scene.close()
    for violation in report.violations[:10]:
        text = f"{violation.invariant} {violation.subject}: {violation.detail}"
        progress.print(text, soft_wrap=True)
    found = figures(name, scene.visits, harm_of(report), ledger)
    return msgspec.structs.replace(
        found,
        alarm_seconds=said.get("alarm"),
        none_works_seconds=said.get("none_works"),
        verdict_seconds=verdict[0] if verdict is not None else None,
        verdict=verdict[1] if verdict is not None else "",
    )


async def _decisions(
    scene: CarryingScene,
) -> tuple[dict[str, float], tuple[float, str] | None]:
    """After how many seconds of the fault each kind of decision was made first, and the verdict."""
    store = await root.open_store(root.read_settings(scene.folder / "replica-0.toml"))
    try:
        records = await store.list_failover_records("stripe", MOST_RECORDS)
        alerts = await store.list_alerts("~", 20)
    finally:
        await store.close()
    first = {r.kind: r.at_ms for r in records if r.at_ms >= scene.struck_ms}  # the newest first
    found: dict[str, float] = {
        kind: round((at_ms - scene.struck_ms) / 1000, 1) for kind, at_ms in first.items()
    }
    return found, _verdict(alerts, scene.struck_ms)


def _verdict(alerts: list[Alert], struck_ms: int) -> tuple[float, str] | None:
    """After how many seconds of the fault the first clear verdict was given, and which."""
    said = [
        (one.at_ms, one.verdict.domain)
        for alert in alerts
        for one in alert.said
        if one.at_ms >= struck_ms and one.verdict.domain != "undetermined"
    ]
    if not said:
        return None
    at_ms, domain = min(said)
    return round((at_ms - struck_ms) / 1000, 1), domain


def play(
    name: str,
    rate: float,
    seconds: float,
    *,
    postgres: bool = False,
    replicas: int = 1,
    seed: int = 7,
) -> Row:
    """One row on a fresh database."""
    with tempfile.TemporaryDirectory(prefix="tollkeeper-drill-") as place:
        folder = Path(place)
        with contextlib.ExitStack() as stack:
            database = str(folder / "drill.sqlite3")
            if postgres:
                database = stack.enter_context(postgres_database(folder / "pg"))
            scene = CarryingScene(folder, database, name, seconds, seed, replicas)
            return asyncio.run(run(scene, name, rate, seconds))


progress: Final = Console(stderr=True, highlight=False)
console: Final = Console(highlight=False, width=130)


def carrying(
    *,
    rate: Annotated[float, cyclopts.Parameter(help="Shoppers a second.")] = 5.0,
    seconds: Annotated[float, cyclopts.Parameter(help="How long each fault lasts.")] = 30.0,
    row: Annotated[
        tuple[str, ...], cyclopts.Parameter(consume_multiple=True, help="These rows; unnamed: all.")
    ] = (),
    postgres: Annotated[
        bool, cyclopts.Parameter(negative="", help="On PostgreSQL instead of SQLite.")
    ] = False,
    replicas: Annotated[
        int, cyclopts.Parameter(help="Processes of the service; more than one needs PostgreSQL.")
    ] = 1,
    seed: Annotated[int, cyclopts.Parameter(help="Chooses moments and purchases.")] = 7,
    json: Annotated[bool, cyclopts.Parameter(name="--json", negative="")] = False,
) -> int:
    """Break the version that carries everything, in seven ways, and show what shoppers are told.

    Example: `tollkeeper drill carrying --rate 5 --row new_parameter switched_off`; exits 1 where a
    payment was harmed or a shopper was told what is not so.
    """
    for name in row:
        if name not in ROWS:
            near = difflib.get_close_matches(name, ROWS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            progress.print(f"no row {name!r}{hint} There are: {', '.join(ROWS)}")
            return 2
    if rate <= 0 or seconds <= 0:
        progress.print("--rate and --seconds must be above 0")
        return 2
    if not 1 <= replicas <= 4 or (replicas > 1 and not postgres):
        progress.print("--replicas is 1 to 4; more than one needs --postgres")
        return 2
    found = [
        play(name, rate, seconds, postgres=postgres, replicas=replicas, seed=seed)
        for name in row or ROWS
    ]
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        show(found)
    return 1 if any(one.harmed for one in found) else 0


def show(found: list[Row]) -> None:
    """What shoppers were told, what became of it, and what the ledger says, as three tables."""
    for title, columns in _TABLES:
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        table.add_column("the provider", no_wrap=True)
        for label, _ in columns:
            table.add_column(label, justify="right")
        for one in found:
            values = (getattr(one, name) for _, name in columns)
            table.add_row(one.row, *(_shown(value) for value in values))
        console.print(table)
        console.print()


def _shown(value: float | str | None) -> str:
    if isinstance(value, str):
        return value or "-"
    return "-" if value is None else f"{value:g}"


_TABLES: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "What shoppers were told first",
        (
            ("shoppers", "shoppers"), ("succeeded", "told_succeeded"), ("failed", "told_failed"),
            ("declined", "told_declined"), ("wait (202)", "told_wait"),
            ("nothing", "told_nothing"), ("wrong", "wrong"),
        ),
    ),
    (
        "How long the first answer took (ms; clean: before the fault), and what became of it",
        (
            ("median", "median_ms"), ("clean", "clean_median_ms"), ("p95", "p95_ms"),
            ("clean", "clean_p95_ms"), ("attempts", "attempts"), ("final after s", "final_seconds"),
            ("paid", "ended_paid"), ("failed", "ended_failed"), ("no money", "ended_without_money"),
            ("never final", "never_final"),
        ),
    ),
    (
        "What was said, and when traffic moved (s since the fault)",
        (
            ("alarm", "alarm_seconds"), ("verdict after", "verdict_seconds"),
            ("verdict", "verdict"), ("none works", "none_works_seconds"),
            ("first moved", "first_moved_seconds"), ("all moved", "all_moved_seconds"),
        ),
    ),
    (
        "By the provider's ledger",
        (
            ("double", "double"), ("lost", "lost"), ("misread", "misread"),
            ("unresolved", "unresolved"),
        ),
    ),
)  # fmt: skip
