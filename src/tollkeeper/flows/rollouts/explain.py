"""Why a rollout is where it is: its records, and the evidence computed again from them."""

from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.flows.rollouts.commands import load_rollout
from tollkeeper.flows.runtime import Runtime
from tollkeeper.rollouts import counting
from tollkeeper.rollouts.evidence import whole_wealth
from tollkeeper.rollouts.rollout import Record, Rollout, start

PAGE: Final = 500


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout, its records, and whether the evidence computed again from them is the same.
    `complete`: no record was removed since, so that it could be computed."""

    rollout: Rollout
    records: list[Record]
    shadows: list[tuple[str, str]]
    recomputed_wealth: float
    complete: bool
    same: bool


async def explain(runtime: Runtime, rollout_id: str) -> Explained:
    """Why a rollout is where it is; the evidence is computed again from the stored counts."""
    rollout = await load_rollout(runtime, rollout_id)
    records = [r for r in await all_records(runtime, rollout_id) if r.seq <= rollout.seq]
    again = replace(start(rollout), status="running")
    worth: list[bool] = []
    for record in records:
        if record.tallies and not record.is_promoted:
            again = counting.count(again, record.tallies)
            wealth = whole_wealth(again.evidence, capped=record.capped)
            worth.append(wealth == record.wealth)
        elif record.tallies and record.decision is not None and record.decision.is_promotion:
            again = counting.count(again, record.tallies)
    return Explained(
        rollout=rollout,
        records=records,
        shadows=await runtime.store.list_shadows(rollout_id, PAGE),
        recomputed_wealth=whole_wealth(again.evidence),
        complete=[record.seq for record in records] == list(range(1, rollout.seq + 1)),
        same=all(worth) and again.evidence == rollout.evidence,
    )


async def all_records(runtime: Runtime, rollout_id: str) -> list[Record]:
    """Every record, oldest first."""
    found: list[Record] = []
    while page := await runtime.store.list_records(rollout_id, found[-1].seq if found else 0, PAGE):
        found += page
    return found
