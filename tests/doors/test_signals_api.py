"""Alerts, verdicts and changes over HTTP and on the command line: real sockets and a real file."""

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doors.stage import PAYMENT, VAULT_KEY, Stage, stage

from tollkeeper.app import open_store, read_settings
from tollkeeper.cli.main import MISUSE, main
from tollkeeper.signals.alerts import Alert, Said
from tollkeeper.signals.counts import Batch, Cell, Counted, Tally
from tollkeeper.signals.samples import Sample
from tollkeeper.signals.verdict import Because, RunnerUp, Verdict
from tollkeeper.simulator.core.faults import FaultRule

AT_MS = 1_795_000_000_000


def alert(**more: object) -> Alert:
    verdict = Verdict(
        domain="provider_changed", likeliest="provider_changed", confidence=0.9, since_ms=AT_MS,
        earliest_ms=AT_MS, latest_ms=AT_MS, slice={"provider": "stripe", "operation": "authorize"},
        provider="stripe", integration="", operation="authorize", pointer="/status", bad=9, of=35,
        evidence_for=(
            Because(name="unreadable", state="yes", sentence="9 of 9 departed at /status.", seen=9,
                    of=9, nats=4.0),
        ),
        evidence_against=(), runner_up=RunnerUp("provider_down", 0.05),
        would_change='If "unreadable" became "no", provider down would gain most.', wants=(),
        vetoes=frozenset(), fingerprint="x",
    )  # fmt: skip
    said = Said(at_ms=AT_MS, verdict=verdict, text="It changed.")
    fields = {
        "id": "alr_01k00000000000000000000000", "fingerprint": "stripe", "status": "open",
        "opened_ms": AT_MS, "seen_ms": AT_MS, "said": (said,), "now": said,
    }  # fmt: skip
    return Alert(**fields | more)  # type: ignore[arg-type]


async def seen_by(it: Stage, seconds: float) -> list[dict[str, object]]:
    """The alerts once there is one, within so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            found = (await it.get("/v1/alerts", role="platform")).body["data"]
            if found:
                return list(found)
            await it.post("/v1/payments", PAYMENT | {"customer": f"c{id(found)}"})
            await asyncio.sleep(0.2)


async def test_a_broken_provider_is_an_alert_with_its_pointer(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/v1/alerts", role="platform")).body["data"] == []
        rule = FaultRule(
            effect="rename_field", object="payment_intent", operation="payment_intents.*",
            path="status", to="state",
        )  # fmt: skip
        it.simulator.core.faults.add(rule)
        (shown,) = await seen_by(it, 60)
        one = (await it.get(f"/v1/alerts/{shown['id']}", role="platform")).body
        assert (one["about"], one["status"], one["domain"]) == (
            "stripe",
            "open",
            "provider_changed",
        )
        assert one["pointer"] == "/status"
        assert one["verdict"]["evidence_for"]
        silenced = await it.post(
            f"/v1/alerts/{shown['id']}/silence", {"seconds": 60, "reason": "known"},
            role="platform", key=None,
        )  # fmt: skip
        assert (silenced.status, silenced.body["silenced_until"] is None) == (200, False)
        judged = await it.post(
            f"/v1/alerts/{shown['id']}/judge", {"judgment": "wrong", "reason": "it was us"},
            role="platform", key=None,
        )  # fmt: skip
        assert judged.body["judged"] == "wrong: it was us"
        (drift, *_) = (await it.get("/v1/drift", role="platform")).body["data"]
        assert (drift["kind"], drift["pointer"], drift["count"] > 0) == ("reply", "/status", True)
        assert '"state":"(text)"' in drift["samples"][0]
        page = (await it.get("/metrics", role=None)).raw.decode()
        assert 'tollkeeper_alerts_open{about="stripe"} 1.0' in page


async def test_a_change_is_announced_and_listed(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = {"kind": "deploy", "text": "release 42", "integration": "stripe@2022-11-15"}
        made = await it.post("/v1/changes", body, role="platform", key=None)
        assert (made.status, made.body["provider"]) == (201, "stripe")
        listed = (await it.get("/v1/changes", role="platform")).body["data"]
        assert "release 42" in [one["text"] for one in listed]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/changes", {"kind": "deplo", "text": "x"}, 422, "/kind"),
        ("/v1/changes", {"kind": "deploy", "text": ""}, 422, "/text"),
        ("/v1/changes", {"kind": "deploy", "text": "x" * 301}, 422, "/text"),
        ("/v1/changes", {"kind": "deploy", "text": "x", "provider": "adyen"}, 422, "/provider"),
        ("/v1/changes", {"kind": "deploy", "text": "4242424242424242"}, 422, "card"),
        ("/v1/changes", {"kind": "deploy", "text": "x", "more": 1}, 422, "more"),
        ("/v1/alerts/alr_1/silence", {"seconds": 0, "reason": "x"}, 422, "seconds"),
        ("/v1/alerts/alr_1/silence", {"seconds": 5, "reason": "x"}, 404, "no such alert"),
        ("/v1/alerts/alr_1/judge", {"judgment": "maybe", "reason": "x"}, 422, "judgment"),
        ("/v1/alerts/alr_1/judge", {"judgment": "right", "reason": "x"}, 404, "no such alert"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_is_wrong(
    tmp_path: Path, path: str, body: dict[str, object], status: int, said: str
) -> None:
    async with stage(tmp_path) as it:
        reply = await it.post(path, body, role="platform", key=None)
        assert reply.status == status, reply.body
        assert said in str(reply.body)
        assert "4242424242424242" not in str(reply.body)


@pytest.mark.parametrize("role", ["viewer", "service", "operator", "admin"])
async def test_it_is_an_act_of_the_platform(tmp_path: Path, role: str) -> None:
    async with stage(tmp_path) as it:
        for path in ("/v1/alerts", "/v1/changes", "/v1/drift"):
            assert (await it.get(path, role=role)).status == 403
        body = {"kind": "deploy", "text": "x"}
        assert (await it.post("/v1/changes", body, role=role, key=None)).status == 403
        wrong = await it.get("/v1/alerts?cursor=nonsense", role="platform")
        assert wrong.status == 422


# the command line


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A service's settings, with an empty database."""
    config = tmp_path / "shop.toml"
    config.write_text(
        f'database = "{tmp_path}/shop.sqlite3"\nvault_key = "{VAULT_KEY}"\n'
        '[providers.stripe]\nsecret_key = "sk_test_doors"\n'
    )
    assert main(["db", "migrate", "--config", str(config)]) == 0
    return config


