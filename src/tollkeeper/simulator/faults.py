"""Faults on request: rules that say which requests go wrong, how, and how often.

The catalogue is the table EFFECTS; its documentation is drawn from it.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from math import ceil
from typing import Any, Final, Literal

import msgspec

from tollkeeper.kernel.chance import Chance
from tollkeeper.simulator import mutations, problems, rows
from tollkeeper.simulator.messages import SimReply
from tollkeeper.simulator.problems import Problem
from tollkeeper.simulator.versions import is_known

When = Literal["before", "after"]

DELIVER: Final = "webhooks.deliver"
"""The operation of outgoing events."""


class FaultRule(msgspec.Struct, forbid_unknown_fields=True):
    """One rule. The first fields say which requests match (shell patterns; `operation` is a name
    like `payment_intents.create`, `webhooks.deliver` for outgoing events), `probability` and
    `count` how many of them; the rest are the effect's own fields.

    `only`, `other_than` and `row` choose the objects of a list that an effect on documents
    strikes: those that belong to an identifier (their own, their payment's, their charge's, or a
    value of their metadata), those that do not, and the place among these, counted from 1.

    With `first_of_key` a rule strikes only the first request of each idempotency key that it
    matches, so that a repetition gets through.

    `when` says whether the effect on money took place: `before` it (nothing happened) or `after`.
    """

    effect: str
    id: str = ""
    when: When = "after"
    operation: str = "*"
    api_version: str = "*"
    account: str = "*"
    payment_method: str = "*"
    event_type: str = "*"
    probability: float = 1.0
    count: int | None = None
    first_of_key: bool = False
    seconds: float = 0.0
    most_seconds: float = 0.0
    fraction: float = 0.1
    status: int = 0
    object: str = ""
    path: str = ""
    to: str = ""
    only: str = ""
    other_than: str = ""
    row: int = 0
    value: Any = None
    type: str = "invalid_request_error"
    code: str = ""
    message: str = "The request was refused."
    param: str = ""
    headers: dict[str, str] = {}
    factor: float = 0.01
    parameter: str = ""
    at: int = 20
    stored: bool | None = None
    holds_key: bool = False
    hits: int = 0


class Facts(msgspec.Struct, frozen=True):
    """What a rule is matched against."""

    operation: str
    api_version: str
    account: str
    payment_method: str = ""
    event_type: str = ""
    key: str = ""


Stage = Literal["gate", "version", "pause", "late", "body", "reply", "webhook"]


class Effect(msgspec.Struct, frozen=True):
    """`stage` says where it acts; `fields` are the rule's fields that it reads; `moments` the
    values of `when` that it knows."""

    stage: Stage
    summary: str
    fields: tuple[str, ...] = ()
    moments: tuple[When, ...] = ("after",)


BOTH: Final[tuple[When, ...]] = ("before", "after")
BEFORE: Final[tuple[When, ...]] = ("before",)

ROWS: Final = ("only", "other_than", "row")

EFFECTS: Final[dict[str, Effect]] = {
    "drop": Effect(
        "reply",
        "Accepts the request and never answers; the connection stays open for `seconds` (300 unless"
        " told, and at most).",
        ("seconds",),
        BOTH,
    ),
    "reset": Effect("reply", "Resets the connection (TCP RST).", (), BOTH),
    "truncate": Effect("reply", "Sends `at` bytes of the body, then closes.", ("at",)),
    "slow_body": Effect("reply", "Sends the headers, then the body `seconds` later.", ("seconds",)),
    "error": Effect(
        "reply",
        "Answers `status` (500 unless told) with an api_error; stored under the key if it came"
        " after the effect, or as `stored` says.",
        ("status", "stored"),
        BOTH,
    ),
    "html": Effect("reply", "Answers `status` with a page of HTML.", ("status",), BOTH),
    "refuse": Effect(
        "gate",
        "Answers `status` (400 unless told) with an error of `type`, with `code`, `message` and"
        " `param` where told, and `headers` over the usual ones. With `stored` the refusal is kept"
        " under the key, as when execution had begun: a repetition of the request replays it.",
        ("status", "type", "code", "message", "param", "headers", "stored"),
        BEFORE,
    ),
    "rate_limited": Effect(
        "gate",
        "Answers 429 `rate_limit` with `Retry-After: seconds` (1 unless told).",
        ("seconds",),
        BEFORE,
    ),
    "lock_timeout": Effect(
        "gate",
        "Answers 429 `lock_timeout` with `Stripe-Should-Retry: true`, and with `Retry-After:"
        " seconds` where told.",
        ("seconds",),
        BEFORE,
    ),
    "maintenance": Effect(
        "gate",
        "Answers 503 with `Retry-After: seconds` (60 unless told).",
        ("seconds",),
        BEFORE,
    ),
    "unauthorized": Effect("gate", "Answers 401 as for a revoked key.", (), BEFORE),
    "conflict": Effect("gate", "Answers 409 `idempotency_key_in_use`.", (), BEFORE),
    "sunset": Effect(
        "gate",
        "The API version is gone: a page of HTML with `status` (404 unless told; 410 is usual).",
        ("status",),
        BEFORE,
    ),
    "require_parameter": Effect(
        "gate", "Refuses requests without `parameter` (400).", ("parameter",), BEFORE
    ),
    "forbid_parameter": Effect(
        "gate", "Refuses requests that send `parameter` (400).", ("parameter",), BEFORE
    ),
    "ignore_version": Effect(
        "version",
        "Answers in the form of version `to`, whatever was asked for.",
        ("to",),
        BEFORE,
    ),
    "delay": Effect("pause", "Waits `seconds`.", ("seconds",), BOTH),
    "slow_tail": Effect(
        "pause", "Waits `seconds` for a `fraction` of requests.", ("seconds", "fraction"), BOTH
    ),
    "late_effect": Effect(
        "late",
        "Never answers (or answers `status` at once, where told), and the effect lands `seconds`"
        " after arrival; with `most_seconds` the lateness is drawn between the two. With"
        " `holds_key` the idempotency key is taken meanwhile.",
        ("seconds", "most_seconds", "holds_key", "status"),
    ),
    "rename_field": Effect(
        "body", "Renames the field at `path` to `to`.", ("object", "path", "to", *ROWS)
    ),
    "remove_field": Effect("body", "Removes the field at `path`.", ("object", "path", *ROWS)),
    "null_field": Effect("body", "Makes the field at `path` null.", ("object", "path", *ROWS)),
    "change_type": Effect(
        "body", "Numbers become text, text a list, at `path`.", ("object", "path", *ROWS)
    ),
    "new_word": Effect(
        "body", "Puts `value` (a word nobody knows) at `path`.", ("object", "path", "value", *ROWS)
    ),
    "amount_unit": Effect(
        "body", "Multiplies the number at `path` by `factor`.", ("object", "path", "factor", *ROWS)
    ),
    "nulls": Effect(
        "body",
        "Makes every member null that the provider's description calls nullable, or only `path`.",
        ("object", "path", *ROWS),
    ),
    "replace_row": Effect("body", "A row of a list becomes `value`.", ("value", *ROWS)),
    "foreign_row": Effect(
        "body",
        "A list has one row more, which other software made: like the first row, without metadata,"
        " with the members of `value` over it.",
        ("value", "row"),
    ),
    "decline_as_approval": Effect("body", "A decline reads as an approval, with status 200."),
    "error_in_200": Effect("reply", "The body is an error, the status stays 200.", ("status",)),
    "duplicate_keys": Effect("reply", "The body repeats its first member with null.", ()),
    "webhook_lost": Effect("webhook", "The delivery is never made and never repeated."),
    "webhook_twice": Effect("webhook", "The delivery is made twice."),
    "webhook_delay": Effect("webhook", "The delivery waits `seconds`.", ("seconds",)),
    "webhook_signature": Effect("webhook", "The signature is made with another secret."),
}


class Faults:
    """The rules in force, in the order of their making."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._count = 0
        self._keys: dict[str, set[str]] = {}
        self.rules: dict[str, FaultRule] = {}

    def add(self, rule: FaultRule) -> FaultRule:
        """Put a rule in force; raises ValueError for one that makes no sense."""
        _refuse_nonsense(rule)
        self._count += 1
        rule.id = rule.id or f"fault_{self._count}"
        self.rules[rule.id] = rule
        return rule

    def remove(self, identifier: str) -> bool:
        self._keys.pop(identifier, None)
        return self.rules.pop(identifier, None) is not None

    def clear(self) -> None:
        self._keys.clear()
        self.rules.clear()

    def pick(self, facts: Facts) -> list[FaultRule]:
        """The rules that strike this time; each is counted."""
        struck = [rule for rule in self.rules.values() if self._strikes(rule, facts)]
        for rule in struck:
            rule.hits += 1
        return struck

    def lateness_seconds(self, rule: FaultRule) -> float:
        """How late the effect of this request lands."""
        spread = rule.most_seconds - rule.seconds
        return rule.seconds + (self._chance.uniform() * spread if spread > 0 else 0.0)

    def _is_first(self, rule: FaultRule, key: str) -> bool:
        seen = self._keys.setdefault(rule.id, set())
        if key in seen:
            return False
        seen.add(key)
        return True

    def _strikes(self, rule: FaultRule, facts: Facts) -> bool:
        if rule.count is not None and rule.hits >= rule.count:
            return False
        if not _matches(rule, facts):
            return False
        if rule.first_of_key and not self._is_first(rule, facts.key):
            return False
        probability = rule.fraction if rule.effect == "slow_tail" else rule.probability
        return probability >= 1.0 or self._chance.uniform() < probability


