"""Faults on request: rules that say which requests go wrong, how, and how often.

The catalogue is the table EFFECTS; its documentation is drawn from it.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec

from tollkeeper.kernel.chance import Chance

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

    def __init__(self, chance: Chance, is_known: Callable[[str], bool]) -> None:
        """`is_known`: whether the provider has an API version of that name."""
        self._chance = chance
        self._is_known = is_known
        self._count = 0
        self._keys: dict[str, set[str]] = {}
        self.rules: dict[str, FaultRule] = {}

    def add(self, rule: FaultRule) -> FaultRule:
        """Put a rule in force; raises ValueError for one that makes no sense."""
        _refuse_nonsense(rule, self._is_known)
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


def _refuse_nonsense(rule: FaultRule, is_known: Callable[[str], bool]) -> None:
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