def run(config: Path, *words: str) -> int:
    return main([*words, "--config", str(config)])


def keep(config: Path, made: Alert) -> None:
    async def write() -> None:
        store = await open_store(read_settings(config))
        await store.save_alert(made)
        await store.close()

    asyncio.run(write())


def test_drift_shows_the_outline_of_a_reply(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "signals", "drift") == 0
    assert "no reply and no webhook departs" in capsys.readouterr().out
    broken = Cell(
        kind="attempt", integration="stripe@2022-11-15", operation="authorize", result="failed",
        unreadable=True, pointer="/status", status=200,
    )  # fmt: skip
    skew = replace(broken, result="ok", unreadable=False, pointer="", version="2022-08-01")
    key = "stripe@2022-11-15|authorize|/status||200"

    async def write() -> None:
        store = await open_store(read_settings(shop))
        second = store.now_ms() // 1000 - 5
        lines = [Counted(second, one, Tally(n=2)) for one in (broken, skew)]
        await store.save_batch(Batch(second=second, replica="a", counted=lines))
        await store.save_samples([Sample(key=key, number=0, at_ms=0, outline='{"state":"(text)"}')])
        await store.close()

    asyncio.run(write())
    assert run(shop, "signals", "drift") == 1
    said = capsys.readouterr().out
    assert '{"state":"(text)"}' in said
    assert run(shop, "signals", "drift", "--json") == 1
    shown = {one["kind"]: one for one in json.loads(capsys.readouterr().out)}
    assert shown["reply"]["samples"] == ['{"state":"(text)"}']
    assert shown["skew"]["version"] == "2022-08-01"


def test_status_says_what_is_wrong_and_exits_with_one(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "status") == 0
    assert "no alert is open" in capsys.readouterr().out
    keep(shop, alert())
    assert run(shop, "status") == 1
    said = capsys.readouterr().out
    assert "Stripe changed its API at /status (operation authorize)" in said
    assert "9 of 35 failed" in said
    assert "sure:  90%" in said
    assert run(shop, "status", "--json") == 1
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["verdict"]["pointer"] == "/status"


def test_why_shows_the_evidence_of_an_alert_or_a_provider(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "why") == 1
    assert "there was no alert" in capsys.readouterr().out
    keep(shop, alert(status="resolved", resolved_ms=AT_MS + 1))
    for words in (["why"], ["why", "stripe"], ["why", alert().id], ["alerts", "show", alert().id]):
        assert run(shop, *words) == 0
        said = capsys.readouterr().out
        assert "+4.0  9 of 9 departed at /status." in said
        assert "It changed." in said
    assert run(shop, "why", "adyen") == 1
    assert run(shop, "why", "alr_none") == MISUSE
    capsys.readouterr()
    assert run(shop, "alerts", "list") == 0
    assert alert().id in capsys.readouterr().out


def test_why_at_a_moment_looks_again(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "why", "--at", "2026-11-26T10:02:00Z") == 1
    assert "0 alarms" in capsys.readouterr().out
    assert run(shop, "why", "--at", "noon") == MISUSE
    assert "a moment like 2026-11-26T10:02:00Z" in capsys.readouterr().err


def test_alerts_and_changes_by_hand(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(shop, alert())
    name = alert().id
    assert run(shop, "alerts", "silence", name, "--minutes", "5", "--reason", "known") == 0
    assert run(shop, "alerts", "judge", name, "right", "--reason", "it was") == 0
    assert run(shop, "alerts", "judge", name, "perhaps", "--reason", "it was") == MISUSE
    assert run(shop, "changes", "announce", "deploy", "release 42", "--host", "web-1") == 0
    assert run(shop, "changes", "announce", "deploi", "release 42") == MISUSE
    assert "one of deploy" in capsys.readouterr().err
    assert run(shop, "changes", "list") == 0
    said = capsys.readouterr().out
    assert "release 42" in said
    assert "web-1" in said
