"""OpenSLO v1 files (https://openslo.com) as objectives over what this service counts.

Law: whatever stands in a file, the answer is objectives, or one error that names the object, the
field and what could stand there. What cannot be counted here is refused, never approximated
silently: an objective that watches something else than it says is worse than none.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
import yaml

from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals.openslo_metrics import Indicator, meant_by
from tollkeeper.signals.slos import (
    SHORT_PART,
    BurnRule,
    Objective,
    Severity,
    usual_rules,
)

VERSION: Final = "openslo/v1"
MOST_BYTES: Final = 200_000
MOST_OBJECTIVES: Final = 50
MOST_DAYS: Final = 90
"""Sums of minutes are kept so long (`event_days`)."""

MOST_WINDOW_MINUTES: Final = 10_080
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
MINUTES: Final = {"m": 1, "h": 60, "d": 1_440, "w": 10_080}


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can make a small file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read here")
        return super().compose_node(parent, index)


class Named(msgspec.Struct, frozen=True):
    """Metadata of an object."""

    name: str


class IndicatorObject(msgspec.Struct, frozen=True):
    """An indicator that stands inside an objective."""

    spec: Indicator


class Span(msgspec.Struct, frozen=True, rename="camel"):
    """The time of an objective."""

    duration: str
    is_rolling: bool = True


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """How many must be good."""

    target: float | None = None
    target_percent: float | None = None


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """When a policy alerts."""

    threshold: float
    lookback_window: str
    kind: str = "burnrate"
    op: str = "gte"
    alert_after: str = ""


class ConditionSpec(msgspec.Struct, frozen=True):
    """A condition with what follows from it."""

    condition: Condition
    severity: str = "page"


class SloSpec(msgspec.Struct, frozen=True, rename="camel"):
    """An objective."""

    objectives: list[Target]
    time_window: list[Span]
    indicator: IndicatorObject | None = None
    indicator_ref: str = ""
    budgeting_method: str = "Occurrences"
    alert_policies: list[str | dict[str, Any]] = []


class Object(msgspec.Struct, frozen=True, rename="camel"):
    """One object of a file."""

    api_version: Literal["openslo/v1"]
    kind: str
    metadata: Named
    spec: dict[str, Any] = {}


def read(files: Mapping[str, bytes]) -> list[Objective]:
    """The objectives in some files, by their names for errors. Raises `Invalid`. References are
    found in all of the files."""
    objects: dict[tuple[str, str], Object] = {}
    for place, text in files.items():
        for number, raw in enumerate(_documents(place, text)):
            one = _converted(raw, Object, f"{place}: object {number + 1}")
            key = (one.kind, one.metadata.name)
            if not NAME.fullmatch(key[1]):
                raise Invalid(f"{place}: {key[1][:80]!r} is no name: a-z, 0-9 and -, at most 63")
            if key in objects:
                raise Invalid(f"{place}: {one.kind} {key[1]} is there twice")
            objects[key] = one
    slos = [one for (kind, _), one in objects.items() if kind == "SLO"]
    if len(slos) > MOST_OBJECTIVES:
        raise Invalid(f"{len(slos)} objectives are too many: at most {MOST_OBJECTIVES}")
    return [_objective(one, objects) for one in slos]


def _documents(place: str, text: bytes) -> list[Any]:
    if len(text) > MOST_BYTES:
        raise Invalid(f"{place}: an OpenSLO file has at most {MOST_BYTES} bytes")
    found: list[Any] = []
    try:
        for document in yaml.load_all(text.decode(), Loader=_Loader):
            found += document if isinstance(document, list) else [document]
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise Invalid(f"{place}: no YAML: {' '.join(str(error).split())[:300]}") from None
    return [one for one in found if one is not None]


def _converted[T](raw: Any, into: type[T], place: str) -> T:
    try:
        return msgspec.convert(raw, into)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"{place}: {error}") from None


def _objective(one: Object, objects: Mapping[tuple[str, str], Object]) -> Objective:
    place = f"SLO {one.metadata.name}"
    spec = _converted(one.spec, SloSpec, place)
    if spec.budgeting_method != "Occurrences":
        raise Invalid(f"{place}: budgetingMethod {spec.budgeting_method[:40]}: only Occurrences")
    if len(spec.objectives) != 1 or len(spec.time_window) != 1:
        raise Invalid(f"{place}: one objective and one timeWindow each; write several SLOs")
    window = spec.time_window[0]
    if not window.is_rolling:
        raise Invalid(f"{place}: timeWindow by calendar cannot be watched: set isRolling: true")
    days = minutes_of(window.duration, place) / 1_440
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"{place}: timeWindow of {days:g} days: 1 to {MOST_DAYS}")
    meant = meant_by(_indicator(spec, objects, place), place)
    return Objective(
        name=one.metadata.name,
        kind=meant.kind,
        where=meant.where,
        results=meant.results,
        within_ms=meant.within_ms,
        target=_target(spec.objectives[0], place),
        days=days,
        rules=_rules(spec.alert_policies, objects, days, place),
    )


def _target(found: Target, place: str) -> float:
    if (found.target is None) == (found.target_percent is None):
        raise Invalid(f"{place}: target or targetPercent, one of them")
    target = found.target if found.target is not None else (found.target_percent or 0.0) / 100
    if not 0.5 <= target <= 0.99999:
        raise Invalid(f"{place}: a target of {target:g}: 0.5 to 0.99999")
    return target


def minutes_of(text: str, place: str) -> int:
    """A duration such as `30d` in minutes."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise Invalid(f"{place}: {text[:40]!r} is no duration: such as 30d, 4w, 6h or 5m")
    return int(found[1]) * MINUTES[found[2]]


