"""Budgets: a job that watches objectives of OpenSLO files over the sums of minutes in the store.

Law: an alert of a budget is another than one of a look: no look resolves it, and it takes no minute
from what is usual, because a budget may burn for days.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals.posting import wakes
from tollkeeper.flows.signals.telling import event_of, tell_step
from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals import openslo
from tollkeeper.signals.alerts import budget_steps, is_told
from tollkeeper.signals.counts import Counted
from tollkeeper.signals.slos import (
    Burning,
    Objective,
    burning,
    furthest_minutes,
    sentence,
    share_of,
)

KIND: Final = "watch_budgets"
EVERY_MS: Final = 30_000
PAGE_MINUTES: Final = 60
"""Minutes that are read at once: an hour of sums is a few hundred kilobytes."""

UNSUMMED_MINUTES: Final = 5
"""So many of the newest minutes are read from batches where they have no sum yet."""


class ObjectiveView(msgspec.Struct, frozen=True, kw_only=True):
    """One objective for people and programs. `rules`: when it alerts; `burning`: what holds now."""

    name: str
    counts: str
    where: dict[str, list[str]]
    good: str
    target: float
    days: float
    rules: list[str]
    burning: list[str]


def objective_view(one: Objective, found: Iterable[Burning] = ()) -> ObjectiveView:
    """An objective with the rules that hold."""
    within = f" within {one.within_ms / 1000:g} s" if one.within_ms is not None else ""
    return ObjectiveView(
        name=one.name,
        counts=one.kind,
        where={name: sorted(values) for name, values in one.where.items()},
        good=" or ".join(sorted(one.results)) + within,
        target=one.target,
        days=one.days,
        rules=[
            f"{rule.severity}: {rule.factor:g} times over {rule.long_minutes} and "
            f"{rule.short_minutes} minutes"
            for rule in one.rules
        ],
        burning=[sentence(each) for each in found if each.objective == one],
    )


async def standing(runtime: Runtime) -> list[ObjectiveView]:
    """Every objective of the settings, with the rules that hold now."""
    objectives = await read_objectives(runtime)
    found = await burning_now(runtime, objectives)
    return [objective_view(one, found) for one in objectives]


async def read_objectives(runtime: Runtime) -> list[Objective]:
    """The objectives of the files in the settings; raises `Invalid`."""
    texts = {}
    for name in runtime.settings.slo_files:
        assert runtime.sources is not None, "a service can read"
        fetched = await runtime.sources.fetch(name, None)
        if fetched.text is None:
            raise Invalid(fetched.error)
        texts[name] = fetched.text
    return openslo.read(texts)


async def watch(runtime: Runtime, job: Job) -> None:
    """Runs the `watch_budgets` job: looks at every objective once, and puts itself off."""
    store = runtime.store
    if not runtime.settings.slo_files or runtime.sources is None:
        await store.finish_job(job)
        return
    try:
        objectives = await read_objectives(runtime)
    except Invalid as error:
        runtime.tell("slo_file_unread", error=error.detail)
    else:
        await _watch(runtime, objectives)
    await store.postpone_job(job, store.now_ms() + EVERY_MS)


async def _watch(runtime: Runtime, objectives: Sequence[Objective]) -> None:
    now_ms = runtime.store.now_ms()
    found = await burning_now(runtime, objectives)
    alerts = [one for one in await runtime.store.list_open_alerts() if one.is_of_budget]
    for step in budget_steps(alerts, found, lambda: runtime.new_id("alr"), now_ms):
        told = is_told(step)
        events = (event_of(runtime, step),) if told else ()
        jobs = wakes(runtime, now_ms) if step.news else {}
        if await runtime.store.save_alert(step.alert, events, jobs) and told:
            tell_step(runtime, step)


async def burning_now(runtime: Runtime, objectives: Sequence[Objective]) -> list[Burning]:
    """The rules that hold now. Sums that were read stay in the memory of the process."""
    now_m = runtime.store.now_ms() // 60_000
    await _read(runtime, objectives, now_m)
    kept = runtime.live.budgets
    return [one for each in objectives for one in burning(each, kept[each.name], now_m)]


async def _read(runtime: Runtime, objectives: Sequence[Objective], now_m: int) -> None:
    """Reads the minutes that are not known yet, and forgets those that no window has."""
    live, store = runtime.live, runtime.store
    if live.objectives != tuple(objectives):
        live.objectives = tuple(objectives)
        live.budgets = {one.name: {} for one in objectives}
        live.budgets_until_m = 0
    first = now_m - furthest_minutes(objectives)
    begin = max(first, live.budgets_until_m)
    for page in range(begin, now_m + 1, PAGE_MINUTES):
        for minute, lines in await store.list_summed(page, min(page + PAGE_MINUTES, now_m + 1)):
            _note(runtime, minute, lines)
            live.budgets_until_m = max(live.budgets_until_m, minute + 1)
    for minute in range(max(live.budgets_until_m, now_m - UNSUMMED_MINUTES), now_m + 1):
        batches = await store.list_batches(minute * 60, minute * 60 + 59)
        _note(runtime, minute, (line for batch in batches for line in batch.counted))
    for shares in live.budgets.values():
        for minute in [minute for minute in shares if minute < first]:
            del shares[minute]


def _note(runtime: Runtime, minute: int, lines: Iterable[Counted]) -> None:
    every = list(lines)
    for objective in runtime.live.objectives:
        runtime.live.budgets[objective.name][minute] = share_of(objective, every)
