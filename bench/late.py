"""Effects that land hours late: what the service concludes, what it tells, and what it corrects.

`./dev bench late` plays payments and refunds in virtual time, on the service's public API, its
flows, its jobs and its SQLite store. The provider answers none of the first requests: its effect
lands `--most-hours` late at most, and its webhooks are lost at `--lost`. Half of the late requests
hold their idempotency key meanwhile. With `--keyless` the provider keeps no keys, so that no
repetition can tell what became of a request. Windows and timeouts are the default ones.
Example: `./dev bench late --payments 2000 --lost 0.2 --json`
"""

import argparse
import asyncio
import contextvars
from collections.abc import Iterable
from typing import Any, Final, override

import msgspec
import rig

from tollkeeper.flows.ports import Job, Target, WireResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.payments.change import Change
from tollkeeper.payments.invariants import PAYMENT_KEY
from tollkeeper.settings import ProviderSettings, Settings
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.door import API_KEY, Call
from tollkeeper.testing.hours import pass_hours
from tollkeeper.testing.network import SimulatedWire
from tollkeeper.testing.temper import PROVIDER_KEY, Temper, installed_of
from tollkeeper.testing.world import Replica, Simulation

IN_A_WORLD: Final = 200
"""Payments of one world: enough to be busy, few enough that its checks stay cheap."""

ARRIVE_SECONDS: Final = 600.0
"""Within so long all shoppers of a world come."""

AFTERWARDS_SECONDS: Final = 1_800.0
"""What passes after the last effect: webhooks are sent again. Then hours pass until the service has
looked for the last time, a day after its conclusion."""

LATE_CARD, PROMPT_CARD = "pm_card_mastercard", "pm_card_visa"
LOOKS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 120.0, 300.0, 300.0)
"""When a shopper looks again, in seconds after the last look: a quarter of an hour in all."""

QUIET: Final = Temper(
    replicas=1, webhooks=True, workers=True, idempotency=True, chaos=0.0, shoppers=0, skew_ms=0
)


