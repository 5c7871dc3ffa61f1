"""Checking a version against what is alive: plays at an endpoint, and replies that were stored.

Moves only a sandbox's money: the endpoint and its key are the caller's. A baseline is played beside
the candidate, so that what both get wrong is the endpoint's doing and is said to be.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tollkeeper.contracts.plays import (
    AMOUNT_MINOR,
    CURRENCY,
    PLAYS,
    Difference,
    Play,
    Scene,
    told,
    wrong,
)
from tollkeeper.contracts.skew import Skew, skews
from tollkeeper.flows.exchanges import stored_reply_of
from tollkeeper.flows.ports import Store, Target, Vault, Wire
from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.version import (
    Delivery,
    Integration,
    OperationInput,
    SignatureRefused,
    WireReply,
)
from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.errors import Invalid, NotSent
from tollkeeper.kernel.ids import first_id, new_id
from tollkeeper.payments.change import Exchange
from tollkeeper.payments.judging import not_sent, silence
from tollkeeper.payments.outcome import Charge, Event, Outcome
from tollkeeper.payments.payment import Attempt

MARGIN_S: Final = 300
PAGE: Final = 500
WEBHOOK_SECRET: Final = "whsec_rehearsal"  # noqa: S105 - signs nothing but rehearsals
SHOWN: Final = 200
"""Disagreements that are kept; all are counted."""


DAY_MS: Final = 86_400_000


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Where plays are played."""

    wire: Wire
    clock: Clock
    chance: Chance
    base_url: str
    secrets: Mapping[str, str]


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
    stage: Stage,
    candidate: Integration,
    baseline: Integration | None = None,
    plays: tuple[Play, ...] = PLAYS,
) -> Rehearsal:
    """Plays every play with `candidate`, and with `baseline` beside it."""
    differences: list[Difference] = []
    shared: list[Difference] = []
    for play in plays:
        found = await _play(stage, candidate, play)
        if found is None:
            continue
        before = await _play(stage, baseline, play) if baseline is not None else None
        same = before is not None and before.operation == found.operation
        (shared if same else differences).append(found)
    return Rehearsal(
        version=candidate.name,
        baseline=baseline.name if baseline is not None else None,
        plays=len(plays),
        differences=differences,
        shared=shared,
    )


