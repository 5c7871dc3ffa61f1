"""The strange troubles of a world: what providers do that is no plain fault of one request."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.config import KeyConfig
from tollkeeper.simulator.stripe.disputes import CLOSED, STATUSES
from tollkeeper.testing.temper import PROVIDER_KEY
from tollkeeper.testing.watching import UNLISTED
from tollkeeper.testing.world import OTHER_ACCOUNT, Simulation

type Trouble = Callable[[Simulation], None]

MONEY: Final = (
    "payment_intents.create",
    "payment_intents.capture",
    "payment_intents.cancel",
    "refunds.create",
)
FOLLOW_UPS: Final = MONEY[1:]
READS: Final = ("payment_intents.list", "payment_intents.retrieve", "refunds.list")
MOST_HOURS: Final = 3.0

HOURS: Final[tuple[dict[str, Any], ...]] = tuple(
    {
        "effect": "late_effect",
        "seconds": 60.0,
        "most_seconds": MOST_HOURS * 3600,
        "first_of_key": True,
        "holds_key": holds_key,
        "count": 3,
    }
    for holds_key in (False, False, True)
)
REFUSALS: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "refuse", "message": UNLISTED},
    {"effect": "refuse", "message": UNLISTED, "code": "code_of_tomorrow"},
    {"effect": "refuse", "message": UNLISTED, "status": 402, "code": "code_of_tomorrow"},
    {"effect": "refuse", "message": UNLISTED, "stored": True},
)
PAUSES: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "lock_timeout", "seconds": 1.0, "count": 2},
    {"effect": "lock_timeout", "seconds": 30.0, "count": 2},
    {"effect": "rate_limited", "seconds": 2.0, "count": 2},
    {"effect": "maintenance", "seconds": 20.0, "count": 3},
)
HANGS: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "drop", "when": "before", "seconds": 60.0},
    {"effect": "drop", "when": "after", "seconds": 60.0},
)
ROWS: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "new_word", "path": "status", "value": "requires_patience"},
    {"effect": "change_type", "path": "amount"},
    {"effect": "nulls"},
    {"effect": "remove_field", "path": "currency"},
    {"effect": "null_field", "path": "amount"},
)
"""What is wrong with a row, whose reference can still be read."""

AMOUNTS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"effect": "amount_unit", "object": object_, "path": path, "count": 4}
    for object_, path in (
        ("payment_intent", "amount"),
        ("charge", "amount_captured"),
        ("charge", "amount_captured"),
        ("refund", "amount"),
    )
)
MISREAD: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "amount_unit", "object": "payment_intent", "path": "amount"},
    {"effect": "amount_unit", "object": "charge", "path": "amount_captured"},
    {"effect": "change_type", "object": "payment_intent", "path": "amount"},
    {"effect": "new_word", "object": "payment_intent", "path": "status", "value": "patience"},
)
"""How one version misreads, or cannot read, what it is shown."""

MISREAD_SECONDS: Final = 8.0

READS_ONLY: Final = ("*.list", "*.retrieve")
FIRST_SECONDS: Final = 8.0
"""Until then some payment has a charge, by which our account is known."""

SILENT_SECONDS: Final = 5.0
"""Less than the wire waits for an answer."""

BLIND_SECONDS: Final = 22.0
"""More than the in-flight window and the silence before it."""

OPEN: Final = tuple(status for status in STATUSES if status not in CLOSED)
BANK_SECONDS: Final = 2.0
"""Between two words of banks: events of one second have no order."""

ROW_EFFECTS: Final = frozenset({"foreign_row", "replace_row", *(rule["effect"] for rule in ROWS)})


def faults_of(simulation: Simulation) -> list[dict[str, Any]]:
    """The faults of single requests that the world's strange troubles add, each with its
    operations."""
    temper = simulation.temper
    found: list[dict[str, Any]] = []
    for name, faults, operations in (
        ("hours", HOURS, (*MONEY, *FOLLOW_UPS)),
        ("refusals", REFUSALS, MONEY),
        ("amounts", AMOUNTS, (*[MONEY[0]] * 4, *MONEY, *READS)),
        ("pauses", PAUSES, MONEY),
        ("hangs", HANGS, READS),
    ):
        if temper.has(name):
            found += [fault | {"operations": operations} for fault in faults]
    if temper.carrier:
        found += [fault | {"operations": ("*",)} for fault in breaking(temper.carrier)]
    return found


def breaking(carrier: str) -> list[dict[str, Any]]:
    """How one version breaks, and no other."""
    version = carrier.partition("@")[2]
    path = "charges" if version == "2022-08-01" else "latest_charge"
    rules: list[dict[str, Any]] = [
        {"effect": "sunset"},
        {"effect": "require_parameter", "parameter": "mandate_data"},
        {"effect": "rename_field", "path": path, "to": "renamed"},
        {"effect": "amount_unit", "object": "charge", "path": "amount_captured"},
    ]
    return [rule | {"api_version": version} for rule in rules]


def begin(simulation: Simulation) -> None:
    """What is wrong from the beginning, since most shoppers come early."""
    for name, (share, run) in EARLY.items():
        if simulation.temper.has(name) and simulation.loop.chance.random() < share:
            run(simulation)


def _misread_or_told(simulation: Simulation) -> None:
    if simulation.loop.chance.random() < 0.5:
        _misread(simulation)
    else:
        simulation.core.faults.add(FaultRule(**AMOUNTS[1], operation=MONEY[0]))


def _elsewhere_soon(simulation: Simulation) -> None:
    async def wait() -> None:
        await asyncio.sleep(FIRST_SECONDS)
        _elsewhere(simulation)

    simulation.loop.outside(wait())


def _late_from_now_on(simulation: Simulation) -> None:
    """Payments under keys that are held; or cancellations, which come one by one and are rare."""
    if simulation.loop.chance.random() < 0.4:
        simulation.core.faults.add(FaultRule(**HOURS[-1], operation=MONEY[0]))
    else:
        simulation.loop.outside(_late_cancellations(simulation))


async def _late_cancellations(simulation: Simulation) -> None:
    while not simulation.calm:
        rule = FaultRule(**HOURS[0], operation="payment_intents.cancel", id="late cancellation")
        simulation.core.faults.add(rule)  # anew where the faults were cleared
        await asyncio.sleep(SILENT_SECONDS)


def troubles_of(simulation: Simulation) -> list[Trouble]:
    """The other strange troubles of the world."""
    return [run for name, run in TROUBLES.items() if simulation.temper.has(name)]


def _elsewhere(simulation: Simulation) -> None:
    simulation.loop.outside(_silence_then(simulation, _open_another, _open_ours))


def _illegible(simulation: Simulation) -> None:
    simulation.loop.outside(_silence_then(simulation, _spoil_rows, _mend_rows))


async def _silence_then(simulation: Simulation, begin: Trouble, end: Trouble) -> None:
    """What only absence is left for: requests take effect and are not answered, and before a look
    can see that, `begin` happens. `end` comes when absence would have counted."""
    if simulation.calm:
        return
    chance = simulation.loop.chance
    rules = [
        simulation.core.faults.add(FaultRule(effect="drop", operation=operation))
        for operation in (MONEY[0], chance.choice(MONEY))
    ]
    await asyncio.sleep(SILENT_SECONDS)
    for rule in rules:
        simulation.core.faults.remove(rule.id)
    if not simulation.calm:
        begin(simulation)
        await asyncio.sleep(BLIND_SECONDS)
    if not simulation.calm:
        end(simulation)


def _open_another(simulation: Simulation) -> None:
    put_key(simulation, KeyConfig(key=PROVIDER_KEY, account=OTHER_ACCOUNT, allowed=READS_ONLY))


def _open_ours(simulation: Simulation) -> None:
    put_key(simulation, KeyConfig(key=PROVIDER_KEY))


def _spoil_rows(simulation: Simulation) -> None:
    for operation in ("payment_intents.list", "refunds.list"):
        fault = FaultRule(
            **ROWS[0], operation=operation, other_than="nothing", id=f"spoiled {operation}"
        )
        simulation.core.faults.add(fault)


def _mend_rows(simulation: Simulation) -> None:
    simulation.coverage.count("row.unreadable")
    for name in [n for n in simulation.core.faults.rules if n.startswith("spoiled")]:
        simulation.core.faults.remove(name)


def put_right(simulation: Simulation) -> None:
    """Ends what is strange about the provider as a whole."""
    simulation.weather.refuse_after = 0.0
    _set_clock(simulation, 0)
    put_key(simulation, KeyConfig(key=PROVIDER_KEY))


def poison(simulation: Simulation) -> str:
    """Makes the rows of one payment unreadable, for as long as nothing clears the faults; its id,
    or nothing where the provider has no payment yet."""
    known = sorted(name for name in simulation.ledger_of if name)
    if not known:
        return ""
    chosen = simulation.loop.chance.choice(known)
    fault = simulation.loop.chance.choice(ROWS[:2])
    for operation in ("payment_intents.list", "refunds.list"):
        simulation.core.faults.add(FaultRule(**fault, operation=operation, only=chosen))
    return chosen


def _row(simulation: Simulation) -> None:
    chance = simulation.loop.chance
    if chance.random() < 0.4:
        _illegible(simulation)
        return
    operation = chance.choice(("payment_intents.list", "payment_intents.list", "refunds.list"))
    known = sorted(name for name in simulation.ledger_of if name)
    choice = chance.random()
    if choice < 0.2:
        # a list of refunds is asked for one charge: a row of others would be money given back
        rule = FaultRule(effect="foreign_row", operation="payment_intents.list")
    elif choice < 0.3:
        rule = FaultRule(effect="replace_row", operation=operation, row=1, value="?")
    else:
        only = chance.choice(known) if known and choice < 0.7 else ""
        rule = FaultRule(**chance.choice(ROWS), operation=operation, only=only)
        rule.row = 0 if only else 1
    simulation.core.faults.add(rule)


def _clock(simulation: Simulation) -> None:
    if simulation.loop.chance.random() < 0.4:
        simulation.loop.outside(_silence_by_another_clock(simulation))
    else:
        _put_clock_off(simulation)


async def _silence_by_another_clock(simulation: Simulation) -> None:
    """Requests take effect and are not answered while the provider's clock has been off."""
    if not simulation.calm:
        _put_clock_off(simulation)
        await asyncio.sleep(SILENT_SECONDS)
        await _silence_then(simulation, _put_clock_off, _put_clock_right)


