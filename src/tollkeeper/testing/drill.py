"""Drills: an incident replayed against the running service over real sockets.

`tollkeeper drill original` replays the incident that this project began with: a provider changes
its API under one integration version. Once that version carries three quarters of the traffic and
is rolled back by hand after the postmortem's delays, scaled; once it is a canary.
`tollkeeper drill carrying` replays it under the version that carries everything.
"""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

from tollkeeper import app as root
from tollkeeper.flows.operations.doctor import Report
from tollkeeper.flows.rollouts import commands, starting
from tollkeeper.rollouts.rollout import ACTIVE, Plan, Rollout
from tollkeeper.testing import drill_carrying
from tollkeeper.testing.drill_scene import Scene, harm_of, median_ms
from tollkeeper.testing.postgres import postgres_database

BASELINE: Final = "stripe@2022-08-01"
CANDIDATE: Final = "stripe@2022-11-15"

FAULTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "renamed_field": (
        "a field that every version reads is renamed in a 2xx",
        {"effect": "rename_field", "object": "payment_intent", "path": "status", "to": "state"},
    ),
    "other_form": (
        "replies come in another version's form, which the candidate cannot read",
        {"effect": "ignore_version", "when": "before", "to": "2022-08-01"},
    ),
    "required_parameter": (
        "a parameter that we do not send is required",
        {"effect": "require_parameter", "when": "before", "parameter": "mandate_data"},
    ),
    "sunset": ("the version is gone (410)", {"effect": "sunset", "when": "before", "status": 410}),
    "error_before": ("5xx before the effect", {"effect": "error", "when": "before"}),
    "error_after": ("5xx after the effect", {"effect": "error", "when": "after", "stored": False}),
    "timeout_after": ("no reply after the effect", {"effect": "drop", "when": "after"}),
    "amount_unit": (
        "amounts come in another unit",
        {"effect": "amount_unit", "object": "payment_intent", "path": "amount"},
    ),
    "decline_as_approval": (
        "declines come as approvals",
        {"effect": "decline_as_approval"},
    ),
    "slow_tail": (
        "half of the replies take 1.5 s longer",
        {"effect": "slow_tail", "seconds": 1.5, "fraction": 0.5},
    ),
}
"""What a provider may do to one of its versions: the story, and the simulator's fault."""

POSTMORTEM: Final = (
    (0, "the provider's update takes effect"),
    (15, "an alert on failed API requests"),
    (210, "the update is found to be the cause"),
    (240, "rolled back to the previous stable version"),
)
"""Minutes, and what happened then."""

POLL_SECONDS: Final = 0.1
REACT_SECONDS: Final = 120.0
AFTER_SECONDS: Final = 5.0


class Story(msgspec.Struct, kw_only=True):
    """What one run came to. Seconds count from the fault; `harm` is by the ledger."""

    protected: bool
    fault: str
    rate: float
    decided_seconds: float | None
    reason: str
    last_canary_seconds: float | None
    canaries_after_fault: int
    payments: int
    affected: int
    affected_percent: float
    failed: int
    recovered: int
    never_final: int
    fell_back: int
    fallback_ms: float | None
    plain_ms: float | None
    double: int
    lost: int
    misread: int
    other: int
    timeline: list[tuple[float, str]]


async def break_candidate(scene: Scene, fault: str) -> None:
    """The provider changes the candidate's version under us, from now on."""
    story, effect = FAULTS[fault]
    rule = {"api_version": CANDIDATE.partition("@")[2], "operation": "payment_intents.*", **effect}
    await scene.strike(rule, f"the provider changes {CANDIDATE}: {story}")


