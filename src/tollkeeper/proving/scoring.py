"""The score of scenarios that were played: pure, from what was said and what was so.

A verdict counts at its first emission, which is when people and machines would act on it. Grounded:
the right domain with the right slice, and the right pointer where the scenario names one.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.proving.played import Played, Said
from tollkeeper.proving.prometheus import NAME
from tollkeeper.proving.rivals import BARO, ELIMINATION_RULE, STATUS_RULE, RivalSaid
from tollkeeper.proving.scenario import Scenario, Truth

RIVALS: Final = (NAME, ELIMINATION_RULE, STATUS_RULE, BARO)
"""Who is scored beside us, with `--rivals`."""

SURE: Final = 0.8
MOVABLE: Final = frozenset({"provider_changed", "our_code"})
"""Domains in which traffic may move to another version."""

LEAST_MOVED: Final = 0.02
"""How much larger the share of shoppers with a bad time must be for a fault to have mattered."""

LEAST_STRUCK: Final = 5
"""How many requests a fault must have struck where no shopper noticed: two more than the failures
that a verdict needs (`verdict.LEAST_BAD`)."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One played scenario against its truth. `valid`: the fault moved what shoppers saw, or is one
    that they cannot see. Seconds are `None` for what never came."""

    scenario: str
    truth: str
    seed: int
    rate: float
    severity: float
    said: str
    detected_seconds: float | None
    attributed_seconds: float | None
    right: bool
    second_right: bool
    grounded: bool
    pointer_right: bool | None
    sure_and_wrong: bool
    abstained: bool
    false_page: bool
    wrong_move: bool
    both_found: bool | None
    valid: bool
    says: str


def mark(scenario: Scenario, played: Played) -> Mark:
    """What a played scenario is worth."""
    truth, told = scenario.truth, played.said
    clear = [said for said in told if said.domain != "undetermined"]
    first = clear[0] if clear else None
    expected = scenario.expect == "verdict"
    right = expected and first is not None and first.domain == truth.domain
    return Mark(
        scenario=scenario.id,
        truth=truth.domain,
        seed=played.seed,
        rate=played.rate,
        severity=played.severity,
        said=first.domain if first is not None else ("undetermined" if told else "nothing"),
        detected_seconds=told[0].after_seconds if told else None,
        attributed_seconds=first.after_seconds if first is not None else None,
        right=right,
        second_right=any(said.domain == truth.domain for said in clear),
        grounded=right and any(_is_grounded(said, scenario) for said in clear),
        pointer_right=_pointer(clear, truth.pointer) if truth.pointer and expected else None,
        sure_and_wrong=expected and first is not None and not right and first.confidence >= SURE,
        abstained=expected and bool(told) and first is None,
        false_page=(not expected and bool(told)) or played.early > 0,
        wrong_move=bool(played.moves) and not _may_move(truth),
        both_found=truth.also in {said.domain for said in clear} if truth.also else None,
        valid=not expected or _has_mattered(scenario, played),
        says=first.says if first is not None else "",
    )


def _may_move(truth: Truth) -> bool:
    """Whether another version could help: it would where one alone is hit, whoever is to blame."""
    return truth.domain in MOVABLE or "integration" in truth.slice


def _is_grounded(said: Said, scenario: Scenario) -> bool:
    """Whether a verdict names the slice of the truth, and at most one dimension more."""
    truth = scenario.truth
    if said.domain != truth.domain:
        return False
    more = [name for name in said.slice if name not in {*truth.slice, "provider"}]
    named = all(said.slice.get(name) == value for name, value in truth.slice.items())
    return named and len(more) <= 1 and (not truth.pointer or said.pointer == truth.pointer)


def _pointer(clear: Sequence[Said], pointer: str) -> bool:
    return any(said.pointer == pointer for said in clear)


def _has_mattered(scenario: Scenario, played: Played) -> bool:
    """Whether the fault moved what shoppers saw, or struck often enough that only the rescue of
    single payments can have hidden it. What struck is counted outside the service."""
    kinds = {type(one).__name__ for one in scenario.fault}
    webhooks = any("webhook" in str(getattr(one, "rule", "")) for one in scenario.fault)
    if webhooks or "Traffic" in kinds:
        return True  # what a shopper cannot see, or is no shopper's
    slower = played.slow_during > 2 * played.slow_before + 0.2
    later = played.tail_during > 2 * played.tail_before + 0.5
    worse = played.bad_during >= played.bad_before + LEAST_MOVED
    refused = played.declined_during >= played.declined_before + LEAST_MOVED
    return worse or slower or later or refused or played.struck >= LEAST_STRUCK


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One played scenario with its mark, and the marks of the rivals on it by their names."""

    scenario: Scenario
    played: Played
    mark: Mark
    rivals: dict[str, Mark] = {}


