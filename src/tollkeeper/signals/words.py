"""What the words in a cell come to: each failure is one kind of trouble, named once for all rows.

Law: every failed cell has exactly one kind of trouble, so that shares of a failure add up to one.
"""

from typing import Final, Literal

from tollkeeper.signals.counts import REQUEST, Cell

type Trouble = Literal[
    "build", "turned_away", "store", "no_space", "no_handles", "network", "certificate", "broken",
    "silent", "unreadable", "limited", "key_refused", "gone", "refused", "server_error", "busy_key",
    "signature", "contradicted", "webhook", "absent", "other",
]  # fmt: skip
"""Kinds of trouble. `network`: no connection came about, or it broke while we sent. `broken`: a
reply began and did not end. `silent`: no reply in time. `unreadable`: a reply that the version does
not understand. `busy_key`: the provider says that our own key is in use. `signature`,
`contradicted` and `webhook` are those of a webhook; `absent`: one that did not come, or late."""

NO_SPACE: Final = frozenset(
    {"no_space", "store_full", "ENOSPC", "disk_full", "EROFS", "io_error", "EIO"}
)
"""Error words of a disk that takes no more bytes."""

NO_HANDLES: Final = frozenset({"too_many_files", "EMFILE", "ENFILE", "out_of_memory", "ENOMEM"})
"""Error words of a process that has no descriptor or no memory left."""

BROKEN: Final = frozenset(
    {"http_response_incomplete", "http_protocol_error", "connection_read_timeout"}
)
SILENT: Final = frozenset({"http_response_timeout"})
UNREADABLE: Final = frozenset({"decode", "contract", "mismatch"})
SIGNATURE: Final = frozenset({"bad_signature", "signature"})
CONTRADICTED: Final = frozenset({"contradicted", "mismatch"})
"""A webhook that says otherwise than the reply did."""

MISSING: Final = "missing"
LATE: Final = "late"
ABSENT: Final = frozenset({MISSING, LATE})
"""Webhooks that payments promised, and that did not come or came late."""

WRONG_NUMBERS: Final = frozenset({"incorrect_details", "incorrect_security_code"})
"""Declines because what the shopper typed is wrong."""

UNAVAILABLE: Final = frozenset({"try_again_later"})
"""Declines because the bank or its network did not answer (code 91 of ISO 8583)."""

REASONLESS: Final = frozenset({"declined", "unknown", ""})
"""Declines for a reason that no table knows."""

CALLERS: Final = frozenset({
    "amount", "currency", "customer", "description", "metadata", "payment_method", "reference",
    "statement_descriptor",
})  # fmt: skip
"""Parameters of our requests that carry what a caller gave us. All others are our versions' own: no
account can get them wrong."""


def is_callers(parameter: str) -> bool:
    """Whether a parameter, such as `metadata[order]`, carries what a caller gave."""
    return parameter.partition("[")[0] in CALLERS


INSIDE: Final[frozenset[Trouble]] = frozenset(
    {"build", "turned_away", "store", "no_space", "no_handles"}
)
"""Trouble before or after the provider: the request never left, or its result was not kept."""

_BY_STAGE: Final[dict[str, Trouble]] = {
    "build": "build", "admit": "turned_away", "persist": "store", "dns": "network",
    "connect": "network", "tls": "network", "send": "network",
    "decode": "unreadable", "contract": "unreadable",
}  # fmt: skip

_BY_STATUS: Final[dict[int, Trouble]] = {
    401: "key_refused", 403: "key_refused", 404: "gone", 410: "gone", 409: "busy_key",
    429: "limited",
}  # fmt: skip


def trouble_of(cell: Cell) -> Trouble:
    """The kind of trouble of a failed cell."""
    if cell.error in NO_SPACE:
        return "no_space"
    if cell.error in NO_HANDLES:
        return "no_handles"
    if cell.kind == "webhook_in":
        return _of_webhook(cell)
    if cell.error == "tls_certificate_error":
        return "certificate"
    if cell.stage in _BY_STAGE:
        return _BY_STAGE[cell.stage]
    return _of_exchange(cell)


def _of_webhook(cell: Cell) -> Trouble:
    if cell.error in SIGNATURE:
        return "signature"
    if cell.error in CONTRADICTED:
        return "contradicted"
    if cell.error in ABSENT:
        return "absent"
    return "store" if cell.stage == "persist" else "webhook"


def _of_exchange(cell: Cell) -> Trouble:
    if cell.error in BROKEN:
        return "broken"
    if cell.stage == "wait" or cell.error in SILENT:
        return "silent"
    if cell.stage == "read" and not cell.status:
        return "broken"
    departed = cell.pointer and not cell.pointer.startswith(REQUEST)
    if cell.unreadable or departed or cell.error in UNREADABLE:
        return "unreadable"
    return _of_status(cell.status)


def _of_status(status: int) -> Trouble:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return "gone"  # it lives elsewhere: we follow nothing with money in it
    if 400 <= status < 500:
        return "refused"
    return "server_error" if status >= 500 else "other"
