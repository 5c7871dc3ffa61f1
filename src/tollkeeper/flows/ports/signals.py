"""What the flows of signals need of the store."""

from collections.abc import Mapping
from typing import Final, Protocol

from tollkeeper.payments.change import OutEvent
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.changes import Told
from tollkeeper.signals.counts import Batch, Counted
from tollkeeper.signals.samples import Sample

NO_JOBS: Final[Mapping[str, int]] = {}


class SignalStore(Protocol):
    """Batches of counts, their sums, alerts and changes."""

    async def count_attention(self) -> int:
        """How many payments need a person."""
        ...

    def stuck(self, until_s: int) -> Mapping[int, int]:
        """How many short operations that began in or before a second are not over, by second."""
        ...

    async def save_batch(self, batch: Batch) -> None: ...

    async def list_batches(self, from_s: int, to_s: int) -> list[Batch]:
        """The batches of seconds `from_s` to `to_s`, both included, oldest first."""
        ...

    async def list_batch_names(self, from_s: int, to_s: int) -> list[tuple[int, str]]: ...

    async def save_minute(self, minute: int, counted: list[Counted], *, alarmed: bool) -> None: ...

    async def minute_to_sum(self, before_m: int) -> int | None:
        """The first minute before `before_m` that has batches and no sum yet."""
        ...

    async def list_minutes(self, from_m: int, to_m: int) -> list[list[Counted]]:
        """The sums of minutes in which nothing was wrong."""
        ...

    async def list_summed(self, from_m: int, to_m: int) -> list[tuple[int, list[Counted]]]:
        """Every minute of a span that was summed, with its sum."""
        ...

    async def save_usual(self, at_s: int, seconds: int, counted: list[Counted]) -> None: ...

    async def load_usual(self, at_s: int) -> tuple[int, list[Counted]]:
        """What was usual at `at_s`: seconds and sums."""
        ...

    async def save_samples(self, samples: list[Sample]) -> None: ...

    async def list_samples(self) -> list[Sample]: ...

    async def save_alert(
        self, alert: Alert, events: tuple[OutEvent, ...] = (), jobs: Mapping[str, int] = NO_JOBS
    ) -> bool:
        """Writes an alert upon its revision before this one, and jobs about it (kind, and when it
        is due); false where that has moved on, or
        where another one with its fingerprint is open."""
        ...

    async def load_alert(self, alert_id: str) -> Alert | None: ...

    async def list_open_alerts(self) -> list[Alert]: ...

    async def list_alerts(self, before: str, limit: int) -> list[Alert]:
        """At most `limit` alerts whose id is less than `before`, the newest first."""
        ...

    async def save_change(self, change_id: str, told: Told) -> None: ...

    async def list_changes(self, from_ms: int, to_ms: int, limit: int) -> list[Told]:
        """At most `limit` events that operators were told in a span, the newest first."""
        ...

    async def forget_signals(self, batches_before_s: int, rest_before_ms: int) -> None: ...
