"""Incidents over HTTP and on the command line: a real service, mail server and chat on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.doors.stage import PAYMENT, VAULT_KEY, Stage, stage
from tests.flows.test_incidents import alert_event

from tollkeeper.cli.main import MISUSE, main
from tollkeeper.flows.incidents import planning
from tollkeeper.proving.inbox import Inbox, serve
from tollkeeper.simulator.core.faults import FaultRule

PLAN = """
[receivers.mail]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "first@demo.invalid"
[receivers.chat]
kind = "slack"
url = "http://127.0.0.1:{chat}/payments"
every_seconds = 0
[people.first]
title = "first engineer"
receivers = ["mail"]
louder = ["chat"]
[people.second]
title = "second engineer"
receivers = ["chat"]
[schedules.duty]
people = ["first"]
start = "2026-01-05T09:00"
time_zone = "Europe/Berlin"
[[policies.all.levels]]
targets = ["schedule:duty"]
wait_seconds = 1
[[policies.all.levels]]
targets = ["person:first", "person:second"]
wait_seconds = 600
"""


@dataclass
class Told:
    """A service on call, and what its people have received."""

    it: Stage
    inbox: Inbox

    async def until(self, wanted: Callable[[list[tuple[str, ...]]], bool]) -> list[Any]:
        async with asyncio.timeout(30):
            while not wanted(list(self.inbox.received)):
                await asyncio.sleep(0.05)
        return list(self.inbox.received)

    async def incident(self) -> Any:
        found = (await self.it.get("/v1/incidents", role="platform")).body["data"]
        reply = await self.it.get(f"/v1/incidents/{found[0]['id']}", role="platform")
        return reply.body

    async def act(self, incident: Any, act: str, body: Any = None) -> Any:
        path = f"/v1/incidents/{incident['id']}/{act}"
        return await self.it.post(path, body, role="platform")

    async def tell(self, **said: Any) -> None:
        """Something that the service tells operators of, as signals would."""
        runtime = self.it.service.runtime
        await runtime.store.save_alert(*alert_event(runtime, **said))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def told(folder: Path, plan: str = PLAN) -> AsyncIterator[Told]:
    ports = {"mail": free_port(), "chat": free_port()}
    inbox = Inbox()
    mail, chat = await serve(inbox, ports["mail"], ports["chat"])
    try:
        async with stage(folder) as it:
            read = planning.read_plan(plan.format(**ports).encode())
            await planning.apply(it.service.runtime, read, actor="test")
            yield Told(it, inbox)
    finally:
        mail.server.close()
        await chat.cleanup()


async def test_a_broken_provider_pages_and_an_answer_stops_all_of_it(tmp_path: Path) -> None:
    async with told(tmp_path) as it:
        it.it.simulator.core.faults.add(
            FaultRule(effect="rename_field", object="payment_intent", path="status", to="state",
                      operation="payment_intents.*")
        )  # fmt: skip
        shop = asyncio.create_task(_shop(it.it))
        received = await it.until(lambda got: {way for way, *_ in got} == {"mail", "chat"})
        shop.cancel()
        mails = [one for one in received if one[0] == "mail"]  # the chat may be quicker
        _, to, subject, identity, text = mails[0]
        assert to == "first@demo.invalid"
        assert subject.startswith("[SEV")
        assert "tollkeeper incidents acknowledge inc_" in text
        incident = await it.incident()
        assert (incident["status"], incident["about"]) == ("triggered", "stripe")
        sent = [one["id"] for one in incident["notifications"] if one["receiver"] == "mail"]
        assert identity == f"<{sent[0]}@tollkeeper.invalid>"
        assert incident["impact"]["failed"] > 0
        kinds = [entry["kind"] for entry in incident["timeline"]]
        assert kinds[:2] == ["opened", "severity"]
        assert kinds.count("paged") >= 2  # the second level, a second later
        answered = await it.act(incident, "acknowledge", {"note": "looking"})
        assert (answered.status, answered.body["status"]) == (200, "acknowledged")
        assert answered.body["next_page"] is None
        counts = await it.it.service.store.count_jobs()
        assert "escalate" not in counts
        metrics = (await it.it.get("/metrics", role=None)).raw.decode()
        assert 'tollkeeper_notification_tries_total{kind="page",status="sent"}' in metrics
        account = it.it.service.settings.watch_account
        events = await it.it.service.store.list_events(account, "evt_~", 900)
        assert {"incident.opened", "incident.escalated", "incident.acknowledged"} <= {
            event.type for event in events
        }


async def _shop(it: Stage) -> None:
    number = 0
    while True:
        number += 1
        await it.post("/v1/payments", PAYMENT | {"customer": f"c{number}"})
        await asyncio.sleep(0.1)


async def test_what_a_person_does_is_a_line_and_other_accounts_see_nothing(tmp_path: Path) -> None:
    async with told(tmp_path) as it:
        opened = await it.it.post(
            "/v1/incidents", {"title": "shoppers complain", "about": "stripe"}, role="platform"
        )
        assert (opened.status, opened.body["status"]) == (201, "triggered")
        one = opened.body
        for act, body in (
            ("notes", {"text": "the bank says no"}),
            ("notes", {"text": "it was the card network", "corrects": 1}),
            ("severity", {"severity": "sev1", "reason": "a partner is down"}),
            ("roles", {"role": "scribe", "person": "second"}),
            ("classify", {"reason": "a tenth of all clients"}),
        ):
            reply = await it.act(one, act, body)
            assert reply.status == 200, reply.body
        shown = await it.incident()
        assert shown["severity"] == "sev1"
        assert shown["roles"]["scribe"] == "second"
        assert [due["report"] for due in shown["deadlines"]] == ["initial", "intermediate", "final"]
        assert [e["corrects"] for e in shown["timeline"] if e["kind"] == "correction"] == [1]
        part = await it.act(one, "split", {"title": "refunds as well"})
        assert part.status == 201
        merged = await it.act(part.body, "merge", {"into": one["id"], "reason": "the same cause"})
        assert (merged.status, merged.body["id"]) == (200, one["id"])
        over = await it.act(one, "resolve", {"reason": "the network is back"})
        assert (over.body["status"], over.body["resolution"]) == ("resolved", "the network is back")
        assert (await it.act(one, "acknowledge")).status == 409
        again = await it.act(one, "reopen", {"reason": "it fails again"})
        assert (again.body["status"], again.body["step"]) == ("triggered", 0)
        for role in ("admin", "operator", "service", "viewer"):
            for path in ("/v1/incidents", f"/v1/incidents/{one['id']}", "/v1/on_call"):
                assert (await it.it.get(path, role=role)).status == 403, (role, path)


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [
        ("notes", {"text": ""}, 422),
        ("notes", {"text": "4242 4242 4242 4242"}, 422),
        ("notes", {"text": "x", "corrects": 99}, 422),
        ("severity", {"severity": "sev0", "reason": "x"}, 422),
        ("resolve", {}, 422),
        ("resolve", {"reason": "x", "more": 1}, 422),
        ("merge", {"into": "inc_00000000000000000000000000", "reason": "x"}, 404),
        ("roles", {"role": "king", "person": "x"}, 422),
    ],
)
async def test_bad_input_is_said_and_changes_nothing(
    tmp_path: Path, act: str, body: Any, status: int
) -> None:
    async with told(tmp_path) as it:
        opened = await it.it.post("/v1/incidents", {"title": "x"}, role="platform")
        before = (await it.incident())["timeline"]
        assert (await it.act(opened.body, act, body)).status == status
        after = (await it.incident())["timeline"]
        people = [entry for entry in after if not entry["source"].startswith("machine:")]
        assert people == [e for e in before if not e["source"].startswith("machine:")]


async def test_a_cover_takes_the_pages_and_can_be_taken_back(tmp_path: Path) -> None:
    async with told(tmp_path) as it:
        who = (await it.it.get("/v1/on_call", role="platform")).body
        assert [(one["schedule"], one["person"]) for one in who["on_call"]] == [("duty", "first")]
        body = {"schedule": "duty", "person": "second", "since": "2026-01-01T00:00:00Z",
                "until": "2099-01-01T00:00:00Z"}  # fmt: skip
        assert (await it.it.post("/v1/covers", body, role="platform")).status == 422
        assert await it.it.service.runtime.store.list_covers(0) == []
        at = datetime.fromtimestamp(it.it.service.runtime.store.now_ms() / 1000, UTC)
        body |= {"since": at.isoformat(), "until": (at + timedelta(hours=8)).isoformat()}
        taken = await it.it.post("/v1/covers", body, role="platform")
        assert taken.status == 201
        who = (await it.it.get("/v1/on_call", role="platform")).body
        assert who["on_call"][0]["person"] == "second"
        gone = await it.it.send("DELETE", f"/v1/covers/{taken.body['id']}", role="platform")
        assert gone.status == 200
        assert (await it.it.get("/v1/on_call", role="platform")).body["covers"] == []


# the command line


def config(folder: Path) -> Path:
    path = folder / "tollkeeper.toml"
    path.write_text(f'database = "{folder / "cli.sqlite3"}"\nvault_key = "{VAULT_KEY}"\n')
    return path


def test_the_story_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    at = ["--config", str(config(tmp_path))]
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(mail=1, chat=2))
    assert main(["db", "migrate", *at]) == 0
    assert main(["incidents", "show", *at]) == 1
    assert main(["oncall", "who", *at]) == 1
    assert main(["oncall", "apply", str(plan), *at]) == 0
    assert main(["oncall", "who", *at]) == 0
    assert "first (first engineer)" in capsys.readouterr().out
    assert main(["incidents", "open", "[/x] shoppers complain", *at]) == 0
    made = capsys.readouterr().out.split()[0]
    assert main(["incidents", "acknowledge", made, "--note", "on it", *at]) == 0
    assert main(["incidents", "resolve", made, "--reason", "done", *at]) == 0
    capsys.readouterr()
    assert main(["incidents", "show", *at]) == 0
    shown = capsys.readouterr().out
    assert "[/x] shoppers complain" in shown
    assert "over since" in shown
    assert main(["incidents", "list", "--json", *at]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)[0]["status"] == "resolved"
    assert main(["oncall", "show", "--json", *at]) == 0
    assert "smtp://" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "UTF-8"),
        (b"people = 1", "people"),
        (b"[people.x]\ntitle = 1", "title"),
        (b"[[", "TOML"),
        (b"[people.x]\ntitle = 'x'\nreceivers = ['none']", "no receiver"),
        (b"[policies.p]\nlevels = []", "at least one level"),
        (b"unknown = 1", "unknown"),
    ],
)
def test_a_bad_plan_is_refused_with_where(
    tmp_path: Path, capsys: Any, text: bytes, said: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_bytes(text)
    assert main(["oncall", "check", str(plan)]) == MISUSE
    assert said in capsys.readouterr().err
    assert main(["oncall", "check", str(tmp_path / "none.toml")]) == MISUSE
