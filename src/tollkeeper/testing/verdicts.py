"""Verdicts of simulated worlds, which look at no traffic: what was found is said from the start."""

from typing import Final

from tollkeeper.signals.verdict import Look, RunnerUp, Verdict
from tollkeeper.signals.weights import Domain

ALWAYS_MS: Final = 10**15
"""The time of a look that no process takes for an old one."""


def look_of(domain: Domain | None) -> Look | None:
    """What the processes of a world read about its disturbance: a verdict of this domain, with the
    evidence that forbids a move; or nothing."""
    if domain is None:
        return None
    verdict = Verdict(
        domain=domain, likeliest=domain, confidence=0.9, since_ms=0, earliest_ms=0, latest_ms=0,
        slice={}, provider="stripe", integration="", operation="", pointer="", bad=9, of=10,
        evidence_for=(), evidence_against=(), runner_up=RunnerUp("provider_down", 0.1),
        would_change="", wants=(), vetoes=frozenset({domain}), fingerprint="",
    )  # fmt: skip
    return Look(at_ms=ALWAYS_MS, verdicts=(verdict,))
