"""Payments of a provider that fails under version V while W is installed, as the service takes
them: rescue, coin, third attempt, reading over. Each shopper's luck is drawn beforehand, so that
every policy meets the same stream.
"""

import heapq
import random
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from msgspec.structs import replace

from tollkeeper.failover.rule import Trial
from tollkeeper.failover.trials import Sent, is_failing, trial_of
from tollkeeper.payments.judging import not_sent
from tollkeeper.payments.outcome import Decline, Outcome, Refusal, unknown

V: Final = "provider@1"
W: Final = "provider@2"

type Kind = Literal["ok", "declined", "refused", "unsent", "unreadable", "mess", "dead", "later"]
"""What one attempt came to. `unsent`: class A. `unreadable`: the version cannot read the reply, and
another one may; `mess`: no version reads it; `dead`: 5xx or a timeout."""

type Told = Literal["ok", "failed", "wait"]

_OUTCOMES: Final[dict[Kind, Outcome]] = {
    "ok": Outcome(kind="approved"),
    "declined": Outcome(kind="declined", decline=Decline("insufficient_funds")),
    "refused": Outcome(kind="failed", refusal=Refusal("parameter_missing")),
    "unsent": not_sent("connection_refused", ""),
    "unreadable": unknown("status", ""),
    "mess": unknown("status", ""),
    "dead": unknown("silence", ""),
    "later": Outcome(kind="failed", refusal=Refusal("rate_limit", later=True)),
}
PROVEN: Final = frozenset({"refused", "unsent"})
"""Proof of no effect: another attempt may follow."""

ANSWERS: Final = frozenset({"ok", "declined"})


class Shopper(NamedTuple):
    """One payment and its luck, each number uniform below 1. `slice_`: its currency, account or
    whatever a fault may depend on; `mine` and `others`: results of attempts through V and W;
    `reread`: whether W could read what V read."""

    at: float
    slice_: float
    share: float
    coin: float
    mine: tuple[float, float]
    others: tuple[float, float]
    reread: float


