"""Changing the routing rules for some payments, and for no others."""

from collections.abc import Callable, Collection

from msgspec.structs import replace

from tollkeeper.routing.routes import Condition, Rule

EVERYBODY = Condition()
"""The condition that every payment meets."""


def changed(
    rules: tuple[Rule, ...],
    condition: Condition,
    change: Callable[[dict[str, float]], dict[str, float]],
) -> tuple[Rule, ...]:
    """`rules` with changed weights for the payments of `condition`: in every rule within it, and
    for what it has in common with any other rule, in one of its own before that."""
    made: list[Rule] = []
    own: set[Condition] = set()
    for rule in rules:
        if is_within(rule.condition, condition):
            own.add(rule.condition)
            made.append(replace(rule, weights=change(rule.weights)))
            continue
        common = intersection(rule.condition, condition)
        if common is not None and common not in own:
            made.append(Rule(condition=common, weights=change(rule.weights)))
            own.add(common)
        made.append(rule)
    return tuple(made)


def intersection(one: Condition, other: Condition) -> Condition | None:
    """What meets both conditions; `None` where nothing can."""
    met: dict[str, str | None] = {}
    for name in Condition.__struct_fields__:
        mine, its = getattr(one, name), getattr(other, name)
        if None not in {mine, its} and mine != its:
            return None
        met[name] = mine if mine is not None else its
    return Condition(**met)


def is_within(narrow: Condition, wide: Condition) -> bool:
    """Whether every payment that meets `narrow` meets `wide`."""
    return (
        wide.currency in {None, narrow.currency}
        and wide.country in {None, narrow.country}
        and wide.account in {None, narrow.account}
    )


def carrying(rules: Collection[Rule], provider: str) -> list[str]:
    """The versions of `provider` that any rule gives new payments to, the heaviest first; what the
    last rule, which is everybody's, gives counts before what the others do."""
    weights: dict[str, tuple[float, float]] = {}
    for number, rule in enumerate(rules, 1):
        is_last = number == len(rules)
        for name, weight in rule.weights.items():
            if weight > 0 and name.partition("@")[0] == provider:
                most, other = weights.get(name, (0.0, 0.0))
                weights[name] = (weight, other) if is_last else (most, max(other, weight))
    return sorted(weights, key=lambda name: weights[name], reverse=True)


def in_words(condition: Condition) -> str:
    """A condition for people; empty for everybody."""
    named = (
        ("currency", condition.currency),
        ("country", condition.country),
        ("account", condition.account),
    )
    return ", ".join(f"{name} {value}" for name, value in named if value is not None)
