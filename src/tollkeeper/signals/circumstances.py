"""Circumstances: what else happened around the onset, by changes and probes.

Law: a change counts only where it can be felt. Failure outside its radius acquits it.
"""

from collections.abc import Iterator
from math import exp
from typing import Final

from tollkeeper.signals.counts import Change, ChangeKind, Probe
from tollkeeper.signals.evidence import Evidence, Place, row
from tollkeeper.signals.gauging import is_climbing
from tollkeeper.signals.history import Of, Slice
from tollkeeper.signals.placing import sides_of
from tollkeeper.signals.scene import EVENT_LOOP_LAG, Pile, Scene, Subject
from tollkeeper.signals.words import NO_HANDLES

DECAY_S: Final = 180.0
"""A change loses two thirds of its weight in three minutes (ATTRIBUTION.md, section 3)."""

OVERLAP: Final = 0.45
NO_OVERLAP: Final = 0.15
"""Weights from which on a change overlaps the disturbance, and below which it does not."""

OLDEST_S: Final = 600
LATEST_S: Final = 8
"""A change may be so much older than the onset, and so much later (the onset is an estimate)."""

OURS: Final[dict[str, tuple[frozenset[ChangeKind], str]]] = {
    "our_deploy": (frozenset({"deploy", "rollout"}), "deploy or rollout"),
    "our_migration": (frozenset({"migration"}), "migration"),
    "our_infrastructure_change": (frozenset({"infrastructure"}), "change of our infrastructure"),
}
SETTINGS: Final[frozenset[ChangeKind]] = frozenset({"settings", "routes"})
THEIRS: Final[frozenset[ChangeKind]] = frozenset({"status_feed", "announced", "certificate"})
NOTICE_S: Final = 1_800
"""How old a provider's notice may be."""


