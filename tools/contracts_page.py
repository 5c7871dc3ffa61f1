"""Draws `docs/reference/contracts.md` and the JSON Schemas of usage files and reports."""

from typing import Any

import msgspec

from tollkeeper.contracts.catalogue import RULES
from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.reports.machines import summaries
from tollkeeper.contracts.usage import Usage

EXAMPLES = {
    "body-removed": ("breaking", "a reply of 200 has no content any more"),
    "branch-added": ("risky", "an object becomes `anyOf` with one that lacks the field"),
    "content-type": ("breaking", "JSON was accepted, a form is wanted now; of replies: risky"),
    "dangling-reference": ("risky", "`$ref` to a component that the text does not hold"),
    "default-changed": ("risky", "`capture_method` is left out, and its default is another"),
    "deprecated": ("harmless", "`deprecated: true` on an operation, with its `x-sunset`"),
    "field-nullable": ("breaking", "a field that usage takes for granted may be null; else milder"),
    "field-optional": ("risky", "a field that usage takes for granted is not required any more"),
    "field-removed": ("breaking", "`charges` is gone, `latest_charge` is its likeliest heir"),
    "field-type": ("breaking", "a text is an object now; one scalar for another is risky"),
    "header-removed": ("breaking", "usage reads `header:Request-Id`, and replies have none now"),
    "operation-moved": ("breaking", "servers answer below `/gateway` now; another edition: risky"),
    "operation-removed": ("breaking", "the path is gone, or its `operationId` is elsewhere"),
    "parameter-limits": ("risky", "`maxLength` is below what we send; breaking if all is refused"),
    "parameter-read-only": ("risky", "`readOnly` on a parameter that we send"),
    "parameter-removed": ("breaking", "a parameter that we send is not described any more"),
    "parameter-required": ("breaking", "a parameter that we do not send is required"),
    "parameter-type": ("breaking", "an integer that we send must be a text now"),
    "parameter-values": ("breaking", "every word that we send is refused; of some: risky"),
    "request-refused": ("risky", "`if` our words, `then` a member that we do not send"),
    "security-changed": ("risky", "the key is not accepted any more, another scheme is"),
    "unreadable-text": ("risky", "the text breaks off in the middle: never compatible, exit 1"),
    "word-added": ("risky", "`status` may be `held`; breaking if no known word is left"),
}
"""Rule to its worst severity and an example."""


def page() -> str:
    """The catalogue of rules."""
    asks = {rule.name: rule.asks for rule in RULES}
    words = {"read": "what is read", "send": "what is sent", "operation": "the operation"}
    rows = [
        f"| `{name}` | {text.rstrip('.')} | {words[asks.get(name, 'operation')]} "
        f"| {EXAMPLES[name][0]} | {EXAMPLES[name][1]} |"
        for name, text in summaries().items()
    ]
    return (
        "# The contract checker's rules\n\nEach finding names its rule, the JSON pointer in the "
        "description, the line that relies on it, the old and the new state, and advice.\n\n"
        "- `breaking`: an ordinary payment cannot be made or understood, and a witness shows it.\n"
        "- `risky`: only some values are affected, or the finding was neither refuted nor proved "
        "(`undecided`).\n"
        "- `harmless`: good to know.\n\n"
        "A finding that the old description had as well is `standing` and never breaking. The "
        "shape of `--format json` is in `docs/reference/report.schema.json`.\n\n"
        "| rule | what it finds | asks of | at worst | for example |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def usage_schema() -> str:
    """JSON Schema of a usage file."""
    return _schema(Usage)


def report_schema() -> str:
    """JSON Schema of `--format json`."""
    return _schema(Checked)


def _schema(kind: Any) -> str:
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(kind),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
