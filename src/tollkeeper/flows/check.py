"""Checking a version against a live endpoint: the plays, carried there and judged.

Moves only a sandbox's money: the endpoint and its key are the caller's. A baseline is played beside
the candidate, so that what both get wrong is the endpoint's doing and is said to be.
"""

import msgspec

from tollkeeper.contracts.plays import (
    AMOUNT_MINOR,
    CURRENCY,
    PLAYS,
    Difference,
    Play,
    Scene,
    wrong,
)
from tollkeeper.flows.ports import Target, Wire
from tollkeeper.integrations.values import Integration, Order
from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.ids import new_id
from tollkeeper.payments.judging import not_sent, silence
from tollkeeper.payments.outcome import Charge, Outcome

MARGIN_S = 300


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Where plays are played."""

    wire: Wire
    clock: Clock
    chance: Chance
    base_url: str
    secret_key: str


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all plays. `shared` went wrong for the baseline as well."""

    version: str
    baseline: str | None
    plays: int
    differences: list[Difference]
    shared: list[Difference]

    @property
    def passed(self) -> bool:
        return not self.differences


async def rehearse(
    stage: Stage, candidate: Integration, baseline: Integration | None = None
) -> Rehearsal:
    """Plays every play with `candidate`, and with `baseline` beside it."""
    differences: list[Difference] = []
    shared: list[Difference] = []
    for play in PLAYS:
        found = await _play(stage, candidate, play)
        if found is None:
            continue
        before = await _play(stage, baseline, play) if baseline is not None else None
        same = before is not None and before.operation == found.operation
        (shared if same else differences).append(found)
    return Rehearsal(
        version=candidate.name,
        baseline=baseline.name if baseline is not None else None,
        plays=len(PLAYS),
        differences=differences,
        shared=shared,
    )


async def _play(stage: Stage, version: Integration, play: Play) -> Difference | None:
    """The first scene that goes wrong, or `None`."""
    first: Charge | None = None
    now_ms = stage.clock.now_ms()
    base = Order(
        payment_id=new_id("pay", now_ms, stage.chance),
        attempt_id="",
        amount_minor=AMOUNT_MINOR,
        currency=CURRENCY,
        payment_method="pm_card_visa",
        return_url="https://example.com/back",
        created_from_s=now_ms // 1000 - MARGIN_S,
        created_to_s=now_ms // 1000 + MARGIN_S,
    )
    key = ""
    for scene in play.scenes:
        key = key if scene.again else new_id("att", stage.clock.now_ms(), stage.chance)
        order = _order(base, scene, key, first)
        said = await _send(stage, version, scene, order)
        problems = wrong(play, scene, order, first, said)
        if problems:
            return Difference(
                play=play.name,
                operation=scene.operation,
                expected=scene.must.kind,
                seen="; ".join(problems),
            )
        first = first or said.charge
    return None


def _order(base: Order, scene: Scene, key: str, first: Charge | None) -> Order:
    order = msgspec.structs.replace(base, attempt_id=key, **scene.order)
    return order if first is None else msgspec.structs.replace(order, provider_id=first.provider_id)


async def _send(stage: Stage, version: Integration, scene: Scene, order: Order) -> Outcome:
    target = Target(base_url=stage.base_url, headers=version.credentials(stage.secret_key))
    try:
        request = version.request(scene.operation, order)
    except Exception as error:  # noqa: BLE001 - a version that cannot build is what we look for
        return not_sent("build_error", f"{type(error).__name__}: {error}")
    result = await stage.wire.send(request, target)
    if result.reply is not None:
        return version.outcome(scene.operation, result.reply)
    failure = result.failure
    assert failure is not None, "a result is a reply or a failure"
    if failure.acquired:
        return silence(failure.stage, failure.error)
    return not_sent(failure.error, failure.detail)
