"""Evidence: what a notice rests on, field by field, each in the one form that it may have.

Law: an allow-list. Nothing that a person wrote comes in: neither notes nor reasons nor names. What
is about our own house (hosts, accounts, people) comes in neither.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tollkeeper.incidents.desk import DOMAINS
from tollkeeper.incidents.incident import Entry, Incident
from tollkeeper.integrations.outlines import WORD
from tollkeeper.payments.outcome import OPERATIONS
from tollkeeper.providers.calls import CHARGE, OURS, VERSION, CallSeen, Reproduction, formed
from tollkeeper.providers.card import PRIORITIES, Card, Priority
from tollkeeper.providers.vocabulary import GUESS, SLICES, plain_pointer, plain_sentence
from tollkeeper.signals.samples import Sample

MOST_CALLS: Final = 10
MOST_ACTIONS: Final = 30
MOST_SAMPLES: Final = 6
ACTION: Final = re.compile(
    r"(?:failover|rollout|contract|routes) [a-z ]{2,40}(?: of [a-z_]+@[0-9a-z.+-]+)?"
)
MACHINE: Final = "machine:"
DID: Final = frozenset({"failover", "rollout"})


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the service did on its own."""

    at_ms: int
    did: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pack says. Times are Unix milliseconds. `excluded`: sentences of the evidence for
    this verdict, which is what speaks against the others; `runner_up`: the second guess."""

    notice: str
    incident: str
    provider: str
    title: str
    accounts: tuple[str, ...]
    domain: str
    priority: Priority
    since_ms: int
    drawn_ms: int
    operation: str
    version: str
    pointer: str
    slice: dict[str, str]
    failed: int
    of: int
    customers: int
    confidence: float
    runner_up: str
    excluded: tuple[str, ...]
    actions: tuple[Action, ...]
    failing: tuple[CallSeen, ...]
    succeeding: tuple[CallSeen, ...]
    samples: tuple[str, ...]
    reproduction: Reproduction | None
    drill: bool = False

    @property
    def share_percent(self) -> float:
        """Percent of payments that it has hurt."""
        return 100 * self.failed / self.of if self.of else 0.0

    @property
    def shapes(self) -> tuple[str, str]:
        """The shape of a reply that was right and of one that failed, of the same version and
        operation; where there is no such pair, the first is empty."""
        right = {(one.version, one.operation): one.shape for one in self.succeeding if one.shape}
        wrong = [one for one in self.failing if one.shape]
        for call in wrong:
            if (call.version, call.operation) in right:
                return right[call.version, call.operation], call.shape
        return "", wrong[0].shape if wrong else ""


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack is made of, before the allow-list. `names`: fields that our versions read."""

    entries: tuple[Entry, ...] = ()
    calls: tuple[CallSeen, ...] = ()
    samples: tuple[Sample, ...] = ()
    reproduction: Reproduction | None = None
    names: frozenset[str] = frozenset()


def evidence_of(
    incident: Incident, card: Card, gathered: Gathered, *, notice: str, provider: str, now_ms: int
) -> Evidence:
    """The evidence of an incident for its provider."""
    found = incident.finding
    failing = [call for call in gathered.calls if call.failed][:MOST_CALLS]
    return Evidence(
        notice=formed(OURS, notice),
        incident=formed(OURS, incident.id),
        provider=formed(WORD, provider),
        title=card.title,
        accounts=tuple(one for one in card.account_ids if CHARGE.fullmatch(one)),
        domain=found.domain if found.domain in DOMAINS else "undetermined",
        priority=PRIORITIES[incident.severity],
        since_ms=found.since_ms or incident.began_ms,
        drawn_ms=now_ms,
        operation=found.operation if found.operation in OPERATIONS else "",
        version=formed(VERSION, found.integration),
        pointer=plain_pointer(found.pointer, gathered.names),
        slice={
            name: value
            for name, value in found.slice.items()
            if name in SLICES and SLICES[name].fullmatch(value)
        },
        failed=incident.impact.failed,
        of=incident.impact.of,
        customers=incident.impact.users,
        confidence=found.confidence,
        runner_up=formed(GUESS, found.runner_up.replace("_", " ")),
        excluded=tuple(
            said for one in found.because if (said := plain_sentence(one, gathered.names))
        ),
        actions=tuple(_actions(gathered.entries))[:MOST_ACTIONS],
        failing=tuple(failing),
        succeeding=tuple([call for call in gathered.calls if not call.failed][:MOST_CALLS]),
        samples=_samples(gathered.samples, failing, found.pointer),
        reproduction=gathered.reproduction,
        drill=incident.drill,
    )


def _actions(entries: Iterable[Entry]) -> Iterable[Action]:
    """What the service did, without the reasons: a person may have written them."""
    for entry in entries:
        if entry.kind in DID and entry.source.startswith(MACHINE):
            did = formed(ACTION, entry.text.partition(":")[0])
            if did:
                yield Action(at_ms=entry.at_ms, did=did)


def _samples(
    samples: Iterable[Sample], failing: Sequence[CallSeen], pointer: str
) -> tuple[str, ...]:
    """Outlines that were kept when replies departed; a sample's key begins with these parts."""
    heads = {f"{call.version}|{call.operation}|{pointer}" for call in failing}
    mine = [one for one in samples if any(one.key.startswith(head) for head in heads)]
    return tuple(dict.fromkeys(one.outline for one in mine))[:MOST_SAMPLES]
