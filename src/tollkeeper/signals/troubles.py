"""Evidence from the words of failures: what kind of trouble makes up the excess."""

from collections.abc import Iterator
from typing import Final

from tollkeeper.signals.counts import REQUEST
from tollkeeper.signals.evidence import Evidence, Place, row
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.words import INSIDE, Trouble, is_callers

MOSTLY: Final = 0.5
HARDLY: Final = 0.15
"""A share of the excess of at least one half is "yes", of at most 15 % "no" (ATTRIBUTION.md)."""

TROUBLES: Final[dict[str, tuple[frozenset[Trouble], str]]] = {
    "no_connection": (frozenset({"network", "certificate"}), "had no connection"),
    "server_errors": (frozenset({"server_error"}), "got a server error of the provider"),
    "no_reply": (frozenset({"silent"}), "got no reply in time"),
    "broken_replies": (frozenset({"broken"}), "got a reply that broke off"),
    "certificate": (frozenset({"certificate"}), "met a certificate that we do not trust"),
    "fields_refused": (frozenset({"refused"}), "were refused for what they asked"),
    "address_gone": (frozenset({"gone"}), "asked for something that is not there (3xx, 404, 410)"),
    "unreadable": (frozenset({"unreadable"}), "got a reply that the version cannot read"),
    "key_refused": (frozenset({"key_refused"}), "were refused for our key (401, 403)"),
    "told_to_wait": (frozenset({"limited"}), "were told to send less (429)"),
    "key_in_use": (frozenset({"busy_key"}), "were refused because their key is in use (409)"),
    "cannot_build": (frozenset({"build"}), "could not be built by our version"),
    "store_errors": (frozenset({"store"}), "failed at our store"),
    "turned_away": (frozenset({"turned_away"}), "were turned away by our own admission"),
    "no_space": (frozenset({"no_space"}), "met a disk that takes no more"),
    "no_handles": (frozenset({"no_handles"}), "found no free descriptor or memory"),
    "webhooks_rejected": (frozenset({"signature", "webhook"}), "were webhooks that we rejected"),
    "webhooks_contradict": (
        frozenset({"contradicted"}), "were webhooks that contradict the reply",
    ),
}  # fmt: skip
"""Rows about what kind of trouble makes up the excess, and how their sentences end."""

ANSWERED: Final[frozenset[Trouble]] = frozenset(
    {"unreadable", "limited", "key_refused", "gone", "refused", "server_error", "busy_key"}
)


def shares_of(scene: Scene) -> dict[Trouble, float]:
    """Bad ones by kind of trouble, over what is usual."""
    counts: dict[Trouble, float] = {}
    for pile in scene.piles:
        if pile.trouble is not None:
            counts[pile.trouble] = counts.get(pile.trouble, 0.0) + pile.bad
    if scene.subject != "attempts":
        return counts
    of = scene.of
    return {
        trouble: max(count - scene.usual.trouble_rate(trouble) * of, 0.0)
        for trouble, count in counts.items()
    }


def troubled(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about kinds of trouble; none where nothing failed."""
    if scene.family != "failures" or scene.subject in {"repeats", "absences"}:
        return
    counts = shares_of(scene)
    whole = sum(counts.values())
    for name, (troubles, ends) in TROUBLES.items():
        seen = _sum(counts, troubles)
        share = seen / whole if whole > 0 else 0.0
        sentence = f"{seen:.0f} of {whole:.0f} additional failures {ends}."
        if name == "unreadable" and place.pointer:
            sentence = _lacked(seen, whole, place)
        known = whole >= 1
        yield row(name, known and share >= MOSTLY, known and share <= HARDLY, sentence, seen, whole)
    if scene.subject == "attempts":
        yield _answered(counts, whole)
    yield from _inside(scene, counts, whole)
    yield _parameter(scene)
    yield from _rendered(scene)


def _rendered(scene: Scene) -> Iterator[Evidence]:
    """Whether what failed was rendered at another API version than the one that reads it."""
    what = "webhooks" if scene.subject == "webhooks" else "replies"
    seen = of = 0.0
    pairs: dict[str, float] = {}
    for pile in scene.piles:
        of += pile.bad
        if pile.cell.version and pile.bad:
            seen += pile.bad
            read = pile.cell.integration.partition("@")[2]
            pair = f"{pile.cell.version}, and read as {read}"
            pairs[pair] = pairs.get(pair, 0.0) + pile.bad
    most = max(pairs, key=lambda pair: (pairs[pair], pair), default="another version")
    sentence = f"{seen:.0f} of {of:.0f} were rendered at {most}."
    mostly = seen >= 2 and seen >= MOSTLY * of
    yield row(f"{what}_of_other_version", mostly, no=False, sentence=sentence, seen=seen, of=of)


def _parameter(scene: Scene) -> Evidence:
    """Whether what is refused is a parameter that our versions choose, and no caller."""
    ours = callers = 0.0
    for pile in scene.piles:
        parameter = pile.cell.pointer.removeprefix(REQUEST)
        if pile.trouble != "refused" or parameter == pile.cell.pointer:
            continue
        if is_callers(parameter):
            callers += pile.bad
        else:
            ours += pile.bad
    whole = ours + callers
    return row(
        "our_parameter", whole >= 2 and ours >= MOSTLY * whole,
        whole >= 2 and ours < MOSTLY * whole,
        f"{ours:.0f} of {whole:.0f} refusals name a parameter that no caller can set.", ours, whole,
    )  # fmt: skip


def _sum(counts: dict[Trouble, float], troubles: frozenset[Trouble]) -> float:
    return sum(count for trouble, count in counts.items() if trouble in troubles)


def _lacked(seen: float, whole: float, place: Place) -> str:
    read = f", which {place.integration} reads" if place.integration else ""
    return f"{seen:.0f} of {whole:.0f} additional failures departed at {place.pointer}{read}."


def _answered(counts: dict[Trouble, float], whole: float) -> Evidence:
    seen = _sum(counts, ANSWERED)
    outside = whole - _sum(counts, INSIDE)
    share = seen / outside if outside > 0 else 0.0
    known = outside >= 1 and outside >= MOSTLY * whole
    sentence = f"The provider answered {seen:.0f} of {outside:.0f} that were sent and failed."
    return row(
        "provider_answered", known and share >= MOSTLY, known and share <= HARDLY, sentence,
        seen, outside,
    )  # fmt: skip


def _inside(scene: Scene, counts: dict[Trouble, float], whole: float) -> Iterator[Evidence]:
    """Requests to our own API fail while attempts do not."""
    if scene.subject != "requests":
        return
    attempts = scene.series.bad.get(("failing", ()), {})
    since = scene.onset.second - scene.series.first
    failed = sum(count for second, count in attempts.items() if second >= since)
    sentence = f"{whole:.0f} requests to our API failed, and {failed:.0f} attempts at providers."
    yield row("only_our_api", failed < 0.3 * whole, no=False, sentence=sentence, seen=whole)
