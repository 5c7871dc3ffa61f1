"""Studying what is stored: departures from contracts, and what the detectors would have said."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from tollkeeper.flows.ports import Store
from tollkeeper.flows.signals.windows import WINDOW_S
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.signals.counts import Batch, Window
from tollkeeper.signals.departures import Departure, departures, sampled
from tollkeeper.signals.detectors import banks
from tollkeeper.signals.history import usual_of

PAGE_S: Final = 3_600
EVERY_S: Final = 5
LONGEST_HOURS: Final = 24.0
MERGED_S: Final = 300
"""Alarms of one bank and slice within so many seconds are one page."""


async def drift(store: Store, hours: float) -> list[Departure]:
    """The departures of the last so many hours, the newest first."""
    now_s = store.now_ms() // 1000
    spans = []
    first_m = (now_s - int(hours * 3600)) // 60
    sums = await store.list_summed(first_m, now_s // 60 + 1)
    spans += [(minute * 60, lines) for minute, lines in sums]
    summed = sums[-1][0] * 60 + 60 if sums else first_m * 60
    for batch in await store.list_batches(summed, now_s):
        spans.append((batch.second, batch.counted))
    return sampled(departures(spans), await store.list_samples())


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that would have been raised at `at_ms`, by which bank, about what."""

    at_ms: int
    bank: str
    slice: dict[str, str]
    statistic: float
    threshold: float
    bad: float
    of: float


class Progress(msgspec.Struct, frozen=True):
    """How far a backtest is: the second that was looked at, and the share that is done."""

    second: int
    done: float


async def backtest(store: Store, hours: float, times: float) -> AsyncIterator[Progress | Page]:
    """Runs the detectors over the stored counts of the last so many hours, a look each five
    seconds. `times` multiplies every threshold, 1 or more. Gives progress, and each page."""
    _check(hours, times)
    now_s = store.now_ms() // 1000
    first = now_s - int(hours * 3600)
    told: dict[tuple[str, str], int] = {}
    kept: dict[tuple[int, str], Batch] = {}
    for begin in range(first, now_s, PAGE_S):
        end = min(begin + PAGE_S, now_s)
        for batch in await store.list_batches(begin - WINDOW_S, end):
            kept[batch.second, batch.replica] = batch
        seconds, lines = await store.load_usual(begin)
        usual = usual_of(tuple(lines), seconds)
        for second in range(begin, end, EVERY_S):
            mine = [kept[key] for key in sorted(kept) if second - WINDOW_S <= key[0] <= second]
            for alarm in banks(Window(at_ms=second * 1000, batches=tuple(mine)), usual):
                key = (alarm.bank, str(sorted(alarm.slice.items())))
                is_new = second - told.get(key, first - MERGED_S) >= MERGED_S
                told[key] = second if is_new else told.get(key, second)
                if is_new and alarm.statistic >= alarm.threshold * times:
                    yield Page(
                        at_ms=second * 1000,
                        bank=alarm.bank,
                        slice=alarm.slice,
                        statistic=alarm.statistic,
                        threshold=alarm.threshold * times,
                        bad=alarm.bad,
                        of=alarm.of,
                    )
            yield Progress(second, (second - first) / max(now_s - first, 1))
        kept = {key: batch for key, batch in kept.items() if key[0] > end - WINDOW_S}


def _check(hours: float, times: float) -> None:
    if not 0 < hours <= LONGEST_HOURS:
        fault = Fault("--hours", f"above 0, at most {LONGEST_HOURS:g}: counts are kept so long")
        raise Invalid(f"hours must be {fault.detail}", faults=(fault,))
    if not 1 <= times <= 100:
        fault = Fault("--times", "1 to 100: thresholds are only raised here")
        raise Invalid(f"times must be {fault.detail}", faults=(fault,))
