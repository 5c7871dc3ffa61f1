"""What kind of world a seed makes: which defences are on, and which few troubles it keeps."""

import random
from typing import Any, Final, Literal

import msgspec

from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import Integration
from tollkeeper.settings import AccountSettings, NoneWorks, ProviderSettings, Settings, Timeouts
from tollkeeper.testing.loop import VirtualLoop
from tollkeeper.testing.misread import KINDS

PROVIDER_KEY: Final = "sk_test_simulation"
ACCOUNT: Final = "acc_1"
WINDOW_SECONDS: Final = 12.0
"""W in these worlds: above the longest lateness of the network plus the longest late effect of
worlds without the trouble `hours`."""

SETTINGS: Final = Settings(
    providers={
        "stripe": ProviderSettings(
            secret_key=PROVIDER_KEY,
            in_flight_window_seconds=WINDOW_SECONDS,
        )
    },
    weights={"stripe@2022-08-01": 30, "stripe@2022-11-15": 40, "stripe@2026-03-25.dahlia": 30},
    timeouts=Timeouts(total_seconds=10),
    shopper_deadline_seconds=25,
    action_deadline_seconds=40,
    attention_after_seconds=60,
    max_in_flight=10_000,
    max_in_flight_per_provider=10_000,
)

STRANGE: Final[dict[str, str]] = {
    "hours": "effects land minutes to hours after their request",
    "clock": "the provider's clock is minutes off, and is put right later",
    "rows": "rows of listings cannot be read, or belong to other software",
    "refusals": "refusals that no table knows, before the effect or in place of its reply",
    "amounts": "amounts come in another unit, to all versions or to one; some after a refusal",
    "pauses": "the provider asks for a pause",
    "keys": "our key expires, may do little, or opens another account",
    "hangs": "questions are accepted and never answered",
    "carrier": "one version carries everything and breaks",
    "neighbor": "a hostile account floods, and reaches for what is not its own",
    "reverse": "the account wants late charges reversed",
    "references": "shops race for one reference",
    "bank": "banks decide disputes, again and otherwise",
}
"""Troubles that a world may keep; each draws a few of them. (Groce et al., "Swarm testing".)"""

WITH_CANDIDATE: Final = 0.35
"""How many worlds have a rollout; in half of these the candidate misreads."""

OFTEN_LATE: Final = 0.2
OFTEN_OFF: Final = 0.1
OFTEN_MISREAD: Final = 0.12
"""How many worlds have late effects, a foreign clock, and amounts in another unit, beside those
that draw them."""

OFTEN_PAUSED: Final = 0.4
OFTEN_BROKEN: Final = 0.6
"""How many rollouts are paused; and of those with a sound candidate, in how many the baseline
breaks."""

OUTAGES: Final = ("refused", "hangs", "errors", "brown_out")
OFTEN_OUT: Final = 0.25
OFTEN_LYING: Final = 0.3
"""Where one version carries everything and nothing else is wrong: how often all versions fail
alike, and how often, else, another version misreads money."""

WITH_PAGES: Final = 0.3
"""How often alerts page people, where jobs run and something goes wrong."""

OFTEN_CARRIED: Final = 0.8
"""In how many worlds without any trouble one version carries everything and breaks."""

HELD: Final = ("vetoed", "pair", "moves", "liar", "checks_later")
"""What happens then: a verdict forbids the move; only one other version is installed, so that none
can confirm what it reads; traffic moves; another version lies; or payments are looked up later."""

ADDED: Final = frozenset({"vetoed", "pair", "checks_later", "only_answers", "pages"})
"""Fields of a temper that came later: what is drawn from a temper leaves them out."""

BLINDING: Final = frozenset({"hours", "clock", "rows", "keys"})
"""Troubles that leave only absence to go by."""

KEYS_IF_BLIND: Final = 0.4
WEBHOOKS_IF_BLIND: Final = 0.7
"""How many of the worlds with such a trouble have a provider that keeps keys, and of those with no
other trouble one that sends webhooks."""

ALONE: Final = frozenset({"carrier", "neighbor", "keys"})
"""Troubles that no world with a rollout has, whose evidence they would make worthless."""


