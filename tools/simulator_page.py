"""The simulator's reference page, drawn from its tables: operations, controls, faults, ledger."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.simulator.core import faults
from tollkeeper.simulator.stripe import cards, config, control, ledger, operations, versions

_HEAD = """# The simulator

A payment provider that can be broken: Stripe's wire format at several versions, its own ledger, and
faults on request. It is a program of its own and knows nothing of Tollkeeper.

```
python -m tollkeeper.simulator serve --port 12111 --ledger ledger.jsonl
python -m tollkeeper.simulator fault add drop --url http://127.0.0.1:12111 --when after --count 1
python -m tollkeeper.simulator fault clear --url http://127.0.0.1:12111
python -m tollkeeper.simulator ledger --url http://127.0.0.1:12111
python -m tollkeeper.simulator shoppers --api http://127.0.0.1:8080 --key KEY --rate 1 --count 20
```

`serve` prints one line of JSON with `url` and `keys` when it is ready.
"""


def page() -> str:
    """`docs/reference/simulator.md`."""
    return "\n".join(
        [
            _HEAD,
            _operations(),
            _versions(),
            _methods(),
            _controls(),
            _faults(),
            _examples(),
            _ledger(),
            _settings(),
        ]
    )


def _table(title: str, lead: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [" | ".join(row) for row in (heads, ["---"] * len(heads), *rows)]
    return f"## {title}\n\n{lead}\n\n" + "\n".join(f"| {line} |" for line in lines) + "\n"


def _operations() -> str:
    rows = [(f"`{o.name}`", f"`{o.method} {o.path}`") for o in operations.OPERATIONS]
    lead = "The names are those that fault rules match."
    return _table("Operations", lead, ("operation", "request"), rows)


def _versions() -> str:
    rows = [(f"`{c.version}`", f"`{c.subject}`", c.summary) for c in versions.CHANGES]
    lead = (
        "`Stripe-Version` takes any of these: "
        + ", ".join(f"`{version}`" for version in versions.VERSIONS)
        + ". A document at an older version is the newest form with every later change undone. "
        "Besides, `capture_method` defaults to `automatic_async` since 2024-04-10, and automatic "
        "payment methods are on by default since 2023-08-16. Until "
        f"{versions.RELEASES_WITHOUT_REFUND}, a partial capture, a cancellation and an expiry list "
        "a refund for what they release, add to `amount_refunded` and send `charge.refunded`; "
        "since then they do neither. The version of the request decides; where an authorization "
        "expires, the account's own."
    )
    return _table("API versions", lead, ("since", "object", "change"), rows)


def _methods() -> str:
    rows = [
        (f"`{name}`", card.brand, _behavior(card))
        for name, card in cards.CARDS.items()
        if not name.startswith("pm_card_visa_chargeDeclined")
    ]
    lead = (
        "Stripe's published test payment methods. Declining ones exist with `pm_card_visa_`, too; "
        "each is also a token (`tok_`)."
    )
    return _table("Payment methods", lead, ("payment method", "brand", "what happens"), rows)


def _behavior(card: cards.Card) -> str:
    steps = ["3-D Secure"] if card.challenge == "required" else []
    steps.append(f"declined: `{card.decline}`" if card.decline else "approved")
    if card.aftermath:
        steps.append(card.aftermath.replace("_", " "))
    return ", then ".join(steps)


def _controls() -> str:
    rows = [
        (f"`{method} {path}`", (function.__doc__ or "").strip().splitlines()[0])
        for (method, path), function in control.ROUTES.items()
    ]
    lead = "No key is needed: keep the simulator on loopback."
    return _table("Control API", lead, ("request", "what it does"), rows)


def _faults() -> str:
    matching = ["operation", "api_version", "account", "payment_method", "event_type"]
    rows = [
        (
            f"`{name}`",
            " or ".join(effect.moments),
            " ".join(f"`{field}`" for field in effect.fields),
            effect.summary,
        )
        for name, effect in faults.EFFECTS.items()
    ]
    lead = (
        "A rule matches requests by shell patterns ("
        + ", ".join(f"`{name}`" for name in matching)
        + "), strikes with `probability` and at most `count` times (with `first_of_key` the first "
        "request of each idempotency key alone), `before` or `after` the effect "
        f"on money. Operation `{faults.DELIVER}` means outgoing events: the effects on documents "
        "work there, too. A path is dotted, `[]` means each element; with `object` it starts at "
        "every object of that type. In a list, `only`, `other_than` and `row` choose the objects "
        "that it strikes: those that belong to an identifier (of a payment, an intent, a charge), "
        "those that do not, and the place among these, counted from 1."
    )
    return _table("Faults", lead, ("effect", "when", "fields", "what it does"), rows)


EXAMPLES: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "a refusal without a code",
        "faults",
        '{"effect": "refuse", "operation": "payment_intents.create", "message": "No.", "count": 1}',
    ),
    (
        "a 402 that is no decline, kept under its key",
        "faults",
        '{"effect": "refuse", "status": 402, "code": "payment_intent_authentication_failure",'
        ' "stored": true}',
    ),
    (
        "not now: a lock, for one version",
        "faults",
        '{"effect": "lock_timeout", "api_version": "2022-08-01", "seconds": 2}',
    ),
    (
        "maintenance for half an hour",
        "faults",
        '{"effect": "maintenance", "seconds": 1800}',
    ),
    (
        "effects up to three hours late, keys held, repetitions answered 409",
        "faults",
        '{"effect": "late_effect", "operation": "refunds.create", "seconds": 0,'
        ' "most_seconds": 10800, "holds_key": true, "first_of_key": true}',
    ),
    (
        "a word of tomorrow in every listed intent but those of one payment",
        "faults",
        '{"effect": "new_word", "operation": "payment_intents.list", "path": "status",'
        ' "other_than": "pay_1"}',
    ),
    (
        "the second listed refund has no status",
        "faults",
        '{"effect": "nulls", "operation": "refunds.list", "path": "status", "row": 2}',
    ),
    (
        "a row that is no object",
        "faults",
        '{"effect": "replace_row", "operation": "refunds.list", "row": 1, "value": "?"}',
    ),
    (
        "a payment of other software in the list",
        "faults",
        '{"effect": "foreign_row", "operation": "payment_intents.list"}',
    ),
    (
        "a peer that hangs for a minute",
        "faults",
        '{"effect": "drop", "when": "before", "operation": "refunds.*", "seconds": 60}',
    ),
    ("a clock that is seven minutes slow", "settings", '{"clock_offset_seconds": -420}'),
    ("payment methods are used up", "settings", '{"refuses_used_methods": true}'),
    ("the key has expired", "keys", '{"key": "sk_test_tollkeeper", "expired": true}'),
    (
        "the key may not refund",
        "keys",
        '{"key": "sk_test_tollkeeper", "allowed": ["payment_intents.*", "charges.*"]}',
    ),
    (
        "the key is of another account",
        "keys",
        '{"key": "sk_test_tollkeeper", "account": "acct_other"}',
    ),
    ("a payment method that was used before", "payment_methods", '{"used": true}'),
)
"""What it makes, the control it is posted to, and the body."""


def _examples() -> str:
    rows = [(what, f"`POST /_control/{where}`", f"`{body}`") for what, where, body in EXAMPLES]
    lead = (
        "In Python, `core.faults.add(FaultRule(...))` takes the same fields, and "
        "`core.handle(SimRequest(...))` the same requests."
    )
    return _table("Examples", lead, ("what", "request", "body"), rows)


def _ledger() -> str:
    kinds: list[type[msgspec.Struct]] = [
        ledger.LedgerCharge,
        ledger.LedgerCapture,
        ledger.LedgerRefund,
        ledger.LedgerDispute,
        ledger.LedgerIntent,
    ]
    rows = [
        (
            f"`{kind.__name__}`",
            " ".join(f"`{field.name}`" for field in msgspec.structs.fields(kind)),
        )
        for kind in kinds
    ]
    lead = (
        "`GET /_control/ledger` gives `charges` and `intents`, oldest first. A ledger file has a "
        "line for each effect on a charge; the last one is its state. Amounts are integers of the "
        "minor unit, moments Unix milliseconds."
    )
    return _table("Ledger", lead, ("entry", "fields"), rows)


def _names(kind: type[msgspec.Struct]) -> str:
    return " ".join(f"`{field.name}`" for field in msgspec.structs.fields(kind))


def _settings() -> str:
    rows = [
        (f"`{field.name}`", f"`{getattr(config.SimulatorConfig(), field.name)}`")
        for field in msgspec.structs.fields(config.SimulatorConfig)
        if field.name not in ("accounts", "keys", "issuer", "public_url")
    ]
    changing = ", ".join(f"`{name}`" for name in control.SETTINGS)
    lead = (
        "`serve --config FILE` takes them as JSON, `accounts` (`id`, `key`, `api_version`), "
        "`keys` (`key`, `account`, `expired`, `allowed`) and `issuer` (`approve_rate`, `declines`, "
        "`brands_down`) besides. While it runs, `POST "
        f"/_control/settings` changes {changing}."
    )
    return _table("Settings", lead, ("setting", "default"), rows)
