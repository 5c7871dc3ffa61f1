"""What operators do with failovers: read, explain, stop, clear, and choose the policy."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Kind, Record, Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows import routes
from tollkeeper.flows.failover.following import without_route
from tollkeeper.flows.failover.telling import event_of
from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from tollkeeper.payments.cards import check_reason
from tollkeeper.routing.routes import follow_up_key
from tollkeeper.settings import POLICIES, Policy

MOST_RECORDS: Final = 1_000
TRIES: Final = 5
FOLLOW_UPS: Final = ("capture", "void", "refund")


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
    return Explained(watch=watch, records=records, same=all(record.is_same for record in records))


async def decisions(store: Store, provider: str, before: int, limit: int) -> list[Record]:
    """At most `limit` records below the number `before`, the newest first."""
    return await store.list_failover_records(provider, limit, before)


async def stop(runtime: Runtime, provider: str, *, reason: str, actor: str) -> Watch:
    """Ends what goes on at a provider: shares and proposals. Their candidates get no traffic again
    until an operator clears them. What has moved stays: the way back is a rollout."""

    def change(watch: Watch) -> Watch:
        live = [s for s in watch.streams if s.candidate and (s.state.share or s.proposed)]
        if not live:
            raise Conflict(f"nothing goes on at {provider}: no share and no proposal")
        out = tuple(dict.fromkeys((*watch.taken_out, *(s.candidate for s in live))))
        streams = tuple(_begun_again(s) if s in live else s for s in watch.streams)
        return replace(watch, streams=streams, taken_out=out)

    return await _changed(runtime, provider, change, "stopped", reason, actor)


def _begun_again(stream: Stream) -> Stream:
    state = State(rate=stream.state.rate, a_start=stream.state.a_start)
    return replace(
        stream, state=state, candidate="", proposed=False, tried=(), helped_by="",
        pending=(),
    )  # fmt: skip


async def clear(runtime: Runtime, provider: str, version: str, *, reason: str, actor: str) -> Watch:
    """Lets a version that was taken out be moved to again."""

    def change(watch: Watch) -> Watch:
        if version not in watch.taken_out:
            out = ", ".join(watch.taken_out) or "no version"
            raise Conflict(f"{version} was not taken out; taken out: {out}")
        left = tuple(name for name in watch.taken_out if name != version)
        checks = {name: found for name, found in watch.checks.items() if name != version}
        return replace(watch, taken_out=left, checks=checks)

    return await _changed(runtime, provider, change, "cleared", reason, actor)


async def set_policy(
    runtime: Runtime, provider: str, policy: str, *, reason: str, actor: str
) -> Watch:
    """Says what happens at a provider from now on, whatever the settings say."""
    chosen = next((known for known in POLICIES if known == policy), None)
    if chosen is None:
        fault = Fault("/policy", f"one of {', '.join(POLICIES)}")
        raise Invalid(f"{policy!r} is no policy: {fault.detail}", faults=(fault,))
    return await _changed(
        runtime,
        provider,
        lambda watch: _with_policy(watch, chosen),
        "policy",
        f"{policy}: {reason}" if reason.strip() else "",
        actor,
    )


def _with_policy(watch: Watch, chosen: Policy) -> Watch:
    """The watch under a policy. What moved by itself under another one begins anew: no share stays
    that nobody watches, and no payment is held back for ever."""
    streams = watch.streams
    if chosen != "automatic":
        streams = tuple(
            _begun_again(s) if s.state.share > 0 or (chosen == "off" and s.state.is_open) else s
            for s in streams
        )
    return replace(watch, policy=chosen, streams=streams)


async def route_follow_ups(
    runtime: Runtime, owner: str, operation: str, through: str, *, reason: str, actor: str
) -> Watch:
    """Sends an operation on the payments of the version `owner` through another version at once,
    from now on; through their own where `through` is empty. A version that refuses provably is
    still followed by the payment's own."""
    if operation not in FOLLOW_UPS:
        fault = Fault("/operation", f"one of {', '.join(FOLLOW_UPS)}")
        raise Invalid(f"{operation!r} is no follow-up: {fault.detail}", faults=(fault,))
    able = runtime.router.able_names(owner, None)
    if through and through not in able:
        fault = Fault("/through", f"one of {', '.join(able) or 'none'}")
        said = f"{through} cannot take follow-ups of {owner}: {fault.detail}"
        raise Invalid(said, faults=(fault,))

    def change(watch: Watch) -> Watch:
        routes = dict(watch.follow_up_routes)
        routes.pop(follow_up_key(owner, operation), None)
        if through:
            routes[follow_up_key(owner, operation)] = through
        return without_route(watch, owner, operation, routes)

    to = through or owner
    said = f"{operation}s of payments of {owner} go through {to}: {reason}"
    provider = owner.partition("@")[0]
    told = said if reason.strip() else ""
    return await _changed(runtime, provider, change, "follow_ups", told, actor)


async def _changed(
    runtime: Runtime,
    provider: str,
    change: Callable[[Watch], Watch],
    kind: Kind,
    reason: str,
    actor: str,
) -> Watch:
    check_reason(reason)
    if provider not in runtime.settings.providers:
        known = ", ".join(sorted(runtime.settings.providers))
        raise NotFound(f"no provider {provider}; providers: {known}")
    for _ in range(TRIES):
        before = await _stored(runtime, provider, begins=kind in {"policy", "follow_ups"})
        after = replace(change(before), revision=before.revision + 1, seq=before.seq + 1)
        record, stream = _record(runtime, before, after, kind, reason, actor)
        event = event_of(runtime, provider, kind, stream, record.after, record.reason)
        saved = await runtime.store.save_watch(
            None, after, records=(record,), events=(event,), rerouted=True
        )
        if saved:
            await routes.refresh(runtime)
            runtime.live.decisions[provider, kind] += 1
            runtime.tell(f"failover_{kind}", provider=provider, reason=reason, actor=actor)
            return after
    raise Unavailable(f"the failover of {provider} is being changed by too many at once")


async def _stored(runtime: Runtime, provider: str, *, begins: bool) -> Watch:
    if not begins:
        return await one(runtime.store, provider)
    now_ms = runtime.store.now_ms()
    fresh = Watch(provider=provider, salt=runtime.new_id("fo"), considered_ms=now_ms)
    return await runtime.store.load_watch(provider) or fresh


def _record(
    runtime: Runtime, before: Watch, after: Watch, kind: Kind, reason: str, actor: str
) -> tuple[Record, Stream]:
    """The record of a command, and the stream that it is mostly about."""
    nothing = Stream(carrying="", candidate="", state=State(rate=0.0))
    streams = [s for s in before.streams if s not in after.streams] or [*before.streams, nothing]
    stream = streams[0]
    record = Record(
        seq=after.seq,
        at_ms=runtime.store.now_ms(),
        kind=kind,
        carrying=stream.carrying,
        candidate=stream.candidate,
        condition=stream.condition,
        before=stream.state,
        counted=stream.state,
        after=stream.state,
        actor=actor,
        reason=f"{kind} by hand: {reason}",
    )
    return record, stream
