"""The fuzz's watchdog: what hangs, dies or raises is named, and the cases after it still run."""

import os
import signal
import time

from tollkeeper.testing.watchdog import Failed, Progress, watched


def _case(case: int) -> None:
    if case == 2:
        raise ValueError("two")
    if case == 4:
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
        time.sleep(60)
    if case == 6:
        os.kill(os.getpid(), signal.SIGKILL)


def test_each_failure_is_named_and_the_cases_after_it_run() -> None:
    seen = list(watched(_case, 0, 9, 0.5))
    failed = [item for item in seen if isinstance(item, Failed)]
    assert [(f.case, f.kind) for f in failed] == [(2, "ValueError"), (4, "Hang"), (6, "Died")]
    assert seen[-1] == Progress(9)


def test_cases_that_are_fine_are_no_failures() -> None:
    seen = list(watched(lambda case: None, 10, 5, 5.0))
    assert [item for item in seen if isinstance(item, Failed)] == []
    assert seen[-1] == Progress(15)
