"""Rehearsals: an incident that never was, to go through the protocol without waking a person."""

from typing import Final

import msgspec

from tollkeeper.incidents.incident import Finding, Incident
from tollkeeper.providers.searching import Private

PLANTED: Final = "\nsk_live_rehearsal0000"  # a form, not a key
"""What the gate must hold back."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was rehearsed, and what came of it."""

    what: str
    ok: bool
    says: str


def rehearsal_incident(new_id: str, provider: str, now_ms: int) -> Incident:
    """An incident for a rehearsal; it is kept nowhere."""
    return Incident(
        id=new_id,
        fingerprint=provider,
        status="acknowledged",
        severity="sev4",
        title="rehearsal",
        policy="",
        opened_ms=now_ms,
        began_ms=now_ms,
        drill=True,
        finding=Finding(domain="provider_down", provider=provider),
    )


def canary_of(private: Private) -> bytes:
    """A text that a pack may not hold: a key's form, and one secret of ours where there is one."""
    return (PLANTED + "\n" + next(iter(sorted(private.secrets)), "")).encode()
