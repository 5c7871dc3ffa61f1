"""The rivals: what simpler rules say of counts, as simple as their sources and no simpler."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace
from tests.proving.test_scoring import CHANGED, QUIET, played, said

from tollkeeper.proving.prometheus import NAME, BurnRates, missing, rules
from tollkeeper.proving.rivals import (
    BARO,
    ELIMINATION_RULE,
    STATUS_RULE,
    RivalSaid,
    baro,
    by_status,
    eliminated,
    judged,
    robust_score,
)
from tollkeeper.proving.scoring import RIVALS, rival_scores, run_of
from tollkeeper.signals.counts import Batch, Cell, Counted, Gauges, Tally

OLD, NEW = "stripe@2022-08-01", "stripe@2026-03-25.dahlia"


def batch(second: int, *lines: tuple[Any, int], gauges: Gauges | None = None) -> Batch:
    counted = [Counted(second, cell, Tally(n=n)) for cell, n in lines if n]
    return Batch(second=second, replica="a", counted=counted, gauges=gauges or Gauges())


def cell(result: Any = "ok", integration: str = OLD, status: int = 200, **fields: Any) -> Cell:
    return Cell(
        kind="attempt", provider="stripe", operation="authorize", integration=integration,
        result=result, status=status, **fields,
    )  # fmt: skip


def run(bad: Cell, *, seconds: int = 60, n: int = 2) -> list[Batch]:
    """A minute without trouble, then only trouble."""
    return [batch(s, (cell(), n)) for s in range(100)] + [
        batch(s, (bad, n)) for s in range(100, 100 + seconds)
    ]


def test_elimination_needs_twenty_results_without_success() -> None:
    assert eliminated(run(cell("failed", status=500), seconds=9), 100_000) is None
    found = eliminated(run(cell("failed", status=500)), 100_000)
    assert found is not None
    assert (found.domain, found.after_seconds) == ("provider_down", 10.0)


def test_elimination_takes_declines_for_failures_and_one_version_for_a_change() -> None:
    assert eliminated(run(cell("declined")), 100_000) is not None
    both = [batch(s, (cell(), 2), (cell(integration=NEW), 2)) for s in range(100)]
    both += [batch(s, (cell(), 2), (cell("failed", NEW, 200), 2)) for s in range(100, 160)]
    found = eliminated(both, 100_000)
    assert found is not None
    assert found.domain == "provider_changed"
    assert NEW in found.because
    few = [batch(s, (cell(), 2), (cell(integration=NEW), s == 50)) for s in range(100)]
    few += [batch(s, (cell("failed", status=500), 2)) for s in range(100, 160)]
    found = eliminated(few, 100_000)
    assert found is not None
    assert found.domain == "provider_down"  # the other version carries too little to be watched


@pytest.mark.parametrize(
    ("bad", "domain"),
    [
        (cell("failed", status=503), "provider_down"),
        (cell("failed", status=429), "provider_limited"),
        (cell("failed", status=401), "our_configuration"),
        (cell("failed", status=400), "our_code"),
        (cell("failed", status=0, stage="connect"), "our_infrastructure"),
        (cell("failed", status=0, stage="wait"), "provider_slow"),
    ],
)
def test_the_rule_by_status_blames_whom_a_runbook_would(bad: Cell, domain: str) -> None:
    found = by_status(run(bad), 100_000)
    assert found is not None
    assert found.domain == domain
    assert 0 < found.after_seconds < 60


def test_the_rule_by_status_sees_nothing_where_every_status_is_200() -> None:
    assert by_status(run(cell("failed", unreadable=True)), 100_000) is None


def test_the_robust_score_is_the_paper_s() -> None:
    before = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert robust_score(before, [3.0, 9.0, -1.0]) == 3.0  # |9 - 3| / (4 - 2)
    assert robust_score([2.0] * 9, [2.5]) == 0.5  # a range of zero counts as 1


def test_baro_names_the_domain_of_the_metric_that_left_its_range_most() -> None:
    usual = [batch(s, (cell(), 2), gauges=Gauges(store_ms=2.0 + s % 3)) for s in range(100)]
    slow = [batch(s, (cell(), 2), gauges=Gauges(store_ms=900.0)) for s in range(100, 140)]
    found = baro(usual + slow, 100_000)
    assert found is not None
    assert found.domain == "our_database"
    assert "time of the store" in found.because
    assert baro(slow, 100_000) is None


def test_rivals_are_scored_like_us_on_the_same_runs() -> None:
    told = (
        RivalSaid(rival=STATUS_RULE, after_seconds=7.04, domain="our_code", because="x"),
        RivalSaid(rival=ELIMINATION_RULE, after_seconds=-4.0, domain="provider_down", because="x"),
    )
    one = replace(
        played(said("provider_changed")), with_rivals=True, rivals=told, rivals_absent=(NAME,)
    )
    run_ = run_of(CHANGED, one)
    assert run_.mark.right
    assert set(run_.rivals) == set(RIVALS) - {NAME}
    assert not run_.rivals[STATUS_RULE].right
    assert run_.rivals[STATUS_RULE].detected_seconds == 7.0
    assert run_.rivals[ELIMINATION_RULE].false_page  # it paged before anything was wrong
    assert run_.rivals[BARO].said == "nothing"
    scores = rival_scores([run_])
    assert scores[STATUS_RULE].detected == 1.0
    assert scores[BARO].detected == 0.0
    assert run_of(CHANGED, played()).rivals == {}
    quiet = replace(played(), with_rivals=True, rivals=told[:1])
    assert run_of(QUIET, quiet).rivals[STATUS_RULE].false_page
    assert BARO not in run_of(QUIET, quiet).rivals  # there is no onset that it could be told


def test_nothing_is_said_of_a_run_without_trouble_but_by_baro() -> None:
    """It is told that there was an onset: it ranks, and detects nothing."""
    quiet = [batch(s, (cell(), 2)) for s in range(200)]
    assert [one.rival for one in judged(quiet, 100_000)] == [BARO]


@pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")
async def test_real_prometheus_and_alertmanager_take_our_rules_and_page_here(
    tmp_path: Path,
) -> None:
    assert rules().count("- alert:") == 2
    burn = BurnRates(tmp_path, [9])
    await burn.start()
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(100):
                if await _posted(session, burn.alertmanager):
                    break
                await asyncio.sleep(0.1)
            for _ in range(450):  # it groups for 30 seconds
                if burn.paged_ms is not None:
                    break
                await asyncio.sleep(0.1)
            assert await _rules_at(session, burn.prometheus) == ["Burns1h", "Burns6h"]
    finally:
        await burn.stop()
    found = burn.said(0)
    assert found is not None
    assert (found.rival, found.domain) == (NAME, "none")


async def _posted(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.post(
            f"http://127.0.0.1:{port}/api/v2/alerts",
            json=[{"labels": {"alertname": "Burns1h"}}],
        ) as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


async def _rules_at(session: aiohttp.ClientSession, port: int) -> list[str]:
    async with session.get(f"http://127.0.0.1:{port}/api/v1/rules") as reply:
        groups = (await reply.json())["data"]["groups"]
    return [rule["name"] for group in groups for rule in group["rules"]]
