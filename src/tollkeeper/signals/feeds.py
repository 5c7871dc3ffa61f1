"""Status feeds of providers: what their page says is wrong, or is planned.

Law: a feed is foreign text. Whatever it holds, the answer is a list of entries, cut to our sizes,
or an error; documents with entities of their own are refused. An entry corroborates, never decides.
Read are Statuspage's API v2 (`incidents.json`, `summary.json`, `scheduled-maintenances.json`), Atom
(RFC 4287) and RSS 2.0.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from xml.etree import ElementTree

import msgspec

MANY_ENTRIES: Final = 50
LONGEST: Final = 200
ATOM: Final = "{http://www.w3.org/2005/Atom}"

type FeedKind = Literal["status_feed", "announced"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a feed: an incident, or something announced. `id` is the provider's own."""

    id: str
    at_ms: int
    kind: FeedKind
    text: str


class Unreadable(Exception):
    """A feed that is none; the message says why."""


def entries(body: bytes) -> list[Entry]:
    """The entries of a feed, the newest first. Raises `Unreadable`."""
    start = body.lstrip()[:1]
    found = _of_json(body) if start in {b"{", b"["} else _of_xml(body)
    ordered = sorted(found, key=lambda entry: -entry.at_ms)
    return ordered[:MANY_ENTRIES]


def _of_json(body: bytes) -> list[Entry]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"no JSON: {str(error)[:LONGEST]}") from None
    if not isinstance(document, dict):
        raise Unreadable("no document of Statuspage")
    lists: dict[str, FeedKind] = {"incidents": "status_feed", "scheduled_maintenances": "announced"}
    if not any(isinstance(document.get(name), list) for name in lists):
        raise Unreadable("no list of incidents or scheduled maintenances")
    return [
        entry
        for name, kind in lists.items()
        for row in _rows(document.get(name))
        if (entry := _incident(row, kind)) is not None
    ]


def _rows(value: Any) -> Iterator[dict[str, Any]]:
    for row in value if isinstance(value, list) else []:
        if isinstance(row, dict):
            yield row


def _incident(row: dict[str, Any], kind: FeedKind) -> Entry | None:
    at_ms = _moment(row.get("started_at") or row.get("created_at") or row.get("scheduled_for"))
    name, identity = _text(row.get("name")), _text(row.get("id"))
    if at_ms is None or not identity:
        return None
    impact, status = _text(row.get("impact")), _text(row.get("status"))
    shown = ", ".join(part for part in (impact, status) if part)
    text = f"{name or 'an incident'} ({shown})" if shown else name or "an incident"
    return Entry(id=identity, at_ms=at_ms, kind=kind, text=text[:LONGEST])


def _of_xml(body: bytes) -> list[Entry]:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unreadable("a feed with entities of its own")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise Unreadable(f"no XML: {str(error)[:LONGEST]}") from None
    if root.tag == f"{ATOM}feed":
        found = [_of_atom(entry) for entry in root.iter(f"{ATOM}entry")]
    elif root.tag == "rss":
        found = [_of_rss(item) for item in root.iter("item")]
    else:
        raise Unreadable(f"neither Atom nor RSS: {root.tag[:LONGEST]}")
    return [entry for entry in found if entry is not None]


def _of_atom(entry: ElementTree.Element) -> Entry | None:
    at_ms = _moment(entry.findtext(f"{ATOM}published") or entry.findtext(f"{ATOM}updated"))
    return _entry(entry.findtext(f"{ATOM}id"), at_ms, entry.findtext(f"{ATOM}title"))


def _of_rss(item: ElementTree.Element) -> Entry | None:
    date = item.findtext("pubDate")
    at_ms = None
    if date is not None:
        try:
            at_ms = int(parsedate_to_datetime(date.strip()).timestamp() * 1000)
        except (ValueError, OverflowError, OSError):
            return None
    return _entry(item.findtext("guid") or item.findtext("link"), at_ms, item.findtext("title"))


def _entry(identity: str | None, at_ms: int | None, title: str | None) -> Entry | None:
    named = _text(identity)
    if at_ms is None or not named:
        return None
    return Entry(id=named, at_ms=at_ms, kind="status_feed", text=_text(title) or "an incident")


def _moment(value: Any) -> int | None:
    """A moment in RFC 3339, in Unix milliseconds."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str:
    """Foreign text on one line, without what cannot be shown or stored."""
    if not isinstance(value, str):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in value[: LONGEST * 2])
    return " ".join(shown.split())[:LONGEST]
