"""The provider's API versions: objects are made in the newest form and taken back change by change.

One small function for each change, named and described like a line of a changelog; a document at
an older version is the newest form with every later change undone, newest first. A field that is
merely added shows at every version, as at the provider. Source: Stripe's public changelog, and its
public descriptions at the versions named here.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

VERSIONS: Final = (
    "2022-08-01",
    "2022-11-15",
    "2023-08-16",
    "2023-10-16",
    "2024-04-10",
    "2024-06-20",
    "2024-09-30.acacia",
    "2024-10-28.acacia",
    "2024-11-20.acacia",
    "2024-12-18.acacia",
    "2025-01-27.acacia",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-04-30.basil",
    "2025-05-28.basil",
    "2025-06-30.basil",
    "2025-07-30.basil",
    "2025-08-27.basil",
    "2025-09-30.clover",
    "2025-10-29.clover",
    "2025-11-17.clover",
    "2025-12-15.clover",
    "2026-01-28.clover",
    "2026-02-25.clover",
    "2026-03-25.dahlia",
)
NEWEST: Final = VERSIONS[-1]

RELEASES_WITHOUT_REFUND: Final = "2025-03-31.basil"
"""Since then a partial capture, a cancellation and an expiry list no refund for what they release.
Source: Stripe's changelog of that date."""

Document = dict[str, Any]


class Library(Protocol):
    """Where a change finds objects that older forms embedded, rendered in the newest form."""

    def charges_of(self, intent_id: str) -> list[Document]:
        """Newest first."""
        ...

    def refunds_of(self, charge_id: str) -> list[Document]:
        """Newest first."""
        ...


class Change(msgspec.Struct, frozen=True):
    """A change that `version` introduced; `undo` edits a document of type `subject` in place."""

    version: str
    subject: str
    undo: Callable[[Document, Library], None]

    @property
    def summary(self) -> str:
        return (self.undo.__doc__ or "").strip().splitlines()[0]


def invoice_leaves_payment_intent(intent: Document, library: Library) -> None:
    """A payment intent no longer has `invoice`."""
    intent["invoice"] = None


def invoice_leaves_charge(charge: Document, library: Library) -> None:
    """A charge no longer has `invoice`."""
    charge["invoice"] = None


def expiry_has_its_own_reason(intent: Document, library: Library) -> None:
    """An intent whose authorization expired says `expired` and no longer `automatic`."""
    if intent["cancellation_reason"] == "expired":
        intent["cancellation_reason"] = "automatic"


def latest_charge_replaces_charges(intent: Document, library: Library) -> None:
    """A payment intent has `latest_charge` and no longer the list `charges`."""
    del intent["latest_charge"]
    identifier = intent["id"]
    intent["charges"] = _listed(
        library.charges_of(identifier), f"/v1/charges?payment_intent={identifier}"
    )


def refunds_are_expandable(charge: Document, library: Library) -> None:
    """A charge includes `refunds` only when asked to expand it."""
    identifier = charge["id"]
    if "refunds" not in charge:
        charge["refunds"] = _listed(
            library.refunds_of(identifier), f"/v1/charges/{identifier}/refunds"
        )


CHANGES: Final = (
    Change("2025-03-31.basil", "payment_intent", invoice_leaves_payment_intent),
    Change("2025-03-31.basil", "charge", invoice_leaves_charge),
    Change("2025-03-31.basil", "payment_intent", expiry_has_its_own_reason),
    Change("2022-11-15", "payment_intent", latest_charge_replaces_charges),
    Change("2022-11-15", "charge", refunds_are_expandable),
)
"""Newest first."""

_PLACE: Final = {version: place for place, version in enumerate(VERSIONS)}

INSIDE: Final[dict[str, tuple[str, ...]]] = {
    "list": ("data",),
    "payment_intent": ("latest_charge", "charges", "last_payment_error"),
    "charge": ("refunds", "payment_intent"),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "event": ("data",),
}
"""Object type to the members in which other objects may sit."""


def is_known(version: str) -> bool:
    return version in _PLACE


def at_least(version: str, other: str) -> bool:
    """Whether `version` came with or after `other`."""
    return _PLACE[version] >= _PLACE[other]


def changes_after(version: str) -> tuple[Change, ...]:
    """The changes that a document at `version` does not know, newest first."""
    return _CHANGES_AFTER[version]


_CHANGES_AFTER: Final = {
    version: tuple(c for c in CHANGES if _PLACE[c.version] > _PLACE[version])
    for version in VERSIONS
}


def take_back(document: Document, version: str, library: Library) -> Document:
    """Edit a newest-form document (and the objects inside) into its form at `version`."""
    changes = _CHANGES_AFTER[version]
    if changes:
        _take_back(document, changes, library)
    return document


def _take_back(value: Any, changes: tuple[Change, ...], library: Library) -> None:
    if isinstance(value, list):
        for item in value:
            _take_back(item, changes, library)
    elif isinstance(value, dict):
        kind = value.get("object")
        if isinstance(kind, str):
            for change in changes:
                if change.subject == kind:
                    change.undo(value, library)
        for member in INSIDE.get(kind, ()) if isinstance(kind, str) else tuple(value):
            _take_back(value.get(member), changes, library)


def _listed(documents: list[Document], url: str) -> Document:
    return {
        "object": "list",
        "data": documents,
        "has_more": False,
        "total_count": len(documents),
        "url": url,
    }
