"""What the flows of contracts need of the store."""

from typing import Protocol

import msgspec

from tollkeeper.payments.change import OutEvent


class SeenDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's description that was seen. `text` is compressed (zlib); `verdicts` is JSON: what
    the check said for each installed version; `notes` a pre-announcement that was attached."""

    provider: str
    digest: str
    seen_ms: int
    checked_ms: int
    etag: str | None
    text: bytes
    verdicts: bytes
    notes: bytes | None = None


class DescriptionStore(Protocol):
    """Providers' descriptions in the store."""

    async def save_description(self, seen: SeenDescription, events: tuple[OutEvent, ...]) -> bool:
        """Stores a new text with the events about it; false where it was known already."""
        ...

    async def touch_description(self, seen: SeenDescription) -> None: ...

    async def list_descriptions(self, provider: str, limit: int) -> list[SeenDescription]: ...