def _put_clock_off(simulation: Simulation) -> None:
    _set_clock(simulation, simulation.temper.clock_offset_s)


def _put_clock_right(simulation: Simulation) -> None:
    _set_clock(simulation, 0)


def _set_clock(simulation: Simulation, offset_s: int) -> None:
    if offset_s != simulation.core.config.clock_offset_seconds:
        simulation.watch.clock_since = simulation.loop.now
    if offset_s:
        simulation.coverage.count("clock.minutes_off")
    control(simulation, "/_control/settings", {"clock_offset_seconds": offset_s})


def _keys(simulation: Simulation) -> None:
    """Our key at the provider. While it opens another account it may only read there: what we
    charged in an account that is not ours would be lost for good."""
    chance = simulation.loop.chance
    if simulation.core.world.keys[PROVIDER_KEY].account == OTHER_ACCOUNT:
        return  # until absence would have counted
    reads = READS_ONLY
    states = (
        KeyConfig(key=PROVIDER_KEY),
        KeyConfig(key=PROVIDER_KEY, expired=True),
        KeyConfig(key=PROVIDER_KEY, allowed=reads),
        KeyConfig(key=PROVIDER_KEY, allowed=("payment_intents.create", *reads)),
    )
    if chance.random() < 0.5:
        _elsewhere(simulation)
    else:
        put_key(simulation, chance.choice(states))


