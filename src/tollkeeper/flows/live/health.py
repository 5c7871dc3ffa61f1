"""What this process knows of each provider's health: its clock, our key, and how much we ask.

Law: it decides nothing about money. It is live state of one process, lost with it without harm.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tollkeeper.payments.outcome import Outcome

ASKS_AT_ONCE: Final = 16
"""Questions to one provider at once. A provider in trouble must not be drowned by look-ups."""

QUEUE_SECONDS: Final = 2.0
"""How long a question waits for its turn; then it counts as unanswered, and is put again later."""

OURS_SECONDS: Final = 30.0
"""How long it counts that our key was seen to open the account of our charges."""

MOST_QUIET_SECONDS: Final = 300.0
"""The longest that a provider's Retry-After is heeded."""

TOLD_AGAIN_SECONDS: Final = 60.0
"""How often the log repeats that the provider refuses our key."""


@dataclass
class Health:
    """One provider. `skew_ms`: its clock less ours, as its last answered listing said. `refused`:
    why it refuses our key or account, for each operation that it refuses; `quiet_until`: it asked
    to be left alone until then, in seconds on the monotonic clock. `hooks_from_ms`: an event that
    the provider made before this moment may be late because of us: we were away, or refused it.
    `certificate_ms`: when its certificate ends, 0 where it was not shown."""

    skew_ms: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    quiet_until: float = 0.0
    shows_ours_at: float = -OURS_SECONDS
    told_at: float = -TOLD_AGAIN_SECONDS
    hooks_from_ms: int | None = None
    certificate_ms: int = 0
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKS_AT_ONCE))

    @property
    def refusing(self) -> str:
        """Why it refuses our key or account for some operation; empty while it does not."""
        told = {f"{operation}: {why}" for operation, why in self.refused.items()}
        return "; ".join(sorted(told))

    def heard(self, operation: str, said: Outcome, now: float) -> bool:
        """Notes whether the provider took our key for `operation`: a key may read and not pay.
        Gives whether operators must be told now. `now`: seconds on the monotonic clock."""
        refusal = said.refusal
        if refusal is None or not refusal.ours:
            if said.was_processed:
                self.refused.pop(operation, None)
            return False
        self.refused[operation] = f"{refusal.code}: {refusal.detail}"
        if now < self.told_at + TOLD_AGAIN_SECONDS:
            return False
        self.told_at = now
        return True

    def hook_lag_ms(self, made_ms: int, now_ms: int, ahead_ms: float) -> float | None:
        """How long ago the provider made an event that comes now; `None` where it may be late
        because of us. `ahead_ms`: how far our clock is ahead of the provider's."""
        if self.hooks_from_ms is None:
            self.hooks_from_ms = now_ms
        made = made_ms + ahead_ms
        return max(0.0, now_ms - made) if made >= self.hooks_from_ms else None

    def hook_missed(self, now_ms: int) -> None:
        """A webhook of the provider was not taken: it sends it again, later."""
        self.hooks_from_ms = now_ms

    def saw_certificate(self, until_s: int) -> None:
        """Notes the Unix second in which the provider's certificate ends; 0 where it showed none,
        as on a connection that stood already."""
        self.certificate_ms = until_s * 1000 or self.certificate_ms

    def asked_to_wait(self, seconds: int, now: float) -> None:
        """Notes that the provider asks to be left alone."""
        self.quiet_until = max(self.quiet_until, now + min(float(seconds), MOST_QUIET_SECONDS))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn to ask; raises TimeoutError where none comes in time."""
        async with asyncio.timeout(QUEUE_SECONDS):
            await self.asking.acquire()
        try:
            yield
        finally:
            self.asking.release()

    @property
    def is_full(self) -> bool:
        """Whether a question would have to wait."""
        return self.asking.locked()
