"""Verdicts: which fault domain a disturbance lies in, with the evidence, the runner-up and what
would change its mind.

Law: no machine acts on a confidence. What a failover must be refused for is a set of named rows.
"""

from math import exp
from typing import Final

import msgspec

from tollkeeper.signals.circumstances import deployed
from tollkeeper.signals.counts import Window
from tollkeeper.signals.detectors import Alarm, alarms_in
from tollkeeper.signals.evidence import Evidence, Place, place_of
from tollkeeper.signals.history import Usual, usual_of
from tollkeeper.signals.placing import State
from tollkeeper.signals.residual import may_remain, without
from tollkeeper.signals.rows import rows_of
from tollkeeper.signals.scene import Scene, scene_of
from tollkeeper.signals.series import Series, unroll
from tollkeeper.signals.vetoes import vetoes_of
from tollkeeper.signals.weights import (
    DOMAINS,
    EXPECTED,
    NAMING,
    WEIGHTS,
    Domain,
)

LEAST: Final = 0.6
"""Confidence below which the answer is "undetermined" (ATTRIBUTION.md, section 3)."""

MOST: Final = 0.9
"""Confidence that is shown at most: on new kinds of fault 0.99 was right in 87 % of cases only."""

ONE_SOURCE: Final = 0.75
"""Confidence at most where the evidence for a domain comes from one source only."""

UNLIKE: Final = 0.65
"""What the confidence is multiplied by where no row is present that ought to be."""

LEAST_BAD: Final = 3
MARGIN: Final = 2.0
"""Nats between first and second below which the probes are asked before a verdict is given."""

PATIENCE_S: Final = 8
"""How long after the alarm a verdict waits for probes that may never answer."""


class Because(msgspec.Struct, frozen=True, kw_only=True):
    """One row of evidence and its weight in nats for the verdict's domain."""

    name: str
    state: State
    sentence: str
    seen: float
    of: float
    nats: float


