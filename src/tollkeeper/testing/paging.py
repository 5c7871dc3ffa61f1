"""Pages in the simulated world: alerts come and go, receivers fail, processes die between a send
and its record, and a person answers; no page is lost, and none is sent once it is answered."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollkeeper.flows.incidents import commands
from tollkeeper.flows.ports import SealedPlan
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.paging import Message, Notification
from tollkeeper.incidents.plan import EscalationPolicy, Level, Person, Plan, Receiver
from tollkeeper.kernel.errors import TollkeeperError
from tollkeeper.payments.change import OutEvent
from tollkeeper.payments.invariants import Violation
from tollkeeper.signals.alerts import Alert
from tollkeeper.store import incidents as stored
from tollkeeper.store import on_call, signals
from tollkeeper.testing import chaos
from tollkeeper.testing.loop import CURRENT, Process
from tollkeeper.testing.receivers import SimulatedNotify
from tollkeeper.testing.world import Simulation

ALERTS: Final = 8
ALERTS_SECONDS: Final = 45.0
ABOUT: Final = ("stripe", "other", "third")
"""So many alerts come within so long, about these: some are about what an incident is open for."""

LATE_MS: Final = 150_000
"""By when a timer that is due must have run: leases of dead processes end before."""

PAGING: Final = "triggered"
GIVEN_UP: Final = "failed"
WAITING: Final = frozenset({"queued", "sending"})
"""What the checks go by: they share no predicate with what they check."""

OFTEN_DYING: Final = 0.04

RECEIVERS: Final = {
    name: Receiver(kind="webhook", url=f"https://{name}.invalid/", every_seconds=4.0)
    for name in ("one", "two", "team")
}
PLAN: Final = Plan(
    people={
        "one": Person(title="first", receivers=("one",)),
        "two": Person(title="second", receivers=("two",)),
    },
    receivers=RECEIVERS,
    policies={
        "all": EscalationPolicy(
            levels=(
                Level(targets=("person:one",), wait_seconds=12.0),
                Level(targets=("person:one", "person:two", "receiver:team"), wait_seconds=20.0),
            ),
            rounds=2,
        )
    },
)


def attach(simulation: Simulation) -> None:
    """Gives the world an on-call plan, alerts, and a person who answers."""
    notify = simulation.notify
    assert notify is not None, "the world has receivers"
    sealed = simulation.replicas[0].runtime.vault.seal(msgspec.json.encode(PLAN))
    plan = SealedPlan(revision=1, at_ms=simulation.clock.now_ms(), actor="test", sealed=sealed)
    simulation.driver.now(on_call.save_plan(plan))
    pages = _Pages(simulation, notify)
    simulation.driver.after_write = pages.after_write
    notify.before = pages.before
    notify.dies = pages.die
    simulation.quiet_checks.append(lambda _: pages.check_quiet())
    for number in range(ALERTS):
        simulation.loop.outside(pages.alert(number))
    simulation.loop.outside(pages.answer())


class _Pages:
    def __init__(self, simulation: Simulation, notify: SimulatedNotify) -> None:
        self.simulation = simulation
        self.notify = notify
        self.chance = random.Random(f"pages/{simulation.seed}")
        self.raised: list[str] = []

    # What happens

    async def alert(self, number: int) -> None:
        """An alert is raised, and mostly it is over again after a while."""
        chance = self.chance
        begins, lasts = chance.random() * ALERTS_SECONDS, 5.0 + chance.random() * 60
        about, ends = chance.choice(ABOUT), chance.random() < 0.5
        await asyncio.sleep(begins)
        now_ms = self.simulation.clock.now_ms()
        alert = Alert(
            id=f"alr_{number}", fingerprint=f"{about}/{number}", status="open", opened_ms=now_ms,
            seen_ms=now_ms,
        )  # fmt: skip
        self._tell(alert, "opened", about)
        if ends:
            await asyncio.sleep(lasts)
            self._tell(msgspec.structs.replace(alert, revision=2), "resolved", about)

    def _tell(self, alert: Alert, kind: str, about: str) -> None:
        data = {"id": alert.id, "about": about, "says": f"{alert.id} fails"}
        event = OutEvent(
            id=f"evt_{alert.id}_{kind}", account="default", payment_id="", type=f"alert.{kind}",
            created_ms=self.simulation.clock.now_ms(), data=msgspec.json.encode(data),
        )  # fmt: skip
        assert self.simulation.driver.now(signals.save_alert(alert, (event,)))
        if kind == "opened":
            self.raised.append(event.id)

    async def answer(self) -> None:
        """Acknowledges now and then, and everything once all is calm; looks at what is stored."""
        while self.simulation.violation is None:
            await asyncio.sleep(1.0)
            self.notify.calm = self.simulation.calm
            self.simulation.check(self.check_timers())
            paging = [one for one in self._open() if one.status == PAGING]
            if self.simulation.calm and not paging and len(self.raised) == ALERTS:
                return
            often = 0.3 if self.simulation.calm else 0.06
            if paging and self.chance.random() < often:
                await self._acknowledge(self.chance.choice(paging))

    async def _acknowledge(self, incident: Incident) -> None:
        replica = self.chance.choice(self.simulation.replicas)
        if not replica.process.dead:
            doing = _acknowledged(replica.runtime, incident.id)
            self.simulation.loop.start_in(replica.process, doing)

    def die(self, process: Process) -> None:
        """Kills the process that has just sent a page."""
        replica = next((r for r in self.simulation.replicas if r.process is process), None)
        if replica is not None and not process.dead:
            self.simulation.coverage.count("page.unrecorded")
            chaos.kill(self.simulation, replica)

    def after_write(self, name: str) -> None:
        """Now and then a process dies right after it has written an incident."""
        process = CURRENT.get()
        calm = self.simulation.calm or process is None
        if name == "save_incident" and not calm and self.chance.random() < OFTEN_DYING:
            assert process is not None, "a process writes"
            self.die(process)

    # What must hold

    def _open(self) -> list[Incident]:
        return self.simulation.driver.now(stored.list_open_incidents())

    def before(self, message: Message) -> None:
        """Nothing that is answered is begun to be sent, alone or along."""
        self.simulation.check(self._answered(message))

    def _answered(self, message: Message) -> Iterator[Violation]:
        found = self.simulation.driver.now(stored.load_notification(message.id))
        if found is None:
            yield Violation("I14", message.id, "a message went out that no record names")
            return
        told = [self.simulation.driver.now(stored.load_notification(id_)) for id_ in found.along]
        is_doubt = len(found.tries) > 1 and not found.tries[-2].answer
        for one in (found, *told):
            if one is None or not one.is_page or is_doubt:
                continue
            incident = self.simulation.driver.now(stored.load_incident(one.incident))
            ended_ms = _answered_ms(incident)
            if ended_ms is not None and found.tries and ended_ms < found.tries[-1].at_ms:
                yield Violation("I14", one.id, f"page {one.key} went out after it was answered")

    def check_timers(self) -> Iterator[Violation]:
        """Each incident that pages has its timer, which is not late; one is open of each thing."""
        incidents = self._open()
        named = Counter(one.fingerprint for one in incidents)
        if named and max(named.values()) > 1:
            yield Violation("I14", max(named, key=lambda n: named[n]), "two incidents are open")
        for one in incidents:
            if one.status != PAGING or one.next_ms is None:
                continue
            rows = self.simulation.connection.execute(
                "SELECT run_at_ms FROM jobs WHERE kind = 'escalate' AND subject = ?", (one.id,)
            ).fetchall()
            if not rows:
                yield Violation("I15", one.id, "it pages, and its timer is not there")
            elif one.next_ms < self.simulation.clock.now_ms() - LATE_MS:
                yield Violation("I15", one.id, "its timer is late")
            yield from self._check_lost(one)

    def _check_lost(self, incident: Incident) -> Iterator[Violation]:
        """Where no page of a step arrives, the next step is due, or a job is there to see to it."""
        turn = f"{incident.id}/page/{incident.openings}/{incident.step}/"
        pages = self.simulation.driver.now(stored.list_notifications(incident.id))
        mine = [one for one in pages if one.key.startswith(turn)]
        lost = bool(mine) and all(one.status == GIVEN_UP for one in mine)
        waits = (incident.next_ms or 0) > self.simulation.clock.now_ms()
        if lost and waits and not any(self._has_job(one.id) for one in mine):
            yield Violation("I14", incident.id, "no page of a step arrived, and the next one waits")

    def check_quiet(self) -> Iterator[Violation]:
        """Every alert was heard, every page has a fate, and no step has two of one identity."""
        simulation = self.simulation
        for event in self.raised:
            if not simulation.driver.now(stored.is_news_known(event)):
                yield Violation("I9", event, "an alert was never heard")
        for incident in simulation.driver.now(stored.list_incidents("~", 999)):
            pages = simulation.driver.now(stored.list_notifications(incident.id))
            yield from self._check_fates(pages)
            yield from self._check_steps(incident, pages)

    def _check_fates(self, pages: list[Notification]) -> Iterator[Violation]:
        for one in pages:
            self.simulation.coverage.count(f"page.{one.status}")
            if one.status in WAITING and not self._has_job(one.id):
                yield Violation("I14", one.id, f"{one.key} is {one.status}, and nothing sends it")
            if one.status == "sent" and one.id not in self.notify.got:
                yield Violation("I14", one.id, f"{one.key} is sent, and never arrived")
            if one.status == "told_along" and not self._was_told(one.id):
                yield Violation("I14", one.id, f"{one.key} was told along in nothing that arrived")

    def _has_job(self, id_: str) -> bool:
        rows = self.simulation.connection.execute(
            "SELECT 1 FROM jobs WHERE kind = 'notify' AND subject = ?", (id_,)
        )
        return rows.fetchone() is not None

    def _was_told(self, id_: str) -> bool:
        """Whether a message that arrived, or is still being sent, told of this one."""
        rows: list[Any] = self.simulation.connection.execute(
            "SELECT id, status FROM notifications WHERE CAST(body AS text) LIKE ?",
            (f'%"along":%{id_}%',),
        ).fetchall()
        return any(by in self.notify.got or status == "sending" for by, status in rows)

    def _check_steps(self, incident: Incident, pages: list[Notification]) -> Iterator[Violation]:
        entries = self.simulation.driver.now(stored.list_entries(incident.id))
        said = sum(entry.kind == "paged" for entry in entries)
        made = {tuple(one.key.split("/")[2:4]) for one in pages if one.is_page}
        if said != len(made):
            yield Violation("I14", incident.id, f"{said} steps paged, and {len(made)} have pages")
        news = Counter((e.kind, e.facts["event"]) for e in entries if "event" in e.facts)
        if news and max(news.values()) > 1:
            yield Violation("I8", incident.id, f"{max(news, key=lambda n: news[n])} counted twice")


def _answered_ms(incident: Incident | None) -> int | None:
    if incident is None or incident.status == PAGING:
        return None
    ends = [at_ms for at_ms in (incident.acknowledged_ms, incident.resolved_ms) if at_ms]
    return min(ends, default=None)


async def _acknowledged(runtime: Runtime, incident_id: str) -> None:
    try:
        await commands.acknowledge(runtime, incident_id, note="", actor="cli:one")
    except TollkeeperError:
        return  # the person sees that it is still open, and tries again
