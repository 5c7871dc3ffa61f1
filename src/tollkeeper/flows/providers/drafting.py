"""Drafting: the job that each verdict on a provider makes; the notice and its pack lie ready then.

Law: until it is approved a draft is drawn again with each verdict and each act of the service, so
that what a person approves is what is known then.
"""

import hashlib
import io
import zipfile
from typing import Final

import msgspec

from tollkeeper.flows.ports import IncidentWrite, Job, NoticeWrite
from tollkeeper.flows.providers.entering import DESK, lines, tell
from tollkeeper.flows.providers.gathering import gathered
from tollkeeper.flows.reaching import book_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident, Writing
from tollkeeper.providers.card import Card
from tollkeeper.providers.drafts import (
    Draft,
    about_of,
    calls_provider,
    drafted,
    provider_of,
    redrafted,
    unwanted,
    wants_notice,
    withdrawn,
)
from tollkeeper.providers.evidence import Gathered, evidence_of
from tollkeeper.providers.notice import Notice
from tollkeeper.providers.pack import MANIFEST, files_of, known_words, manifest_of
from tollkeeper.providers.searching import leaks_in
from tollkeeper.providers.wording import subject_of, text_of

AGAIN_MS: Final = 100
FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The moment of every file in a pack, so that the same evidence is the same pack."""


async def draft(runtime: Runtime, job: Job) -> None:
    """Runs one `draft_notice` job: drafts the notice of an incident, or takes a draft back."""
    await _desk(runtime, job, called=False)


async def call(runtime: Runtime, job: Job) -> None:
    """Runs one `call_provider` job: a level of the escalation asks for the provider."""
    await _desk(runtime, job, called=True)


async def _desk(runtime: Runtime, job: Job, *, called: bool) -> None:
    store = runtime.store
    incident = await store.load_incident(job.subject)
    if incident is None:
        await store.finish_job(job)
        return
    known = await store.notices_of(incident.id)
    provider = provider_of(incident, runtime.settings.providers)
    card = (await book_now(runtime)).providers.get(provider)
    over = unwanted(incident, known)
    if over is not None:
        after = withdrawn(over, store.now_ms())
        await _save(runtime, job, incident, after, ("the incident is over: not needed",), None)
    elif card is None:
        await _without_card(runtime, job, incident, provider)
    elif wants_notice(incident, known, called=called):
        await _draft(runtime, job, incident, provider, card)
    elif called:
        texts = calls_provider(incident, known, card)
        await _enter(runtime, job, incident, texts)
    else:
        await store.finish_job(job)


async def _without_card(runtime: Runtime, job: Job, incident: Incident, provider: str) -> None:
    """Says once that no card is there."""
    text = f"no contact card for {provider or 'the provider'}: `tollkeeper providers apply`"
    entries = await runtime.store.list_entries(incident.id)
    said = any(entry.text == text for entry in entries)
    await _enter(runtime, job, incident, [] if said or not incident.is_open else [text])


async def _enter(runtime: Runtime, job: Job, incident: Incident, texts: list[str]) -> None:
    store = runtime.store
    writing = Writing(incident, store.now_ms())
    for text in texts:
        writing.write("notice", DESK, text)
    write = IncidentWrite(incident=writing.after, entries=tuple(writing.written))
    if not texts or await store.save_incident(write):
        await store.finish_job(job)
    else:
        await store.postpone_job(job, store.now_ms() + AGAIN_MS)


async def _draft(runtime: Runtime, job: Job, incident: Incident, provider: str, card: Card) -> None:
    store = runtime.store
    known = [one for one in await store.notices_of(incident.id) if one.is_draft]
    found, private = await gathered(runtime, incident, provider)
    new_id = known[-1].id if known else runtime.new_id("ntc")
    now_ms = store.now_ms()
    evidence = evidence_of(incident, card, found, notice=new_id, provider=provider, now_ms=now_ms)
    files = files_of(evidence)
    leaks = leaks_in(files | {"subject": subject_of(evidence).encode()}, private, known_words())
    pack = zipped(files)
    made = Draft(
        notice=new_id,
        incident=incident,
        provider=provider,
        title=card.title,
        about=about_of(incident),
        subject=subject_of(evidence),
        text=text_of(evidence),
        pack_sha256=hashlib.sha256(pack).hexdigest(),
        pack_bytes=len(pack),
        leaks=leaks,
        automatic=evidence.priority in card.agreement.automatic and not incident.drill,
        ready_ms=store.now_ms(),
    )
    notice, texts = redrafted(known[-1], made) if known else drafted(made, card)
    await _save(runtime, job, incident, notice, texts, b"" if leaks else pack)


async def _save(
    runtime: Runtime,
    job: Job,
    incident: Incident,
    notice: Notice,
    texts: tuple[str, ...],
    pack: bytes | None,
) -> None:
    now_ms = runtime.store.now_ms()
    entered = lines(incident, texts, notice, now_ms)
    write = NoticeWrite(notice=notice, at_ms=now_ms, pack=pack, incident=entered, job=job)
    if await runtime.store.save_notice(write):
        tell(runtime, notice, entered)
    else:
        await runtime.store.postpone_job(job, now_ms + AGAIN_MS)


def zipped(files: dict[str, bytes]) -> bytes:
    """The pack as one file: stored and not compressed, so that what was searched is what leaves."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as pack:
        for name, body in {**files, MANIFEST: manifest_of(files)}.items():
            pack.writestr(zipfile.ZipInfo(name, FIRST_DAY), body)
    return out.getvalue()


def rehearsed(incident: Incident, card: Card, provider: str, notice: str, now_ms: int) -> bytes:
    """A pack without evidence, as a rehearsal makes it."""
    evidence = evidence_of(
        incident, card, Gathered(), notice=notice, provider=provider, now_ms=now_ms
    )
    return zipped(files_of(msgspec.structs.replace(evidence, drill=True)))
