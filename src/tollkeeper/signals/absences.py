"""Absences: webhooks that payments promised, and that do not come or come late.

Law: a webhook is promised by a payment that went well. What our own door refused did come.
"""

from collections.abc import Iterator
from typing import Final

from tollkeeper.signals.detectors import LATE_WEBHOOKS, NO_WEBHOOKS
from tollkeeper.signals.evidence import Evidence, Place, row
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.words import LATE, MISSING

GONE_S: Final = 15
"""After so many seconds without a batch a host is gone: an idle one writes every ten."""


def absences(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about webhooks that do not come, or come late."""
    alarmed = {alarm.bank for alarm in scene.alarms}
    missing, _ = _sums(scene, MISSING)
    late, came = _sums(scene, LATE)
    alone = scene.subject == "absences"
    yield row(
        "webhooks_missing", NO_WEBHOOKS in alarmed, no=False, seen=missing, of=missing + came,
        sentence=f"{missing:.0f} of {missing + came:.0f} webhooks that payments promise did not "
        "come." if alone else "Webhooks that payments promise did not come.",
    )  # fmt: skip
    yield row(
        "webhooks_late", LATE_WEBHOOKS in alarmed, no=False, seen=late, of=came,
        sentence=f"{late:.0f} of {came:.0f} webhooks came later than usual."
        if alone else "Webhooks came later than usual.",
    )  # fmt: skip
    if alone:
        yield row(
            "only_webhooks", yes=True, no=False,
            sentence=f"Payments through {place.provider or 'the provider'} go well, and no webhook "
            "was refused by us.",
        )  # fmt: skip
        yield _gone(scene)


def _sums(scene: Scene, error: str) -> tuple[float, float]:
    """How many webhooks are bad by this word, of how many."""
    mine = [pile for pile in scene.piles if pile.cell.error == error]
    if scene.subject != "absences":
        return 0.0, 0.0
    return sum(pile.bad for pile in mine), sum(pile.n for pile in mine)


def _gone(scene: Scene) -> Evidence:
    """Whether a host of ours that counted before the onset counts no more: the provider may send to
    that one."""
    newest: dict[str, int] = {}
    for batch in scene.window.batches:
        if batch.host:
            newest[batch.host] = max(newest.get(batch.host, 0), batch.second)
    last = max(newest.values(), default=0)
    gone = sorted(host for host, second in newest.items() if second < last - GONE_S)
    said = f"The host {gone[0]} counts no more." if gone else "Every host of ours goes on counting."
    return row("host_gone", bool(gone), bool(newest) and not gone, said, len(gone), len(newest))
