"""A finding: one root cause by which an update touches what our code sends or reads."""

from typing import Any, Final, Literal

import msgspec

Severity = Literal["breaking", "risky", "harmless"]
Location = Literal["request", "response", "error", "webhook"]
ORDER: Final[dict[str, int]] = {"breaking": 0, "risky": 1, "harmless": 2}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`pointer` is where in the new description (in the old one where it is gone); `path` what we
    use; `standing` whether the old description had it as well; `undecided` that it was neither
    refuted nor proved. `witness` shows it: a reply that the new description allows and what came
    of it, or a request that the old one accepts and the new one refuses."""

    rule: str
    severity: Severity
    operations: tuple[str, ...]
    location: Location
    path: str
    pointer: str
    advice: str
    standing: bool = False
    undecided: bool = False
    relied_on_by: str = ""
    before: Any = None
    after: Any = None
    witness: dict[str, Any] | None = None

    def key(self) -> tuple[str, str, str, bool]:
        """What makes two findings one root cause: the same change at the same place."""
        return (self.rule, self.pointer or self.path, repr(self.after), self.standing)

    def order(self) -> tuple[int, bool, str, str, str, tuple[str, ...]]:
        """Worst first, then new before standing, then by name and place."""
        return (
            ORDER[self.severity],
            self.standing,
            self.rule,
            self.pointer,
            self.path,
            self.operations,
        )


def merged(findings: list[Finding]) -> list[Finding]:
    """One finding for each root cause, with every operation that it touches, worst first."""
    by_key: dict[tuple[str, str, str, bool], Finding] = {}
    for finding in findings:
        known = by_key.get(finding.key())
        if known is None:
            by_key[finding.key()] = finding
            continue
        worse = min(known, finding, key=lambda f: ORDER[f.severity])
        by_key[finding.key()] = msgspec.structs.replace(
            worse,
            operations=tuple(sorted({*known.operations, *finding.operations})),
        )
    return sorted(by_key.values(), key=Finding.order)
