"""Reading rollouts, their records, and the stored routes."""

from tollkeeper.flows.ports import Store
from tollkeeper.kernel.errors import NotFound
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.routing.routes import Rule


async def one(store: Store, rollout_id: str | None) -> Rollout:
    """The rollout, or the newest of all for `None`; raises `NotFound`."""
    if rollout_id is None:
        newest = await store.list_rollouts(1)
        if not newest:
            raise NotFound("no rollout was ever started")
        return newest[0]
    found = await store.load_rollout(rollout_id)
    if found is None:
        raise NotFound(f"no rollout {rollout_id}")
    return found


async def page(store: Store, limit: int) -> list[Rollout]:
    """At most `limit` rollouts of every account, the newest first."""
    return await store.list_rollouts(limit)


async def records(store: Store, rollout_id: str, after: int, limit: int) -> list[Record]:
    """At most `limit` records above the number `after`, oldest first."""
    return await store.list_records(rollout_id, after, limit)


async def stored_rules(store: Store) -> tuple[Rule, ...] | None:
    """The stored routes; `None` while the settings' weights count."""
    return (await store.routing()).rules


async def reset_rules(store: Store) -> None:
    """Forgets the stored routes."""
    await store.reset_rules()