def _matches(rule: FaultRule, facts: Facts) -> bool:
    delivering = facts.operation == DELIVER
    if (EFFECTS[rule.effect].stage == "webhook" or rule.operation == DELIVER) != delivering:
        return False  # A rule is about requests unless it is, or says it is, about webhooks.
    return (
        (delivering or fnmatchcase(facts.operation, rule.operation))
        and fnmatchcase(facts.api_version, rule.api_version)
        and fnmatchcase(facts.account, rule.account)
        and fnmatchcase(facts.payment_method, rule.payment_method)
        and fnmatchcase(facts.event_type, rule.event_type)
    )


def _refuse_nonsense(rule: FaultRule) -> None:
    effect = EFFECTS.get(rule.effect)
    if effect is None:
        raise ValueError(f"no effect {rule.effect!r}; there are: {', '.join(EFFECTS)}")
    if len(effect.moments) == 1:
        rule.when = effect.moments[0]
    for name in ("path", "parameter", "to"):
        if name in effect.fields and not getattr(rule, name) and rule.effect != "nulls":
            raise ValueError(f"effect {rule.effect!r} needs {name!r}")
    if effect.stage == "version" and not is_known(rule.to):
        raise ValueError(f"effect {rule.effect!r}: {rule.to!r} is no version of this provider")
    if not 0 <= rule.probability <= 1 or rule.seconds < 0 or rule.row < 0:
        raise ValueError("probability must be in [0, 1], seconds and row must not be negative")
    if rule.most_seconds and rule.most_seconds < rule.seconds:
        raise ValueError("most_seconds must not be less than seconds")