class RunnerUp(msgspec.Struct, frozen=True):
    """The second likeliest domain."""

    domain: Domain
    confidence: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Which domain, where and since when, and why. `domain` is `undetermined` where the evidence
    does not decide; `likeliest` is then the first of the two that lead, and `runner_up` the second.
    Times are Unix milliseconds. `slice` explains the excess, and with a provider's domain names it.
    `pointer` is a JSON pointer into the replies, empty where they did not change. `wants`: probes
    that should be asked now. `vetoes`: why a failover must be refused."""

    domain: Domain
    likeliest: Domain
    confidence: float
    since_ms: int
    earliest_ms: int
    latest_ms: int
    slice: dict[str, str]
    provider: str
    integration: str
    operation: str
    pointer: str
    bad: float
    of: float
    evidence_for: tuple[Because, ...]
    evidence_against: tuple[Because, ...]
    runner_up: RunnerUp
    would_change: str
    wants: tuple[str, ...]
    vetoes: frozenset[str]
    fingerprint: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a window comes to. Without alarms there is no verdict. A second verdict is
    what remains when the first is explained: it is shown, never acted on."""

    at_ms: int
    alarms: tuple[Alarm, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def attribute(window: Window, usual: Usual | None = None, series: Series | None = None) -> Look:
    """The alarms of a window and the verdict on them. For callers that look each second: `usual` is
    what `usual_of(window.usual, window.usual_seconds)` makes, and `series` what a
    `Rolling(usual).series_of(window)` does. Neither changes the look."""
    known = usual if usual is not None else usual_of(window.usual, window.usual_seconds)
    series = series if series is not None else unroll(window, known)
    alarms = alarms_in(series, known)
    if not alarms:
        return Look(at_ms=window.at_ms)
    scene = scene_of(window, known, series, alarms)
    place = place_of(scene)
    rows = rows_of(scene, place)
    first = judged(scene, place, rows)
    second = _residual(scene, place, rows, first)
    verdicts = (first,) if second is None else (first, second)
    return Look(at_ms=window.at_ms, alarms=alarms, verdicts=verdicts)


# from rows to a verdict


def nats_of(name: str, state: State, domain: Domain) -> float:
    """What a row in this state weighs for a domain."""
    weights = WEIGHTS[name]
    if state == "unknown":
        return 0.0
    return (weights.yes if state == "yes" else weights.no).get(domain, 0.0)


def scores_of(rows: dict[str, Evidence]) -> dict[Domain, float]:
    """The sum of weights of each domain."""
    return {
        domain: sum(nats_of(name, found.state, domain) for name, found in rows.items())
        for domain in DOMAINS
    }


def confidences_of(scores: dict[Domain, float]) -> dict[Domain, float]:
    """Shares of the odds, the highest first."""
    most = max(scores.values())
    odds = {domain: exp(score - most) for domain, score in scores.items()}
    whole = sum(odds.values())
    ordered = sorted(odds, key=lambda domain: (-odds[domain], DOMAINS.index(domain)))
    return {domain: odds[domain] / whole for domain in ordered}


def capped(confidence: float, domain: Domain, rows: dict[str, Evidence]) -> float:
    """A confidence that its evidence carries: see `UNLIKE`, `ONE_SOURCE` and `MOST`."""
    present = {name for name, found in rows.items() if found.state == "yes"}
    if not present & EXPECTED[domain]:
        confidence *= UNLIKE
    sources = {
        WEIGHTS[name].source
        for name, found in rows.items()
        if nats_of(name, found.state, domain) >= 1
    }
    return min(confidence, MOST if len(sources) > 1 else ONE_SOURCE)


def judged(scene: Scene, place: Place, rows: dict[str, Evidence]) -> Verdict:
    """The verdict that the rows come to."""
    scores = scores_of(rows)
    shares = confidences_of(scores)
    best, second = list(shares)[:2]
    confidence = capped(shares[best], best, rows)
    margin = scores[best] - scores[second]
    wants = _wants(scene, rows, margin)
    waits = margin < MARGIN and not _probed(scene)
    is_clear = confidence >= LEAST and scene.bad >= LEAST_BAD and not waits
    domain: Domain = best if is_clear else "undetermined"
    provider = place.provider if best in NAMING or "provider" in place.slice else ""
    slice_ = _named(place, best, rows)
    if best == "our_code" and "integration" not in slice_ and (version := deployed(scene)):
        slice_["integration"] = version  # all of the process feels it: no comparison names it
    pointer = place.pointer if best == "provider_changed" else ""
    return Verdict(
        domain=domain,
        likeliest=best,
        confidence=round(confidence, 3),
        since_ms=scene.onset.second * 1000,
        earliest_ms=scene.onset.earliest * 1000,
        latest_ms=scene.onset.latest * 1000,
        slice=slice_,
        provider=provider,
        integration=place.integration if provider else "",
        operation=slice_.get("operation", ""),
        pointer=pointer,
        bad=round(scene.bad, 1),
        of=round(scene.of, 1),
        evidence_for=_because(rows, best, 1),
        evidence_against=_because(rows, best, -1),
        runner_up=RunnerUp(second, round(shares[second], 3)),
        would_change=_would_change(rows, best, second),
        wants=wants,
        vetoes=vetoes_of(rows),
        fingerprint=_fingerprint(domain, provider, slice_, pointer),
    )


FOUND: Final[tuple[tuple[str, str, frozenset[Domain]], ...]] = (
    ("one_host", "host", frozenset({"our_infrastructure"})),
    ("one_account", "account", frozenset({"bad_traffic", "our_configuration"})),
    ("one_version", "integration", frozenset({"our_code", "provider_changed"})),
    ("one_operation", "operation", frozenset({"provider_down", "provider_changed"})),
)
"""Comparisons whose worst value a verdict of these domains names, even where it is not all of the
excess."""


def _named(place: Place, domain: Domain, rows: dict[str, Evidence]) -> dict[str, str]:
    """The slice, with what the comparisons found. A provider's domain, our settings and our
    versions name a provider, even where that is not yet significant."""
    named = dict(place.slice)
    found = rows.get("one_provider")
    if domain in NAMING and place.provider and (found is None or found.state != "no"):
        named = {"provider": place.provider} | named
    for name, dimension, domains in FOUND:
        split = place.splits[name]
        if domain in domains and split.state == "yes" and len(place.slice) < 2:
            named.setdefault(dimension, split.top.value)
    return named


def _because(rows: dict[str, Evidence], domain: Domain, sign: int) -> tuple[Because, ...]:
    found = [
        Because(
            name=name, state=row.state, sentence=row.sentence, seen=row.seen, of=row.of, nats=nats
        )
        for name, row in rows.items()
        if (nats := nats_of(name, row.state, domain)) * sign > 0
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.nats), one.name)))


