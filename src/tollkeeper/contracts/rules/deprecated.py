"""An operation that we use is deprecated: it works still, and is going to go."""

from collections.abc import Iterator
from typing import Any

from tollkeeper.contracts.asking import Bodies, Rule, Side
from tollkeeper.contracts.finding import Finding


def check(bodies: Bodies) -> Iterator[Finding]:
    told = _told(bodies.new_side)
    if told is None or bodies.old_side is None or _told(bodies.old_side) == told:
        return
    yield Finding(
        rule="deprecated",
        severity="harmless",
        operations=(bodies.operation,),
        location="webhook" if bodies.is_webhook else "request",
        path=bodies.operation,
        pointer=f"{bodies.new_side.operation.operation.pointer}/deprecated",
        advice="the operation is deprecated now" + (f", until {told}" if told is not True else ""),
        after=told,
        relied_on_by=bodies.relied_on_by,
    )


def _told(side: Side) -> Any:
    """The day of its end where one is named, `True` where it is deprecated, else `None`."""
    value = side.operation.operation.value
    if value.get("deprecated") is not True:
        return None
    day = value.get("x-sunset")
    return day if isinstance(day, str) and day else True


RULE = Rule(name="deprecated", asks="operation", summary=__doc__ or "", check=check)
