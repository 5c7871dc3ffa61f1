"""What is watched of a provider now: the versions that carry its traffic, and their candidates."""

from typing import Final

from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream, next_candidate, with_candidate
from tollkeeper.flows.ports import RoutingRow
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.routing.routes import Rule
from tollkeeper.routing.rules import carrying as carrying_versions
from tollkeeper.routing.rules import is_within

HISTORY_S: Final = 86_400
FRESH_S: Final = 600
"""The history of a version is a day's, without the last ten minutes."""


async def current(
    runtime: Runtime, provider: str, stored: Watch | None, row: RoutingRow
) -> Watch | None:
    """The watch on everything that carries the provider's traffic by `row`; `None` where nothing
    does."""
    now_ms = runtime.store.now_ms()
    watch = stored or Watch(
        provider=provider, salt=runtime.new_id("fo"), considered_ms=now_ms - FRESH_S * 1000
    )
    rules = row.rules or configured_rules(runtime.settings)
    streams = await streams_of(runtime, watch, rules)
    if not streams:
        return None
    return replace(watch, streams=streams)


async def streams_of(runtime: Runtime, watch: Watch, rules: tuple[Rule, ...]) -> tuple[Stream, ...]:
    """The watch's streams of what carries traffic by `rules`: those it has, and new ones."""
    names = carrying_versions(rules, watch.provider)
    known = {stream.carrying: stream for stream in watch.wholes}
    wholes = [known.get(name) or await _begun(runtime, watch, name) for name in names]
    streams = (*wholes, *(s for s in watch.slices if s.carrying in names))
    return tuple(_with_candidate(runtime, watch, stream) for stream in streams)


async def begun_again(runtime: Runtime, watch: Watch, stream: Stream) -> Stream:
    """The stream with nothing known of it."""
    state = await fresh(runtime, watch, stream.carrying)
    return replace(
        stream, state=state, candidate="", tried=(), helped_by="", handled=0, failed=0,
        pending=(),
    )  # fmt: skip


async def _begun(runtime: Runtime, watch: Watch, version: str) -> Stream:
    return Stream(
        carrying=version,
        candidate="",
        state=await fresh(runtime, watch, version),
        since_ms=runtime.store.now_ms(),
    )


def _with_candidate(runtime: Runtime, watch: Watch, stream: Stream) -> Stream:
    sound = _sound(runtime, stream)
    name = next_candidate(stream, sound, _unproved(runtime, stream), watch.taken_out)
    return with_candidate(stream, name, is_proved=name in sound or not name)


def others_left(runtime: Runtime, watch: Watch, stream: Stream) -> list[str]:
    """Versions that could still be its candidate, after the present one."""
    out = {*watch.taken_out, *stream.tried, stream.candidate}
    names = (*_sound(runtime, stream), *_unproved(runtime, stream))
    return [name for name in names if name not in out]


def _sound(runtime: Runtime, stream: Stream) -> list[str]:
    account = stream.condition.account
    return [v.name for v in runtime.router.other_versions(stream.carrying, account)]


def _unproved(runtime: Runtime, stream: Stream) -> list[str]:
    """Candidates of running rollouts that take payments of this stream."""
    provider = stream.carrying.partition("@")[0]
    return [
        canary.candidate
        for canary in runtime.live.routes.canaries
        if canary.is_running
        and canary.candidate in runtime.installed
        and canary.candidate.partition("@")[0] == provider
        and canary.candidate != stream.carrying
        and is_within(stream.condition, canary.condition)
    ]


async def fresh(runtime: Runtime, watch: Watch, version: str, counted_as: str = "") -> State:
    """The state of a stream that begins, with the version's own history: of a day, without the last
    minutes, which may be the fault already. S is the dearer the more candidates there are.
    `counted_as`: what its counts are kept under, where that is not the version."""
    key = counted_as or version
    now_s = runtime.store.now_ms() // 1000
    from_s, to_s = now_s - HISTORY_S, now_s - FRESH_S
    unfailed = await runtime.store.count_between(key, from_s, to_s)
    trials, failing = await runtime.store.count_trials(key, from_s * 1000, to_s * 1000)
    total = unfailed + trials
    recent = await runtime.store.count_between(key, to_s, to_s + FRESH_S)
    state = rule.begin(failing / total if total else 0.0, per_second=recent / FRESH_S)
    others = [v.name for v in runtime.router.other_versions(version, None)]
    candidates = len([name for name in others if name not in watch.taken_out])
    return replace(state, a_start=state.a_start * max(candidates, 1))
