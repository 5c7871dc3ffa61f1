"""The status page: files that are read when all else is down, and say no more than is known."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.test_incidents import PLAN, alert_event, on_call, only, told

from tollkeeper.app.folders import folder_of
from tollkeeper.cli.main import main
from tollkeeper.flows.incidents import commands, planning, publishing
from tollkeeper.incidents.incident import Impact
from tollkeeper.incidents.statusfiles import files_of
from tollkeeper.incidents.statuspage import CAUSES, COMPONENTS, WORDS, page_of
from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals.weights import DOMAINS

HURT = Impact(minutes=1, failed=9, of=10, users=9)


def test_every_verdict_has_words_for_customers_and_names_no_provider() -> None:
    assert set(CAUSES) == set(DOMAINS) - {"none", "undetermined"}
    assert not any("stripe" in text.lower() for text in CAUSES.values())


async def test_the_page_follows_an_incident_and_is_whole_at_any_time(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    async with on_call(tmp_path, rescue_seconds=0) as (s, _):
        settings = replace(s.runtime.settings, status_page_folder=str(folder))
        alter(s.runtime, settings=settings, publish=folder_of(str(folder)))
        await publishing.plan(s.runtime)
        await s.work(1)
        assert json.loads((folder / "api/v2/status.json").read_text())["status"] == {
            "indicator": "none", "description": "All systems work",
        }  # fmt: skip
        for _ in range(3):
            s.fault("drop", when="after", operation="payment_intents.create", count=1)
            await s.create()
        alert, events = alert_event(
            s.runtime, domain="provider_changed", says="<b>Stripe</b> broke"
        )
        await s.store.save_alert(alert, events)
        await s.work(31)
        summary = json.loads((folder / "api/v2/summary.json").read_text())
        assert summary["status"]["indicator"] == "critical"
        (incident,) = summary["incidents"]
        assert incident["status"] == "identified"
        assert [u["status"] for u in incident["incident_updates"]] == [
            "identified",
            "investigating",
        ]
        html = (folder / "index.html").read_text()
        assert "Stripe" not in html  # no provider is named, and none of our words is shown
        assert "A payment provider answers otherwise than before." in html
        ET.fromstring((folder / "feed.atom").read_text())  # noqa: S314 - our own
        await commands.resolve(s.runtime, (await only(s)).id, reason="done", actor="p")
        await s.work(1)
        summary = json.loads((folder / "api/v2/summary.json").read_text())
        assert (summary["status"]["indicator"], summary["incidents"]) == ("none", [])
        assert not list(folder.rglob(".*"))


async def test_subscribers_are_told_each_update_once(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    async with on_call(tmp_path, rescue_seconds=0) as (s, notify):
        settings = replace(s.runtime.settings, status_page_folder=str(folder))
        alter(s.runtime, settings=settings, publish=folder_of(str(folder)))
        plan = msgspec.structs.replace(PLAN, status_subscribers=("team",))
        await planning.apply(s.runtime, plan, actor="test")
        await publishing.plan(s.runtime)
        s.fault("drop", when="after", operation="payment_intents.create", count=1)
        await s.create()
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(100)
        await commands.resolve(s.runtime, (await only(s)).id, reason="done", actor="p")
        await s.work(100)
        said = [subject.rpartition("(")[2] for subject in told(notify, "status")]
        assert said == ["identified)", "resolved)"]


async def test_a_person_s_word_holds_until_its_time(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, _):
        await publishing.override(
            s.runtime, "refunds", "under_maintenance", 60, text="until noon", actor="p"
        )
        page = await publishing.page_now(s.runtime)
        assert page.indicator == "maintenance"
        assert {c.id: c.text for c in page.components if c.text} == {"refunds": "until noon"}
        await s.clock.advance(61)
        assert (await publishing.page_now(s.runtime)).indicator == "none"
        for wrong in (("all", "operational"), ("refunds", "perfect")):
            with pytest.raises(Invalid):
                await publishing.override(s.runtime, *wrong, 60, text="", actor="p")
        with pytest.raises(Invalid, match="status page"):
            await publishing.override(
                s.runtime, "refunds", "operational", 60, text="4242424242424242", actor="p"
            )


async def test_what_hurts_no_payment_and_drills_are_not_shown(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, _):
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(1)
        it = await only(s)
        assert page_of([(it, [])], [], s.clock.now_ms(), "x").incidents == ()
        shown = page_of([(replace(it, impact=HURT), [])], [], s.clock.now_ms(), "x")
        assert len(shown.incidents) == 1
        drill = replace(it, impact=HURT, drill=True)
        assert page_of([(drill, [])], [], s.clock.now_ms(), "x").incidents == ()


async def test_every_value_is_escaped(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, _):
        await publishing.override(
            s.runtime, "refunds", "operational", 60, text="<script>x</script>", actor="p"
        )
        page = await publishing.page_now(s.runtime)
        html = files_of(msgspec.structs.replace(page, title="<i>"), "https://x/?a&b")
        assert b"<script" not in html["index.html"]
        assert b"<i>" not in html["index.html"]
        ET.fromstring(html["feed.atom"].decode())  # noqa: S314 - our own


def test_words_and_components_are_those_of_statuspage() -> None:
    assert set(WORDS) == {
        "operational", "degraded_performance", "partial_outage", "major_outage",
        "under_maintenance",
    }  # fmt: skip
    assert "payments" in COMPONENTS


def test_the_command_line_shows_and_writes_it(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        f'database = "{tmp_path / "x.sqlite3"}"\n'
        'vault_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="\n'
    )
    at = ["--config", str(config)]
    assert main(["db", "migrate", *at]) == 0
    assert main(["status-page", "show", *at]) == 0
    assert main(["status-page", "override", "refunds", "partial_outage", *at]) == 0
    assert main(["status-page", "write", str(tmp_path / "page"), *at]) == 0
    assert "fails in part" in (tmp_path / "page/index.html").read_text()
    assert main(["status-page", "back", "refunds", *at]) == 0
    assert main(["status-page", "override", "refunds", "perfect", *at]) == 2
