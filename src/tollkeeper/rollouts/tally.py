"""Counts of payments on both arms, for one guardrail, at one share: all that evidence reads."""

from collections.abc import Iterable, Mapping

import msgspec

from tollkeeper.routing.routes import PPM


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many units went well (`_ok`) and how many not (`_bad`), on each arm, while the canary's
    share was `share_ppm` millionths."""

    share_ppm: int
    baseline_ok: int = 0
    baseline_bad: int = 0
    canary_ok: int = 0
    canary_bad: int = 0

    @property
    def share(self) -> float:
        """The share as a number between 0 and 1."""
        return self.share_ppm / PPM


def tally(seen: Iterable[tuple[int, bool, bool]]) -> tuple[Tally, ...]:
    """Tallies of `(share_ppm, is_canary, is_bad)`, one a share, in the order of the shares."""
    counts: dict[int, list[int]] = {}
    for share_ppm, is_canary, is_bad in seen:
        counts.setdefault(share_ppm, [0, 0, 0, 0])[2 * is_canary + is_bad] += 1
    return tuple(
        Tally(
            share_ppm=share_ppm,
            baseline_ok=four[0],
            baseline_bad=four[1],
            canary_ok=four[2],
            canary_bad=four[3],
        )
        for share_ppm, four in sorted(counts.items())
    )


def total(tallies: Iterable[Tally]) -> Mapping[str, int]:
    """All shares together: `baseline_ok`, `baseline_bad`, `canary_ok`, `canary_bad`."""
    sums = [0, 0, 0, 0]
    for one in tallies:
        sums[0] += one.baseline_ok
        sums[1] += one.baseline_bad
        sums[2] += one.canary_ok
        sums[3] += one.canary_bad
    return dict(zip(("baseline_ok", "baseline_bad", "canary_ok", "canary_bad"), sums, strict=True))