class Temper(msgspec.Struct):
    """What kind of world a seed makes. `strange`: names of STRANGE; `clock_offset_s`: how far the
    provider's clock is off while it is; `carrier`: the version that carries everything, and
    `rescue_seconds` and `patience_seconds` as in the settings; `pauses`: an operator pauses the
    rollout, and `breaks_baseline`: its baseline fails for a while, which moves no traffic.
    `outage`: how all versions fail where one carries everything, `none_works` what is done then,
    and `liar` the version that takes approvals for declines. `vetoed`: the domain of a verdict that
    forbids a move; `pair`: the only other version that is installed; `checks_later`: a few payments
    are looked up before one in some is; `only_answers`: the second process runs no jobs, and must
    act on what the first one decides. `pages`: alerts page people, who answer."""

    replicas: int
    webhooks: bool
    workers: bool
    idempotency: bool
    chaos: float
    shoppers: int
    skew_ms: int
    candidate: str = ""
    misreads: str = ""
    strange: tuple[str, ...] = ()
    clock_offset_s: int = 0
    carrier: str = ""
    rescue_seconds: float = 1.5
    patience_seconds: float = 4.0
    pauses: bool = False
    breaks_baseline: bool = False
    outage: str = ""
    liar: str = ""
    none_works: NoneWorks = "send"
    vetoed: Literal["issuer", "bad_traffic", "our_infrastructure"] | None = None
    pair: str = ""
    checks_later: bool = False
    only_answers: bool = False
    pages: bool = False

    def has(self, trouble: str) -> bool:
        """Whether the world keeps `trouble`."""
        assert trouble in STRANGE, trouble
        return trouble in self.strange


def temper_of(loop: VirtualLoop) -> Temper:
    """The temper that the loop's seed draws."""
    temper = _weather_of(loop)
    chance = loop.chance
    if chance.random() < WITH_CANDIDATE:
        temper.candidate = chance.choice(sorted(SETTINGS.weights))
        temper.misreads = chance.choice(("", "", *KINDS))
        temper.shoppers += chance.randrange(2, 8)
    _make_strange(loop, temper)
    _try_rollout(temper)
    _try_failover(temper)
    chance = random.Random(f"pages/{_chance_of(temper).random()}")
    temper.pages = temper.workers and temper.chaos > 0 and chance.random() < WITH_PAGES
    return temper


def _chance_of(temper: Temper) -> random.Random:
    """Draws by the temper itself, which change no other world. What was added since is left out."""
    drawn: dict[str, Any] = msgspec.structs.asdict(temper)
    first = {name: value for name, value in drawn.items() if name not in ADDED}
    return random.Random(msgspec.json.encode(first))


def _try_failover(temper: Temper) -> None:
    """What else happens where one version carries everything, drawn from the temper itself."""
    chance = _chance_of(temper)
    if temper.strange == ("carrier",):
        if chance.random() < OFTEN_OUT:
            temper.outage, temper.strange = chance.choice(OUTAGES), ()
            temper.none_works = chance.choice(("send", "accept", "pause"))
        elif chance.random() < OFTEN_LYING:
            temper.liar, temper.strange = chance.choice(_others(temper)), ()
    elif not temper.strange and not temper.candidate and chance.random() < OFTEN_CARRIED:
        _hold(temper, chance)


def _others(temper: Temper) -> list[str]:
    return [name for name in SETTINGS.weights if name != temper.carrier]


def _hold(temper: Temper, chance: random.Random) -> None:
    """One version carries everything and breaks, and something holds the move or follows it."""
    temper.carrier, temper.strange = chance.choice(sorted(SETTINGS.weights)), ("carrier",)
    temper.chaos = 0.5
    match chance.choice(HELD):
        case "vetoed":
            temper.vetoed = chance.choice(("issuer", "bad_traffic", "our_infrastructure"))
        case "pair":
            temper.carrier = min(SETTINGS.weights)  # what it needs no newer version does
            temper.pair, temper.strange = chance.choice(_others(temper)), ()
        case "checks_later":
            temper.checks_later, temper.strange = True, ()
            temper.replicas, temper.only_answers = 2, True
        case "liar":
            temper.liar, temper.strange = chance.choice(_others(temper)), ()
        case "moves":
            temper.replicas, temper.only_answers = 2, True


def _try_rollout(temper: Temper) -> None:
    """What happens to a rollout, drawn from the temper itself: no other world changes by it."""
    if not temper.candidate:
        return
    chance = _chance_of(temper)
    temper.pauses = chance.random() < OFTEN_PAUSED
    sound = not temper.misreads and not BLINDING & set(temper.strange)
    temper.breaks_baseline = sound and chance.random() < OFTEN_BROKEN