class Story(msgspec.Struct):
    """One late request. Moments are virtual seconds: `landed` when the effect took place, `fact`
    when the provider first told us of it, by a webhook that we answered 2xx or by its answer to a
    look; `failed` when our books said that it had no effect, `right` when they said what is so
    after that. `told_failed`: the shopper was told."""

    kind: str
    landed: float | None = None
    fact: float | None = None
    failed: float | None = None
    right: float | None = None
    told_failed: bool = False
    effects: int = 0
    booked: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether the books said "no effect" of what had, or came to have, an effect."""
        return self.failed is not None and self.effects > 0

    @property
    def correction_seconds(self) -> float | None:
        """From the first fact that contradicts the conclusion to its correction."""
        if self.right is None or self.failed is None or self.fact is None:
            return None
        return max(self.right - max(self.fact, self.failed), 0.0)

    @property
    def wrong_seconds(self) -> float | None:
        """How long the books were wrong: from the effect, or the conclusion after it."""
        if self.right is None or self.failed is None or self.landed is None:
            return None
        return max(self.right - max(self.landed, self.failed), 0.0)


ABOUT: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("about", default="")
"""The payment that the running job looks at: a listing shows others beside it."""


class LateReplica(Replica):
    """A replica that says which payment a look is about."""

    @override
    def _watched(self, run: Any) -> Any:
        watched = super()._watched(run)

        async def about(job: Job) -> None:
            ABOUT.set(job.subject)
            await watched(job)

        return about


class LookedThrough(SimulatedWire):
    """The wire, on which the first answer that shows an effect is a fact, too."""

    def __init__(self, runtime: "LateWorld") -> None:
        super().__init__(runtime.loop, runtime.core, runtime.weather, runtime.coverage)
        self._world = runtime

    @override
    async def send(self, request: WireRequest, target: Target) -> WireResult:
        result = await super().send(request, target)
        if request.method == "GET" and result.reply is not None:
            self._world.note_look(request.path, result.reply.body)
        return result


class LateWorld(Simulation):
    """A quiet world with the default windows, whose provider is late."""

    def __init__(self, seed: int, lost: float, most_seconds: float, *, keyless: bool) -> None:
        super().__init__(seed, Coverage())
        self.temper = msgspec.structs.replace(QUIET, idempotency=not keyless)
        self.installed = installed_of(retention=not keyless)
        self.calm = True
        self.settings = Settings(
            providers={"stripe": ProviderSettings(secret_key=PROVIDER_KEY)},
            weights=self.settings.weights,
        )
        self.core = self._provider()
        self.wire = LookedThrough(self)
        self.replicas = [LateReplica(self, 0)]
        self.open_doors = self.replicas
        self.stories: dict[str, Story] = {}
        self._be_late(lost, most_seconds)

    def _be_late(self, lost: float, most_seconds: float) -> None:
        for holds_key, probability in ((True, 0.5), (False, 1.0)):
            for operation, card in (("payment_intents.create", LATE_CARD), ("refunds.create", "*")):
                rule = FaultRule(
                    effect="late_effect",
                    most_seconds=most_seconds,
                    first_of_key=True,
                    holds_key=holds_key,
                    probability=probability,
                    operation=operation,
                    payment_method=card,
                )
                self.core.faults.add(rule)
        self.core.faults.add(FaultRule(effect="webhook_lost", probability=lost))

    @override
    async def _register_webhooks(self) -> None:
        await super()._register_webhooks()
        secrets = self.settings.providers["stripe"].webhook_secrets
        mine = ProviderSettings(secret_key=PROVIDER_KEY, webhook_secrets=secrets)
        self.settings = msgspec.structs.replace(self.settings, providers={"stripe": mine})

    # What is watched

    @override
    def on_commit(self, change: Change) -> None:
        """Notes what our books say; that they may be wrong is what is measured."""
        story = self.stories.get(change.payment.id)
        if story is None:
            return
        status: str = change.payment.status
        if story.kind == "refund":
            status = change.refunds[-1].status if change.refunds else ""
        if status in {"failed", "canceled"}:
            story.booked = False
            story.failed = story.failed if story.failed is not None else self.loop.now
        elif status == "succeeded":
            story.booked = True
            story.right = story.right if story.right is not None else self.loop.now

    @override
    def _on_effect(self, entry: Any) -> None:
        payment_id = entry.metadata.get(PAYMENT_KEY, "")
        self.ledger_of.setdefault(payment_id, {})[entry.charge_id] = entry
        story = self.stories.get(payment_id)
        if story is None:
            return
        charges = [c for c in self.ledger_of[payment_id].values() if c.live]
        refunds = [r for c in charges for r in c.refunds if r.kind == "refund"]
        effects = len(refunds if story.kind == "refund" else charges)
        if effects and not story.effects:
            story.landed = self.loop.now
        story.effects = max(story.effects, effects)

    @override
    async def _post(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        status = await super()._post(url, headers, body)
        if 200 <= status < 300:
            self._note_fact(msgspec.json.decode(body)["data"]["object"])
        return status

    def _note_fact(self, told: dict[str, Any]) -> None:
        """A webhook of ours: the first that tells of the effect is the first fact."""
        payment_id = (told.get("metadata") or {}).get(PAYMENT_KEY, "")
        story = self.stories.get(payment_id)
        if story is None:
            return
        if story.kind == "refund":
            tells = told["object"] == "refund" or told.get("amount_refunded", 0) > 0
        else:
            tells = told["object"] == "charge" or told.get("amount_received", 0) > 0
        self._note(story, tells=tells)

    def note_look(self, path: str, body: bytes) -> None:
        """An answer to a look at a payment, which tells of its effect where it names it."""
        kind = "refund" if path.startswith("/v1/refunds") else "payment"
        about = ABOUT.get()
        if about in self.stories and self.stories[about].kind == kind:
            self._note(self.stories[about], tells=about.encode() in body)

    def _note(self, story: Story, *, tells: bool) -> None:
        if tells and story.effects and story.fact is None:
            story.fact = self.loop.now

    # What shoppers do

    async def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """A request to our API; the answer's document."""
        headers = [("authorization", f"Bearer {API_KEY}"), ("content-type", "application/json")]
        if key:
            headers.append(("idempotency-key", key))
        data = b"" if body is None else msgspec.json.encode(body)
        replica = self.replicas[0]
        call = Call(method, path, headers, data)
        answer = await replica.door.request(self.loop, replica.process, call, 120.0)
        assert answer is not None, "nothing is killed here"
        assert answer.status < 300, answer.body
        return answer.json()

    async def shop(self, number: int) -> None:
        """One shopper: a late payment, or a prompt one and its late refund."""
        await asyncio.sleep(self.loop.chance.random() * ARRIVE_SECONDS)
        refunds = number % 2 == 1
        body = {
            "amount_minor": 1_000 + number, "currency": "EUR", "customer": f"shopper-{number}",
            "payment_method": PROMPT_CARD if refunds else LATE_CARD,
        }  # fmt: skip
        answer = await self.ask("POST", "/v1/payments", body, f"pay-{number}")
        path = f"/v1/payments/{answer['id']}"
        if refunds:
            self.stories[answer["id"]] = Story("refund")
            answer = await self.ask("POST", f"{path}/refunds", {}, f"refund-{number}")
            path = f"{path}/refunds/{answer['id']}"
        await self._watch(path, answer)

    async def _watch(self, path: str, answer: Any) -> None:
        payment_id = path.split("/")[3]
        for seconds in (0.0, *LOOKS):
            await asyncio.sleep(seconds)
            if seconds:
                answer = await self.ask("GET", path)
            if answer["status"] in {"failed", "canceled"}:
                self.stories[payment_id].told_failed = True
            if answer["status"] in {"failed", "canceled", "succeeded"}:
                return


