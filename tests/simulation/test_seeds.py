"""Seeds of the simulated world: quiet at the end, the same twice, and planted bugs found."""

import os
import subprocess
import sys

import pytest

from tollkeeper.testing import bugs
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.simulate import hunt, run_seed

SEEDS = range(1, 41)
QUICK = (
    "audit_outside_the_transaction",
    "timeout_is_failure",
    "failover_on_timeout",
    "key_checked_then_bound",
    "answered_before_commit",
    "refund_limit_ignores_flight",
    "follow_up_on_the_active_version",
    "crash_taken_for_not_sent",
    "abandoned_without_cancelling",
    "webhook_seen_before_its_effect",
    "job_ends_unsettled",
    "lost_update",
    "conclusion_never_corrected",
    "late_looks_forgotten",
    "poisoned_row_hides_the_page",
    "payment_of_another_account_moved",
    "misread_effect_confirms_a_refusal",
    "reversal_made_twice",
    "told_along_lost",
    "timer_outside_the_commit",
)
"""Bugs that a few seeds find; `./dev simulate --bug all` hunts every one."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_ends_quiet_and_nothing_is_violated(seed: int) -> None:
    result = run_seed(seed)
    assert result.violation is None, f"replay: ./dev simulate --seed {seed}"


COVERED = {
    "status succeeded",
    "status failed",
    "outcome authorize unknown",
    "settled lookup",
    "settled replay",
    "failover.taken",
    "store.lost_acknowledgement",
    "crash store.after commit",
    "recovery.interrupted",
    "effect.hours_late",
    "clock.minutes_off",
    "row.unreadable",
    "refusal.unlisted",
    "failover.weightless",
    "hostile.refused",
    "look.rescued",
    "corrected authorize",
    "corrected refund",
}
"""What 240 seeds must have seen, at the latest."""


@pytest.mark.timeout(300)
def test_a_batch_covers_kills_faults_and_both_kinds_of_failover() -> None:
    coverage = Coverage()
    for seed in range(1, 241):
        run_seed(seed, coverage)
        if not COVERED & set(coverage.missing()):
            return
    assert not COVERED & set(coverage.missing())


def test_the_same_seed_tells_the_same_story_under_any_hash_seed() -> None:
    program = (
        "from tollkeeper.testing.simulate import run_seed;"
        "print([run_seed(s).digest for s in (3, 5, 8)])"
    )
    stories = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }
    assert len(stories) == 1


def test_there_are_at_least_sixty_planted_bugs_and_their_names_differ() -> None:
    names = [bug.name for bug in bugs.BUGS]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    found = hunt(bugs.find(name), first=1, budget=40)
    assert found is not None, f"{name} was not found"


def test_a_bug_is_gone_when_its_block_ends() -> None:
    with bugs.find("nothing_reserved").planted():
        assert run_seed(2).violation is not None
    assert run_seed(2).violation is None
