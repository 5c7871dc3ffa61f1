"""Findings as JSON, as lines for a terminal, and as Markdown for a pull request."""

from typing import Any

import msgspec

from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.finding import Finding

MARKS = {"breaking": "✗", "risky": "!", "harmless": "·"}
SHOWN_WITNESS = 600


def as_json(checked: Checked) -> str:
    """The whole result; fields in a fixed order."""
    findings = [as_document(finding) for finding in checked.findings]
    document = {
        "compatible": checked.compatible,
        "findings": findings,
        "checked": checked.checked,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def as_document(finding: Finding) -> dict[str, Any]:
    """One finding as plain values."""
    return msgspec.structs.asdict(finding) | {"operations": list(finding.operations)}


def as_text(checked: Checked) -> str:
    """Lines for a terminal: each finding, what relies on it, and the reply or request that shows
    it; then the verdict."""
    lines: list[str] = []
    for finding in checked.findings:
        standing = " (standing)" if finding.standing else ""
        undecided = " (undecided)" if finding.undecided else ""
        lines.append(
            f"{MARKS[finding.severity]} {finding.severity}{standing}{undecided} {finding.rule}: "
            f"{finding.advice}"
        )
        lines.append(f"    at {finding.pointer}")
        lines += [f"    in {operation}" for operation in finding.operations]
        if finding.relied_on_by:
            lines.append(f"    relied on by {finding.relied_on_by}")
        if finding.witness is not None:
            shown = msgspec.json.encode(finding.witness).decode()
            lines.append(f"    witness {shown[:SHOWN_WITNESS]}")
    return "\n".join([*lines, verdict(checked), ""])


def verdict(checked: Checked) -> str:
    """One line: compatible or not, and how many findings of each severity."""
    counts = {
        severity: sum(f.severity == severity and not f.standing for f in checked.findings)
        for severity in MARKS
    }
    standing = sum(f.standing for f in checked.findings)
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    word = "compatible" if checked.compatible else "not compatible"
    return f"{checked.checked['usage']}: {word} ({said}, {standing} standing)"


def as_markdown(checked: Checked) -> str:
    """A table and the witnesses, for a comment on a pull request."""
    lines = [f"### {verdict(checked)}", ""]
    if checked.findings:
        lines += ["| severity | rule | what | operations | relied on by |", "|---|---|---|---|---|"]
    for finding in checked.findings:
        operations = "<br>".join(f"`{name}`" for name in finding.operations)
        severity = finding.severity + (" (standing)" if finding.standing else "")
        lines.append(
            f"| {severity} | `{finding.rule}` | {finding.advice.replace('|', chr(92) + '|')} "
            f"| {operations} | {finding.relied_on_by.replace('|', chr(92) + '|')} |"
        )
    for finding in checked.findings:
        if finding.severity == "breaking" and finding.witness is not None:
            shown = msgspec.json.format(msgspec.json.encode(finding.witness), indent=1).decode()
            lines += ["", f"`{finding.rule}` at `{finding.pointer}`:", "", "```json", shown, "```"]
    return "\n".join([*lines, ""])