def gate(rule: FaultRule, params: dict[str, Any], key: str) -> Problem | SimReply | None:
    """What a `gate` rule answers in place of execution, or None to let the request through."""
    match rule.effect:
        case "require_parameter" if _lacks(params, rule.parameter):
            return problems.missing(rule.parameter)
        case "forbid_parameter" if not _lacks(params, rule.parameter):
            message = f"The parameter {rule.parameter} is not supported any more."
            return problems.invalid(rule.parameter, message)
        case "conflict":
            return problems.key_in_use(key)
        case "sunset":
            return html_page(rule.status or 404)
        case effect:
            make = _REFUSALS.get(effect)
            return make(rule) if make is not None else None


def refusal(rule: FaultRule) -> Problem:
    """What a `refuse` rule answers."""
    code, param = rule.code or None, rule.param or None
    problem = Problem(rule.status or 400, rule.message, kind=rule.type, code=code, param=param)
    problem.headers = {name.lower(): value for name, value in rule.headers.items()}
    return problem


def _revoked(rule: FaultRule) -> Problem:
    return Problem(401, "Invalid API Key provided: it was revoked.", code="api_key_expired")


_REFUSALS: Final[dict[str, Callable[[FaultRule], Problem]]] = {
    "refuse": refusal,
    "rate_limited": lambda rule: problems.too_many_requests(ceil(rule.seconds) or 1),
    "lock_timeout": lambda rule: problems.lock_timeout(ceil(rule.seconds)),
    "maintenance": lambda rule: problems.maintenance(ceil(rule.seconds) or 60),
    "unauthorized": _revoked,
}
"""The gates that look at nothing but their own rule."""


