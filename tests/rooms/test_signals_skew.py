"""Skew of versions as signals see it: rendered at one API version, read by another."""

from msgspec.structs import replace
from tests.rooms.counted import Instead, bad, cell, line, window

from tollkeeper.flows.live.counting import coarser
from tollkeeper.signals.cells import other_version, webhook_in_cell
from tollkeeper.signals.counts import Cell, Window
from tollkeeper.signals.departures import departures
from tollkeeper.signals.saying import next_of, sentence_of
from tollkeeper.signals.verdict import Verdict, attribute

NAME = "stripe@2022-11-15"


def hook(fate: str, version: str) -> Cell:
    return webhook_in_cell("stripe", NAME, fate, host="h1", version=version)


def verdict(seen: Window) -> Verdict:
    return attribute(seen).verdicts[0]


def test_only_another_version_than_the_one_that_reads_is_counted() -> None:
    assert other_version(NAME, "2022-11-15") == ""
    assert other_version(NAME + "+2", "2022-11-15") == ""
    assert other_version(NAME, "") == ""
    assert other_version(NAME, "2022-08-01") == "2022-08-01"
    assert coarser(hook("queued", "2022-08-01")).version == ""


def test_webhooks_of_another_version_are_a_finding_though_nothing_fails() -> None:
    lines = [line(60, hook("queued", "2022-11-15"), 6), line(60, hook("queued", "2022-08-01"), 2)]
    (found,) = departures([(60, lines), (120, [line(120, hook("applied", "2022-08-01"), 2)])])
    assert (found.kind, found.version, found.operation) == ("skew", "2022-08-01", "webhook")
    assert (found.integration, found.count, found.of) == (NAME, 4, 10)
    assert (found.first_ms, found.last_ms) == (60_000, 120_000)


def test_replies_of_another_version_are_a_finding_beside_what_they_broke() -> None:
    broken = bad(integration=NAME, version="2026-03-25", unreadable=True, pointer="/charges")
    found = departures([(0, [line(0, broken, 3), line(0, cell(integration=NAME), 1)])])
    assert {(one.kind, one.pointer, one.version) for one in found} == {
        ("reply", "/charges", ""), ("skew", "", "2026-03-25"),
    }  # fmt: skip
    assert all((one.count, one.of) == (3, 4) for one in found)


def test_webhooks_that_cannot_be_read_because_of_their_version_are_our_configuration() -> None:
    found = verdict(window(lambda second: [(hook("unread", "2022-08-01"), 2)], since=20))
    assert found.domain == "our_configuration"
    assert "at another API version" in sentence_of(found)
    assert "create the endpoint" in next_of(found)
    (because,) = (one for one in found.evidence_for if one.name == "webhooks_of_other_version")
    assert "rendered at 2022-08-01, and read as 2022-11-15" in because.sentence


def test_webhooks_that_cannot_be_read_at_their_own_version_are_a_change_of_the_provider() -> None:
    found = verdict(window(lambda second: [(hook("unread", "2022-11-15"), 2)], since=20))
    assert found.domain == "provider_changed"


def test_replies_of_another_version_than_we_asked_for_are_a_change_of_the_provider() -> None:
    moved = Instead(
        lambda one: replace(
            one, result="failed", shows_id=False, stage="decode", error="decode", unreadable=True,
            pointer="/charges", version="2026-03-25",
        ),
        lambda one: one.kind == "attempt" and one.provider == "stripe",
    )  # fmt: skip
    found = verdict(window(moved, since=20))
    assert found.domain == "provider_changed"
    assert any(one.name == "replies_of_other_version" for one in found.evidence_for)
