"""Certificates of providers that end: told once, while there is time, and when it is over."""

from pathlib import Path

from msgspec.structs import replace
from tests.flows.stage import MIDDLE, Stage, stage

from tollkeeper.api.metrics_signals import Signals
from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.flows.signals import commands
from tollkeeper.flows.signals.certificates import WARN_MS, Certificates
from tollkeeper.integrations.version import WireRequest
from tollkeeper.signals.counts import Change

DAY_S = 86_400


def ending(s: Stage, after_s: float) -> int:
    """From now on the wire shows a certificate that ends so many seconds from now."""
    until_s, sent = int(s.clock.now + after_s), s.wire.send

    async def send(request: WireRequest, target: Target) -> WireResult:
        return replace(await sent(request, target), certificate_until_s=until_s)

    s.runtime.wire.send = send  # type: ignore[method-assign]
    return until_s


async def told(s: Stage) -> list[Change]:
    return [one for one in await commands.changes(s.store, 24 * 30) if one.kind == "certificate"]


async def test_a_certificate_that_ends_soon_is_told_once_by_all(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        until_s = ending(s, 13 * DAY_S)
        mine, other = Certificates(), Certificates()
        await mine.tell(s.runtime)
        assert await told(s) == []
        await s.create()
        for certificates in (mine, mine, other):
            await certificates.tell(s.runtime)
        (change,) = await told(s)
        assert (change.provider, change.until_ms) == ("stripe", until_s * 1000)
        assert change.text.startswith("the certificate of stripe ends at 20")
        metrics = Signals()
        metrics.live = s.runtime.live
        shown = {family.name: family.samples for family in metrics.collect()}
        (sample,) = shown["tollkeeper_certificate_expiry_timestamp_seconds"]
        assert (sample.labels, sample.value) == ({"provider": "stripe"}, until_s)
        assert s.runtime.live.certificates == {"stripe": until_s * 1000}
        await s.clock.advance(13 * DAY_S)
        await mine.tell(s.runtime)
        assert "has ended at" in (await told(s))[0].text
        assert len(await told(s)) == 2


async def test_a_certificate_that_lasts_is_not_told(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        ending(s, WARN_MS / 1000 + DAY_S)
        await s.create()
        certificates = Certificates()
        await certificates.tell(s.runtime)
        assert await told(s) == []
        await s.clock.advance(2 * DAY_S)
        await certificates.tell(s.runtime)
        assert len(await told(s)) == 1
