"""How failovers look from outside: for the API, the command line and the dashboard."""

import msgspec

from tollkeeper.failover.checks import Checks
from tollkeeper.failover.state import Watch, in_words
from tollkeeper.failover.streams import Stream
from tollkeeper.kernel.errors import NotFound
from tollkeeper.settings import NoneWorks, Policy, Settings


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """Payments that one version carries. `meant`: which of them, empty for all. `phase` is watch,
    explore or ramp; `share_percent` of first attempts go to `candidate`. `r`, `s`, `t`, `u` and
    `n` are the wealths of the rule. `cause`: what was wrong with the last payment that failed;
    `helped_by`: the version that ended it. `stands` says it in a sentence."""

    carrying: str
    meant: str
    candidate: str
    phase: str
    share_percent: float
    alarmed: bool
    none_works: bool
    proposed: bool
    cause: str
    helped_by: str
    handled: int
    failed: int
    r: float
    s: float
    t: float
    u: float
    n: float
    stands: str


class FailoverView(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched of one provider. `taken_out`: versions that traffic moves to only after
    they are cleared. `policy` is the one in force. `checks`: lookups of the first payments of
    versions that traffic was given to. `follow_ups`: captures, voids and refunds that failed, and
    `follow_up_routes` the versions that an operator sends them through. `misreads`: versions that
    carry traffic and were seen to misread."""

    provider: str
    policy: Policy
    none_works: NoneWorks
    streams: list[StreamView]
    taken_out: list[str]
    checks: dict[str, Checks]
    follow_ups: list[StreamView] = []
    follow_up_routes: dict[str, str] = {}
    misreads: list[str] = []


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """The policies in force for a provider; `source`: who says so."""

    provider: str
    policy: Policy
    none_works: NoneWorks
    source: str


def watch_view(watch: Watch, settings: Settings) -> FailoverView:
    """A watch for people and programs."""
    said = policy_view(watch.provider, watch, settings)
    return FailoverView(
        provider=watch.provider,
        policy=said.policy,
        none_works=said.none_works,
        streams=[_stream_view(stream) for stream in watch.streams],
        taken_out=list(watch.taken_out),
        checks=watch.checks,
        follow_ups=[_stream_view(stream) for stream in watch.follow_ups],
        follow_up_routes=watch.follow_up_routes,
        misreads=list(watch.misreads),
    )


def policy_view(provider: str, watch: Watch | None, settings: Settings) -> PolicyView:
    """What holds for `provider`; raises `NotFound` for one that is not in the settings."""
    mine = settings.providers.get(provider)
    if mine is None:
        known = ", ".join(sorted(settings.providers)) or "none"
        raise NotFound(f"no provider {provider}; providers: {known}")
    by_hand = watch.policy if watch is not None else None
    return PolicyView(
        provider=provider,
        policy=by_hand or mine.failover,
        none_works=mine.none_works,
        source="by hand" if by_hand else "settings",
    )


def _stream_view(stream: Stream) -> StreamView:
    state = stream.state
    return StreamView(
        carrying=stream.carrying,
        meant=stream.meant,
        candidate=stream.candidate,
        phase=state.phase,
        share_percent=state.share * 100,
        alarmed=state.alarmed,
        none_works=state.none_works,
        proposed=stream.proposed,
        cause=stream.cause,
        helped_by=stream.helped_by,
        handled=stream.handled,
        failed=stream.failed,
        r=state.wealth_r,
        s=state.wealth_s,
        t=state.wealth_t,
        u=state.wealth_u,
        n=state.none,
        stands=in_words(stream),
    )
