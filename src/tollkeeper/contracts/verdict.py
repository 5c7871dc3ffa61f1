"""The verdict on an update: findings with their witnesses, and whether the code still fits."""

from tollkeeper.contracts.check import Checked, findings_of
from tollkeeper.contracts.description import Description
from tollkeeper.contracts.usage import Usage
from tollkeeper.contracts.witness import Reader, witnessed


def check(
    usage: Usage, new: Description, old: Description | None, reader: Reader | None = None
) -> Checked:
    """Asks everything of the new text, compares with the old one, and shows what it finds.

    `reader` is the real code, where there is one; else a reader made from the usage stands for it.
    """
    findings = witnessed(findings_of(usage, new, old), usage, new, old, reader)
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
