"""The live state of one process: what it acts on and has seen since it started. Lost without harm.

Law: nothing here decides about money. What must survive is in the store.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tollkeeper.contracts.drift import Drift
from tollkeeper.failover.checks import MOST_LATER
from tollkeeper.flows.live.breakers import Breakers
from tollkeeper.flows.live.census import Census
from tollkeeper.flows.live.counting import Counting
from tollkeeper.flows.live.health import Health
from tollkeeper.flows.live.places import Places
from tollkeeper.flows.live.tally import Tally
from tollkeeper.rollouts import tripwire
from tollkeeper.rollouts.tripwire import Tripwire
from tollkeeper.routing.routes import Routes
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.observation import Observation
from tollkeeper.signals.samples import Sampling
from tollkeeper.signals.slos import Objective, Share
from tollkeeper.signals.verdict import Look

COIN_AFTER: Final = 2
COIN_SECONDS: Final = 60.0
MINUTE_SECONDS: Final = 60.0
"""After so many failing payments within so long, second attempts are tossed for: the first ones go
straight to another version."""

MAX_DRIFTS: Final = 500
"""Kinds of departure that are counted; wire types have far fewer places."""


@dataclass(kw_only=True)
class Live:
    """`routes`: those in force. `drifts`: departures from what versions read, counted by version,
    operation, kind and pointer. `counting`: what will be written as the batch of this second;
    `sampling`: outlines of replies that departed.
    `look` is the newest look at the counts of all replicas, `open_alerts` those that it found
    open, `wanted_probes` what its verdict wants to know, by provider; `alert_news` counts what was
    told of alerts; `is_store_away`: the last look could not write what it found; `census` is what
    waits in the store; `budgets` has the minutes of `objectives` by name, those before
    `budgets_until_m` from their sums. `unfailed`: first attempts that did not
    fail, are not told one by one, and are not in the store yet, by version. `decisions` of
    failovers that this process made, by provider and kind. `wake_requested`: look at the routes
    soon."""

    routes: Routes
    places: Places
    breakers: Breakers = field(default_factory=Breakers)
    drifts: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    wake_requested: bool = False
    tally: Tally = field(default_factory=Tally)
    counting: Counting = field(default_factory=Counting)
    sampling: Sampling = field(default_factory=Sampling)
    look: Look | None = None
    open_alerts: tuple[Alert, ...] = ()
    wanted_probes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alert_news: Counter[tuple[str, str]] = field(default_factory=Counter)
    notified: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_store_away: bool = False
    failed_looks: int = 0
    pending_batches: int = 0
    census: Census | None = None
    objectives: tuple[Objective, ...] = ()
    budgets: dict[str, dict[int, Share]] = field(default_factory=dict)
    budgets_until_m: int = 0
    unfailed: Counter[str] = field(default_factory=Counter)
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    flushed_at: float = 0.0
    _looked_up: list[float] = field(default_factory=list)
    _probed: dict[str, float] = field(default_factory=dict)
    _failing: dict[str, list[float]] = field(default_factory=dict)
    _outstanding: dict[str, int] = field(default_factory=dict)
    _tripwires: dict[str, Tripwire] = field(default_factory=dict)
    _health: dict[str, Health] = field(default_factory=dict)

    def apply_routes(self, routes: Routes) -> None:
        """Takes over what the store says; a tripwire lets go of what was considered since."""
        self.routes = routes
        for canary in routes.canaries:
            wire = self._tripwires.get(canary.rollout_id)
            if wire is not None:
                self._tripwires[canary.rollout_id] = tripwire.released(wire, canary.considered_ms)
        present = {canary.rollout_id for canary in routes.canaries}
        for gone in self._tripwires.keys() - present:
            del self._tripwires[gone]

    def withheld(self) -> list[str]:
        """Rollouts whose candidate this process gives nobody just now: too many of its payments
        are without a result, or their results were bad."""
        return [
            canary.rollout_id
            for canary in self.routes.canaries
            if self._outstanding.get(canary.rollout_id, 0) >= canary.most_outstanding
            or self.is_tripped(canary.rollout_id)
        ]

    def is_tripped(self, rollout_id: str) -> bool:
        """Whether this process has paused a canary by itself."""
        wire = self._tripwires.get(rollout_id)
        return wire is not None and wire.tripped_ms is not None

    def canary_sent(self, rollout_id: str) -> None:
        """One more canary payment whose result is outstanding."""
        self._outstanding[rollout_id] = self._outstanding.get(rollout_id, 0) + 1

    def canary_heard(self, rollout_id: str, now_ms: int, *, failed: bool | None) -> None:
        """One less; `failed` is `None` where nothing can be said."""
        self._outstanding[rollout_id] -= 1
        if failed is None:
            return
        wire = self._tripwires.get(rollout_id, Tripwire())
        self._tripwires[rollout_id] = tripwire.heard(wire, now_ms, failed=failed)
        # what went well can wait for the next look
        self.wake_requested = self.wake_requested or failed

    def observe(self, seen: Observation) -> None:
        """Takes one observation: everything that counts requests to providers begins here."""
        self.tally.add(seen)
        if seen.drift is not None:
            self._note_drift(seen.integration, seen.operation, seen.drift)

    def _note_drift(self, integration: str, operation: str, drift: Drift) -> None:
        """Counts one departure of a live reply from what the version reads."""
        key = (integration, operation, drift.kind, drift.pointer)
        if key in self.drifts or len(self.drifts) < MAX_DRIFTS:
            self.drifts[key] = self.drifts.get(key, 0) + 1

    def noted_failing(self, version: str, now: float) -> None:
        """A first attempt through `version` has failed. `now`: seconds on the monotonic clock."""
        recent = [at for at in self._failing.get(version, []) if at > now - COIN_SECONDS]
        self._failing[version] = [*recent, now][-COIN_AFTER:]

    def is_coin_due(self, version: str, now: float) -> bool:
        """Whether a second attempt should be tossed for: payments before this one failed as well,
        so that a failover may come of it."""
        recent = [at for at in self._failing.get(version, []) if at > now - COIN_SECONDS]
        return len(recent) >= COIN_AFTER

    def may_look_up_later(self, now: float) -> bool:
        """Whether one more payment of a version that was checked enough may be looked up this
        minute; it then counts."""
        recent = [at for at in self._looked_up if at > now - MINUTE_SECONDS]
        if len(recent) >= MOST_LATER:
            return False
        self._looked_up = [*recent, now]
        return True

    def is_probe_due(self, provider: str, now: float, seconds: float) -> bool:
        """Whether a payment should be sent to see whether a version works again, while others are
        held back: where none was for so many seconds."""
        if now < self._probed.get(provider, float("-inf")) + seconds:
            return False
        self._probed[provider] = now
        return True

    def health(self, provider: str) -> Health:
        """What this process knows of a provider's health."""
        found = self._health.get(provider)
        if found is None:
            found = self._health[provider] = Health()
        return found

    @property
    def certificates(self) -> dict[str, int]:
        """When the certificates of the providers end, as far as they were shown, in Unix
        milliseconds."""
        found = self._health.items()
        return {name: one.certificate_ms for name, one in found if one.certificate_ms}

    @property
    def refusing(self) -> dict[str, str]:
        """Providers that refuse our key or account, with their reason."""
        return {name: item.refusing for name, item in self._health.items() if item.refusing}
