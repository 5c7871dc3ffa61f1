"""Watching providers' descriptions: every new text is kept, checked, and told, before a rollout.

Gather: the source, and the text seen last. Decide: the contract checker, for every installed
version of the provider. Record: the text by its digest, the verdicts, and an event, in one commit.
"""

import hashlib
import zlib
from typing import Final

import msgspec

from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import Description, read_description
from tollkeeper.contracts.verdict import check
from tollkeeper.flows.ports import Fetched, Job, SeenDescription, Sources
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Invalid, Misconfigured
from tollkeeper.payments.change import OutEvent

SHOWN: Final = 20
"""Findings that an event carries; the store keeps them all."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a provider's description. `news` says whether the text was seen for the first
    time; `compatible` is by installed version; `error` why nothing could be read."""

    provider: str
    news: bool = False
    digest: str = ""
    compatible: dict[str, bool] = {}
    error: str = ""


async def watch(runtime: Runtime, job: Job) -> None:
    """Runs one `watch` job: looks, and puts itself off until the next look."""
    await look(runtime, job.subject)
    again_ms = runtime.store.now_ms() + int(runtime.settings.watch_seconds * 1000)
    await runtime.store.postpone_job(job, again_ms)


async def look(runtime: Runtime, provider: str) -> Watched:
    """Looks at one provider's description once."""
    source = runtime.provider(provider).description
    sources = runtime.sources
    if source is None or sources is None:
        raise Misconfigured(f"providers.{provider}.description names nothing to watch")
    known = await runtime.store.list_descriptions(provider, 1)
    last = known[0] if known else None
    fetched = await sources.fetch(source, last.etag if last is not None else None)
    if fetched.error:
        return Watched(provider=provider, error=fetched.error)
    notes = await _announcements(runtime, sources, provider)
    if last is not None and (fetched.text is None or _digest(fetched.text) == last.digest):
        await runtime.store.touch_description(_still(runtime, last, fetched, notes))
        return Watched(provider=provider, digest=last.digest, compatible=_compatible(last))
    if fetched.text is None:
        return Watched(provider=provider, error=f"{source} answered 304 and nothing is known yet")
    return await _record(runtime, provider, fetched, last, notes)


async def _announcements(runtime: Runtime, sources: Sources, provider: str) -> bytes | None:
    source = runtime.provider(provider).announcements
    if source is None:
        return None
    fetched = await sources.fetch(source, None)
    return zlib.compress(fetched.text) if fetched.text is not None else None


async def _record(
    runtime: Runtime,
    provider: str,
    fetched: Fetched,
    last: SeenDescription | None,
    notes: bytes | None,
) -> Watched:
    text = fetched.text or b""
    try:
        verdicts = _verdicts(runtime, provider, text, last)
    except Invalid as error:
        verdicts = {"": {"compatible": False, "error": error.detail}}
    now_ms = runtime.store.now_ms()
    seen = SeenDescription(
        provider=provider,
        digest=_digest(text),
        seen_ms=now_ms,
        checked_ms=now_ms,
        etag=fetched.etag,
        text=zlib.compress(text),
        verdicts=msgspec.json.encode(verdicts),
        notes=notes,
    )
    event = _event(runtime, seen, verdicts, first=last is None)
    news = await runtime.store.save_description(seen, event)
    return Watched(provider=provider, news=news, digest=seen.digest, compatible=_compatible(seen))


def _verdicts(
    runtime: Runtime, provider: str, text: bytes, last: SeenDescription | None
) -> dict[str, dict[str, object]]:
    """What the check says for each installed version, by name."""
    new = read_description(text)
    old: Description | None = None
    if last is not None:
        try:
            old = read_description(zlib.decompress(last.text))
        except Invalid:
            old = None  # the last text was none; the new one is asked alone
    found: dict[str, dict[str, object]] = {}
    for name, version in sorted(runtime.installed.items()):
        if version.provider == provider:
            result = check(
                usage_of(version, runtime.sources_of(version)), new, old, reader_through(version)
            )
            found[name] = {"compatible": result.compatible, "findings": result.findings}
    return found


def _event(
    runtime: Runtime,
    seen: SeenDescription,
    verdicts: dict[str, dict[str, object]],
    *,
    first: bool,
) -> tuple[OutEvent, ...]:
    """The event about a new text; the first text of all is no news to anybody."""
    broken = sorted(name for name, said in verdicts.items() if not said["compatible"])
    if first and not broken:
        return ()
    data = {
        "object": "contract",
        "provider": seen.provider,
        "digest": seen.digest,
        "broken": broken,
        "verdicts": {name: {**said, "findings": _shown(said)} for name, said in verdicts.items()},
    }
    event = OutEvent(
        id=runtime.new_id("evt"),
        account=runtime.settings.watch_account,
        payment_id="",
        type="contract.broken" if broken else "contract.kept",
        created_ms=seen.seen_ms,
        data=msgspec.json.encode(data),
    )
    return (event,)


def _shown(said: dict[str, object]) -> list[object]:
    findings = said.get("findings")
    return list(findings)[:SHOWN] if isinstance(findings, list) else []


def _still(
    runtime: Runtime, last: SeenDescription, fetched: Fetched, notes: bytes | None
) -> SeenDescription:
    return msgspec.structs.replace(
        last,
        checked_ms=runtime.store.now_ms(),
        etag=fetched.etag or last.etag,
        notes=notes or last.notes,
    )


def _compatible(seen: SeenDescription) -> dict[str, bool]:
    said = msgspec.json.decode(seen.verdicts, type=dict[str, dict[str, msgspec.Raw]])
    return {
        name: msgspec.json.decode(parts["compatible"], type=bool) for name, parts in said.items()
    }


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
