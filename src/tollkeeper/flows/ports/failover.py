"""What the flows of failover need of the store."""

from typing import Protocol

import msgspec

from tollkeeper.failover.checks import Verdict
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.state import Record, Watch
from tollkeeper.flows.ports.jobs import Job
from tollkeeper.flows.ports.rollouts import Rerouting
from tollkeeper.payments.change import OutEvent
from tollkeeper.routing.routes import follow_up_key


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """One payment that is over, as the watch of `provider` counts it. `version` took its first
    attempt, and the trial speaks of `candidate`. `read_by`: the version that read a reply which the
    first one could not; a lookup has yet to agree. `unread_by`: the versions that could not read it
    either. `helped_by`: the version that ended the payment where the first one could not. `cause`:
    what was wrong with the first attempt, in a few words. `checked`: the version whose payment it
    is in the end, where it is looked up through another one; `verdict` is what came of that, in a
    row of its own. `begins`: the trial of a payment that was drawn and begins now, in a row of its
    own as well. `operation`: the row is about a follow-up of a payment of version `owner`, and
    counts for no authorization."""

    id: str
    provider: str
    version: str
    at_ms: int
    payment_id: str
    trial: Trial
    read_by: str = ""
    unread_by: tuple[str, ...] = ()
    candidate: str = ""
    helped_by: str = ""
    cause: str = ""
    currency: str = ""
    account: str = ""
    country: str | None = None
    checked: str = ""
    verdict: Verdict | None = None
    begins: str = ""
    operation: str = ""
    owner: str = ""

    @property
    def is_trial(self) -> bool:
        """Whether it says how a payment was authorized."""
        return self.verdict is None and not self.begins and not self.operation

    @property
    def counted_as(self) -> str:
        """What its counts are kept under; empty for what is no trial."""
        if self.operation:
            return follow_up_key(self.version, self.operation)
        return self.version if self.is_trial else ""


class FailoverStore(Protocol):
    """Watches, trials, and counts of first attempts that did not fail."""

    async def load_watch(self, provider: str) -> Watch | None: ...

    async def list_watches(self) -> list[Watch]: ...

    async def save_watch(
        self,
        job: Job | None,
        watch: Watch,
        *,
        records: tuple[Record, ...] = (),
        events: tuple[OutEvent, ...] = (),
        rules: Rerouting | None = None,
        rerouted: bool = False,
    ) -> bool:
        """Writes a watch that was decided upon its revision before this one; false where that has
        moved on, or where `job` is another's by now. `rerouted`: replicas must read the routes."""
        ...

    async def note_trial(self, row: TrialRow) -> None:
        """Keeps a trial, and makes the provider's `failover` job due now; where the payment is
        checked, also its `failover_check` job."""
        ...

    async def list_trials(
        self, provider: str, after_ms: int, after_id: str, limit: int
    ) -> list[TrialRow]: ...

    async def add_counts(self, second: int, counts: dict[str, int]) -> None:
        """Adds first attempts that did not fail, by version, to those of one second."""
        ...

    async def count_between(self, version: str, from_s: int, to_s: int) -> int:
        """First attempts that did not fail, from second `from_s` until before `to_s`."""
        ...

    async def count_trials(self, version: str, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Trials of first attempts through `version`, and how many of them failed."""
        ...

    async def list_failover_records(
        self, provider: str, limit: int, before: int = ...
    ) -> list[Record]:
        """At most `limit` records below the number `before`, the newest first."""
        ...