async def protected(scene: Scene, rate: float, fault: str, plan: Plan, seconds: float) -> Rollout:
    """The candidate as a canary: begins, waits until it has its share, breaks it, watches."""
    settings = root.read_settings(scene.folder / "replica-0.toml")
    async with root.Service(settings, work=False) as service:
        runtime = service.runtime
        made = await starting.begin_rollout(
            runtime, CANDIDATE, plan, override="a drill", actor="drill"
        )
        aim = round(plan.steps_percent[0] * 10_000)
        end = time.monotonic() + seconds
        rollout = made
        while time.monotonic() < end and rollout.status in ACTIVE:
            rollout = await commands.load_rollout(runtime, made.id)
            if rollout.share_ppm >= aim and rollout.status == "running":
                break
            await asyncio.sleep(POLL_SECONDS)
        scene.tell(f"the canary has {rollout.share_ppm / 10_000:g} % of the traffic")
        await break_candidate(scene, fault)
        end = time.monotonic() + REACT_SECONDS
        while time.monotonic() < end:
            rollout = await commands.load_rollout(runtime, made.id)
            if rollout.status not in ACTIVE:
                scene.tell(f"rolled back: {rollout.reason}")
                break
            await asyncio.sleep(POLL_SECONDS / 5)
        await asyncio.sleep(AFTER_SECONDS)
        return await commands.load_rollout(runtime, made.id)


async def unprotected(scene: Scene, fault: str, minute_seconds: float) -> None:
    """The candidate carries its traffic at once; people find out as slowly as they did."""
    await asyncio.sleep(3.0)
    await break_candidate(scene, fault)
    for minutes, text in POSTMORTEM[1:]:
        await asyncio.sleep(max(minutes * minute_seconds - scene.since(), 0))
        scene.tell(text)
    scene.weights = {BASELINE: 100.0}
    for number, replica in enumerate(scene.replicas):
        config = scene.folder / f"replica-{number}.toml"
        config.write_text(scene._settings(scene.ports[number]), encoding="utf-8")  # noqa: SLF001
        await replica.end(signal.SIGTERM)
        await scene.start(number)
    scene.tell("the service runs with the previous version alone")
    await asyncio.sleep(AFTER_SECONDS)


async def run(
    scene: Scene, rate: float, fault: str, *, plan: Plan | None, minute_seconds: float = 0.25
) -> Story:
    """Plays one run to its end and checks it against the simulator's ledger."""
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    rollout: Rollout | None = None
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as scene.session:
        try:
            await scene.open()
            shoppers = asyncio.create_task(scene.shop(rate))
            if plan is not None:
                rollout = await protected(scene, rate, fault, plan, 120.0)
            else:
                await unprotected(scene, fault, minute_seconds)
            scene.paying = False
            await shoppers
            report = await scene.settle_and_examine()
        finally:
            await scene.close()
    return _story(scene, rate, fault, rollout, report)


def _story(scene: Scene, rate: float, fault: str, rollout: Rollout | None, report: Report) -> Story:
    after = [visit for visit in scene.visits if visit.at >= 0]
    canaries = [v for v in after if v.taken_by == CANDIDATE]
    affected = [visit for visit in after if visit.affected]
    harm = harm_of(report)
    out = rollout is not None and rollout.status == "rolled_back"
    decided = next((at for at, text in scene.timeline if text.startswith("rolled back")), None)
    return Story(
        protected=rollout is not None,
        fault=fault,
        rate=rate,
        decided_seconds=decided if out or rollout is None else None,
        reason=rollout.reason if rollout is not None else "by hand",
        last_canary_seconds=round(max((v.at for v in canaries), default=0.0), 2),
        canaries_after_fault=len(canaries),
        payments=len(after),
        affected=len(affected),
        affected_percent=round(100 * len(affected) / max(len(after), 1), 3),
        failed=sum(v.has_money and v.status in {"failed", "canceled"} for v in after),
        recovered=sum(v.affected and v.status == "succeeded" for v in after),
        never_final=sum(v.final_seconds is None for v in after),
        fell_back=sum(v.attempts > 1 for v in after),
        fallback_ms=median_ms(v.asked_seconds for v in after if v.attempts > 1),
        plain_ms=median_ms(v.asked_seconds for v in after if v.attempts == 1),
        double=harm.double,
        lost=harm.lost,
        misread=harm.misread,
        other=harm.other + harm.unresolved,
        timeline=scene.timeline,
    )


def drill_plan(
    share_percent: float = 5.0, alpha: float = 0.001, floor_percent: float = 1.0
) -> Plan:
    """A rollout for drills: first step at `share_percent`, and it stays there."""
    return Plan(
        steps_percent=(share_percent, 100.0),
        dwell_seconds=3_600.0,
        alpha=alpha,
        floor_percent=floor_percent,
        shadow_payments=5,
        shadow_seconds=5.0,
    )


