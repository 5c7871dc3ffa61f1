"""Which version a new payment takes while a rollout runs, and how sure its share was.

Law: a unit (a customer, else a payment) is eligible while the share in force covers its number, so
that raising the share only adds units. Each payment of an eligible unit tosses a coin of its own,
and four of five go to the baseline: whoever comes back is compared as well, by fresh chance, and a
fault that begins after every customer has been counted is seen. The chance with which a payment
became a canary is kept with each assignment, 0 where the canary took nobody.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from tollkeeper.routing.weights import choose

PPM: Final = 1_000_000

COIN: Final = 0.2
"""How many of an eligible unit's payments the candidate takes, while the share allows it. With one
of five a late fault of all payments shows after five that fail, with one of two after ten
(`./dev bench canary --only returning`); and whoever failed will hardly fail again at once."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Which payments are meant; `None` is all."""

    currency: str | None = None
    country: str | None = None
    account: str | None = None

    def holds(self, facts: "RoutingContext") -> bool:
        """Whether a payment of these facts is meant."""
        return (
            self.currency in {None, facts.currency}
            and self.country in {None, facts.country}
            and self.account in {None, facts.account}
        )


class RoutingContext(msgspec.Struct, frozen=True, kw_only=True):
    """What routing may know of a payment. `unit`: the customer, else the payment's id."""

    unit: str
    payment_id: str
    currency: str
    account: str
    country: str | None = None

    @property
    def customer_unit(self) -> str:
        """The unit's name over all accounts."""
        return f"{self.account}\n{self.unit}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Weights (percent by version, sum 100) for the payments that `condition` holds for."""

    condition: Condition
    weights: dict[str, float]


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate's share as every replica acts on it. `valid_until_ms`: after it the baseline
    takes over, unless `keep`; `considered_ms`: up to when results were looked at."""

    rollout_id: str
    candidate: str
    salt: str
    condition: Condition
    share_ppm: int
    status: str
    valid_until_ms: int
    keep: bool
    most_outstanding: int
    considered_ms: int
    cross_ppm: int = 0

    @property
    def is_shadow(self) -> bool:
        """Whether the candidate only re-reads."""
        return self.status == "shadow"

    @property
    def is_running(self) -> bool:
        """Whether the candidate takes its share."""
        return self.status == "running"

    @property
    def is_promoted(self) -> bool:
        """Whether the candidate carries everything."""
        return self.status == "promoted"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What replicas do for payments of `condition` that a version carries, as failover says: the
    part of first attempts that goes to another version. `is_open`: whoever takes a payment must
    tell how it ended; `checked`: the version whose payments are looked up as well;
    `is_alarmed`: the version fails more than its history; `none_works`: no installed one works."""

    candidate: str
    share_ppm: int
    salt: str
    is_open: bool
    condition: Condition = Condition()
    checked: str = ""
    is_alarmed: bool = False
    none_works: bool = False


class FollowUpRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on the payments of one version: the version that it goes `through` by an
    operator's word, empty for their own. `is_open`: each must be told."""

    through: str = ""
    is_open: bool = False


def follow_up_key(version: str, operation: str) -> str:
    """The name of one operation on the payments of `version`."""
    return f"{version}#{operation}"


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a new payment's version. The first rule that holds gives the
    weights. `unproved`: candidates whose newest rollout was not promoted, and versions that
    were seen to misread; they read nobody's payments but their own. `unproved_for`:
    those of rollouts that are one account's, by account.
    `shares`: what is watched for failover, by the version that carries, slices before the whole.
    `policies`: what operators have said of it, by provider. `checked_enough`: versions whose
    payments need not be looked up through others. `follow_ups`: by `follow_up_key`.
    `revision` counts changes, over all replicas."""

    rules: tuple[Rule, ...]
    canaries: tuple[Canary, ...] = ()
    unproved: frozenset[str] = frozenset()
    unproved_for: Mapping[str, frozenset[str]] = {}
    shares: Mapping[str, tuple[Share, ...]] = {}
    policies: Mapping[str, str] = {}
    checked_enough: frozenset[str] = frozenset()
    follow_ups: Mapping[str, FollowUpRoute] = {}
    revision: int = 0

    def is_proved(self, name: str, account: str | None) -> bool:
        """Whether the version called `name` may act for payments of `account`, `None` for those of
        any, that it was not chosen for."""
        if name in self.unproved:
            return False
        if account is not None:
            return name not in self.unproved_for.get(account, frozenset())
        return all(name not in names for names in self.unproved_for.values())

    def weights_for(self, facts: RoutingContext) -> Mapping[str, float]:
        """The weights of versions outside of rollouts."""
        for rule in self.rules:
            if rule.condition.holds(facts):
                return rule.weights
        raise AssertionError("the last rule holds for everything")


class RouteChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a payment takes; `canary` is the rollout it counts in, if any, and
    `share_ppm` the chance that it had if it is its unit's first payment; if it is a later one, it
    counts as `again_unit`, with the chance `again_ppm`, 0 where it does not count.
    `share` is the failover that governs it, and `is_moved` whether it goes to the candidate of
    that."""

    integration: str
    canary: Canary | None = None
    is_canary: bool = False
    share_ppm: int = 0
    unit: str = ""
    again_unit: str = ""
    again_ppm: int = 0
    share: Share | None = None
    is_moved: bool = False