def _indicator(spec: SloSpec, objects: Mapping[tuple[str, str], Object], place: str) -> Indicator:
    if (spec.indicator is None) == (not spec.indicator_ref):
        raise Invalid(f"{place}: indicator or indicatorRef, one of them")
    if spec.indicator is not None:
        return spec.indicator.spec
    referred = _referred(objects, "SLI", spec.indicator_ref, place)
    return _converted(referred.spec, Indicator, f"SLI {spec.indicator_ref}")


def _referred(
    objects: Mapping[tuple[str, str], Object], kind: str, name: str, place: str
) -> Object:
    found = objects.get((kind, name))
    if found is None:
        known = ", ".join(sorted(n for k, n in objects if k == kind)) or "none"
        raise Invalid(f"{place}: there is no {kind} {name[:63]!r} in these files, but {known}")
    return found


def _rules(
    policies: Iterable[str | dict[str, Any]],
    objects: Mapping[tuple[str, str], Object],
    days: float,
    place: str,
) -> tuple[BurnRule, ...]:
    """The rules of the policies; those of the SRE Workbook where there is none."""
    rules = []
    for policy in policies:
        name = policy if isinstance(policy, str) else policy.get("alertPolicyRef")
        if isinstance(name, str):
            spec = _referred(objects, "AlertPolicy", name, place).spec
        else:
            inner = policy.get("spec") if isinstance(policy, dict) else None
            spec = inner if isinstance(inner, dict) else {}
        conditions = spec.get("conditions")
        listed = conditions if isinstance(conditions, list) else []
        rules += [_rule(one, objects, place) for one in listed]
    return tuple(rules) or usual_rules(days)


def _rule(one: Any, objects: Mapping[tuple[str, str], Object], place: str) -> BurnRule:
    given = one if isinstance(one, dict) else {}
    name = given.get("conditionRef")
    raw = given.get("spec")
    if isinstance(name, str):
        raw = _referred(objects, "AlertCondition", name, place).spec
    found = _converted(raw, ConditionSpec, f"{place}: a condition")
    condition = found.condition
    if condition.kind.lower() != "burnrate" or condition.op not in {"gt", "gte"}:
        raise Invalid(f"{place}: a condition is of the kind burnrate with op gt or gte")
    if not 0 < condition.threshold <= 10_000:
        raise Invalid(f"{place}: a threshold above 0, at most 10000")
    long = minutes_of(condition.lookback_window, place)
    short = minutes_of(condition.alert_after, place) if condition.alert_after else 0
    if not 1 < long <= MOST_WINDOW_MINUTES or short >= long:
        raise Invalid(f"{place}: lookbackWindow 2m to 7d, and alertAfter shorter than that")
    return BurnRule(
        long_minutes=long,
        short_minutes=short or max(1, long // SHORT_PART),
        factor=condition.threshold,
        severity=_severity(found.severity),
    )


def _severity(text: str) -> Severity:
    return "page" if text.lower() in {"page", "critical", "high"} else "ticket"
