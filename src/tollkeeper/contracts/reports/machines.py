"""Findings for machines: SARIF 2.1.0 for code scanning, JUnit for test reports."""

import re
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

import msgspec

from tollkeeper.contracts.catalogue import RULES
from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.finding import Finding

LEVELS: Final = {"breaking": "error", "risky": "warning", "harmless": "note"}
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOT_URI: Final = re.compile(r"[^A-Za-z0-9._~/-]")
OTHER_RULES: Final = {
    "request-refused": "The request that we send is refused as a whole.",
    "operation-removed": "An operation that we use is gone.",
    "dangling-reference": "A reference in the description leads nowhere.",
}

UNREADABLE: Final = "unreadable-text"
"""No rule finds it: there is nothing that a rule could be asked about."""


def summaries() -> dict[str, str]:
    """Every rule's name and its first sentence."""
    found = {rule.name: rule.summary.strip().partition("\n")[0] for rule in RULES}
    more = OTHER_RULES | {UNREADABLE: "The provider's text is neither JSON nor YAML."}
    return dict(sorted((found | more).items()))


def as_sarif(checked: Checked, description: str) -> str:
    """SARIF 2.1.0; results stand at their JSON pointer in `description` (a file's name)."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in summaries().items()]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "tollkeeper", "rules": rules}},
                "results": [_result(finding, description) for finding in checked.findings],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def _result(finding: Finding, description: str) -> dict[str, Any]:
    text = f"{finding.advice} ({', '.join(finding.operations)})"
    return {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": text},
        "baselineState": "unchanged" if finding.standing else "new",
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(description)}},
                "logicalLocations": [{"fullyQualifiedName": finding.pointer, "kind": "member"}],
            }
        ],
        "properties": {
            "path": finding.path,
            "reliedOnBy": finding.relied_on_by,
            "undecided": finding.undecided,
            "witness": finding.witness,
        },
    }


def _uri(name: str) -> str:
    """A file's name as a relative reference: what may not stand in one is quoted."""
    return NOT_URI.sub(lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), name)


def as_junit(checked: Checked) -> str:
    """JUnit: a test case for each rule; it fails on a breaking finding that is not standing."""
    cases = []
    failed = 0
    for name in summaries():
        found = [f for f in checked.findings if f.rule == name]
        bad = [f for f in found if f.severity == "breaking" and not f.standing]
        failed += bool(bad)
        usage = NOT_XML.sub("?", checked.checked["usage"])
        opened = f"  <testcase classname={quoteattr(usage)} name={quoteattr(name)}"
        if not found:
            cases.append(f"{opened}/>")
            continue
        text = "\n".join(f"{f.severity}: {f.advice} [{f.pointer}]" for f in found)
        text = escape(NOT_XML.sub("?", text))
        inner = f"<failure>{text}</failure>" if bad else f"<system-out>{text}</system-out>"
        cases.append(f"{opened}>{inner}</testcase>")
    head = f'<testsuite name="contracts" tests="{len(cases)}" failures="{failed}">'
    body = "\n".join(cases)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{body}\n</testsuite>\n'
