"""What flows need to tell how they spend their time: spans. Off unless an operator asks for them.

Law: facts hold names, numbers and ids of ours; no secret, no card number, nothing that a caller
wrote.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Literal, Protocol, Self

type Fact = str | int | float | bool
type SpanKind = Literal["server", "client", "consumer"]
"""A request to us, a request of ours, a job."""


class Span(Protocol):
    """Something that is going on."""

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Adds what is known now, by names of OpenTelemetry's conventions where there are any."""
        ...

    def failed(self, error: str) -> None:
        """It ended in an error of this kind."""
        ...

    def phases(self, timings_ms: Mapping[str, float]) -> None:
        """What it spent its time with, one after the other from its beginning."""
        ...


class Tracer(Protocol):
    """Makes spans. A span inside another one is its child, also over `await`."""

    def span(
        self, name: str, kind: SpanKind, facts: Mapping[str, Fact], *, parent: str = ""
    ) -> AbstractContextManager[Span]:
        """A span around what happens inside. `parent`: the caller's header `traceparent`."""
        ...


class _Nothing:
    """A span and a tracer that keep nothing."""

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Keeps nothing."""

    def failed(self, error: str) -> None:
        """Keeps nothing."""

    def phases(self, timings_ms: Mapping[str, float]) -> None:
        """Keeps nothing."""

    def span(self, *_: object, **__: object) -> Self:
        """Itself: what it keeps nothing of needs no other."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What happened inside goes on, an error as well."""


NO_SPANS: Final = _Nothing()