def choose_route(
    routes: Routes,
    salt: str,
    facts: RoutingContext,
    now_ms: int,
    withheld: Collection[str] = (),
    barred: Collection[str] = (),
) -> RouteChoice:
    """The version for a new payment. `withheld`: rollouts whose canary this replica gives nobody
    just now; `barred`: rollouts whose candidate cannot take such a payment at all."""
    weights = routes.weights_for(facts)
    stable = choose(weights, salt, facts.unit)
    share = share_for(routes, stable, facts)
    # by payment: gate T takes each for a draw of its own, and a customer may come often
    if share is not None and number_of(share.salt, facts.payment_id) < share.share_ppm:
        return RouteChoice(integration=share.candidate, share=share, is_moved=True)
    for canary in routes.canaries:
        if canary.is_running and share is not None and share.share_ppm:
            continue  # the failover compares the same two, or the stable one with a better
        # where the stable version is the candidate, it would be compared with itself
        compares = canary.status == "promoted" or canary.candidate != stable
        meant = compares and canary.rollout_id not in barred and canary.condition.holds(facts)
        if meant and _same_provider(canary.candidate, stable):
            return _taken(canary, stable, facts, now_ms, withheld, share)
    return RouteChoice(integration=stable, share=share)


def share_for(routes: Routes, version: str, facts: RoutingContext) -> Share | None:
    """The failover that governs such a payment of `version`: the first that gives a share away,
    else the one for all of them. It is open where any that meets the payment is."""
    mine = routes.shares.get(version, ())
    if not mine:
        return None
    met = [share for share in mine if share.condition.holds(facts)]
    chosen = next((share for share in met if share.share_ppm), met[-1] if met else None)
    if chosen is None or len(met) == 1:
        return chosen
    return msgspec.structs.replace(
        chosen,
        is_open=any(share.is_open for share in met),
        none_works=any(share.none_works for share in met),
    )


def _same_provider(one: str, other: str) -> bool:
    return one.partition("@")[0] == other.partition("@")[0]


def _taken(
    canary: Canary,
    stable: str,
    facts: RoutingContext,
    now_ms: int,
    withheld: Collection[str],
    failover: Share | None,
) -> RouteChoice:
    if canary.status == "promoted":
        return RouteChoice(
            integration=stable,
            canary=canary,
            is_canary=stable == canary.candidate,
            share_ppm=PPM,
            unit=unit_digest(canary.salt, facts.payment_id),
            share=failover,
        )
    orphaned = now_ms >= canary.valid_until_ms and not canary.keep
    share = 0 if orphaned or canary.rollout_id in withheld else canary.share_ppm
    mine = unit_digest(canary.salt, facts.payment_id)
    if not share:  # the unit is not used up by a payment that could not become a canary
        return RouteChoice(integration=stable, canary=canary, unit=mine, share=failover)
    eligible, coin = split(share)
    may = number_of(canary.salt, facts.customer_unit) < eligible
    is_canary = may and number_of(f"coin {canary.salt}", facts.payment_id) < coin
    return RouteChoice(
        integration=canary.candidate if is_canary else stable,
        canary=canary,
        is_canary=is_canary,
        share_ppm=share,
        unit=unit_digest(canary.salt, facts.customer_unit),
        again_unit=mine,
        again_ppm=coin if may else 0,
        share=None if is_canary else failover,
    )


def units_of(canary: Canary, facts: RoutingContext) -> tuple[str, str]:
    """The two names that a payment may count as: its customer's first, or itself."""
    return (
        unit_digest(canary.salt, facts.customer_unit),
        unit_digest(canary.salt, facts.payment_id),
    )


def split(share_ppm: int) -> tuple[int, int]:
    """Millionths of units that are eligible and of their payments that the candidate takes; the
    product is the share."""
    eligible = min(PPM, max(1, round(share_ppm / COIN)))
    return eligible, min(PPM, round(share_ppm * PPM / eligible))


def is_drawn(canary: Canary, payment_id: str) -> bool:
    """Whether a canary's payment is looked up through the baseline while the rollout goes on."""
    return number_of(f"cross {canary.salt}", payment_id) < canary.cross_ppm


def number_of(salt: str, unit: str) -> int:
    """A uniform number below a million that depends on `salt` and `unit` alone."""
    digest = hashlib.blake2b(f"{salt}\n{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % PPM


def unit_digest(salt: str, unit: str) -> str:
    """What stands for a unit in the books of a rollout: 24 hexadecimal digits, no name."""
    return hashlib.blake2b(f"unit\n{salt}\n{unit}".encode(), digest_size=12).hexdigest()
