"""Evidence from counts and durations: declines, crowds, volume, repeats, and how long it takes."""

from collections.abc import Iterator
from typing import Final

from tollkeeper.signals.cells import SENT_AGAIN
from tollkeeper.signals.counts import EDGES_MS, Cell
from tollkeeper.signals.evidence import Evidence, Place, row
from tollkeeper.signals.history import PRIOR_LATE_MS, phases_of
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.words import REASONLESS, UNAVAILABLE, WRONG_NUMBERS, trouble_of


def families(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about what the disturbance is one of."""
    declines = scene.family == "declines"
    slowness = scene.family == "slowness" and scene.subject == "durations"
    yield row(
        "declines_alone", declines, not declines,
        f"{scene.bad:.0f} of {scene.of:.0f} are bad, and the disturbance is one of "
        f"{scene.family}.",
    )  # fmt: skip
    yield row(
        "slowness_alone", slowness, not slowness,
        f"{scene.bad:.0f} of {scene.of:.0f} are bad, and the disturbance is one of "
        f"{scene.family}.",
    )  # fmt: skip


GATHERED: Final = frozenset({"issuer", "method", "country"})


def declines(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about declines; none where attempts failed."""
    if scene.family != "declines":
        return
    bad = max(scene.bad, 1e-9)
    by_word: dict[str, float] = {}
    for pile in scene.piles:
        if pile.bad:
            by_word[pile.cell.error] = by_word.get(pile.cell.error, 0.0) + pile.bad
    wrong = sum(by_word.get(word, 0.0) for word in WRONG_NUMBERS)
    away = sum(by_word.get(word, 0.0) for word in UNAVAILABLE)
    reasonless = sum(by_word.get(word, 0.0) for word in REASONLESS)
    yield row(
        "wrong_numbers", wrong >= 3 and wrong > 0.45 * bad, wrong < 0.25 * bad,
        f"{wrong:.0f} of {bad:.0f} declines are for a wrong number or code.", wrong, bad,
    )  # fmt: skip
    yield row(
        "bank_unavailable", away >= 2 and away > 0.25 * bad, away < 0.08 * bad,
        f"{away:.0f} of {bad:.0f} declines say that the bank does not answer.", away, bad,
    )  # fmt: skip
    yield row(
        "reasonless_declines", reasonless >= 3 and reasonless > 0.4 * bad, reasonless < 0.1 * bad,
        f"{reasonless:.0f} of {bad:.0f} declines give no reason that we know.", reasonless, bad,
    )  # fmt: skip
    banks = sum(by_word.values()) - wrong - reasonless
    yield row(
        "banks_reasons", banks >= 3 and banks > 0.7 * bad, banks < 0.3 * bad,
        f"{banks:.0f} of {bad:.0f} declines give a reason that only a bank can have.", banks, bad,
    )  # fmt: skip
    gathered = GATHERED & set(place.slice)
    where = ", ".join(f"{name} {place.slice[name]}" for name in sorted(gathered)) or "no bank"
    yield row(
        "declines_gathered", bool(gathered), bad >= 12 and not gathered,
        f"The additional declines gather at {where}, method or country.", bad, scene.of,
    )  # fmt: skip


def crowds(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about who is declined."""
    crowded = small = bad = 0.0
    for line in scene.lines:
        if line.cell.kind == "attempt" and line.cell.result == "declined":
            bad += line.tally.n
            crowded += line.tally.crowded
            small += line.tally.small
    if bad < 4:
        return
    yield row(
        "many_methods", crowded >= 3 and crowded > 0.3 * bad, crowded < 0.08 * bad,
        f"{crowded:.0f} of {bad:.0f} declines are of customers with many payment methods.",
        crowded, bad,
    )  # fmt: skip
    yield row(
        "small_amounts", small >= 3 and small > 0.5 * bad, small < 0.25 * bad,
        f"{small:.0f} of {bad:.0f} declines are of unusually small amounts.", small, bad,
    )  # fmt: skip


def volume(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about how many payments and repeated attempts there are."""
    first = repeated = attempts = 0.0
    by_version: dict[str, float] = {}
    again: dict[str, float] = {}
    for line in scene.lines:
        cell, n = line.cell, line.tally.n
        if cell.kind != "attempt":
            continue
        attempts += n
        first += n if cell.operation == "authorize" and not cell.repeat else 0
        if cell.repeat >= 2:
            repeated += n
            by_version[cell.integration] = by_version.get(cell.integration, 0.0) + n
        if cell.repeat == SENT_AGAIN:
            again[cell.integration] = again.get(cell.integration, 0.0) + n
    expected = scene.usual.first_rate * scene.seconds
    yield row(
        "more_payments", expected > 0 and first >= 12 and first > 1.6 * expected + 6,
        expected > 0 and first < 1.3 * expected,
        f"{first:.0f} payments came, and {expected:.0f} are usual.", first, expected,
    )  # fmt: skip
    top = max(by_version.values(), default=0.0)
    usual = max(2 * scene.usual.rate("repeating"), 0.1)
    storm = max(again.values(), default=0.0)
    yield row(
        "sent_again", storm >= 2 and storm > 0.8 * sum(again.values()), no=False,
        sentence=f"{storm:.0f} requests of one version went out three times or more within "
        "seconds.", seen=storm, of=attempts,
    )  # fmt: skip
    yield row(
        "more_repeats", top >= 3 and repeated > usual * attempts and top > 0.8 * repeated,
        attempts >= 10 and repeated < 0.03 * attempts,
        f"{repeated:.0f} of {attempts:.0f} attempts are a third one or later, {top:.0f} of them "
        "through one version.", repeated, attempts,
    )  # fmt: skip


def durations(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about how long things take."""
    late = of = 0.0
    for line in scene.lines:
        cell = line.cell
        if cell.kind == "attempt" and cell.provider == place.provider and line.tally.wait_n:
            parts = scene.usual.late_parts(cell.provider, cell.operation)
            late += _late(line.tally.took, parts)
            of += line.tally.n
    waiting = sum(
        one.n for one in scene.waiting
        if one.provider == place.provider and one.stage in {"", "wait", "read"}
    )  # fmt: skip
    late, of = late + waiting, of + waiting
    yield row(
        "slow_first_byte", late >= 2 and of > 0 and late > max(0.15 * of, 0.06 * of + 2),
        of >= 10 and late < 0.12 * of,
        f"{late:.0f} of {of:.0f} replies of {place.provider or 'the provider'} came late.",
        late, of,
    )  # fmt: skip
    yield from _connecting(scene)
    yield from _short(scene)


def _late(took: dict[int, int], parts: tuple[float, ...]) -> float:
    return sum(count * parts[bucket] for bucket, count in took.items() if 0 <= bucket < len(parts))


def _connecting(scene: Scene) -> Iterator[Evidence]:
    """Connecting and TLS take longer than usual, by the mean of those that were made."""
    now, usual = [0.0] * 6, [0.0] * 6
    for line in scene.lines:
        if line.cell.kind == "attempt":
            now = [a + b for a, b in zip(now, phases_of(line.tally), strict=True)]
    for sums in scene.usual.phases.values():
        usual = [a + b for a, b in zip(usual, sums, strict=True)]
    if now[0] < 2 or usual[0] < 20:
        return
    mean = (now[1] + now[3]) / now[0]
    before = (usual[1] + usual[3]) / usual[0]
    yield row(
        "slow_connecting", mean > 3 * before + 40, now[0] >= 6 and mean < 1.8 * before + 10,
        f"A connection takes {mean:.0f} ms, usually {before:.0f} ms.", now[0],
    )  # fmt: skip


def _short(scene: Scene) -> Iterator[Evidence]:
    """Attempts that get no reply are given up sooner than replies usually come. No history of
    timeouts is needed, only one of replies. Usual timeouts beside a disturbance of another kind
    say nothing."""
    if scene.subject != "attempts":
        return
    short = long = 0.0
    for line in scene.lines:
        cell = line.cell
        if not _is_silent(cell):
            continue
        point = scene.usual.late_ms.get((cell.provider, cell.operation), PRIOR_LATE_MS)
        for bucket, count in line.tally.took.items():
            if _edge(bucket) <= SHORT * point:
                short += count
            else:
                long += count
    whole = short + long
    yield row(
        "short_timeouts", short >= 2 and short > 0.6 * whole, long >= 2 and long > 0.6 * whole,
        f"{short:.0f} of {whole:.0f} attempts without a reply were given up while replies usually "
        "still come.", short, whole,
    )  # fmt: skip


SHORT: Final = 1.5
"""Timeouts are several times the 95 % point of replies; below 1.5 times (a bucket's width) they cut
off usual replies."""


def _edge(bucket: int) -> float:
    return float(EDGES_MS[bucket]) if 0 <= bucket < len(EDGES_MS) else float("inf")


def _is_silent(cell: Cell) -> bool:
    return cell.kind == "attempt" and cell.result == "failed" and trouble_of(cell) == "silent"