def put_key(simulation: Simulation, key: KeyConfig) -> None:
    """Makes our key at the provider what `key` says."""
    if key.account == OTHER_ACCOUNT:
        simulation.coverage.count("key.of_another_account")
    control(simulation, "/_control/keys", msgspec.to_builtins(key))


def _bank(simulation: Simulation) -> None:
    chance, watch = simulation.loop.chance, simulation.watch
    if simulation.loop.now < watch.bank_since + BANK_SECONDS:
        return
    watch.bank_since = simulation.loop.now
    charges: list[Any] = [
        charge for part in simulation.ledger_of.values() for charge in part.values()
    ]
    disputes = sorted(d.dispute_id for charge in charges for d in charge.disputes)
    if disputes and chance.random() < 0.7:
        simulation.loop.outside(_decide_twice(simulation, chance.choice(disputes)))
        return
    captured = sorted(c.charge_id for c in charges if c.amount_captured_minor)
    if captured:
        status = chance.choice(("needs_response", "warning_needs_response"))
        path = f"/_control/charges/{chance.choice(captured)}/dispute"
        control(simulation, path, {"status": status})


async def _decide_twice(simulation: Simulation, dispute_id: str) -> None:
    """A bank decides, and soon again: of two words on their way either may come first."""
    chance = simulation.loop.chance
    # a word that ends a dispute and comes too late is put right by no list: one is not asked for
    ends = chance.random() < 0.6
    for pause_seconds, statuses in ((0.0, CLOSED), (BANK_SECONDS, OPEN)):
        await asyncio.sleep(pause_seconds)
        if simulation.calm:
            return
        simulation.watch.bank_since = simulation.loop.now
        status = chance.choice(statuses if ends else STATUSES)
        control(simulation, f"/_control/disputes/{dispute_id}/decide", {"status": status})
        simulation.coverage.count("dispute.decided")


