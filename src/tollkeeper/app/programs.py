"""What the command line runs without a service: one fetch, a rehearsal, a version's sources."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tollkeeper.app.system import SystemChance, SystemClock
from tollkeeper.contracts.plays import PLAYS, Play
from tollkeeper.flows.contracts import rehearse as rehearse_flow
from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations.catalogue import OURS
from tollkeeper.integrations.freezing import closure
from tollkeeper.integrations.scaffold import module_of
from tollkeeper.integrations.version import Integration, WireRequest
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.wire.provider import HttpWire

MAX_FETCHED_BYTES: Final = 1 << 30
"""A ledger of a million charges is half of it."""


def module_source(name: str) -> bytes:
    """The source of the module called `name`."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Misconfigured(f"no module {name}")
    return Path(spec.origin).read_bytes()


def sources_of(integration: Integration) -> dict[str, bytes]:
    """The sources of a version of this package and of all that it imports below `integrations/`, by
    module; nothing for a version of another distribution."""
    if integration.name not in OURS:
        return {}
    return closure(module_of(integration), module_source)


def fetch(url: str, *, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> WireResult:
    """One request from the command line to `url`, by the same wire; a POST where there is a body.
    Blocks until it is answered or has failed."""

    async def once() -> WireResult:
        parts = urlsplit(url)
        request = WireRequest(
            method="POST" if body else "GET",
            path=parts.path or "/",
            query=parts.query,
            headers=headers,
            body=body,
        )
        async with HttpWire(max_reply_bytes=MAX_FETCHED_BYTES) as wire:
            return await wire.send(request, Target(base_url=f"{parts.scheme}://{parts.netloc}"))

    return asyncio.run(once())


def rehearse(
    endpoint: str,
    key: str,
    candidate: Integration,
    baseline: Integration | None,
    plays: tuple[Play, ...] = PLAYS,
) -> rehearse_flow.Rehearsal:
    """Plays the playbooks against `endpoint`; blocks until done."""

    async def play() -> rehearse_flow.Rehearsal:
        async with HttpWire() as wire:
            stage = rehearse_flow.Stage(
                wire=wire,
                clock=SystemClock(),
                chance=SystemChance(),
                base_url=endpoint.rstrip("/"),
                secrets={"secret_key": key},
            )
            return await rehearse_flow.rehearse(stage, candidate, baseline, plays)

    return asyncio.run(play())