def circumstances(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows of changes and probes."""
    yield from _changes(scene, place)
    yield from _probes(scene)


# changes


def _changes(scene: Scene, place: Place) -> Iterator[Evidence]:
    for name, (kinds, called) in OURS.items():
        weight, change = _strongest(scene, kinds)
        yield row(
            name, weight >= OVERLAP, weight < NO_OVERLAP, _said(scene, called, change), weight, 1
        )
    yield _settings(scene, place)
    yield from _theirs(scene, place)


def deployed(scene: Scene) -> str:
    """The version whose deploy or rollout overlaps the disturbance; empty where none does."""
    weight, change = _strongest(scene, OURS["our_deploy"][0])
    return change.integration if change is not None and weight >= OVERLAP else ""


def _said(scene: Scene, called: str, change: Change | None) -> str:
    if change is None:
        return f"No {called} of ours overlaps in time and place."
    before = scene.onset.second - change.at_ms / 1000
    return f"A {called} came {before:.0f} s before the onset: {change.text[:80] or 'no text'}."


def _strongest(scene: Scene, kinds: frozenset[ChangeKind]) -> tuple[float, Change | None]:
    best: tuple[float, Change | None] = (0.0, None)
    for change in scene.window.changes:
        if change.kind in kinds and (weight := overlap(scene, change)) > best[0]:
            best = (weight, change)
    return best


def overlap(scene: Scene, change: Change) -> float:
    """How well a change explains the disturbance: closeness in time, times the part of the excess
    inside its radius, times how much better it is outside."""
    before = scene.onset.second - change.at_ms / 1000
    if change.at_ms > scene.window.at_ms or before > OLDEST_S or before < -LATEST_S:
        return 0.0
    inside = [pile for pile in scene.piles if _is_inside(pile, change)]
    bad = sum(pile.bad for pile in inside)
    if scene.bad <= 0 or bad <= 0:
        return 0.0
    close = exp(-max(0.0, before) / DECAY_S)
    if not is_climbing(scene):  # what is lost one by one is missed when all of it is gone
        close *= _untried(scene, change)
    if (sent := _sent_repeats(scene, change)) is not None:
        return close * sent
    return close * bad / scene.bad * _acquitted(scene, change, inside, bad)


TRIED: Final = 10.0
"""Healthy ones under a change that halve what it explains."""

OF_SUBJECT: Final[dict[Subject, Of]] = {
    "attempts": "attempts", "durations": "attempts", "repeats": "attempts", "answers": "answers",
    "webhooks": "webhooks", "absences": "webhooks", "requests": "requests", "seconds": "requests",
}  # fmt: skip


def _untried(scene: Scene, change: Change) -> float:
    """1 where the trouble came with the change, and less the more went well under it: what a deploy
    breaks is broken at once. A rollout gives traffic step by step, and is left out."""
    if change.kind == "rollout":
        return 1.0
    named = ("integration", "host", "account", "provider")
    slice_ = next(
        (((name, value),) for name in named if (value := getattr(change, name))), ()
    )  # fmt: skip
    of = OF_SUBJECT[scene.subject]
    good = scene.series.good.get((of, slice_)) or scene.series.good.get((of, ())) or []
    first = scene.series.first
    since, until = change.at_ms // 1000 + LATEST_S - first, scene.onset.earliest - first
    well = sum(good[max(since, 0) : max(until, 0)])
    return TRIED / (TRIED + well)


WHOLE_PROCESS: Final = NO_HANDLES | {EVENT_LOOP_LAG}
"""Errors that every part of a process meets, whichever of them causes it."""


def _acquitted(scene: Scene, change: Change, inside: list[Pile], bad: float) -> float:
    """1 where nothing fails outside, 0 where as much does."""
    n = sum(pile.n for pile in inside)
    out_n, out_bad = scene.of - n, scene.bad - bad
    if out_n > 0 and n > 0:
        return max(0.0, 1 - (out_bad / out_n) / (bad / n))
    providers = [side for side in sides_of(scene.piles, "provider").values() if side.n >= 3]
    everywhere = not (change.provider or change.integration or change.host or change.account)
    if everywhere and len(providers) > 1 and min(side.raised for side in providers) <= 1:
        return 0.5  # a change that all feel, and one provider of several does not
    return 1.0


def _is_inside(pile: Pile, change: Change) -> bool:
    cell = pile.cell
    if cell.error in WHOLE_PROCESS:  # whichever part of the process is to blame
        return change.host in {"", cell.host}
    return all(
        not wanted or wanted == value
        for wanted, value in (
            (change.provider, cell.provider),
            (change.integration, cell.integration),
            (change.host, cell.host),
            (change.account, cell.account),
        )
    )


def _sent_repeats(scene: Scene, change: Change) -> float | None:
    """The part of all repeated attempts that the change's version sent: a storm of repeats is found
    by who sends them, because everyone is refused."""
    if not change.integration:
        return None
    whole = mine = limited = 0.0
    for pile in scene.piles:
        if pile.trouble == "limited":
            limited += pile.bad
        if pile.cell.repeat >= 2:
            whole += pile.n
            mine += pile.n if pile.cell.integration == change.integration else 0
    if whole < 3 or whole < 0.1 * scene.of or limited < 0.5 * scene.bad:
        return None
    return mine / whole


def _settings(scene: Scene, place: Place) -> Evidence:
    """Settings changed at the onset, by their fingerprint where it is known, else by what was
    recorded. Without a fingerprint, the absence of a record proves nothing."""
    weight, change = _strongest(scene, SETTINGS)
    seen = _fingerprint(scene)
    if seen is None:
        said = _said(scene, "change of settings", change)
        return row("our_settings", weight >= OVERLAP, no=False, sentence=said, seen=weight, of=1)
    weight, sentence = seen
    return row("our_settings", weight >= OVERLAP, weight < NO_OVERLAP, sentence, weight, 1)


def _fingerprint(scene: Scene) -> tuple[float, str] | None:
    """How well a new fingerprint of settings explains the disturbance; `None` where none is known.
    No event is needed: the new value itself shows the change."""
    if scene.subject in {"webhooks", "absences", "requests"}:
        return _beside(scene)
    sides = sides_of(scene.piles, "settings")
    known = sum(side.bad for side in sides.values())
    if known < 0.5 * scene.bad or known <= 0:
        return None
    top = max(sides.values(), key=lambda side: (side.bad, side.value))
    first, begin = _settings_seen(scene, top.value)
    if top.value in scene.usual.settings or first is None or first == begin:
        return 0.0, f"The settings {top.value[:12]} in force are not new."
    before = scene.onset.second - scene.series.first - first
    if before < -LATEST_S:
        return 0.0, f"The settings {top.value[:12]} came {-before} s after the onset."
    others_n = sum(side.n for side in sides.values()) - top.n
    others_bad = known - top.bad
    acquitted = 1.0
    if others_n > 0 and top.n > 0:
        acquitted = max(0.0, 1 - (others_bad / others_n) / max(top.rate, 1e-9))
    weight = exp(-max(0, before) / DECAY_S) * top.bad / known * acquitted
    return weight, f"New settings {top.value[:12]} came {before} s before the onset."


def _beside(scene: Scene) -> tuple[float, str] | None:
    """The same for what bears no fingerprint: by the settings that attempts bear meanwhile."""
    seen = {line.cell.settings for line in scene.lines if line.cell.settings}
    new = sorted(seen - scene.usual.settings)
    if not seen or not scene.usual.settings:
        return None
    if not new:
        return 0.0, "The settings in force are not new."
    first, begin = _settings_seen(scene, new[-1])
    if first is None or first == begin:
        return None
    before = scene.onset.second - scene.series.first - first
    if not -LATEST_S <= before <= OLDEST_S:
        return 0.0, f"The settings {new[-1][:12]} came {before} s before the onset."
    weight = exp(-max(0, before) / DECAY_S)
    return weight, f"New settings {new[-1][:12]} came {before} s before the onset."


def _settings_seen(scene: Scene, settings: str) -> tuple[int | None, int | None]:
    """The first second in which a fingerprint of settings was seen, and the first of the series
    that has anything, both counted from the series' first."""
    return _first(scene, (("settings", settings),)), _first(scene, ())


def _first(scene: Scene, slice_: Slice) -> int | None:
    good = scene.series.good.get(("attempts", slice_), [])
    seconds = [second for second, count in enumerate(good) if count][:1]
    seconds.extend(scene.series.bad.get(("failing", slice_), {}))
    return min(seconds, default=None)


def _theirs(scene: Scene, place: Place) -> Iterator[Evidence]:
    at_ms = scene.window.at_ms
    mine = [
        change
        for change in scene.window.changes
        if change.at_ms <= at_ms and change.provider in {"", place.provider}
    ]
    notices = [c for c in mine if c.kind in THEIRS and at_ms - c.at_ms <= NOTICE_S * 1000]
    yield row(
        "their_notice", bool(notices), no=False, seen=len(notices),
        sentence=f"{len(notices)} notices of the provider fall into this half hour.",
    )  # fmt: skip
    over = [change.text for change in mine if 0 < change.until_ms <= at_ms]
    yield row(
        "certificate_over", bool(over), no=False, seen=len(over),
        sentence=f"{over[0].capitalize()}." if over else "No certificate is known to have ended.",
    )  # fmt: skip
    texts = [change for change in mine if change.kind == "description"]
    yield row(
        "their_description", bool(texts), no=False, seen=len(texts),
        sentence=f"{len(texts)} new descriptions of the provider's API were seen lately.",
    )  # fmt: skip


# probes

ANCHORS: Final = 0.1
"""The share of routine questions to neutral addresses above which they fail. One in a hundred is
lost anyway (ATTRIBUTION.md's program)."""


def _probes(scene: Scene) -> Iterator[Evidence]:
    # A question from before the onset was answered by a world that was still fine.
    since, until = scene.onset.second * 1000, scene.window.at_ms
    probes = [
        probe
        for batch in scene.batches
        for probe in batch.probes
        if since <= probe.at_ms <= until and probe.tried > 0
    ]
    by_name: dict[tuple[str, bool], list[Probe]] = {}
    for probe in probes:
        by_name.setdefault((probe.name, probe.asked), []).append(probe)
    yield from _anchors(by_name)
    yield _slow_anchors(scene, by_name)
    tried, failed = _sum(by_name.get(("second", True), []) + by_name.get(("second", False), []))
    yield row(
        "second", failed >= 2 or (failed == 1 and tried <= 2), tried >= 2 and failed == 0,
        f"{failed} of {tried} questions to another provider failed.", failed, tried,
    )  # fmt: skip
    yield from _golden(by_name)
    tried, failed = _sum(by_name.get(("store", True), []) + by_name.get(("store", False), []))
    yield row(
        "store_probe", failed >= 1 and failed > 0.25 * tried, tried >= 1 and failed == 0,
        f"{failed} of {tried} small writes to our store failed.", failed, tried,
    )  # fmt: skip


type Asked = dict[tuple[str, bool], list[Probe]]


def _sum(probes: list[Probe]) -> tuple[int, int]:
    return sum(probe.tried for probe in probes), sum(probe.failed for probe in probes)


def _anchors(by_name: Asked) -> Iterator[Evidence]:
    tried, failed = _sum(by_name.get(("anchor", False), []))
    yield row(
        "anchor", (failed >= 2 and failed > ANCHORS * tried) or (failed == 1 and tried <= 4),
        tried >= 2 and failed <= 0.3 * ANCHORS * tried,
        f"{failed} of {tried} routine questions to neutral addresses failed.", failed, tried,
    )  # fmt: skip
    hosts: dict[str, list[Probe]] = {}
    for probe in by_name.get(("anchor", True), []):
        hosts.setdefault(probe.host, []).append(probe)
    sums = [_sum(probes) for probes in hosts.values()]
    worst = max((failed for _, failed in sums), default=0)
    tried = sum(tried for tried, _ in sums)
    yield row(
        "anchor_asked", worst >= 2, tried > 0 and worst == 0,
        f"On the worst host {worst} questions to neutral addresses failed, of {tried} on all.",
        worst, tried,
    )  # fmt: skip


SLOW_TIMES: Final = 4.0
SLOW_MORE_MS: Final = 150.0
SLOW_PART: Final = 0.25
"""A neutral address is slow that takes four times the usual time and a lost packet's shortest delay
(200 ms, RFC 6298) less some; one that is slow in a quarter of questions does not hang on chance."""


def _slow_anchors(scene: Scene, by_name: Asked) -> Evidence:
    """Whether neutral addresses answer more slowly than before the onset. Their slowness cannot
    come from a provider."""
    before = sorted(
        probe.took_ms
        for batch in scene.window.batches
        for probe in batch.probes
        if probe.name == "anchor" and not probe.failed and _is_before(scene, probe)
    )
    since = [probe for probe in by_name.get(("anchor", False), []) if not probe.failed]
    if len(before) < 3 or not since:
        return row("anchor_slow", yes=False, no=False, sentence="Too little is known of them.")
    usual = before[len(before) // 2]
    limit = max(SLOW_TIMES * usual, usual + SLOW_MORE_MS)
    slow = sum(probe.took_ms > limit for probe in since)
    return row(
        "anchor_slow", slow >= 2 and slow >= SLOW_PART * len(since),
        len(since) >= 3 and slow == 0,
        f"{slow} of {len(since)} neutral addresses took more than {limit:.0f} ms, usually "
        f"{usual:.0f} ms.", slow, len(since),
    )  # fmt: skip


def _is_before(scene: Scene, probe: Probe) -> bool:
    return probe.at_ms < scene.onset.earliest * 1000


def _golden(by_name: Asked) -> Iterator[Evidence]:
    tried, failed = _sum(by_name.get(("golden", True), []))
    before_tried, before_failed = _sum(by_name.get(("golden_previous", True), []))
    said = (
        f"{failed} of {tried} reading questions failed through the carrying version, and "
        f"{before_failed} of {before_tried} through the one before."
    )
    both = tried > 0 and before_tried > 0
    yield row(
        "golden_split", both and failed >= 2 and before_failed == 0,
        both and failed >= 1 and before_failed >= 1, said, failed, tried,
    )  # fmt: skip
    yield row(
        "golden_fine", tried > 0 and failed + before_failed == 0, tried > 0 and failed >= 1,
        said, failed, tried,
    )  # fmt: skip
