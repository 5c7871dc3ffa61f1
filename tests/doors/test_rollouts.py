"""Rollouts at the doors: over HTTP and on the command line, real sockets and a real file."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from tests.doors.stage import VAULT_KEY, Stage, stage

from tollkeeper.cli import opening
from tollkeeper.cli.main import MISUSE, main

NEW = "stripe@2026-03-25.dahlia"
PLAN = {
    "candidate": NEW, "steps_percent": [50, 100], "pause_at": [50], "dwell_seconds": 0,
    "shadow_payments": 0, "floor_percent": 50, "override": "a test",
}  # fmt: skip


async def begin(it: Stage, **fields: Any) -> Any:
    reply = await it.post("/v1/rollouts", PLAN | fields, role="platform", key=None)
    assert reply.status == 201, reply.body
    assert reply.headers["location"] == f"/v1/rollouts/{reply.body['id']}"
    return reply.body


def counted(one: Any) -> bool:
    failures = one["guardrails"][0]
    return bool(failures["baseline_seen"] + failures["canary_seen"])


async def test_a_rollout_is_begun_read_approved_and_stopped(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = await begin(it)
        path = f"/v1/rollouts/{made['id']}"
        running = await it.until(path, lambda one: one["status"] == "running", role="platform")
        assert running["share_percent"] == 50
        again = await it.post("/v1/rollouts", PLAN, role="platform", key=None)
        assert (again.status, again.body["code"]) == (409, "state_conflict")
        for _ in range(6):
            await it.pay()
        await it.until(path, counted, role="platform")
        reply = await it.post(f"{path}/approve", {"reason": "CAB-1"}, role="platform", key=None)
        assert reply.status == 200, reply.body
        stopped = await it.post("/v1/rollouts/stop", {"reason": "x"}, role="platform", key=None)
        assert [one["status"] for one in stopped.body["data"]] == ["stopped"]
        page = (await it.get(f"{path}/records?limit=2", role="platform")).body
        assert (len(page["data"]), page["has_more"]) == (2, True)
        told = []
        cursor = 0
        while page["has_more"]:
            page = (await it.get(f"{path}/records?cursor={cursor}&limit=100", role="platform")).body
            told += [record["reason"] for record in page["data"]]
            cursor = page["data"][-1]["seq"]
        assert any("CAB-1" in reason for reason in told)
        late = await it.post(f"{path}/abort", {}, role="platform", key=None)
        assert (late.status, late.body["code"]) == (409, "state_conflict")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"candidate": "stripe@1999-01-01"}, "/candidate"),
        ({"steps_percent": [50, 5]}, "/steps_percent"),
        ({"steps_percent": [100]}, "/steps_percent"),
        ({"pause_at": [100]}, "/pause_at"),
        ({"pause_at": [7]}, "/pause_at"),
        ({"alpha": 1e-320}, "/alpha"),
        ({"currency": "usd"}, "/currency"),
        ({"country": "Germany"}, "/country"),
    ],
    ids=str,
)
async def test_a_plan_that_makes_no_sense_names_its_field(
    tmp_path: Path, fields: dict[str, Any], pointer: str
) -> None:
    async with stage(tmp_path) as it:
        reply = await it.post("/v1/rollouts", PLAN | fields, role="platform", key=None)
        assert (reply.status, reply.body["code"]) == (422, "invalid_request")
        assert reply.body["errors"][0]["pointer"] == pointer


async def test_past_the_gate_and_past_the_evidence_there_is_a_reason(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        closed = await it.post("/v1/rollouts", PLAN | {"override": " "}, role="platform", key=None)
        assert closed.body["code"] == "gate_closed"
        made = await begin(it)
        path = f"/v1/rollouts/{made['id']}"
        mute = await it.post(f"{path}/promote", None, role="platform", key=None)
        assert (mute.status, mute.body["errors"][0]["pointer"]) == (422, "/reason")
        said = await it.post(f"{path}/promote", {"reason": "mine"}, role="platform", key=None)
        assert said.body["status"] == "promoted"
        assert (await it.pay())["integration"] == NEW
        for query in ("cursor=x", "cursor=-1", f"cursor={'9' * 40}", "limit=0", "page=2"):
            reply = await it.get(f"{path}/records?{query}", role="platform")
            assert reply.status == 422, query


async def test_a_dry_run_starts_nothing_and_says_how_long_it_would_take(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        reply = await it.post("/v1/rollouts", PLAN | {"dry_run": True}, role="platform", key=None)
        assert (reply.status, reply.body["object"]) == (200, "rollout_rehearsal")
        assert reply.body["refusals"] == []
        left = reply.body["estimate"]
        assert [step["percent"] for step in left["steps"]] == [0, 50]
        assert left["steps"][1]["approval"] is True
        assert left["seconds"] is None
        assert "no payments in the last ten minutes" in left["in_words"]
        closed = await it.post(
            "/v1/rollouts",
            PLAN | {"dry_run": True, "override": "", "steps_percent": [50, 5]},
            role="platform", key=None,
        )  # fmt: skip
        assert len(closed.body["refusals"]) == 2
        assert closed.body["estimate"] is None
        assert (await it.get("/v1/rollouts", role="platform")).body["data"] == []


async def test_a_rollout_is_paused_stepped_and_resumed(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = await begin(it, steps_percent=[20, 50, 100], pause_at=[], dwell_seconds=9_000)
        path = f"/v1/rollouts/{made['id']}"
        await it.until(path, lambda one: one["status"] == "running", role="platform")
        for act in ("pause", "step"):
            mute = await it.post(f"{path}/{act}", None, role="platform", key=None)
            assert (mute.status, mute.body["errors"][0]["pointer"]) == (422, "/reason")
        held = await it.post(f"{path}/pause", {"reason": "a sale"}, role="platform", key=None)
        assert (held.body["paused"], held.body["wrong"]) == ("a sale", "paused: a sale")
        taken = await it.post(f"{path}/step", {"reason": "on"}, role="platform", key=None)
        assert (taken.body["step_percent"], taken.body["share_percent"]) == (50, 50)
        assert taken.body["paused"] == "a sale"
        assert [step["percent"] for step in taken.body["estimate"]["steps"]] == [50]
        last = await it.post(f"{path}/step", {"reason": "on"}, role="platform", key=None)
        assert (last.status, "promote" in last.body["detail"]) == (409, True)
        on = await it.post(f"{path}/resume", {}, role="platform", key=None)
        assert (on.status, on.body["paused"]) == (200, "")
        listed = (await it.get("/v1/rollouts", role="platform")).body["data"]
        assert [one["estimate"] for one in listed] == [None]


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


def test_the_commands_from_start_to_stop(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "rollout", "show") == MISUSE
    assert "no rollout was ever started" in capsys.readouterr().err
    assert run(shop, "rollout", "start", NEW) == MISUSE
    assert "no description of stripe was ever checked" in capsys.readouterr().err
    assert run(shop, "rollout", "start", NEW, "--override", "a test", "--json") == 0
    id_ = json.loads(capsys.readouterr().out)["id"]
    for words in (("list",), ("show",), ("show", id_), ("explain",), ("watch", "--seconds", "0.1")):
        assert run(shop, "rollout", *words) == 0
        assert id_ in capsys.readouterr().out
    assert run(shop, "rollout", "approve") == MISUSE
    assert "nothing to approve" in capsys.readouterr().err
    assert run(shop, "rollout", "stop") == MISUSE
    assert run(shop, "rollout", "stop", "--all", "--reason", "enough") == 0
    assert "1 rollouts stopped" in capsys.readouterr().out
    assert run(shop, "rollout", "show") == 0
    assert "ended: enough" in capsys.readouterr().out
    assert run(shop, "rollout", "abort", id_) == MISUSE


def test_what_a_rollout_would_do_is_told_before_and_what_it_did_after(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "rollout", "start", NEW, "--dry-run") == 1
    told = capsys.readouterr().out
    assert "would not start; nothing was started" in told
    assert "refused: no description of stripe was ever checked" in told
    assert "unknown, no payments in the last ten minutes" in told
    start = ("rollout", "start", NEW, "--override", "a test")
    assert run(shop, *start, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["refusals"] == []
    assert run(shop, "rollout", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(shop, *start) == 0
    assert run(shop, "rollout", "pause") == MISUSE
    assert "--reason" in capsys.readouterr().err
    assert run(shop, "rollout", "pause", "--reason", "a sale") == 0
    assert "paused by an operator: a sale" in capsys.readouterr().out
    assert run(shop, "rollout", "list") == 0
    told = capsys.readouterr().out
    assert "what is wrong" in told
    assert "paused: a sale" in told
    assert run(shop, "rollout", "step", "--reason", "on") == 0
    assert "running. step 1 % by an operator: on" in capsys.readouterr().out
    assert run(shop, "rollout", "show") == 0
    assert "left: promotion after about" in capsys.readouterr().out
    assert run(shop, "rollout", "show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["estimate"]["seconds"] is None
    assert run(shop, "rollout", "resume", "--reason", "over") == 0
    assert run(shop, "rollout", "rollback", "--reason", "refunds fail") == 0
    capsys.readouterr()
    assert run(shop, *start) == 0
    told = capsys.readouterr().out
    assert "before: rollout ro_" in told
    assert "refunds fail" in told


@pytest.mark.parametrize(
    "words",
    [("--limit", "inf"), ("--dwell", "nan"), ("--steps", "5,x"), ("--steps", "5,inf"),
     ("--alpha", "0"), ("--orphaned", "maybe"), ("--currency", "usd")],
    ids=str,
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused_and_leaves_nothing_behind(
    shop: Path, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "rollout", "start", NEW, "--override", "a test", *words) == MISUSE
    assert capsys.readouterr().err.count("\n") <= 2
    assert run(shop, "rollout", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_routes_are_the_settings_until_a_promotion_and_after_a_reset(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "routes", "show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["source"] == "settings"
    assert run(shop, "rollout", "start", NEW, "--override", "a test") == 0
    assert run(shop, "rollout", "promote", "--reason", "mine") == 0
    capsys.readouterr()
    assert run(shop, "routes", "show", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["rules"][0]["weights"][NEW]) == ("stored routes", 100.0)
    assert run(shop, "routes", "show") == 0
    assert NEW in capsys.readouterr().out
    assert run(shop, "integrations", "retire", NEW) == 1
    assert "carries 100 %" in capsys.readouterr().out
    assert run(shop, "integrations", "retire", "stripe@2022-08-01") == 0
    assert "nothing needs it" in capsys.readouterr().out
    assert run(shop, "integrations", "retire", "stripe@1999") == MISUSE
    assert run(shop, "routes", "reset") == MISUSE
    assert run(shop, "routes", "reset", "--yes") == 0
    capsys.readouterr()
    assert run(shop, "routes", "show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["source"] == "settings"


def test_an_operator_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert opening.person().startswith("cli:uid ")
