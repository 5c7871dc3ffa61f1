"""Entering lines of the desk into an incident's timeline, in the commit that made them true."""

from collections.abc import Iterable

from tollkeeper.flows.ports import IncidentWrite
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import EntryKind, Incident, Writing
from tollkeeper.providers.notice import Notice

DESK = "machine:desk"


def lines(
    incident: Incident | None,
    texts: Iterable[str],
    notice: Notice,
    now_ms: int,
    *,
    kind: EntryKind = "notice",
    source: str = DESK,
) -> IncidentWrite | None:
    """A write that adds lines; nothing where there are none, or where the incident is forgotten."""
    written = [text for text in texts if text]
    if incident is None or not written:
        return None
    writing = Writing(incident, now_ms)
    for text in written:
        facts = {"notice": notice.id, "provider": notice.provider, "level": notice.level}
        writing.write(kind, source, text, facts)
    return IncidentWrite(incident=writing.after, entries=tuple(writing.written))


def tell(runtime: Runtime, notice: Notice, write: IncidentWrite | None) -> None:
    """Lines in the log, one for each entry."""
    for entry in write.entries if write is not None else ():
        runtime.tell(
            "notice_changed",
            notice=notice.id,
            incident=notice.incident,
            provider=notice.provider,
            status=notice.status,
            says=entry.text,
        )
