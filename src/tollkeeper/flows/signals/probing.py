"""Probing: questions that move no money, asked by routine where traffic is thin and in doubt.

Law: a probe sends nothing but reading questions. What probes cost is bounded: one golden question a
provider and half a minute by routine, one burst a provider and minute where a verdict is in doubt.
"""

from collections.abc import Iterable, Mapping
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
BURST: Final = 5
BURST_SECONDS: Final = 60.0
ASK_SECONDS: Final = 5.0

NO_PAYMENT: Final = "pay_probe"
"""What golden questions ask for: a payment that no provider knows, so an empty list is right."""


class Prober:
    """What one process asks, and when it may ask again, in seconds on the monotonic clock."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._next: dict[str, float] = {}

    async def turn(self) -> None:
        """Asks what is due now, one question after the other."""
        versions = carrying(self.runtime.live.routes)
        for provider, names in versions.items():
            if names and self._is_due(f"routine {provider}", ROUTINE_SECONDS):
                await self._golden("golden", names[0], 1, asked=False)
        if self._is_due("routine anchor", ROUTINE_SECONDS):
            await self._anchors(1, asked=False)
        for provider, wanted in self.runtime.live.wanted_probes.items():
            if wanted and self._is_due(f"burst {provider}", BURST_SECONDS):
                await self._burst(provider, wanted, versions)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = self.runtime.clock.monotonic()
        if now < self._next.get(what, float("-inf")):
            return False
        self._next[what] = now + seconds
        return True

    async def _burst(
        self, provider: str, wanted: Iterable[str], versions: Mapping[str, tuple[str, ...]]
    ) -> None:
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
        for name, version in targets.items():
            if name in wanted:
                await self._golden(name, version, BURST, asked=True)
        if "anchor" in wanted:
            await self._anchors(BURST, asked=True)

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
        began, failed, error = runtime.clock.monotonic(), 0, ""
        for _ in range(tries):
            said = await ask_once(runtime, integration, "find", order, ASK_SECONDS)
            if not said.is_known:
                failed += 1
                error = said.doubt.kind if said.doubt is not None else "refused"
        taken_ms = (runtime.clock.monotonic() - began) * 1000 / tries
        self._note(
            Probe(
                at_ms=runtime.store.now_ms(),
                name=name,
                tried=tries,
                failed=failed,
                provider=integration.provider,
                integration=version,
                error=error,
                took_ms=round(taken_ms, 1),
                asked=asked,
            )
        )

    async def _anchors(self, tries: int, *, asked: bool) -> None:
        """Addresses that have nothing to do with a provider: any reply will do."""
        runtime = self.runtime
        for address in runtime.settings.anchors:
            target = Target(base_url=address.rstrip("/"))
            began, failed, error = runtime.clock.monotonic(), 0, ""
            for _ in range(tries):
                result = await runtime.wire.send(WireRequest(method="HEAD", path="/"), target)
                if result.failure is not None:
                    failed += 1
                    error = result.failure.error
            taken_ms = (runtime.clock.monotonic() - began) * 1000 / tries
            self._note(
                Probe(
                    at_ms=runtime.store.now_ms(),
                    name="anchor",
                    tried=tries,
                    failed=failed,
                    error=error,
                    took_ms=round(taken_ms, 1),
                    asked=asked,
                )
            )

    def _note(self, probe: Probe) -> None:
        counting = self.runtime.live.counting
        counting.probes.append(replace(probe, host=counting.host))


async def follow(runtime: Runtime) -> None:
    """Probes until its task ends."""
    prober = Prober(runtime)
    while True:
        await runtime.clock.sleep(TURN_SECONDS)
        await prober.turn()
