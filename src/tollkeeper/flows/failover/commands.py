"""What operators do with failovers: read, explain, stop, clear, and move routes by hand."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Record, Watch, replayed
from tollkeeper.flows import routes
from tollkeeper.flows.ports import Rerouting, Store
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.kernel.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from tollkeeper.payments.cards import find_card_numbers
from tollkeeper.payments.change import OutEvent
from tollkeeper.routing import weights as weighing

MOST_RECORDS: Final = 1_000
TRIES: Final = 5


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A watch and its records, the newest first. `same`: every state after a record is what its
    counts give again."""

    watch: Watch
    records: list[Record]
    same: bool


async def page(store: Store) -> list[Watch]:
    """The watch of every provider that ever had a failing payment."""
    return await store.list_watches()


async def one(store: Store, provider: str) -> Watch:
    """The watch of a provider; raises `NotFound`."""
    watch = await store.load_watch(provider)
    if watch is None:
        raise NotFound(f"no payment at {provider} has failed yet: there is nothing to watch")
    return watch


async def explain(store: Store, provider: str) -> Explained:
    """Why the traffic of a provider is where it is; each decision is computed again."""
    watch = await one(store, provider)
    records = await store.list_failover_records(provider, MOST_RECORDS)
    same = all(
        replayed(record.before, record.steps) == record.counted
        for record in records
        if record.steps
    )
    return Explained(watch=watch, records=records, same=same)


async def stop(runtime: Runtime, provider: str, *, reason: str, actor: str) -> Watch:
    """Ends a failover that goes on, and keeps its candidate from taking traffic again until a
    person clears it. What has moved stays: the way back is a rollout."""
    _check_reason(reason)

    def change(watch: Watch) -> Watch:
        if not watch.candidate:
            raise Conflict(f"nothing goes on: {watch.carrying} has no candidate")
        state = State(rate=watch.state.rate, a_start=watch.state.a_start)
        taken_out = tuple(dict.fromkeys((*watch.taken_out, watch.candidate)))
        return replace(watch, state=state, candidate="", taken_out=taken_out, proposed=False)

    return await _changed(runtime, provider, change, reason, actor)


async def clear(runtime: Runtime, provider: str, version: str, *, reason: str, actor: str) -> Watch:
    """Lets a version that was taken out be moved to again."""
    _check_reason(reason)

    def change(watch: Watch) -> Watch:
        if version not in watch.taken_out:
            raise Conflict(f"{version} was not taken out")
        left = tuple(name for name in watch.taken_out if name != version)
        return replace(watch, taken_out=left, candidate=watch.candidate or version)

    return await _changed(runtime, provider, change, reason, actor)


async def _changed(
    runtime: Runtime, provider: str, change: Callable[[Watch], Watch], reason: str, actor: str
) -> Watch:
    for _ in range(TRIES):
        before = await one(runtime.store, provider)
        after = replace(change(before), revision=before.revision + 1, seq=before.seq + 1)
        record = Record(
            seq=after.seq,
            at_ms=runtime.store.now_ms(),
            kind="command",
            carrying=before.carrying,
            candidate=before.candidate,
            before=before.state,
            counted=before.state,
            after=after.state,
            actor=actor,
            reason=reason,
        )
        if await runtime.store.save_watch(None, after, record=record, rerouted=True):
            await routes.refresh(runtime)
            return after
    raise Unavailable(f"the failover of {provider} is being changed by too many at once")


async def set_routes(
    runtime: Runtime, weights: dict[str, float], *, reason: str, actor: str
) -> dict[str, float]:
    """Gives new payments to versions by hand: the weights of the rule for everybody."""
    _check_reason(reason)
    weighing.check(weights, tuple(runtime.installed))
    for _ in range(TRIES):
        row = await runtime.store.routing()
        rules = row.rules or configured_rules(runtime.settings)
        after = (*rules[:-1], replace(rules[-1], weights=weights))
        event = _event(runtime, weights, reason, actor)
        if await runtime.store.set_rules(Rerouting(before=row.rules, after=after), event):
            await routes.refresh(runtime)
            runtime.tell("routes_set", weights=weights, reason=reason, actor=actor)
            return weights
    raise Unavailable("the routes are being changed by too many at once")


def _event(runtime: Runtime, weights: dict[str, float], reason: str, actor: str) -> OutEvent:
    data = {"object": "routes", "weights": weights, "reason": reason, "actor": actor}
    return OutEvent(
        id=runtime.new_id("evt"),
        account=runtime.settings.watch_account,
        payment_id="",
        type="routes.set",
        created_ms=runtime.store.now_ms(),
        data=msgspec.json.encode(data),
    )


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= 500:
        raise Invalid("give a reason", faults=(Fault("/reason", "1 to 500 characters"),))
    if find_card_numbers(reason):
        raise Invalid("the reason looks like it holds a card number")
