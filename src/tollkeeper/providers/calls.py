"""Calls: what of one request to a provider and its reply may stand in an evidence pack.

Law: an allow-list. A field is kept where its text has the one form that the field may have;
whatever does not is left out, and no value of a body is kept but the few named here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from tollkeeper.integrations.masking import KEPT_HEADERS
from tollkeeper.integrations.outlines import outline
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.payments.payment import Attempt

REQUEST_IDS: Final = ("request-id", "x-request-id", "x-amzn-requestid", "cf-ray")
"""Headers by which providers name a request in their own logs."""

NAME: Final = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9_.-]{3,79}")
OURS: Final = re.compile(r"[a-z]{2,4}_[0-9a-z]{26}")
CHARGE: Final = re.compile(r"(?=.*\d)[a-z]{2,8}_[A-Za-z0-9_]{6,64}")
SEGMENT: Final = re.compile(r"v\d{1,3}|[a-z][a-z_-]{0,39}")
VERSION: Final = re.compile(r"[a-z_]{1,40}@[0-9v][0-9A-Za-z.+-]{0,36}")
WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
SENT_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "amount": re.compile(r"\d{1,9}"),
    "amount_to_capture": re.compile(r"\d{1,9}"),
    "currency": re.compile(r"[a-z]{3}", re.IGNORECASE),
    "capture_method": WORD,
    "confirm": re.compile(r"true|false"),
    "final_capture": re.compile(r"true|false"),
}
"""Fields of a request whose values a reproduction needs, and the form that each may have."""

SENT_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    "content-type": re.compile(r"[a-z]+/[a-z0-9.+-]+"),
    "stripe-version": re.compile(r"\d{4}-\d\d-\d\d(?:\.[a-z]+)?"),
}
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 40


class CallSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the provider finds it in its own logs. `attempt`: the idempotency key that we
    sent. `charge`: the provider's id. `shape`: names and types of the reply, around the place that
    the verdict names. `status` 0: there was no reply."""

    at_ms: int
    operation: str
    version: str
    method: str
    path: str
    status: int
    request_id: str
    attempt: str
    charge: str
    shape: str
    failed: bool


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """A request that shows the change, without credentials and without anything of a shopper."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, str], ...]


def call_of(
    attempt: Attempt,
    request: WireRequest | None,
    reply: WireReply | None,
    pointer: str,
    kept: frozenset[str],
    *,
    masked: bool = False,
) -> CallSeen:
    """What may be said of an attempt. `kept`: names of fields that our versions read. `masked`: the
    exchange was masked by shape already, so only headers that masking leaves alone say anything."""
    return CallSeen(
        at_ms=attempt.sent_ms,
        operation=attempt.operation,
        version=formed(VERSION, attempt.integration),
        method=request.method if request is not None and request.method in METHODS else "",
        path=plain_path(request.path) if request is not None else "",
        status=reply.status if reply is not None else 0,
        request_id=request_id_of(reply, masked=masked),
        attempt=formed(OURS, attempt.id),
        charge=formed(CHARGE, attempt.provider_id or ""),
        shape=outline(reply.body, pointer, kept) if reply is not None else "",
        failed=has_failed(attempt),
    )


def formed(form: re.Pattern[str], text: str) -> str:
    """`text` where it has the form, else nothing."""
    return text if form.fullmatch(text) else ""


def plain_path(path: str) -> str:
    """A path with `{id}` for each part that is not one of the API's own words."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if not part or SEGMENT.fullmatch(part) else "{id}" for part in parts[:12])


FOUND_OUT: Final = frozenset({"lookup", "reread", "find", "not_found", "replay"})
"""How an attempt was settled whose own reply said nothing that its version could read."""


def has_failed(attempt: Attempt) -> bool:
    """Whether an attempt got no reply that its version could read, or a refusal that is neither
    the shopper's nor the issuer's; also where the service has found out since what became of it."""
    lost = attempt.result_class in {"A", "B1", "C"} or attempt.outcome in {None, "unknown"}
    return lost or attempt.settled_by in FOUND_OUT


def request_id_of(reply: WireReply | None, *, masked: bool = False) -> str:
    """The provider's name of a request, by the headers that are used for it."""
    if reply is None:
        return ""
    names = [name for name in REQUEST_IDS if not masked or name in KEPT_HEADERS]
    found = (formed(NAME, reply.header(name)) for name in names)
    return next((one for one in found if one), "")


def reproduction_of(request: WireRequest) -> Reproduction:
    """A request by the names of its fields; values stay where a reproduction needs them."""
    named = {name.lower(): value for name, value in request.headers}
    headers = tuple(
        (name, named[name])
        for name, form in SENT_HEADERS.items()
        if form.fullmatch(named.get(name, ""))
    )
    return Reproduction(
        method=request.method if request.method in METHODS else "GET",
        path=plain_path(request.path),
        headers=headers,
        fields=tuple(_fields(request, named.get("content-type", "")))[:MOST_FIELDS],
    )


def _fields(request: WireRequest, kind: str) -> Iterable[tuple[str, str]]:
    pairs: Iterable[tuple[str, object]] = ()
    if kind.partition(";")[0].strip().lower() == FORM:
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    else:
        try:
            body = msgspec.json.decode(request.body or b"{}")
        except (msgspec.MsgspecError, RecursionError):
            return
        pairs = body.items() if isinstance(body, dict) else ()
    for name, value in pairs:
        if not WORD.fullmatch(name) or name.startswith("metadata"):
            continue
        form = SENT_VALUES.get(name)
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        yield name, text if form is not None and form.fullmatch(text) else "..."
