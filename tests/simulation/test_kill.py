"""kill -9 of the real service, a few times: the same harness as `./dev kill`."""

import pytest

from tollkeeper.testing.kill import kill


@pytest.mark.timeout(240)
def test_no_payment_is_harmed_by_kills_on_sqlite() -> None:
    assert kill(times=4, callers=6, seed=7) == 0


@pytest.mark.timeout(240)
def test_no_payment_is_harmed_when_one_of_two_replicas_on_postgresql_is_killed() -> None:
    assert kill(times=3, store="postgresql", replicas=2, callers=6, seed=7) == 0