def _weather_of(loop: VirtualLoop) -> Temper:
    chance = loop.chance
    return Temper(
        replicas=chance.choice((1, 1, 2)),
        webhooks=chance.random() < 0.7,
        workers=chance.random() < 0.85,
        idempotency=chance.random() < 0.7,
        chaos=chance.choice((0.0, 0.5, 1.0, 1.0, 2.0)),
        shoppers=chance.randrange(3, 10),
        skew_ms=chance.choice((0, 0, 15_000, -15_000)),
    )


def _make_strange(loop: VirtualLoop, temper: Temper) -> None:
    chance = loop.chance
    drawn = chance.sample(list(STRANGE), chance.choice((0, 0, 1, 2, 3, 4, 4)))
    temper.strange = tuple(n for n in drawn if not (temper.candidate and n in ALONE))
    late = temper.has("reverse") or chance.random() < OFTEN_LATE
    if late and not temper.has("hours"):
        temper.strange += ("hours",)  # without late effects there is nothing to reverse
    if not temper.has("clock") and chance.random() < OFTEN_OFF:
        temper.strange += ("clock",)
    if not temper.has("amounts") and chance.random() < OFTEN_MISREAD:
        temper.strange += ("amounts",)
    if BLINDING & set(temper.strange):
        # where a key is asked again, or a webhook tells, hardly any conclusion is wrong
        temper.idempotency = temper.idempotency and chance.random() < KEYS_IF_BLIND
        temper.chaos = temper.chaos or 1.0
    if temper.strange and BLINDING.issuperset(temper.strange):
        temper.webhooks = temper.webhooks and chance.random() < WEBHOOKS_IF_BLIND
    temper.webhooks = temper.webhooks or temper.has("bank")  # which tell what banks decide
    temper.rescue_seconds = chance.choice((0.0, 1.5, 1.5, 6.0))
    temper.patience_seconds = chance.choice((0.0, 4.0, 8.0))
    if temper.has("amounts"):  # where nothing is looked at, no look can be wrong
        temper.chaos, temper.rescue_seconds = temper.chaos or 1.0, temper.rescue_seconds or 1.5
    if temper.has("clock"):
        temper.clock_offset_s = chance.choice((-420, -420, -200, 200, 420, 420))
    if temper.has("carrier"):
        temper.carrier = chance.choice(sorted(SETTINGS.weights))
        temper.chaos = temper.chaos or 0.5  # without any it is calm from the beginning
        if chance.random() < 0.7:  # mostly nothing else is wrong, so that another version works
            temper.strange, temper.chaos = ("carrier",), 0.5


def settings_of(temper: Temper) -> Settings:
    """The settings of a world with this temper."""
    accounts = {}
    if temper.has("reverse"):
        accounts[ACCOUNT] = AccountSettings(late_charges="reverse")
    providers = dict(SETTINGS.providers)
    if temper.outage:
        providers["stripe"] = msgspec.structs.replace(
            providers["stripe"], none_works=temper.none_works, accept_seconds=60.0
        )
    if temper.breaks_baseline:
        asking = msgspec.structs.replace(providers["stripe"], failover="ask")
        providers["stripe"] = asking
    return msgspec.structs.replace(
        SETTINGS,
        providers=providers,
        weights=_weights(temper),
        accounts=accounts,
        rescue_seconds=temper.rescue_seconds,
        patience_seconds=temper.patience_seconds,
    )


def _weights(temper: Temper) -> dict[str, float]:
    """The weights: nothing on the candidate, which a rollout is to bring in."""
    if temper.carrier:
        names = (temper.carrier, temper.pair) if temper.pair else tuple(SETTINGS.weights)
        return {name: 100.0 * (name == temper.carrier) for name in names}
    if not temper.candidate:
        return SETTINGS.weights
    left = {name: w for name, w in SETTINGS.weights.items() if name != temper.candidate}
    whole = sum(left.values())
    return {name: weight * 100 / whole for name, weight in left.items()}


def installed_of(*, retention: bool) -> dict[str, Integration]:
    """The installed versions, of a provider that keeps idempotency keys or keeps none."""
    if retention:
        return dict(INSTALLED)
    return {name: without_keys(item) for name, item in INSTALLED.items()}


def without_keys(integration: Integration) -> Integration:
    """The version, of a provider that keeps no idempotency keys."""
    capabilities = msgspec.structs.replace(integration.capabilities, keys_kept_s=0)
    return msgspec.structs.replace(integration, capabilities=capabilities)
