"""What a promotion makes of the routing rules, and what takes it back.

Only the weights of the candidate's provider change, and only for the payments that the rollout's
condition meets.
"""

from msgspec.structs import replace

from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing.routes import Condition, Rule
from tollkeeper.routing.rules import changed, is_within


def promoted_rules(rules: tuple[Rule, ...], rollout: Rollout) -> tuple[Rule, ...]:
    """`rules` with all weight of the candidate's provider on the candidate wherever the rollout's
    condition holds: in every rule within it, and in one of its own before the wider ones."""
    return changed(rules, rollout.condition, lambda weights: _moved(weights, rollout))


def restored_rules(rules: tuple[Rule, ...], rollout: Rollout) -> tuple[Rule, ...]:
    """`rules`, in which the provider's weights are again what they were before the promotion."""
    made = []
    known = {rule.condition for rule in rollout.rules_before}
    for rule in rules:
        if not is_within(rule.condition, rollout.condition):
            made.append(rule)
            continue
        before = _covering(rollout.rules_before, rule.condition)
        weights = _others(rule.weights, rollout) | _shared_out(before, rule, rollout)
        if rule.condition in known or weights != _covering(rules, rule.condition, rule).weights:
            made.append(replace(rule, weights=weights))
    return tuple(made)


def _shared_out(before: Rule, rule: Rule, rollout: Rollout) -> dict[str, float]:
    """The provider's weights from before, at what the provider has of the rule now."""
    was, now = _mine(before.weights, rollout), sum(_mine(rule.weights, rollout).values())
    whole = sum(was.values())
    return {name: weight * now / whole for name, weight in was.items()} if whole else was


def overlap(one: Condition, other: Condition) -> bool:
    """Whether a payment may meet both."""
    pairs = (
        (one.currency, other.currency),
        (one.country, other.country),
        (one.account, other.account),
    )
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _covering(rules: tuple[Rule, ...], condition: Condition, but: Rule | None = None) -> Rule:
    """The first rule, other than `but`, that meets all payments of `condition`."""
    return next(r for r in rules if r is not but and is_within(condition, r.condition))


def _moved(weights: dict[str, float], rollout: Rollout) -> dict[str, float]:
    mine = _mine(weights, rollout)
    idle = {name: 0.0 for name in mine if name != rollout.candidate}
    return _others(weights, rollout) | {rollout.candidate: sum(mine.values())} | idle


def _mine(weights: dict[str, float], rollout: Rollout) -> dict[str, float]:
    return {n: w for n, w in weights.items() if n.partition("@")[0] == rollout.provider}


def _others(weights: dict[str, float], rollout: Rollout) -> dict[str, float]:
    return {n: w for n, w in weights.items() if n.partition("@")[0] != rollout.provider}
