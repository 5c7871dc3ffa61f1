"""The last question: is the request that we send, as a whole, still accepted?

Rules ask path by path. What binds several members (`if`, `dependentRequired`, `not`, counts) shows
only in a whole body: one that the old text accepts and the new one refuses, where no rule spoke.
"""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Side, both
from tollkeeper.contracts.description import Description
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.requests import request_body
from tollkeeper.contracts.usage import Usage
from tollkeeper.contracts.validating import is_valid
from tollkeeper.contracts.witness import body_sent


def refused(
    usage: Usage, new: Description, old: Description | None, known: list[Finding]
) -> Iterator[Finding]:
    """A finding for each operation whose ordinary request is refused as a whole."""
    told = {o for f in known if f.location == "request" for o in f.operations}
    for name, used in usage.operations.items():
        if old is None or name in told or " webhook:" in name:
            continue
        found, was = both(name, new, old)
        if found is None or was is None:
            continue
        new_side, old_side = (
            Side(description=new, operation=found),
            Side(description=old, operation=was),
        )
        after, before = request_body(new_side), request_body(old_side)
        if after is None or before is None:
            continue
        body = body_sent(old_side, before, used)
        if not body or is_valid(old, before, body, request=True) is not True:
            continue
        if is_valid(new, after, body, request=True) is False:
            yield Finding(
                rule="request-refused",
                severity="risky",
                operations=(name,),
                location="request",
                path="",
                pointer=after.pointer,
                advice="the request as a whole is refused; see what its members must have together",
                undecided=True,
                relied_on_by=usage.where.get(name, usage.name),
                witness={"request": {"operation": name, "body": body}, "result": "refused"},
            )
