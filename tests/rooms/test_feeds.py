"""Status feeds: three kinds are read, and whatever else comes is an error or nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.signals.feeds import LONGEST, MANY_ENTRIES, Entry, Unreadable, entries

STATUSPAGE = msgspec.json.encode(
    {
        "page": {"id": "p1", "name": "Provider"},
        "incidents": [
            {"id": "i1", "name": "Errors on cards", "status": "investigating", "impact": "major",
             "created_at": "2026-11-26T10:00:00.000Z"},
            {"id": "i2", "name": "Old", "created_at": "2026-11-25T10:00:00Z"},
        ],
        "scheduled_maintenances": [
            {"id": "m1", "name": "Database work", "scheduled_for": "2026-11-28T02:00:00+01:00"},
        ],
    }
)  # fmt: skip
ATOM = b"""<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Status</title>
<entry><id>tag:x,2026:1</id><published>2026-11-26T10:00:00Z</published><title>Down &amp; out</title>
</entry><entry><id>no moment</id></entry></feed>"""
RSS = b"""<rss version="2.0"><channel><item><guid>g1</guid><title>Slow</title>
<pubDate>Thu, 26 Nov 2026 10:00:00 GMT</pubDate></item><item><title>no guid</title></item>
</channel></rss>"""
AT_MS = 1_795_687_200_000


def test_statuspage_gives_incidents_and_what_is_planned() -> None:
    assert entries(STATUSPAGE) == [
        Entry(id="m1", at_ms=AT_MS + 140_400_000,
              kind="announced", text="Database work"),
        Entry(id="i1", at_ms=AT_MS, kind="status_feed",
              text="Errors on cards (major, investigating)"),
        Entry(id="i2", at_ms=AT_MS - 86_400_000, kind="status_feed", text="Old"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "identity", "text"), [(ATOM, "tag:x,2026:1", "Down & out"), (RSS, "g1", "Slow")]
)
def test_atom_and_rss_give_their_entries(body: bytes, identity: str, text: str) -> None:
    assert entries(body) == [Entry(id=identity, at_ms=AT_MS, kind="status_feed", text=text)]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"incidents": 3}', b"<html></html>", b"not a feed", b"\xff\xfe",
        b'<!DOCTYPE x [<!ENTITY a "b">]><rss/>', b"{" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_feed_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        entries(body)


def test_a_long_feed_is_cut_to_its_newest() -> None:
    many = [
        {"id": f"i{n}", "name": "x" * 1_000, "created_at": f"2026-11-{n % 28 + 1:02}T00:00:00Z"}
        for n in range(500)
    ]
    found = entries(msgspec.json.encode({"incidents": many}))
    assert len(found) == MANY_ENTRIES
    assert all(len(entry.text) == LONGEST for entry in found)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=30),
        st.sampled_from(["2026-11-26T10:00:00Z", "9999-12-31T23:59:59+00:00", "0001-01-01"]),
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "name", "created_at", "impact", "status"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["incidents", "scheduled_maintenances", "x"]), VALUES))
def test_any_document_of_its_shape_is_entries_or_refused(document: dict[str, Any]) -> None:
    checked(msgspec.json.encode(document))


@given(st.binary(max_size=300))
def test_any_bytes_are_entries_or_refused(body: bytes) -> None:
    checked(body)


@given(st.integers(0, len(ATOM)), st.binary(max_size=8), st.sampled_from([ATOM, RSS, STATUSPAGE]))
def test_a_damaged_feed_is_entries_or_refused(at: int, more: bytes, body: bytes) -> None:
    checked(body[:at] + more + body[at:])


def checked(body: bytes) -> None:
    try:
        found = entries(body)
    except Unreadable:
        return
    for entry in found:
        assert entry.text.isprintable()
        assert len(entry.text) <= LONGEST