def run_of(scenario: Scenario, played: Played) -> Run:
    """A played scenario, marked. A rival that said nothing is marked too, if it took part: BARO
    does not where there is no onset to tell it."""
    said = {one.rival: one for one in played.rivals}
    absent = {*played.rivals_absent, *(() if scenario.expect == "verdict" else (BARO,))}
    names = [name for name in RIVALS if played.with_rivals and name not in absent]
    return Run(
        scenario=scenario,
        played=played,
        mark=mark(scenario, played),
        rivals={name: mark(scenario, as_said_by(played, said.get(name))) for name in names},
    )


def as_said_by(played: Played, rival: RivalSaid | None) -> Played:
    """A run as if a rival had said what was said; what pages before the fault is a false page."""
    told: tuple[Said, ...] = ()
    early = rival is not None and rival.after_seconds < 0
    if rival is not None and not early:
        told = (
            Said(
                after_seconds=round(rival.after_seconds, 1), domain=rival.domain, confidence=1.0,
                pointer="", slice={}, about="", says=rival.because,
            ),
        )  # fmt: skip
    return replace(played, said=told, early=int(early), moves=())


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over many marks; shares from 0 to 1, seconds over those that came."""

    cases: int
    valid: int
    detected: float
    detected_p50: float | None
    detected_p95: float | None
    attributed_p50: float | None
    attributed_p95: float | None
    top_1: float
    top_any: float
    grounded: float
    pointer: float | None
    sure_and_wrong: float
    abstained: float
    wrong_moves: int
    false_pages: int


def score(marks: Iterable[Mark]) -> Score:
    """The figures of all valid marks; false pages and wrong moves count in every one."""
    every = list(marks)
    found = [one for one in every if one.valid and one.truth != "none"]
    heard = [one for one in found if one.detected_seconds is not None]
    pointers = [one.pointer_right for one in found if one.pointer_right is not None]
    detected = [one.detected_seconds for one in heard if one.detected_seconds is not None]
    attributed = [one.attributed_seconds for one in heard if one.attributed_seconds is not None]
    return Score(
        cases=len(every),
        valid=len(found),
        detected=_share(len(heard), len(found)),
        detected_p50=_part(detected, 0.5),
        detected_p95=_part(detected, 0.95),
        attributed_p50=_part(attributed, 0.5),
        attributed_p95=_part(attributed, 0.95),
        top_1=_share(sum(one.right for one in heard), len(heard)),
        top_any=_share(sum(one.second_right for one in heard), len(heard)),
        grounded=_share(sum(one.grounded for one in heard), len(heard)),
        pointer=_share(sum(pointers), len(pointers)) if pointers else None,
        sure_and_wrong=_share(sum(one.sure_and_wrong for one in heard), len(heard)),
        abstained=_share(sum(one.abstained for one in heard), len(heard)),
        wrong_moves=sum(one.wrong_move for one in every),
        false_pages=sum(one.false_page for one in every),
    )


def rival_scores(runs: Iterable[Run]) -> dict[str, Score]:
    """The score of each rival over all runs that it took part in."""
    marks: dict[str, list[Mark]] = {}
    for run in runs:
        for name, one in run.rivals.items():
            marks.setdefault(name, []).append(one)
    return {name: score(found) for name, found in marks.items()}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


def _part(values: Sequence[float], share: float) -> float | None:
    """A quantile, interpolated (type 7 of Hyndman and Fan)."""
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return round(cuts[round(share * 100) - 1], 1)