def _would_change(rows: dict[str, Evidence], best: Domain, second: Domain) -> str:
    """The row that speaks most for the runner-up against the first, were it to turn."""
    swings = []
    for name in WEIGHTS:
        state = rows[name].state if name in rows else "unknown"
        now = nats_of(name, state, second) - nats_of(name, state, best)
        others: tuple[State, ...] = ("yes", "no")
        for other in others:
            then = nats_of(name, other, second) - nats_of(name, other, best)
            if other != state:
                swings.append((then - now, name, other))
    _, name, state = max(swings)
    words = name.replace("_", " ")
    said = f'If "{words}" became "{state}"'
    return f"{said}, {second.replace('_', ' ')} would gain most on {best.replace('_', ' ')}."


def _fingerprint(domain: Domain, provider: str, slice_: dict[str, str], pointer: str) -> str:
    parts = [f"{name}={value}" for name, value in sorted(slice_.items()) if name != "provider"]
    return "|".join((domain, provider, *parts, pointer))


# probes


PROBES: Final = ("anchor", "golden", "golden_previous", "second")


def _wants(scene: Scene, rows: dict[str, Evidence], margin: float) -> tuple[str, ...]:
    """The probes that would help and have not answered."""
    if margin >= MARGIN or scene.bad < 2 or _asked(scene):
        return ()
    return PROBES


def _asked(scene: Scene) -> bool:
    since = (scene.onset.earliest - 2) * 1000
    return any(
        probe.asked and probe.at_ms >= since for batch in scene.batches for probe in batch.probes
    )


def _probed(scene: Scene) -> bool:
    """Whether the probes answered, or had the time to."""
    alarmed_ms = min(alarm.at_ms for alarm in scene.alarms)
    return _asked(scene) or scene.window.at_ms - alarmed_ms >= PATIENCE_S * 1000


# the second verdict


def _residual(
    scene: Scene, place: Place, rows: dict[str, Evidence], first: Verdict
) -> Verdict | None:
    """What remains once the first verdict's slice and kind of trouble are taken away, judged
    without the rows that the first one used."""
    if first.domain == "undetermined" or not may_remain(scene, first.slice):
        return None
    window = without(scene, place, first.slice)
    series = unroll(window, scene.usual)
    alarms = alarms_in(series, scene.usual)
    if not alarms:
        return None
    rest = scene_of(window, scene.usual, series, alarms)
    where = place_of(rest)
    used = {one.name for one in first.evidence_for if one.state == "yes" and one.nats >= 1}
    second = judged(rest, where, rows_of(rest, where, frozenset(used) - OF_FAMILY))
    if second.domain in {"undetermined", first.domain}:
        return None
    return second


OF_FAMILY: Final = frozenset(
    {"declines_alone", "slowness_alone", "slow_first_byte", "slow_connecting"}
)
"""Rows of another family of disturbance, which the first verdict has not used up."""