async def _play(stage: Stage, version: Integration, play: Play) -> Difference | None:
    """The first scene that goes wrong, or `None`."""
    first: Charge | None = None
    now_ms = stage.clock.now_ms()
    base = OperationInput(
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
        if scene.webhook:
            problems, said = await _webhook_problems(stage, version, order), None
        else:
            said = await _send(stage, version, scene, order)
            problems = wrong(play, scene, order, first, said)
        if problems:
            return Difference(
                play=play.name,
                operation=scene.operation,
                expected=scene.must.kind,
                seen="; ".join(problems),
            )
        first = first or (said.charge if said is not None else None)
    return None


async def _webhook_problems(stage: Stage, version: Integration, order: OperationInput) -> list[str]:
    """Fetches the events as their webhooks' bodies are, signs them, and lets the version read."""
    if version.event_list_request is None or version.event_list is None or version.signed is None:
        return ["the version does not say how to fetch events"]
    target = Target(base_url=stage.base_url, headers=version.credentials(stage.secrets))
    result = await stage.wire.send(version.event_list_request(), target)
    bodies = version.event_list(result.reply) if result.reply is not None else ()
    now_ms = stage.clock.now_ms()
    told: list[Event] = []
    for body in bodies:
        delivery = Delivery(
            body=body,
            headers=version.signed(body, WEBHOOK_SECRET, now_ms),
            secrets=(WEBHOOK_SECRET,),
            now_ms=now_ms,
        )
        try:
            told += version.events(delivery)
        except SignatureRefused as refused:
            return [f"a signed event was refused: {refused}"]
        try:
            version.events(msgspec.structs.replace(delivery, secrets=("another secret",)))
        except SignatureRefused:
            continue
        return ["an event signed with another secret was taken"]
    ours = [event for event in told if event.payment_id == order.payment_id]
    if not ours:
        return [f"none of {len(told)} events names our payment"]
    if order.provider_id not in {event.charge_id for event in ours}:
        return [f"no event names the charge {order.provider_id}"]
    return []


def _order(base: OperationInput, scene: Scene, key: str, first: Charge | None) -> OperationInput:
    order = msgspec.structs.replace(base, attempt_id=key, **scene.order)
    return order if first is None else msgspec.structs.replace(order, provider_id=first.provider_id)


async def _send(stage: Stage, version: Integration, scene: Scene, order: OperationInput) -> Outcome:
    target = Target(base_url=stage.base_url, headers=version.credentials(stage.secrets))
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


# Replay: the candidate reads again what the store holds; nothing is sent


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """A stored reply that two versions read differently, in one field of the outcome."""

    attempt_id: str
    operation: str
    field: str
    baseline: str
    candidate: str


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What came of re-reading. `compared` counts replies that two different versions read;
    `not_independent` those that the candidate itself had received, which prove nothing;
    `unreadable` those that are gone or sealed with another key."""

    version: str
    compared: int
    agreed: int
    not_independent: int
    unreadable: int
    disagreements: list[Disagreement]

    @property
    def verdict(self) -> str:
        """`agrees`, `differs`, or `nothing compared`, which is never green."""
        if not self.compared:
            return "nothing compared"
        return "agrees" if self.agreed == self.compared else "differs"


async def replay(
    store: Store,
    vault: Vault,
    candidate: Integration,
    installed: Mapping[str, Integration],
    since_ms: int,
) -> Replay:
    """Reads every stored reply of the candidate's provider since `since_ms` with the version that
    received it and with `candidate`, and compares what they say."""
    compared = agreed = own = unreadable = 0
    found: list[Disagreement] = []
    after = first_id("att", since_ms)
    while exchanges := await store.page_exchanges(after, PAGE):
        for exchange in exchanges:
            attempt = await _attempt_of(store, exchange)
            baseline = installed.get(attempt.integration) if attempt is not None else None
            if attempt is None or baseline is None or baseline.provider != candidate.provider:
                continue
            if baseline.name == candidate.name:
                own += 1
                continue
            reply = stored_reply_of(vault, exchange)
            if reply is None:
                unreadable += 1
                continue
            compared += 1
            differences = list(_differences(baseline, candidate, attempt, reply))
            agreed += not differences
            found += differences[: max(0, SHOWN - len(found))]
        after = exchanges[-1].attempt_id
    return Replay(
        version=candidate.name,
        compared=compared,
        agreed=agreed,
        not_independent=own,
        unreadable=unreadable,
        disagreements=found,
    )


async def replay_since(runtime: Runtime, candidate: Integration, days: float) -> Replay:
    """Reads with `candidate` what was stored in the last `days`."""
    since_ms = runtime.store.now_ms() - int(days * DAY_MS)
    return await replay(runtime.store, runtime.vault, candidate, runtime.installed, since_ms)


async def _attempt_of(store: Store, exchange: Exchange) -> Attempt | None:
    books = await store.load_books(exchange.payment_id)
    return books.attempt(exchange.attempt_id) if books is not None else None


def _differences(
    baseline: Integration, candidate: Integration, attempt: Attempt, reply: WireReply
) -> Iterator[Disagreement]:
    one = told(baseline.outcome(attempt.operation, reply))
    two = told(candidate.outcome(attempt.operation, reply))
    for field in sorted({*one, *two}):
        if one.get(field) != two.get(field):
            yield Disagreement(
                attempt_id=attempt.id,
                operation=attempt.operation,
                field=field,
                baseline=one.get(field, "nothing"),
                candidate=two.get(field, "nothing"),
            )


# Skew: the provider is asked what else speaks to us


async def ask_for_skews(runtime: Runtime, integration: Integration) -> list[Skew]:
    """Asks the provider for its webhook endpoints and the account's default, and compares."""
    if integration.account_request is None or integration.account is None:
        raise Invalid(f"{integration.name} does not say how to ask for the account's surroundings")
    result = await runtime.wire.send(integration.account_request(), runtime.target(integration))
    read = None
    if result.reply is not None and result.reply.status == 200:
        read = integration.account(result.reply)
    if read is None:
        failure = result.failure.error if result.failure is not None else "no list of endpoints"
        raise NotSent(f"the provider could not be asked: {failure}")
    return skews(integration, read, runtime.installed)
