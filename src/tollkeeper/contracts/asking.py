"""What a rule is asked about: one used path in one operation, in the old text and the new."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from tollkeeper.contracts.description import Description, Found, Place
from tollkeeper.contracts.finding import Finding, Location, Severity
from tollkeeper.contracts.usage import OperationUsage
from tollkeeper.contracts.walking import Walk


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One text's part: the description and the operation in it."""

    description: Description
    operation: Found


def both(name: str, new: Description, old: Description | None) -> tuple[Found | None, Found | None]:
    """The operation in both texts; one that answers at the same address is the same, however its
    path is divided between servers and paths."""
    new_found = new.find(name)
    old_found = old.find(name, like=new_found) if old is not None else None
    return new_found or new.find(name, like=old_found), old_found


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A used path. `old` is `None` without an old text, or where its operation was not there."""

    operation: str
    usage: OperationUsage
    path: str
    location: Location
    new: Walk
    old: Walk | None = None
    new_side: Side
    old_side: Side | None = None
    where: dict[str, str] = {}
    relied_on_by: str = ""

    def finding(
        self,
        rule: str,
        severity: Severity,
        advice: str,
        *,
        pointer: str = "",
        before: Any = None,
        after: Any = None,
        standing: bool = False,
        undecided: bool = False,
    ) -> Finding:
        """A finding about this path."""
        return Finding(
            rule=rule,
            severity=severity,
            operations=(self.operation,),
            location=self.location,
            path=self.path,
            pointer=pointer or self.new.pointer or self.new.broken_pointer,
            advice=advice,
            standing=standing,
            undecided=undecided,
            relied_on_by=self._relied_on_by(),
            before=before,
            after=after,
        )

    def _relied_on_by(self) -> str:
        """Our line: the one that declares what is gone, else the one that declares the path."""
        for path in (self.new.broken, self.path):
            line = self.where.get(f"{self.operation} {path}")
            if line is not None:
                return line
        return self.relied_on_by

    @property
    def is_text(self) -> bool:
        """Whether the path is outside the body, where each value is sent as a text."""
        return self.path.partition(":")[0] in {"query", "header", "path"} and ":" in self.path

    @property
    def nonnull(self) -> bool:
        """Whether usage says that this path is there and never null."""
        return self.path in self.usage.nonnull


class Bodies(msgspec.Struct, frozen=True, kw_only=True):
    """A used operation as a whole: what is asked beyond single paths."""

    operation: str
    usage: OperationUsage
    new_side: Side
    old_side: Side | None = None
    new_request: Place | None = None
    old_request: Place | None = None
    relied_on_by: str = ""

    @property
    def is_webhook(self) -> bool:
        """Whether the provider is the sender, so that its request is what we read."""
        return " webhook:" in self.operation


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of change. `asks` says of what: a path that is read, a path that is sent, or an
    operation. `check` yields findings."""

    name: str
    asks: Literal["read", "send", "operation"]
    summary: str
    check: Callable[[Any], Iterator[Finding]]


def shown(words: Any) -> Any:
    """Sets as sorted lists, so that findings are the same on every run."""
    if isinstance(words, (frozenset, set)):
        return sorted(words)
    return list(words) if isinstance(words, tuple) else words
