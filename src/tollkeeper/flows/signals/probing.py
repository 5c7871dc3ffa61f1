"""Probing: questions that move no money, asked by routine where traffic is thin and in doubt.

Law: a probe sends nothing but reading questions. What probes cost is bounded: by routine one golden
question a provider and half a minute and one question a neutral address and five seconds, one burst
a provider and minute where a verdict is in doubt. Neutral addresses never wait for a provider: what
a provider does not answer says nothing until they have.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Final, Literal

from msgspec.structs import replace

from tollkeeper.flows.ports import Target
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask_once
from tollkeeper.flows.signals.windows import carrying
from tollkeeper.integrations.version import OperationInput, WireRequest
from tollkeeper.signals.counts import Probe

type Name = Literal["anchor", "golden", "golden_previous", "second"]

TURN_SECONDS: Final = 1.0
ROUTINE_SECONDS: Final = 30.0
ANCHOR_EVERY_SECONDS: Final = 5.0
"""By ATTRIBUTION.md, section 3: cheap questions are asked all the time."""

BURST: Final = 5
BURST_SECONDS: Final = 60.0
ASK_SECONDS: Final = 5.0
ANCHOR_SECONDS: Final = 2.5
"""A neutral address that has not answered by then has failed: a packet lost once (1 s) is not, one
lost twice (3 s) is."""

NO_PAYMENT: Final = "pay_probe"
"""What golden questions ask for: a payment that no provider knows, so an empty list is right."""

ANCHOR: Final = WireRequest(method="HEAD", path="/", headers=(("Connection", "close"),))
"""Each question makes a connection of its own: names, routes and certificates are what is asked
about, and a connection that stands needs none of them."""


class Prober:
    """What one process asks, and when it may ask again, in seconds on the monotonic clock."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._next: dict[str, float] = {}

    async def turn(self) -> None:
        """Asks what is due now, all at once."""
        versions = carrying(self.runtime.live.routes)
        due = [
            self._golden("golden", names[0], 1, asked=False)
            for provider, names in versions.items()
            if names and self._is_due(f"routine {provider}", ROUTINE_SECONDS)
        ]
        due += [
            question
            for provider, wanted in self.runtime.live.wanted_probes.items()
            if wanted and self._is_due(f"burst {provider}", BURST_SECONDS)
            for question in self._burst(provider, wanted, versions)
        ]
        await asyncio.gather(*due)

    async def anchor(self) -> None:
        """Asks every neutral address once, if it is time."""
        if self._is_due("routine anchor", ANCHOR_EVERY_SECONDS):
            await self._anchors(1, asked=False)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = self.runtime.clock.monotonic()
        if now < self._next.get(what, float("-inf")):
            return False
        self._next[what] = now + seconds
        return True

    def _burst(
        self, provider: str, wanted: Iterable[str], versions: Mapping[str, tuple[str, ...]]
    ) -> list[Coroutine[None, None, None]]:
        """What a verdict about `provider` wants to know; about none: about the first one."""
        provider = provider or min(versions, default="")
        mine = versions.get(provider, ())
        others = [names[0] for name, names in versions.items() if name != provider and names]
        targets: dict[Name, str] = {}
        if mine:
            targets["golden"] = mine[0]
        if len(mine) > 1:
            targets["golden_previous"] = mine[1]
        if others:
            targets["second"] = others[0]
        asked = [
            self._golden(name, version, BURST, asked=True)
            for name, version in targets.items()
            if name in wanted
        ]
        return [self._anchors(BURST, asked=True), *asked] if "anchor" in wanted else asked

    async def _golden(self, name: Name, version: str, tries: int, *, asked: bool) -> None:
        """A listing that must be empty, through `version`, so many times."""
        runtime = self.runtime
        integration = runtime.installed.get(version)
        if integration is None or "find" not in integration.capabilities.asks:
            return
        order = OperationInput(
            payment_id=NO_PAYMENT,
            attempt_id=NO_PAYMENT,
            amount_minor=0,
            currency="EUR",
            created_from_s=runtime.clock.now_ms() // 1000 - 60,
            created_to_s=runtime.clock.now_ms() // 1000,
        )
        began = runtime.clock.monotonic()
        asked_once = (
            ask_once(runtime, integration, "find", order, ASK_SECONDS) for _ in range(tries)
        )
        answers = await asyncio.gather(*asked_once)
        unknown = [said.doubt for said in answers if not said.is_known]
        failed = len(unknown)
        error = next((doubt.kind for doubt in unknown if doubt is not None), "refused")
        taken_ms = (runtime.clock.monotonic() - began) * 1000 / tries
        self._note(
            Probe(
                at_ms=runtime.store.now_ms(),
                name=name,
                tried=tries,
                failed=failed,
                provider=integration.provider,
                integration=version,
                error=error if failed else "",
                took_ms=round(taken_ms, 1),
                asked=asked,
            )
        )

    async def _anchors(self, tries: int, *, asked: bool) -> None:
        """Addresses that have nothing to do with a provider: any reply will do."""
        addresses = self.runtime.settings.anchors
        await asyncio.gather(*(self._anchor(one, tries, asked=asked) for one in addresses))

    async def _anchor(self, address: str, tries: int, *, asked: bool) -> None:
        clock = self.runtime.clock
        began = clock.monotonic()
        errors = await asyncio.gather(*(self._reach(address) for _ in range(tries)))
        failed = [error for error in errors if error]
        self._note(
            Probe(
                at_ms=self.runtime.store.now_ms(),
                name="anchor",
                tried=tries,
                failed=len(failed),
                error=failed[-1] if failed else "",
                took_ms=round((clock.monotonic() - began) * 1000, 1),
                asked=asked,
            )
        )

    async def _reach(self, address: str) -> str:
        """The word of the failure to reach an address, empty where it answered in time."""
        target = Target(base_url=address.rstrip("/"))
        try:
            async with asyncio.timeout(ANCHOR_SECONDS):
                result = await self.runtime.wire.send(ANCHOR, target)
        except TimeoutError:
            return "connection_timeout"
        return result.failure.error if result.failure is not None else ""

    def _note(self, probe: Probe) -> None:
        counting = self.runtime.live.counting
        counting.probes.append(replace(probe, host=counting.host))


async def follow(runtime: Runtime) -> None:
    """Probes until its task ends."""
    prober = Prober(runtime)

    async def anchors() -> None:
        while True:
            await runtime.clock.sleep(TURN_SECONDS)
            await prober.anchor()

    async def questions() -> None:
        while True:
            await runtime.clock.sleep(TURN_SECONDS)
            await prober.turn()

    async with asyncio.TaskGroup() as group:
        group.create_task(anchors())
        group.create_task(questions())
