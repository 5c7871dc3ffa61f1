"""Lanes of jobs: each kind has slots of its own, and what hangs in one lane takes none of another.

Law: within a lane an account, and a peer (the provider that is asked, the endpoint that is sent
to), has a bounded number of slots; a free slot goes to the account that has the fewest.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.flows.ports import Due, JobKind, Parties

LEASE_MS: Final = 30_000
"""How long a dead process keeps a job from the others. A pass may take longer: then two may walk
the same payment, which is safe, as every change is decided anew and keys keep sends apart."""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One kind's slots, and how many of them one account and one peer may hold."""

    kind: str
    slots: int
    per_account: int
    per_peer: int
    parties: Parties = "none"
    lease_ms: int = LEASE_MS


def lanes_for(
    kinds: Mapping[str, JobKind], concurrency: int, *, per_account: int, per_endpoint: int
) -> tuple[Lane, ...]:
    """The lanes of `kinds`, when `concurrency` jobs may run at once: each has at least one slot.
    `per_account` and `per_endpoint` bound deliveries."""
    shares = _shares({name: kind.slots for name, kind in kinds.items()}, concurrency)
    return tuple(
        _lane(name, kind, shares[name], per_account, per_endpoint) for name, kind in kinds.items()
    )


def _shares(wanted: dict[str, int], total: int) -> dict[str, int]:
    """`total` in the proportions of `wanted`, at least 1 each. The rest goes to those that lost
    most by rounding."""
    whole = sum(wanted.values())
    shares = {name: max(1, total * slots // whole) for name, slots in wanted.items()}
    by_loss = sorted(wanted, key=lambda name: total * wanted[name] % whole, reverse=True)
    for name in by_loss[: max(0, total - sum(shares.values()))]:
        shares[name] += 1
    return shares


def _lane(name: str, kind: JobKind, slots: int, per_account: int, per_endpoint: int) -> Lane:
    if kind.parties == "deliveries":
        account, peer = min(per_account, slots), min(per_endpoint, slots)
    else:
        account, peer = max(1, int(slots * kind.account)), max(1, int(slots * kind.peer))
    return Lane(
        kind=name,
        slots=slots,
        per_account=account,
        per_peer=peer,
        parties=kind.parties,
        lease_ms=int(kind.lease_seconds * 1000),
    )


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
