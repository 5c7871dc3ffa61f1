"""What happened in a batch of simulations; a batch in which something never did is void."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tollkeeper.testing.loop import CURRENT, Process

STATUSES: Final = (
    "requires_action", "processing", "requires_capture", "succeeded", "canceled", "failed",
)  # fmt: skip
OPERATIONS: Final = ("authorize", "capture", "void", "refund")
OUTCOMES: Final = ("approved", "declined", "failed", "unknown")
SETTLED_BY: Final = ("reread", "lookup", "listing", "replay", "not_found")
NETWORK: Final = (
    "wire.refused", "wire.request_lost", "wire.request_late", "wire.timeout", "wire.reply_lost",
)  # fmt: skip
NETWORK_OPERATIONS: Final = ("POST payment_intents", "POST refunds", "GET payment_intents")
CRASH_POINTS: Final = (
    "store.before commit", "store.after commit", "wire.request POST payment_intents",
    "wire.reply POST payment_intents", "wire.reply POST refunds", "wire.reply GET payment_intents",
)  # fmt: skip
EVENTS: Final = ("failover.taken", "failover.refused", "store.lost_acknowledgement",
                 "store.unavailable", "effect.after_timeout", "recovery.interrupted",
                 "webhook.lost", "webhook.twice", "key.replayed", "key.in_flight",
                 "dashboard.refund", "dispute", "refund.failed_late", "authorization.expired",
                 "replica.takeover", "rollout.started", "effect.hours_late", "clock.minutes_off",
                 "row.unreadable", "refusal.unlisted", "refusal.after_effect",
                 "failover.weightless", "reversal", "answer.lost_hours_later",
                 "refusal.and_misread", "look.rescued", "look.confirmed",
                 "retry.paced", "hostile.refused", "hostile.hung", "key.of_another_account",
                 "dispute.decided", "reference.refused", "capture.of_nothing",
                 "failover.watched", "failover.moved", "failover.vetoed", "failover.read_alone",
                 "failover.looked_up_later", "rollout.paused",
                 "rollout.baseline_failed", "page.sent", "page.failed", "page.canceled",
                 "page.told_along", "page.repeated", "page.unrecorded")  # fmt: skip

ROLLOUTS: Final = ("rolled_back", "aborted", "stopped", "inconclusive")
"""How simulated rollouts end; a promotion by evidence alone takes more payments than a seed has."""

OFTEN: Final = 25
"""How often a pair of events must have come before its other order must have come, too."""


class Coverage:
    """Counts of what happened, by (kind, detail)."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._inside: dict[Process, Counter[str]] = {}

    def count(self, kind: str, detail: str = "") -> None:
        self.counts[kind, detail] += 1

    @contextmanager
    def point(self, name: str) -> Iterator[None]:
        """Marks that the current process is at `name`; a kill meanwhile is a crash there."""
        process = CURRENT.get()
        if process is None:
            yield
            return
        inside = self._inside.setdefault(process, Counter())
        inside[name] += 1
        try:
            yield
        finally:
            inside[name] -= 1

    def killed(self, process: Process) -> None:
        """Counts where `process` was when it was killed."""
        for name, count in self._inside.pop(process, Counter()).items():
            if count > 0:
                self.count("crash", name)
                if name == "settling":
                    self.count("recovery.interrupted")

    def missing(self) -> list[str]:
        """What never happened though it must, as readable names."""
        wanted = [("status", s) for s in STATUSES]
        wanted += [
            ("outcome", f"{o} {k}")
            for o in OPERATIONS
            for k in OUTCOMES
            if (o, k) not in {("void", "declined"), ("capture", "declined")}
        ]
        wanted += [("settled", name) for name in SETTLED_BY]
        wanted += [(kind, o) for kind in NETWORK for o in NETWORK_OPERATIONS]
        wanted += [("crash", name) for name in CRASH_POINTS]
        wanted += [(name, "") for name in EVENTS]
        wanted += [("rollout", status) for status in ROLLOUTS]
        wanted += [("corrected", operation) for operation in OPERATIONS]
        return [" ".join(part for part in pair if part) for pair in wanted if not self.counts[pair]]

    def unordered(self) -> list[str]:
        """Pairs of provider events that came often, and in one order only."""
        pairs = {d: n for (kind, d), n in self.counts.items() if kind == "webhook.order"}
        return sorted(
            pair
            for pair, count in pairs.items()
            if count >= OFTEN and " > ".join(reversed(pair.split(" > "))) not in pairs
        )
