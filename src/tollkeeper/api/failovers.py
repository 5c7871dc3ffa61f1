"""Failovers and routes over HTTP: for those who run the installation for all accounts."""

import msgspec

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import Call, bad_parameter
from tollkeeper.api.requests import (
    ChoosePolicy,
    ClearVersion,
    MustReason,
    RouteFollowUps,
    SetRoutes,
)
from tollkeeper.failover.state import Record, Watch
from tollkeeper.flows import routes
from tollkeeper.flows.failover import commands
from tollkeeper.flows.failover.views import FailoverView, watch_view
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Fault, Invalid, NotFound
from tollkeeper.payments.cards import find_card_numbers
from tollkeeper.routing.routes import Condition

LONGEST = 15


class FailoverList(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, by provider; empty before the first payment has failed."""

    data: list[FailoverView]


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """One look of the controller that counted something, or one command of an operator. `payments`
    were counted; `same`: they give the numbers of the record again."""

    seq: int
    at: str
    actor: str
    kind: str
    carrying: str
    candidate: str
    payments: int
    share_percent: float
    r: float
    s: float
    t: float
    u: float
    n: float
    same: bool
    reason: str


class DecisionList(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions, newest first; `has_more`: ask again with the last one's `seq` as `cursor`."""

    data: list[DecisionView]
    has_more: bool


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """Percent of new payments by version, for those that `condition` holds for."""

    condition: Condition
    weights: dict[str, float]


class RoutesView(msgspec.Struct, frozen=True, kw_only=True):
    """The routes in force; the first rule that holds counts. `source` is stored or settings."""

    object: str = "routes"
    source: str
    rules: list[RuleView]


async def listed(call: Call) -> Answer:
    settings = call.runtime.settings
    watches = await commands.page(call.runtime.store)
    return json_answer(FailoverList(data=[watch_view(watch, settings) for watch in watches]))


async def read(call: Call) -> Answer:
    watch = await commands.one(call.runtime.store, _provider(call))
    return _seen(call, watch)


async def decisions(call: Call) -> Answer:
    provider = _provider(call)
    call.only(("cursor", "limit"))
    limit = call.limit()
    given = call.query.get("cursor", "9" * LONGEST)
    if not given.isascii() or not given.isdigit() or len(given) > LONGEST:
        raise bad_parameter("cursor", "the `seq` of the last decision seen")
    found = await commands.decisions(call.runtime.store, provider, int(given), limit + 1)
    data = [decision_view(record) for record in found[:limit]]
    return json_answer(DecisionList(data=data, has_more=len(found) > limit))


async def stop(call: Call) -> Answer:
    asked, _ = call.asked(MustReason)
    watch = await commands.stop(
        call.runtime, _provider(call), reason=asked.reason, actor=_actor(call)
    )
    return _seen(call, watch)


async def clear(call: Call) -> Answer:
    asked, _ = call.asked(ClearVersion)
    watch = await commands.clear(
        call.runtime, _provider(call), asked.version, reason=asked.reason, actor=_actor(call)
    )
    return _seen(call, watch)


async def choose_policy(call: Call) -> Answer:
    asked, _ = call.asked(ChoosePolicy)
    watch = await commands.set_policy(
        call.runtime, _provider(call), asked.policy, reason=asked.reason, actor=_actor(call)
    )
    return _seen(call, watch)


async def route_follow_ups(call: Call) -> Answer:
    asked, _ = call.asked(RouteFollowUps)
    provider = _provider(call)
    if asked.version.partition("@")[0] != provider:
        fault = Fault("/version", f"a version of {provider}")
        raise Invalid(f"the version is not of {provider}", faults=(fault,))
    watch = await commands.route_follow_ups(
        call.runtime, asked.version, asked.operation, asked.through,
        reason=asked.reason, actor=_actor(call),
    )  # fmt: skip
    return _seen(call, watch)


async def read_routes(call: Call) -> Answer:
    rules, source = await routes.in_force(call.runtime)
    shown = [RuleView(condition=rule.condition, weights=rule.weights) for rule in rules]
    return json_answer(RoutesView(source=source, rules=shown))


async def set_routes(call: Call) -> Answer:
    asked, _ = call.asked(SetRoutes)
    await routes.set_weights(call.runtime, asked.weights, reason=asked.reason, actor=_actor(call))
    return await read_routes(call)


def decision_view(record: Record) -> DecisionView:
    """A record for programs, computed again."""
    after = record.after
    return DecisionView(
        seq=record.seq,
        at=rfc3339(record.at_ms),
        actor=record.actor,
        kind=record.kind,
        carrying=record.carrying,
        candidate=record.candidate,
        payments=sum(step.payments for step in record.steps),
        share_percent=after.share * 100,
        r=after.wealth_r,
        s=after.wealth_s,
        t=after.wealth_t,
        u=after.wealth_u,
        n=after.none,
        same=record.is_same,
        reason=record.reason,
    )


def _seen(call: Call, watch: Watch) -> Answer:
    return json_answer(watch_view(watch, call.runtime.settings))


def _provider(call: Call) -> str:
    given = call.path["provider"]
    known = sorted(call.runtime.settings.providers)
    if given not in known:
        shown = "" if find_card_numbers(given) else f" {given[:64]}"
        raise NotFound(f"no provider{shown}; providers: {', '.join(known) or 'none'}")
    return given


def _actor(call: Call) -> str:
    assert call.key is not None, "failovers ask for a key"
    return call.key.id