class Fault(NamedTuple):
    """What the provider does from second 0 on; `ok` is no fault. `part` of payments fail through
    the versions of `hits`, by their slice or, where `by_node`, each attempt anew. `readers` read
    what is `unreadable`. `w_fails`: W's own failures, half of them refused and half a mess.
    `noise`: everybody's, half of them refused and half dead. `flap`: seconds of fault, then as many
    without; `lasts`: when it ends. `hangs`: seconds until a dead attempt through
    the versions of `hung` is given up; the others hear of it at once."""

    name: str
    kind: Kind = "ok"
    hits: str = V
    part: float = 1.0
    by_node: bool = False
    readers: str = W
    w_fails: float = 0.0
    noise: float = 0.005
    declined: float = 0.1
    flap: float = 0.0
    lasts: float = float("inf")
    hangs: float = 0.0
    hung: str = V + W

    def is_on(self, at: float) -> bool:
        """Whether the fault is there at second `at`."""
        inside = 0 <= at < self.lasts
        return inside and (not self.flap or int(at // self.flap) % 2 == 0)

    def result(self, version: str, number: int, shopper: Shopper) -> Kind:
        """What attempt `number` through `version` comes to."""
        luck = (shopper.mine if version == V else shopper.others)[number]
        if self.kind != "ok" and version in self.hits and self.is_on(shopper.at):
            if not self.by_node:
                if shopper.slice_ < self.part:
                    return self.kind
            elif luck < self.part:
                return self.kind
            else:
                luck = (luck - self.part) / (1 - self.part)
        if version == W and self.w_fails:
            if luck < self.w_fails:
                return "refused" if luck * 2 < self.w_fails else "mess"
            luck = (luck - self.w_fails) / (1 - self.w_fails)
        if luck < self.noise:
            return "refused" if luck * 2 < self.noise else "dead"
        return "declined" if luck < self.noise + (1 - self.noise) * self.declined else "ok"


class Done(NamedTuple):
    """A payment that began at `at` and was over at `over_at`. `share`: the chance that its first
    attempt had to go through W; `was_open`: whether an episode was open when it began; `read_by`:
    the version that read a reply which its own could not; `is_tossed`: the coin decided about its
    second attempt."""

    at: float
    over_at: float
    versions: tuple[str, ...]
    kinds: tuple[Kind, ...]
    told: Told
    read_by: str
    is_tossed: bool
    share: float
    was_open: bool

    @property
    def through_w(self) -> bool:
        """Whether the share in force gave it to W."""
        return self.versions[0] == W

    @property
    def is_bad(self) -> bool:
        """Whether the shopper was told "failed" or "wait"."""
        return self.told != "ok"


class Policy:
    """Who gets first attempts. `rescues`: a refused payment is tried through the other version;
    `reads`: the other version reads what its own cannot."""

    name = "nothing"
    rescues = False
    reads = False
    share = 0.0
    moved_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether an episode is open."""
        return False

    def is_coin_due(self, version: str, now: float) -> bool:
        """Whether a coin decides about the second attempt."""
        return False

    def begun(self, done: Done) -> None:
        """Takes note of a payment that begins."""

    def over(self, done: Done) -> None:
        """Takes note of a payment that is over."""


def pay(fault: Fault, policy: Policy, shopper: Shopper) -> Done:
    """One payment, as `flows.payments.create` makes it."""
    share, was_open = policy.share, policy.is_open
    mine, other = (W, V) if shopper.share < share else (V, W)
    versions, kinds = [mine], [fault.result(mine, 0, shopper)]
    tossed = False
    if policy.rescues and kinds[0] in PROVEN:
        tossed = policy.is_coin_due(mine, shopper.at)
        if tossed and shopper.coin < 0.5:
            versions.append(mine)
            kinds.append(fault.result(mine, 1, shopper))
        if kinds[-1] in PROVEN:
            versions.append(other)
            kinds.append(fault.result(other, 0, shopper))
    last, by = kinds[-1], versions[-1]
    reader = read_by(fault, shopper, W if by == V else V) if last == "unreadable" else ""
    is_read = bool(reader) and policy.reads
    return Done(
        at=shopper.at,
        over_at=shopper.at + (fault.hangs if last == "dead" and by in fault.hung else 0.0),
        versions=tuple(versions),
        kinds=tuple(kinds),
        told=told(last, is_read=is_read),
        read_by=reader if kinds[0] == "unreadable" else "",
        is_tossed=tossed,
        share=share,
        was_open=was_open,
    )


def shop(fault: Fault, policy: Policy, shopper: Shopper) -> None:
    """A payment that is over before the next one begins."""
    done = pay(fault, policy, shopper)
    policy.begun(done)
    policy.over(done)


def played(fault: Fault, policy: Policy, shoppers: Iterable[Shopper]) -> list[Done]:
    """All of them, each told to the policy when it is over."""
    done: list[Done] = []
    waiting: list[tuple[float, int]] = []
    for number, shopper in enumerate(shoppers):
        while waiting and waiting[0][0] <= shopper.at:
            policy.over(done[heapq.heappop(waiting)[1]])
        done.append(pay(fault, policy, shopper))
        policy.begun(done[-1])
        heapq.heappush(waiting, (done[-1].over_at, number))
    return done


def read_by(fault: Fault, shopper: Shopper, other: str) -> str:
    """The version that reads what its own could not; empty where none does."""
    if other not in fault.readers or (other == W and _is_mess(fault, shopper)):
        return ""
    return other


def _is_mess(fault: Fault, shopper: Shopper) -> bool:
    return shopper.reread * 2 < fault.w_fails


def told(last: Kind, *, is_read: bool) -> Told:
    """What the shopper hears after the last attempt."""
    if last in ANSWERS or is_read:
        return "ok"
    return "failed" if last in PROVEN or last == "later" else "wait"


@cache
def is_failure(kind: Kind) -> bool:
    """Whether the product takes it for a failure of the version."""
    return is_failing(_sent(V, kind))


@cache
def trial(
    versions: tuple[str, ...],
    kinds: tuple[Kind, ...],
    *,
    told_bad: bool,
    share: float | None = 0.0,
    tossed: bool = False,
    read_over: bool | None = None,
) -> Trial:
    """What the product tells the rule of such a payment. `share`: the chance that its first attempt
    had to go through W, `None` where the share in force is meant."""
    sends = [_sent(version, kind) for version, kind in zip(versions, kinds, strict=True)]
    found = trial_of(
        sends, W, share=share or 0.0, through_w=versions[0] == W, tossed=tossed, told_bad=told_bad
    )
    return replace(found, share=share, read_over=read_over)


def _sent(version: str, kind: Kind) -> Sent:
    return Sent(version, _OUTCOMES[kind], kind in {"unreadable", "mess"})


def lucky(chance: random.Random, at: float) -> Shopper:
    """A shopper at second `at`."""
    one = chance.random
    return Shopper(at, one(), one(), one(), (one(), one()), (one(), one()), one())


def stream(rate: float, seconds: float, seed: int, *, before: float) -> list[Shopper]:
    """Shoppers at random moments, from `before` seconds before the fault on."""
    return list(_arrivals(random.Random(seed), rate, -before, seconds))


def _arrivals(chance: random.Random, rate: float, begins: float, ends: float) -> Iterator[Shopper]:
    at = begins
    while at < ends:
        yield lucky(chance, at)
        at += chance.expovariate(rate)


def counts(done: list[Done]) -> dict[str, Any]:
    """What shoppers were told from the onset on, and attempts beyond one a payment."""
    after = [one for one in done if one.at >= 0]
    return {
        "failed": sum(one.told == "failed" for one in after),
        "wait": sum(one.told == "wait" for one in after),
        "more": sum(len(one.kinds) - 1 for one in after),
        "payments": len(after),
    }
