"""A header of the reply that we read is not described any more."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Bodies, Rule
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.requests import reply_headers

PREFIX = "header:"


def check(bodies: Bodies) -> Iterator[Finding]:
    read = [path for path in bodies.usage.read if path.startswith(PREFIX)]
    if not read or bodies.is_webhook:
        return
    now = reply_headers(bodies.new_side)
    was = reply_headers(bodies.old_side) if bodies.old_side is not None else None
    for path in read:
        name = path.removeprefix(PREFIX)
        if name.lower() in now:
            continue
        standing = was is not None and name.lower() not in was
        yield Finding(
            rule="header-removed",
            severity="risky" if standing or was is None else "breaking",
            operations=(bodies.operation,),
            location="response",
            path=path,
            pointer=f"{bodies.new_side.operation.operation.pointer}/responses",
            advice=f"the header `{name}` is not described" + ("" if standing else " any more"),
            before=None if standing else name,
            standing=standing,
            undecided=was is None,
            relied_on_by=bodies.relied_on_by,
        )


RULE = Rule(name="header-removed", asks="operation", summary=__doc__ or "", check=check)
