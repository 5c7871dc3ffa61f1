"""What the store answers to a Change: committed, or why not. Each is a value with a reply."""

import msgspec


class Committed(msgspec.Struct, frozen=True):
    """The whole change is durable (now, or by an earlier try of the same change)."""


class Stale(msgspec.Struct, frozen=True):
    """The payment has changed since it was read: read it again and decide again."""


class Duplicate(msgspec.Struct, frozen=True):
    """The webhook with this event id is stored already."""


class KeyTaken(msgspec.Struct, frozen=True):
    """The idempotency key is bound already, to this. `status` and `body` are the stored answer,
    `None` while there is none or after it was removed."""

    fingerprint: str
    token: str
    payment_id: str
    refund_id: str | None = None
    status: int | None = None
    body: bytes | None = None
    expires_ms: int | None = None


class ReferenceTaken(msgspec.Struct, frozen=True):
    """Another payment holds the shop's reference."""

    payment_id: str


type Recorded = Committed | Stale | Duplicate | KeyTaken | ReferenceTaken