def _refused(simulation: Simulation) -> None:
    simulation.weather.refuse_after = simulation.loop.chance.choice((0.0, 0.3, 1.0))


def _misread(simulation: Simulation) -> None:
    simulation.loop.outside(_refused_and_misread(simulation))


async def _refused_and_misread(simulation: Simulation) -> None:
    """What a look must not take for nothing: refusals come in place of successes, and one version
    misreads what was made. It is mostly the newest, which looks first for the others."""
    if simulation.calm:
        return
    chance, faults = simulation.loop.chance, simulation.core.faults
    newest, *others = sorted(simulation.installed, reverse=True)
    version = chance.choice((newest, newest, newest, *others)).partition("@")[2]
    shape = chance.choice(MISREAD) | {"api_version": version}
    rules = [faults.add(FaultRule(**shape, operation=operation)) for operation in READS]
    simulation.weather.refuse_after = 1.0
    await asyncio.sleep(MISREAD_SECONDS)
    if not simulation.calm:
        simulation.weather.refuse_after = 0.0
    for rule in rules:
        if rule.hits:
            simulation.coverage.count("refusal.and_misread")
        faults.remove(rule.id)


def control(simulation: Simulation, path: str, body: Any) -> None:
    """A request to the provider's control, done at once; what it refuses does not happen."""
    request = SimRequest(method="POST", path=path, body=msgspec.json.encode(body))
    simulation.core.control.handle(request)


EARLY: Final[dict[str, tuple[float, Trouble]]] = {
    "amounts": (1.0, _misread_or_told),
    "rows": (0.4, _illegible),
    "keys": (0.6, _elsewhere_soon),
    "hours": (0.6, _late_from_now_on),
}
"""What a world may begin with, and how many of those that keep the trouble do."""

TROUBLES: Final[dict[str, Trouble]] = {
    "clock": _clock,
    "rows": _row,
    "keys": _keys,
    "bank": _bank,
    "refusals": _refused,
    "amounts": _misread,
}