def _lacks(params: dict[str, Any], parameter: str) -> bool:
    """Whether `parameter` (bracket notation for members) is absent from the request."""
    found: Any = params
    for name in parameter.replace("]", "").split("["):
        if not isinstance(found, dict) or name not in found:
            return True
        found = found[name]
    return False


def html_page(status: int) -> SimReply:
    body = b"<!DOCTYPE html><html><head><title>Unavailable</title></head><body></body></html>"
    return SimReply(status, [("content-type", "text/html; charset=utf-8")], body)


def edit_body(rule: FaultRule, reply: SimReply) -> None:
    """Apply a `body` rule to the reply in place; a body that is not JSON stays as it is."""
    try:
        document = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return
    if rule.effect == "decline_as_approval":
        document = _approval(document, reply)
    else:
        edit_document(rule, document)
    reply.body = msgspec.json.encode(document)


def edit_document(rule: FaultRule, document: Any) -> None:
    """Apply a `body` rule to the rows that it chooses: at its path, from the root or from every
    object of its type."""
    if rule.effect == "foreign_row":
        rows.add_foreign(document, rule.value, rule.row)
        return
    found = [document]
    if rule.only or rule.other_than or rule.row or rule.effect == "replace_row":
        found = rows.chosen(document, only=rule.only, other_than=rule.other_than, place=rule.row)
    if rule.effect == "replace_row":
        rows.replace(document, found, rule.value)
        return
    for row in found:
        _edit_row(rule, row)


def _edit_row(rule: FaultRule, row: Any) -> None:
    if rule.effect == "nulls":
        rows.make_null(row, rule.object, rule.path)
        return
    edit = _edit(rule)
    roots = list(mutations.objects(row, rule.object)) if rule.object else [row]
    for root in roots:
        for holder, name in list(mutations.holders(root, rule.path)):
            edit(holder, name)


def _edit(rule: FaultRule) -> mutations.Edit:
    edits: dict[str, Callable[[], mutations.Edit]] = {
        "rename_field": lambda: mutations.rename(rule.to),
        "remove_field": lambda: mutations.remove,
        "null_field": lambda: mutations.assign(None),
        "change_type": lambda: mutations.retype,
        "new_word": lambda: mutations.assign(
            "a_word_nobody_knows" if rule.value is None else rule.value
        ),
        "amount_unit": lambda: mutations.scale(rule.factor),
    }
    return edits[rule.effect]()


def _approval(document: Any, reply: SimReply) -> Any:
    error = document.get("error") if isinstance(document, dict) else None
    intent = error.get("payment_intent") if isinstance(error, dict) else None
    if reply.status != 402 or not isinstance(intent, dict):
        return document
    reply.status = 200
    manual = intent.get("capture_method") == "manual"
    intent["status"] = "requires_capture" if manual else "succeeded"
    intent["amount_capturable" if manual else "amount_received"] = intent["amount"]
    intent["last_payment_error"] = None
    return intent


def strike_reply(rule: FaultRule, reply: SimReply) -> SimReply:
    """Apply a `reply` rule; gives the reply to send."""
    match rule.effect:
        case "drop" | "reset":
            reply.ending = "drop" if rule.effect == "drop" else "reset"
            reply.hold_seconds = rule.seconds
        case "truncate":
            reply.ending, reply.truncate_at = "truncate", rule.at
        case "slow_body":
            reply.body_delay_seconds = rule.seconds
        case "error":
            return _with_error(reply, rule.status or 500)
        case "html":
            page = html_page(rule.status or 200)
            return SimReply(page.status, page.headers, page.body)
        case "error_in_200":
            return _with_error(reply, rule.status or 200)
        case "duplicate_keys":
            reply.body = _duplicated(reply.body)
        case _:
            raise AssertionError(f"{rule.effect} is not a reply effect")
    return reply


def _with_error(reply: SimReply, status: int) -> SimReply:
    message = "An unknown error occurred."
    reply.status = status
    reply.body = problems.body_of({"message": message, "type": "api_error"})
    return reply


def _duplicated(body: bytes) -> bytes:
    """The first member again, as null: most parsers keep the last one, some the first."""
    try:
        first = next(iter(msgspec.json.decode(body, type=dict[str, Any])), None)
    except msgspec.MsgspecError:
        return body
    if first is None:
        return body
    return body.rstrip()[:-1] + b"," + msgspec.json.encode(first) + b":null}"
