"""The form in which we send, or in which answers come, is not offered any more."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Bodies, Rule
from tollkeeper.contracts.finding import Finding, Location
from tollkeeper.contracts.requests import reply_types, request_types


def check(bodies: Bodies) -> Iterator[Finding]:
    if bodies.old_side is None:
        return
    sent: Location = "webhook" if bodies.is_webhook else "request"
    kinds: tuple[tuple[Location, frozenset[str], frozenset[str]], ...] = (
        (sent, request_types(bodies.old_side), request_types(bodies.new_side)),
        ("response", reply_types(bodies.old_side), reply_types(bodies.new_side)),
    )
    for location, before, after in kinds:
        if before and after and not before & after:
            yield Finding(
                rule="content-type",
                severity="breaking" if location == "request" else "risky",
                operations=(bodies.operation,),
                location=location,
                path="header:Content-Type",
                pointer=bodies.new_side.operation.operation.pointer,
                advice=f"the {location} must be {' or '.join(sorted(after))} now",
                before=sorted(before),
                after=sorted(after),
                undecided=location != "request",
                relied_on_by=bodies.relied_on_by,
            )


RULE = Rule(name="content-type", asks="operation", summary=__doc__ or "", check=check)
