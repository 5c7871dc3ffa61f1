"""What this replica acts on: read from the store when it has changed, and kept while it is away."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.checks import Checks, enough, refuted
from tollkeeper.failover.rule import LIVE
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.ports import Rerouting, RoutingRow
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.kernel.errors import Fault, Invalid, Misconfigured, StoreDoubt, Unavailable
from tollkeeper.payments.cards import check_reason
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing import weights as weighing
from tollkeeper.routing.routes import PPM, Canary, FollowUpRoute, Routes, Rule, Share, follow_up_key

POLL_SECONDS: Final = 0.25
"""A quarter of what a change may take to reach every replica, where nobody tells of changes."""

LISTENING_SECONDS: Final = 0.5
"""How often is looked where the store tells of changes, for what was not heard."""

FLUSH_SECONDS: Final = 1.0

COUNTED_PER_OUTSTANDING: Final = 100

TRIES: Final = 5
"""How often a change by hand is tried upon what others have changed meanwhile."""


async def refresh(runtime: Runtime) -> None:
    """Reads the routes anew."""
    row = await runtime.store.routing()
    runtime.live.apply_routes(routes_of(runtime, row, await runtime.store.list_watches()))


def routes_of(runtime: Runtime, row: RoutingRow, watches: Sequence[Watch]) -> Routes:
    """What a replica acts on, by what the store says of routes, rollouts and failovers."""
    rules = row.rules or configured_rules(runtime.settings)
    # what is on its way goes before what was promoted and is watched
    on_its_way = sorted(row.rollouts, key=lambda rollout: rollout.is_promoted)
    shared = [rule.weights for rule in rules if rule.condition.account is None]
    named = {name for weights in shared for name, weight in weights.items() if weight > 0}
    misreading = {name for watch in watches for name in refuted(watch.checks)}
    return Routes(
        rules=rules,
        canaries=tuple(canary_of(rollout) for rollout in on_its_way),
        unproved=(row.unproved - named) | misreading,
        unproved_for={one: names - named for one, names in row.unproved_for.items()},
        shares=shares_of(watch for watch in watches if _is_watched(runtime, watch)),
        checked_enough=frozenset(name for watch in watches for name in enough(watch.checks)),
        follow_ups=follow_ups_of(watches),
        policies={watch.provider: watch.policy for watch in watches if watch.policy},
        revision=row.revision,
    )


def _is_watched(runtime: Runtime, watch: Watch) -> bool:
    mine = runtime.settings.providers.get(watch.provider)
    policy = watch.policy or (mine.failover if mine is not None else "automatic")
    return policy != "off"


def shares_of(watches: Iterable[Watch]) -> dict[str, tuple[Share, ...]]:
    """What replicas need to know of failovers, by the version that carries."""
    found: dict[str, tuple[Share, ...]] = {}
    for watch in watches:
        for stream in (*watch.slices, *watch.wholes):
            mine = share_of(stream, watch.salt, watch.checks)
            found[stream.carrying] = (*found.get(stream.carrying, ()), mine)
    return found


def follow_ups_of(watches: Iterable[Watch]) -> dict[str, FollowUpRoute]:
    """What replicas need to know of captures, voids and refunds, by `follow_up_key`."""
    found: dict[str, FollowUpRoute] = {}
    for watch in watches:
        for stream in watch.follow_ups:
            key = follow_up_key(stream.owner, stream.operation)
            found[key] = FollowUpRoute(is_open=stream.state.is_open)
        for key, through in watch.follow_up_routes.items():
            found[key] = replace(found.get(key, FollowUpRoute()), through=through)
    return found


def share_of(stream: Stream, salt: str, checks: Mapping[str, Checks]) -> Share:
    """What replicas need to know of one stream."""
    state = stream.state
    is_live = state.phase in LIVE and bool(stream.candidate)
    return Share(
        candidate=stream.candidate,
        share_ppm=round(state.share * PPM) if is_live else 0,
        salt=salt,
        is_open=state.is_open,
        condition=stream.condition,
        checked=next(
            (
                name
                for name in (stream.candidate, stream.carrying)
                if (is_live or name == stream.carrying) and name in checks and checks[name].goes_on
            ),
            "",
        ),
        is_alarmed=state.alarmed or stream.carrying in refuted(checks),
        none_works=state.none_works,
    )


async def in_force(runtime: Runtime) -> tuple[tuple[Rule, ...], str]:
    """The rules that give new payments to versions, and whether they are `stored` or those of the
    `settings`."""
    row = await runtime.store.routing()
    if row.rules:
        return row.rules, "stored"
    return configured_rules(runtime.settings), "settings"


async def set_weights(
    runtime: Runtime, weights: dict[str, float], *, reason: str, actor: str
) -> dict[str, float]:
    """Gives new payments to versions by hand: the weights of the rule for everybody."""
    check_reason(reason)
    try:
        weighing.check(weights, tuple(runtime.installed))
    except Misconfigured as error:
        raise Invalid(error.detail, faults=(Fault("/weights", error.detail),)) from None
    for _ in range(TRIES):
        row = await runtime.store.routing()
        rules = row.rules or configured_rules(runtime.settings)
        after = (*rules[:-1], replace(rules[-1], weights=weights))
        event = _event(runtime, weights, reason, actor)
        if await runtime.store.set_rules(Rerouting(before=row.rules, after=after), event):
            await refresh(runtime)
            for watch in await runtime.store.list_watches():  # what was watched carries no more
                await runtime.store.enqueue_job("failover", watch.provider, runtime.store.now_ms())
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


def check(runtime: Runtime) -> None:
    """Raises `Misconfigured` where the routes give weight to a version that is not installed."""
    for rule in runtime.live.routes.rules:
        carrying = {name for name, weight in rule.weights.items() if weight > 0}
        if absent := sorted(carrying - set(runtime.installed)):
            raise Misconfigured(
                f"the stored routes give payments to {', '.join(absent)}, which is not installed: "
                "install it, or `tollkeeper routes reset`"
            )


async def follow(runtime: Runtime) -> None:
    """Keeps the routes at most a poll behind the store; ends with its task. While the store is
    away the last ones stand, and a canary's share runs out by itself."""
    while True:
        changed: asyncio.Event | None = None
        with contextlib.suppress(StoreDoubt, Unavailable):
            changed = await runtime.store.routing_signal()
        if changed is not None:
            changed.clear()  # whatever comes from now on is heard, so the look may follow
        try:
            if await runtime.store.routing_revision() != runtime.live.routes.revision:
                await refresh(runtime)
            await flush(runtime)
        except (StoreDoubt, Unavailable):
            pass
        if changed is None:
            await runtime.clock.sleep(POLL_SECONDS)
        else:
            await _heard(changed)


async def flush(runtime: Runtime) -> None:
    """Writes down first attempts that did not fail since the last time. What a process had not
    written when it ended is lost: a second's counts at most."""
    counts = dict(runtime.live.unfailed)
    now = runtime.clock.monotonic()
    if not counts or now < runtime.live.flushed_at + FLUSH_SECONDS:
        return
    runtime.live.unfailed.clear()
    runtime.live.flushed_at = now
    await runtime.store.add_counts(runtime.store.now_ms() // 1000, counts)


async def _heard(changed: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LISTENING_SECONDS):
            await changed.wait()


def canary_of(rollout: Rollout) -> Canary:
    """What replicas need to know of a rollout; the more was counted, the more may be open."""
    more = rollout.canary_seen // COUNTED_PER_OUTSTANDING
    return Canary(
        rollout_id=rollout.id,
        candidate=rollout.candidate,
        salt=rollout.salt,
        condition=rollout.condition,
        share_ppm=rollout.share_ppm,
        status=rollout.status,
        valid_until_ms=rollout.valid_until_ms,
        keep=rollout.plan.orphaned == "keep",
        most_outstanding=rollout.plan.most_outstanding + more,
        considered_ms=rollout.considered_ms,
        cross_ppm=rollout.cross_ppm,
    )
