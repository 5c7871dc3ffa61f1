"""The verdict on an update: findings with their witnesses, and whether the code still fits."""

from tollkeeper.contracts.check import Checked, findings_of
from tollkeeper.contracts.description import Description
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.proving import refused
from tollkeeper.contracts.usage import Usage
from tollkeeper.contracts.witness import Reader, witnessed


def unreadable(usage: Usage, name: str, why: str) -> Checked:
    """The verdict where the provider's own text, of the file `name`, cannot be parsed: nothing
    shows that the code fits."""
    finding = Finding(
        rule="unreadable-text",
        severity="risky",
        operations=tuple(sorted(usage.operations)),
        location="response",
        path="",
        pointer="",
        advice=f"ask the provider for a text that can be read: {name}: {why}",
        undecided=True,
        relied_on_by=usage.name,
    )
    asked = {"usage": usage.name, "operations": 0, "read": 0, "sent": 0, "compared": False}
    return Checked(compatible=False, findings=[finding], checked={**asked, "dialect": None})


def check(
    usage: Usage, new: Description, old: Description | None, reader: Reader | None = None
) -> Checked:
    """Asks everything of the new text, compares with the old one, and shows what it finds.

    `reader` is the real code, where there is one; else a reader made from the usage stands for it.
    """
    findings = witnessed(findings_of(usage, new, old), usage, new, old, reader)
    findings += refused(usage, new, old, findings)
    findings.sort(key=lambda f: f.order())
    breaking = [f for f in findings if f.severity == "breaking" and not f.standing]
    return Checked(
        compatible=not breaking,
        findings=findings,
        checked={
            "usage": usage.name,
            "operations": len(usage.operations),
            "read": sum(len(o.read) for o in usage.operations.values()),
            "sent": sum(len(o.send) for o in usage.operations.values()),
            "compared": old is not None,
            "dialect": new.dialect,
        },
    )
