"""Lanes of jobs: each kind has slots of its own, and what hangs in one lane takes none of another.

Law: within a lane an account, and a peer (the provider that is asked, the endpoint that is sent
to), has a bounded number of slots; a free slot goes to the account that has the fewest.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from tollkeeper.flows.ports import Due

Parties = Literal["payments", "deliveries", "none"]
"""Where the account and the peer of a lane's jobs are read from."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A kind's part of all slots, in 64ths, and the parts of it that one account and one peer may
    hold. `why`: what the kind does and what may hang there."""

    slots: int
    why: str
    parties: Parties = "none"
    account: float = 1.0
    peer: float = 1.0


SHARES: Final[dict[str, Share]] = {
    "settle": Share(
        slots=24, parties="payments", account=0.5, peer=0.75, why="settles doubt at the provider"
    ),
    "refresh": Share(
        slots=10, parties="payments", account=0.5, peer=0.75,
        why="looks again after a provider's webhook or a shopper's return",
    ),
    "trace": Share(slots=2, why="asks the provider which payment a webhook is about"),
    "deliver": Share(slots=16, parties="deliveries", why="sends outgoing webhooks"),
    "advance": Share(slots=4, why="moves rollouts on; asks no peer"),
    "cross_read": Share(slots=4, why="looks canary payments up at the provider"),
    "watch": Share(slots=2, why="fetches providers' descriptions"),
    "expire": Share(slots=1, why="removes what is past its time"),
    "seal_audit": Share(slots=1, why="seals the audit"),
}  # fmt: skip
"""Every kind of job. A kind that is not named here has a lane with a single slot."""

WHOLE: Final = 64


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One kind's slots, and how many of them one account and one peer may hold."""

    kind: str
    slots: int
    per_account: int
    per_peer: int
    parties: Parties = "none"


def lanes_for(
    kinds: Iterable[str], concurrency: int, *, per_account: int, per_endpoint: int
) -> tuple[Lane, ...]:
    """The lanes of `kinds`, when `concurrency` jobs may run at once. `per_account` and
    `per_endpoint` bound deliveries."""
    return tuple(_lane(kind, concurrency, per_account, per_endpoint) for kind in kinds)


def _lane(kind: str, concurrency: int, per_account: int, per_endpoint: int) -> Lane:
    share = SHARES.get(kind, Share(slots=1, why=""))
    slots = max(1, concurrency * share.slots // WHOLE)
    if share.parties == "deliveries":
        account, peer = min(per_account, slots), min(per_endpoint, slots)
    else:
        account, peer = max(1, int(slots * share.account)), max(1, int(slots * share.peer))
    return Lane(kind=kind, slots=slots, per_account=account, per_peer=peer, parties=share.parties)


class Running:
    """What runs in one lane."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.count = 0
        self._accounts: Counter[str] = Counter()
        self._peers: Counter[str] = Counter()

    @property
    def free(self) -> int:
        return self.lane.slots - self.count

    def enter(self, due: Due) -> None:
        self.count += 1
        self._accounts[due.account] += 1
        self._peers[due.peer] += 1

    def leave(self, due: Due) -> None:
        self.count -= 1
        for counts, name in ((self._accounts, due.account), (self._peers, due.peer)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]

    def full_accounts(self) -> list[str]:
        """Accounts that may not hold another slot."""
        return _full(self._accounts, self.lane.per_account)

    def full_peers(self) -> list[str]:
        """Peers that may not hold another slot."""
        return _full(self._peers, self.lane.per_peer)

    def choose(self, due: list[Due]) -> list[Due]:
        """Which of the due jobs, oldest first, take the free slots."""
        accounts, peers = self._accounts.copy(), self._peers.copy()
        chosen: list[Due] = []
        waiting = list(due)
        while waiting and len(chosen) < self.free:
            waiting = [one for one in waiting if self._may_enter(one, accounts, peers)]
            if not waiting:
                break
            best = min(waiting, key=lambda one: accounts[one.account])  # the oldest of equals
            waiting.remove(best)
            chosen.append(best)
            accounts[best.account] += 1
            peers[best.peer] += 1
        return chosen

    def _may_enter(self, due: Due, accounts: Mapping[str, int], peers: Mapping[str, int]) -> bool:
        if self.lane.parties == "none":
            return True
        lane = self.lane
        return accounts[due.account] < lane.per_account and peers[due.peer] < lane.per_peer


def _full(counts: Mapping[str, int], most: int) -> list[str]:
    return sorted(name for name, count in counts.items() if count >= most)