class WatchedStories(dict[str, Story]):
    """Every payment that is committed has a story, from its first commit on."""

    @override
    def get(self, key: str, default: Any = None) -> Any:
        return self.setdefault(key, Story("payment")) if key else default


async def _life(runtime: LateWorld, payments: int, most_seconds: float) -> None:
    await runtime.set_up()
    runtime.loop.outside(runtime.core.run())
    shopping = [runtime.loop.outside(runtime.shop(number)) for number in range(payments)]
    for task in shopping:
        await task
    await asyncio.sleep(most_seconds + AFTERWARDS_SECONDS)
    await pass_hours(runtime)


def play(
    seed: int, payments: int, lost: float, most_seconds: float, *, keyless: bool = False
) -> list[Story]:
    """One world to its end."""
    runtime = LateWorld(seed, lost, most_seconds, keyless=keyless)
    runtime.stories = WatchedStories()
    runtime.loop.run(_life(runtime, payments, most_seconds))
    if runtime.violation is not None:
        raise SystemExit(f"seed {seed}: {runtime.violation}")
    return list(runtime.stories.values())


def row(kind: str, stories: Iterable[Story]) -> dict[str, Any]:
    """The figures of one kind of request."""
    found = [story for story in stories if story.kind == kind]
    wrong = [story for story in found if story.is_wrong]
    took = sorted(s.correction_seconds for s in wrong if s.correction_seconds is not None)
    stayed = sorted(s.wrong_seconds for s in wrong if s.wrong_seconds is not None)
    corrected = [story for story in wrong if story.booked]
    return {
        "late": kind,
        "requests": len(found),
        "double": sum(story.effects > 1 for story in found),
        "lost": sum(story.effects > 0 and not story.booked for story in found),
        "booked without effect": sum(story.booked and not story.effects for story in found),
        "concluded wrongly": len(wrong),
        "corrected": len(corrected),
        "corrected %": round(100 * len(corrected) / len(wrong), 1) if wrong else None,
        "told wrongly": sum(story.told_failed for story in wrong),
        "correction s p50": _quantile(took, 0.5),
        "p95": _quantile(took, 0.95),
        "max": _quantile(took, 1.0),
        "wrong s p50": _quantile(stayed, 0.5),
        "wrong p95": _quantile(stayed, 0.95),
    }


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--payments", type=int, default=20_000, help="half of them are refunded")
    options.add_argument("--lost", type=float, default=0.2, help="share of webhooks lost")
    options.add_argument("--most-hours", type=float, default=3.0, help="the greatest lateness")
    options.add_argument("--seed", type=int, default=1, help="the first world's seed")
    options.add_argument(
        "--keyless", action="store_true", help="the provider keeps no idempotency keys"
    )
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    stories: list[Story] = []
    worlds = range(given.seed, given.seed + -(-given.payments // IN_A_WORLD))
    for seed in worlds:
        count = min(IN_A_WORLD, given.payments - len(stories))
        stories += play(seed, count, given.lost, given.most_hours * 3600, keyless=given.keyless)
        if (seed - given.seed) % 10 == 9:
            rig.say(f"{len(stories)} of {given.payments}")
    rig.show([row(kind, stories) for kind in ("payment", "refund")], as_json=given.json)


if __name__ == "__main__":
    main()
