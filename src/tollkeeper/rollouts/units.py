"""What one unit of a rollout came to: all that a guardrail's predicate may read."""

import msgspec


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One unit whose first attempt has been decided, or was lost with its process."""

    share_ppm: int
    canary: bool
    failed: bool
    unreadable: bool
    declined: bool
    latency_ms: int

    @property
    def is_bad(self) -> bool:
        """Whether any guardrail but latency counts it as bad."""
        return self.failed or self.unreadable or self.declined