app = cyclopts.App(name="drill", help="Incidents, replayed against the running service.")
app.command(drill_carrying.carrying)
console: Final = Console(highlight=False)


@app.command
def original(
    *,
    rate: Annotated[float, cyclopts.Parameter(help="Shoppers a second.")] = 20.0,
    share: Annotated[float, cyclopts.Parameter(help="The canary's percent.")] = 5.0,
    fault: Annotated[str, cyclopts.Parameter(help="What the provider does.")] = "renamed_field",
    store: Annotated[str, cyclopts.Parameter(help="sqlite or postgresql.")] = "sqlite",
    replicas: Annotated[int, cyclopts.Parameter(help="Replicas on one database.")] = 1,
    minute: Annotated[float, cyclopts.Parameter(help="Seconds that stand for a minute.")] = 0.25,
    json: Annotated[bool, cyclopts.Parameter(name="--json", negative="")] = False,
) -> int:
    """Replay the original incident, with the canary's protection off and on.

    Example: `tollkeeper drill original`; exits 1 where a payment was harmed, or where the canary
    was not taken out.
    """
    if fault not in FAULTS:
        console.print(f"no fault {fault!r}; there are: {', '.join(FAULTS)}")
        return 2
    if store not in {"sqlite", "postgresql"} or (store == "sqlite" and replicas != 1):
        console.print("--store is sqlite or postgresql; several replicas need postgresql")
        return 2
    stories = [
        play(rate, fault, None, store=store, replicas=replicas, minute_seconds=minute),
        play(rate, fault, drill_plan(share), store=store, replicas=replicas),
    ]
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(stories)).decode() + "\n")
    else:
        _show(stories)
    harmed = any(s.double or s.lost or s.misread or s.other or s.never_final for s in stories)
    return 1 if harmed or stories[-1].decided_seconds is None else 0


def play(
    rate: float,
    fault: str,
    plan: Plan | None,
    *,
    store: str = "sqlite",
    replicas: int = 1,
    minute_seconds: float = 0.25,
) -> Story:
    """One run on a fresh database; `plan` is `None` for the run without protection."""
    weights = {BASELINE: 100.0} if plan is not None else {BASELINE: 25.0, CANDIDATE: 75.0}
    with tempfile.TemporaryDirectory(prefix="tollkeeper-drill-") as name:
        folder = Path(name)
        with contextlib.ExitStack() as stack:
            database = str(folder / "drill.sqlite3")
            if store == "postgresql":
                database = stack.enter_context(postgres_database(folder / "pg"))
            scene = Scene(folder, database, replicas, weights)
            return asyncio.run(run(scene, rate, fault, plan=plan, minute_seconds=minute_seconds))


def _show(stories: list[Story]) -> None:
    then = Table("minute", "the original incident", box=None, pad_edge=False)
    for minutes, text in POSTMORTEM:
        then.add_row(str(minutes), text)
    console.print(then)
    for story in stories:
        name = "the canary's protection on" if story.protected else "off"
        table = Table("second", name, box=None, pad_edge=False)
        for at, text in story.timeline:
            table.add_row(f"{at:.1f}", text)
        console.print()
        console.print(table)
    figures = Table("", "then", "off", "on", box=None, pad_edge=False)
    off, on = stories
    for label, then_value, get in _ROWS:
        figures.add_row(label, then_value, str(get(off)), str(get(on)))
    console.print()
    console.print(figures)


_ROWS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("from the fault to the rollback", "240 min", lambda s: f"{s.decided_seconds} s"),
    ("payments after the fault", "", lambda s: s.payments),
    ("through the broken version", "", lambda s: s.canaries_after_fault),
    ("shoppers affected", "75 %", lambda s: f"{s.affected} ({s.affected_percent} %)"),
    ("of them paid in the end", "", lambda s: s.recovered),
    ("payments failed", "", lambda s: s.failed),
    ("payments never decided", "", lambda s: s.never_final),
    ("charged twice, lost, misread", "", lambda s: f"{s.double}, {s.lost}, {s.misread}"),
)


if __name__ == "__main__":
    sys.exit(app())
