"""A parameter that we leave out means something else now."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Bodies, Rule
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.shapes import Shape, shapes


def check(bodies: Bodies) -> Iterator[Finding]:
    if (
        bodies.is_webhook
        or bodies.old_side is None
        or bodies.old_request is None
        or bodies.new_request is None
    ):
        return
    sent = {path.partition(".")[0].removesuffix("[]") for path in bodies.usage.send}
    old_side, new_side = bodies.old_side, bodies.new_side
    before = {
        name: (old_side.description, member)
        for shape in shapes(old_side.description, bodies.old_request, expanded=True)
        for name, member in shape.members.items()
    }
    for shape in shapes(new_side.description, bodies.new_request, expanded=True):
        for name, member in sorted(shape.members.items()):
            if name in sent or name not in before:
                continue
            was = _default(shapes(*before[name]))
            now = _default(shapes(new_side.description, member))
            if was != now and now is not None:
                yield Finding(
                    rule="default-changed",
                    severity="risky",
                    operations=(bodies.operation,),
                    location="request",
                    path=name,
                    pointer=member.pointer,
                    advice=f"we leave `{name}` out, and its default is {now!r} now",
                    before=was,
                    after=now,
                    relied_on_by=bodies.relied_on_by,
                )


def _default(found: list[Shape]) -> object:
    return next((s.limits["default"] for s in found if "default" in s.limits), None)


RULE = Rule(name="default-changed", asks="operation", summary=__doc__ or "", check=check)
