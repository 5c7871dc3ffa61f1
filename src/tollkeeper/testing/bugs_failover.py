"""Planted bugs about failover: what moves traffic, and what must not."""

from typing import Any, Final

import msgspec

from tollkeeper.failover import drawn, rule
from tollkeeper.flows import observing, routes
from tollkeeper.flows.failover import controller, evidence, judged
from tollkeeper.routing.router import Router
from tollkeeper.store.failovers import Failovers
from tollkeeper.testing import planting
from tollkeeper.testing.planting import Bug, Patch

_OWN: Final[list[Bug]] = []
_bug = planting.collector(_OWN)


@_bug("Traffic moves in name only: the rules stay as they were.")
def moved_in_name_only() -> list[Patch]:
    return [(judged, "moved_rules", lambda rules, *_: rules)]


@_bug("What was taken out is forgotten, and may be moved to again.")
def taken_out_forgotten() -> list[Patch]:
    real: Any = vars(Failovers)["save_watch"]

    async def save_watch(store: Any, job: Any, watch: Any, **named: Any) -> bool:
        return bool(
            await real.__get__(store, Failovers)(
                job, msgspec.structs.replace(watch, taken_out=()), **named
            )
        )

    return [(Failovers, "save_watch", save_watch)]


@_bug("A second attempt through the same version counts as one through the other.")
def coin_not_told_apart() -> list[Patch]:
    real: Any = vars(observing)["trial_of"]

    def trial_of(*values: Any, **named: Any) -> Any:
        trial = real(*values, **named)
        again = trial.second == "again"
        return msgspec.structs.replace(trial, second="other", second_ok=True) if again else trial

    return [(observing, "trial_of", trial_of)]


@_bug("A decline counts as a failure of the version.")
def decline_is_a_failure() -> list[Patch]:
    real: Any = vars(observing)["trial_of"]

    def trial_of(*values: Any, **named: Any) -> Any:
        trial = real(*values, **named)
        declined = trial.first == "declined"
        return msgspec.structs.replace(trial, first="refused") if declined else trial

    return [(observing, "trial_of", trial_of)]


@_bug("What was counted is counted again by the next look.")
def trial_counted_again() -> list[Patch]:
    real: Any = vars(controller)["replace"]

    def replaced(watch: Any, **changes: Any) -> Any:
        if "considered_id" in changes:
            changes |= {"considered_ms": watch.considered_ms, "considered_id": ""}
        return real(watch, **changes)

    return [(controller, "replace", replaced)]


@_bug("A record shows other numbers than those that were counted.")
def record_of_other_numbers() -> list[Patch]:
    real: Any = vars(judged)["Record"]

    def recorded(**fields: Any) -> Any:
        counted = msgspec.structs.replace(fields["counted"], share=0.123)
        return real(**(fields | {"counted": counted}))

    return [(judged, "Record", recorded)]


@_bug("A look that decides leaves no record.")
def decision_without_record() -> list[Patch]:
    real: Any = vars(Failovers)["save_watch"]

    async def save_watch(store: Any, job: Any, watch: Any, **named: Any) -> bool:
        kept = tuple(r for r in named.get("records", ()) if r.kind == "counted")
        return bool(await real.__get__(store, Failovers)(job, watch, **(named | {"records": kept})))

    return [(Failovers, "save_watch", save_watch)]


@_bug("A version that was seen to misread may go on.")
def misreading_is_kept() -> list[Patch]:
    async def kept(*_: Any) -> None:
        pass

    return [(controller, "take_out_refuted", kept)]


@_bug("A replica never hears of new routes.")
def stale_replica() -> list[Patch]:
    async def follow(*_: Any) -> None:
        pass

    return [(routes, "follow", follow)]


@_bug("Nobody is told that no version works.")
def none_works_unsaid() -> list[Patch]:
    return [(rule, "A_NONE", float("inf"))]


@_bug("Payments that were on their way before a share count as drawn by it.")
def undrawn_counts() -> list[Patch]:
    real: Any = vars(drawn)["_with_end"]

    def with_end(pending: list[Any], over: Any) -> Any:
        if over.trial.through_w or any(one.id == over.id for one in pending):
            return real(pending, over)
        trial = msgspec.structs.replace(over.trial, share=0.5)
        return [*pending, drawn.Drawn(over.id, over.at_ms, 0.5, through_w=False, trial=trial)]

    return [(drawn, "_with_end", with_end)]


@_bug("A drawn payment that never ends holds up all that were drawn after it.")
def late_never_counts() -> list[Patch]:
    return [(drawn, "SLOW_MS", 10**15)]


@_bug("Drawn payments count in the order in which they end.")
def counted_as_they_end() -> list[Patch]:
    real: Any = vars(drawn)["_released"]

    def released(state: Any, pending: list[Any], *rest: Any) -> Any:
        return real(state, sorted(pending, key=lambda one: one.trial is None), *rest)

    return [(drawn, "_released", released)]


@_bug("A follow-up that failed counts as a failing authorization.")
def follow_up_is_authorization() -> list[Patch]:
    real: Any = vars(observing)["_follow_up_row"]

    def row(*values: Any, **named: Any) -> Any:
        return msgspec.structs.replace(real(*values, **named), operation="")

    return [(observing, "_follow_up_row", row)]


@_bug("Follow-ups go through another version though no operator has said so.")
def follow_up_strays() -> list[Patch]:
    def version(router: Any, name: str, account: str, operation: str) -> str:
        return next(iter(router.able_names(name, account)), name)

    return [(Router, "follow_up_version", version)]


@_bug("It is said that no version works while half of the payments go well.")
def none_works_said_early() -> list[Patch]:
    return [(rule.State, "fails_mostly", True), (rule, "A_NONE", 10.0)]


@_bug("A share starts although a verdict with named evidence forbids it.")
def veto_ignored() -> list[Patch]:
    return [(controller, "veto_of", lambda *_: "")]


@_bug("A reading that no version could confirm counts as confirmed.")
def unconfirmed_reading_believed() -> list[Patch]:
    real: Any = vars(evidence)["_agrees"]

    async def agrees(*values: Any) -> bool:
        return await real(*values) is not False

    return [(evidence, "_agrees", agrees)]


@_bug("What one version alone reads, and no other could confirm, is not proposed.")
def read_alone_unsaid() -> list[Patch]:
    return [(rule.State, "is_read_alone", False)]


@_bug("Once enough payments of a version agree, no later one is looked up.")
def later_never_looked_up() -> list[Patch]:
    return [(observing, "is_looked_up_later", lambda _: False)]


BUGS: Final = tuple(_OWN)
"""The planted bugs of this file."""
