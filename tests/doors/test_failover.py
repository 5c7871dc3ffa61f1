"""Failover and routes by hand on the command line: real sockets and a real file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doors.stage import VAULT_KEY

from tollkeeper.app import open_store, read_settings
from tollkeeper.cli.main import MISUSE, main
from tollkeeper.failover import rule
from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import State, Trial
from tollkeeper.failover.state import Record, Watch, kind_of, sentence
from tollkeeper.failover.streams import Stream, replayed

OLD, MIDDLE, NEW = "stripe@2022-08-01", "stripe@2022-11-15", "stripe@2026-03-25.dahlia"
AT_MS = 1_700_000_000_000
REFUSED = Trial(first="refused", second="again", third_ok=True)
RESCUED = Trial(first="refused", second="other", second_ok=True)


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


def looks() -> tuple[Watch, list[Record]]:
    """A watch after two looks: the first decided nothing, the second gave a share."""
    begun = rule.begin(0.001, per_second=2)
    stream = Stream(carrying=OLD, candidate=MIDDLE, state=begun)
    watch = Watch(provider="stripe", streams=(stream,), salt="s", revision=2, seq=2)
    first = (Step(30, Trial(first="refused")),)
    seen = replayed(begun, first)
    second: list[Step] = []
    given = seen
    while given.share == 0:
        second.append(Step(0, REFUSED if len(second) % 2 else RESCUED))
        given = replayed(seen, tuple(second))
    records = [
        record(watch, 1, begun, first, seen),
        record(watch, 2, seen, tuple(second), given),
    ]
    return with_state(watch, given), records


def with_state(watch: Watch, state: State) -> Watch:
    return replace(watch, streams=(replace(watch.streams[0], state=state),))


def record(watch: Watch, seq: int, before: State, steps: tuple[Step, ...], after: State) -> Record:
    kind = kind_of(before, after)
    return Record(
        seq=seq, at_ms=AT_MS + seq, kind=kind, carrying=OLD, candidate=MIDDLE, before=before,
        steps=steps, counted=after, after=after, reason=sentence(watch.streams[0], kind, after),
    )  # fmt: skip


def put(config: Path, watch: Watch, records: list[Record]) -> None:
    """Stores a watch whose last record came with it."""

    async def work() -> None:
        store = await open_store(read_settings(config))
        try:
            for number, record in enumerate(records, start=1):
                looked = replace(with_state(watch, record.after), revision=number, seq=record.seq)
                last = watch if number == len(records) else looked
                assert await store.save_watch(None, last, records=(record,), rerouted=True)
        finally:
            await store.close()

    asyncio.run(work())


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_before_the_first_failure_there_is_nothing_to_watch(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "failover", "status") == 0
    assert "there is nothing to watch" in capsys.readouterr().out
    assert run(shop, "failover", "status", "--json") == 0
    assert told(capsys) == []
    for words in (
        ("explain", "stripe"),
        ("stop", "stripe", "--reason", "x"),
        ("clear", "stripe", MIDDLE, "--reason", "x"),
    ):
        assert run(shop, "failover", *words) == MISUSE
        assert "no payment at stripe has failed yet" in capsys.readouterr().err


def test_a_failover_is_read_and_explained(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(shop, *looks())
    assert run(shop, "failover", "status") == 1
    said = capsys.readouterr().out
    for word in (OLD, MIDDLE, "50 %", "automatic", "50% of first"):
        assert word in said
    assert run(shop, "failover", "status", "--json") == 1
    (shown,) = told(capsys)
    assert (shown["policy"], shown["taken_out"]) == ("automatic", [])
    (stream,) = shown["streams"]
    assert (stream["carrying"], stream["share_percent"], stream["meant"]) == (OLD, 50, "")
    assert stream["stands"].startswith(f"50% of first attempts go to {MIDDLE} (R ")

    assert run(shop, "failover", "explain", "stripe") == 0
    said = capsys.readouterr().out
    assert "2 looks, computed again from what they counted, give the same numbers" in said
    assert f"{OLD} is watched" not in said
    assert run(shop, "failover", "explain", "--all") == 0
    assert f"{OLD} is watched" in capsys.readouterr().out
    assert run(shop, "failover", "explain", "--all", "--json") == 0
    found = told(capsys)
    assert (found["same"], [record["seq"] for record in found["records"]]) == (True, [2, 1])
    assert found["records"][1]["steps"][0]["healthy"] == 30


def test_follow_ups_are_sent_through_another_version(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("failover", "follow-ups", OLD, "capture", "--reason", "it refuses captures")
    assert run(shop, *words, "--through", "stripe@1999-01-01") == MISUSE
    assert "cannot take follow-ups" in capsys.readouterr().err
    assert run(shop, *words, "--through", MIDDLE, "--json") == 0
    assert told(capsys)["follow_up_routes"] == {f"{OLD}#capture": MIDDLE}
    assert run(shop, "failover", "status") == 0
    assert f"captures of payments of {OLD} go through {MIDDLE}" in capsys.readouterr().out
    assert run(shop, *words) == 0
    capsys.readouterr()
    assert run(shop, "failover", "explain") == 0
    assert f"captures of payments of {OLD} go through {OLD}" in capsys.readouterr().out


def test_a_record_that_its_steps_do_not_give_is_found(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch, (first, second) = looks()
    other = replace(second.counted, rescued=second.counted.rescued + 1)
    put(shop, watch, [first, replace(second, counted=other)])
    assert run(shop, "failover", "explain", "stripe") == 1
    assert "give OTHER numbers" in capsys.readouterr().out
    assert run(shop, "failover", "explain", "stripe", "--json") == 1
    assert told(capsys)["same"] is False


def test_a_failover_is_stopped_and_its_candidate_is_cleared(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(shop, *looks())
    assert run(shop, "failover", "stop", "stripe") == MISUSE
    for reason in (" ", "x" * 501, "card 4242424242424242"):
        assert run(shop, "failover", "stop", "stripe", "--reason", reason) == MISUSE
        assert "4242424242424242" not in capsys.readouterr().err
    assert run(shop, "failover", "clear", "stripe", MIDDLE, "--reason", "x") == MISUSE
    assert f"{MIDDLE} was not taken out" in capsys.readouterr().err

    assert run(shop, "failover", "stop", "stripe", "--reason", "the provider mends it") == 0
    assert f"carrying {OLD}; taken out: {MIDDLE}" in capsys.readouterr().out
    assert run(shop, "failover", "status", "--json") == 0
    (shown,) = told(capsys)
    assert (shown["streams"][0]["share_percent"], shown["taken_out"]) == (0.0, [MIDDLE])
    assert run(shop, "failover", "stop", "stripe", "--reason", "again") == MISUSE
    assert "nothing goes on" in capsys.readouterr().err

    assert run(shop, "failover", "clear", "stripe", NEW, "--reason", "x") == MISUSE
    assert run(shop, "failover", "clear", "stripe", MIDDLE, "--reason", "mended", "--json") == 0
    cleared = told(capsys)
    assert cleared["taken_out"] == []
    assert run(shop, "failover", "status") == 0
    capsys.readouterr()
    assert run(shop, "failover", "explain") == 0
    said = capsys.readouterr().out
    assert "the provider mends it" in said
    assert "cli:" in said


def test_the_policy_is_shown_and_chosen(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "failover", "policy", "stripe") == 0
    assert "stripe: automatic (settings); if no version works: send" in capsys.readouterr().out
    assert run(shop, "failover", "policy", "adyen") == MISUSE
    assert "no provider adyen; providers: stripe" in capsys.readouterr().err
    assert run(shop, "failover", "policy", "stripe", "never", "--reason", "x") == MISUSE
    assert "one of automatic, ask, off" in capsys.readouterr().err
    assert run(shop, "failover", "policy", "stripe", "ask") == MISUSE
    assert "give a reason" in capsys.readouterr().err
    assert run(shop, "failover", "policy", "stripe", "ask", "--reason", "maintenance") == 0
    assert "policy ask by hand" in capsys.readouterr().out
    assert run(shop, "failover", "policy", "stripe", "--json") == 0
    said = told(capsys)
    assert (said["policy"], said["source"]) == ("ask", "by hand")
    assert run(shop, "failover", "explain") == 0
    assert "policy by hand: ask: maintenance" in capsys.readouterr().out


def test_a_stop_keeps_what_the_watch_needs_for_a_start(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch, records = looks()
    slow = replace(watch.streams[0].state, a_start=rule.A_START_SLOW, rate=0.02)
    stream = replace(watch.streams[0], state=slow, proposed=True)
    put(shop, replace(watch, streams=(stream,)), records)
    assert run(shop, "failover", "stop", "stripe", "--reason", "x", "--json") == 0
    (left,) = told(capsys)["streams"]
    assert (left["state"]["a_start"], left["state"]["rate"]) == (rule.A_START_SLOW, 0.02)
    assert left["proposed"] is False


def test_routes_are_set_by_hand_and_shown(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = (f"{OLD}=62.5", f"{NEW}=37.5%")
    assert run(shop, "routes", "set", *half, "--reason", "the provider asks for it") == 0
    assert f"new payments go to {OLD} 62.5 %, {NEW} 37.5 %" in capsys.readouterr().out
    assert run(shop, "routes", "show", "--json") == 0
    shown = told(capsys)
    assert shown["source"] == "stored routes"
    assert [rule_["weights"] for rule_ in shown["rules"]] == [{OLD: 62.5, NEW: 37.5}]
    assert run(shop, "routes", "set", f"{NEW}=100", "--reason", "x", "--json") == 0
    assert told(capsys) == {"weights": {NEW: 100.0}}
    assert run(shop, "routes", "show") == 0
    assert "by the stored routes:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weights", "reason", "said"),
    [
        ([OLD], "x", "no ="),
        ([f"{OLD}=all"], "x", "give NAME=PERCENT"),
        ([f"{OLD}="], "x", "give NAME=PERCENT"),
        ([f"{OLD}=50", f"{OLD}=50"], "x", "named twice"),
        ([f"{OLD}=50", f"{NEW}=40"], "x", "sum to 90"),
        ([f"{OLD}=nan"], "x", "must be 0 to 100"),
        ([f"{OLD}=inf"], "x", "must be 0 to 100"),
        ([f"{OLD}=150", f"{NEW}=-50"], "x", "must be 0 to 100"),
        (["stripe@1999-01-01=100"], "x", "installed: "),
        ([f"{NEW}=100"], "", "give a reason"),
        ([f"{NEW}=100"], "card 4242424242424242", "card number"),
    ],
    ids=str,
)
def test_routes_that_cannot_be_are_refused_and_leave_nothing_behind(
    shop: Path,
    weights: list[str],
    reason: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(shop, "routes", "set", *weights, "--reason", reason) == MISUSE
    assert said in capsys.readouterr().err
    assert run(shop, "routes", "show", "--json") == 0
    assert told(capsys)["source"] == "settings"
