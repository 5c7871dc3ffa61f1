"""One row among many: which objects of a list a fault strikes, and rows that belong to others.

A document that is no list counts as one row. Rows are chosen by what they belong to, and then by
their place among those.
"""

import copy
from typing import Any, Final

from tollkeeper.simulator.core import mutations

Json = Any

NULLABLE: Final[dict[str, tuple[str, ...]]] = {
    "payment_intent": (
        "canceled_at", "cancellation_reason", "client_secret", "customer", "description",
        "last_payment_error", "next_action", "payment_method", "receipt_email",
    ),
    "charge": (
        "balance_transaction", "description", "failure_code", "outcome", "payment_intent",
        "payment_method", "payment_method_details", "receipt_url",
    ),
    "refund": ("balance_transaction", "charge", "metadata", "payment_intent", "reason", "status"),
    "dispute": ("payment_intent",),
}  # fmt: skip
"""Object type to the members that the provider's description calls nullable at every version that
we have a description of. A test compares them with it."""

FOREIGN: Final[dict[str, Json]] = {
    "metadata": {},
    "customer": None,
    "description": "Other software",
}


def belongs(row: Json, name: str) -> bool:
    """Whether the object `row` is `name`, hangs on it, or carries it in its metadata."""
    if not isinstance(row, dict):
        return False
    if row.get("object") == "event":
        data = row.get("data")
        return isinstance(data, dict) and belongs(data.get("object"), name)
    owners = [row.get(member) for member in ("payment_intent", "charge", "latest_charge")]
    found = [owner.get("id") if isinstance(owner, dict) else owner for owner in owners]
    metadata = row.get("metadata")
    marks = list(metadata.values()) if isinstance(metadata, dict) else []
    return name in (row.get("id"), *found, *marks)


def chosen(document: Json, *, only: str = "", other_than: str = "", place: int = 0) -> list[Json]:
    """The rows that belong to `only` and not to `other_than`; of those the one at `place`, counted
    from 1, or all (0)."""
    found = [
        row
        for row in _rows(document)
        if (not only or belongs(row, only)) and not (other_than and belongs(row, other_than))
    ]
    return found[place - 1 : place] if place else found


def _rows(document: Json) -> list[Json]:
    if isinstance(document, dict) and document.get("object") == "list":
        data = document.get("data")
        return data if isinstance(data, list) else []
    return [document]


def replace(document: Json, rows: list[Json], value: Json) -> None:
    """Each of `rows` in the list becomes `value`."""
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        return
    document["data"] = [
        value if any(item is row for row in rows) else item for item in document["data"]
    ]


def add_foreign(document: Json, value: Json, place: int) -> None:
    """The list has one row more, at `place` (0: first): like its first row, but of other software,
    with the members of `value` over it."""
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        return
    data: list[Json] = document["data"]
    kind = str(document.get("url", "")).rpartition("/")[2].removesuffix("s")
    row = copy.deepcopy(data[0]) if data and isinstance(data[0], dict) else {"object": kind}
    row |= FOREIGN | {"id": f"{kind[:2]}_of_other_software"}
    row |= value if isinstance(value, dict) else {}
    data.insert(max(place - 1, 0), row)


def make_null(row: Json, kind: str, member: str) -> None:
    """The nullable members of every object of type `kind` (empty: any) in `row` become null; with
    `member` only that one."""
    for found in list(mutations.objects(row, kind)):
        for nullable in NULLABLE.get(str(found["object"]), ()):
            if nullable in found and member in ("", nullable):
                found[nullable] = None
