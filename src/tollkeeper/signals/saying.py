"""A verdict in words that an on-call engineer reads in ten seconds."""

from collections.abc import Mapping
from typing import Final

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.signals.verdict import Verdict
from tollkeeper.signals.weights import Domain

SAYINGS: Final[Mapping[Domain, str]] = {
    "our_infrastructure": "our own network or machines fail",
    "our_code": "our code fails",
    "our_configuration": "a setting or a key of ours is wrong",
    "our_database": "our database fails",
    "provider_down": "{provider} is down",
    "provider_slow": "{provider} is slow",
    "provider_changed": "{provider} changed its API",
    "provider_limited": "{provider} limits our requests",
    "issuer": "banks or card networks decline more than usual",
    "bad_traffic": "the payments themselves are bad: an attack, or one account's mistake",
    "none": "nothing is wrong",
    "undetermined": "something fails, and the cause is not clear yet",
}
"""Each domain in a few words."""

SPECIAL: Final[tuple[tuple[Domain, str, str, str], ...]] = (
    (
        "provider_down", "only_webhooks",
        "{provider} sends its webhooks late or not at all, and payments go well",
        "look at the deliveries in the provider's dashboard, and whether it reaches our address; "
        "payments are settled by looking them up",
    ),
    (
        "our_configuration", "webhooks_of_other_version",
        "{provider} renders webhooks at another API version than the one that reads them",
        "create the endpoint at the provider anew, with the version that its address names",
    ),
)  # fmt: skip
"""A domain together with a row of evidence for it, what they come to in a few words, and what a
person should do."""


NEXT: Final[Mapping[Domain, str]] = {
    "our_infrastructure": "look at network, DNS, certificates and load of the host named; another "
    "version would fail alike, so no traffic is moved",
    "our_code": "failover moves traffic to a version that works; else roll back the last deploy",
    "our_configuration": "compare the settings and keys with those of before the time named",
    "our_database": "look at the database: connections, locks, disk; payments in doubt are settled "
    "when it answers again",
    "provider_down": "wait for the provider; payments in doubt are settled by themselves",
    "provider_slow": "wait for the provider; no timeout should be lowered now",
    "provider_changed": "failover moves traffic to a version that reads the replies, if one does; "
    "else the version needs a repair",
    "provider_limited": "send less: find what sends more than usual, or ask for a higher limit",
    "issuer": "nothing to mend here; tell the shops that ask",
    "bad_traffic": "stop the account or the attack named; no traffic is moved",
    "none": "nothing",
    "undetermined": "probes are asked, and the next look may tell",
}
"""What happens next, or what a person should do."""


def sentence_of(verdict: Verdict) -> str:
    """One sentence: the cause, where, since when."""
    saying, _ = _special(verdict)
    said = saying.format(provider=verdict.provider or "a provider")
    where = _where(verdict)
    place = f" ({where})" if where else ""
    pointer = f" at {verdict.pointer}" if verdict.pointer else ""
    since = rfc3339(verdict.since_ms)[11:19]
    counts = f"{verdict.bad:g} of {verdict.of:g} failed" if verdict.of else "no counts"
    return f"{said[0].upper()}{said[1:]}{pointer}{place}, since {since} UTC: {counts}."


def _special(verdict: Verdict) -> tuple[str, str]:
    """What a verdict comes to, and what a person should do: of its rows, else of its domain."""
    names = {one.name for one in verdict.evidence_for if one.state == "yes"}
    for domain, name, saying, advice in SPECIAL:
        if verdict.domain == domain and name in names:
            return saying, advice
    return SAYINGS[verdict.domain], NEXT[verdict.domain]


def brief_of(verdict: Verdict) -> dict[str, object]:
    """A verdict in brief, for what tells of something else: domain, confidence, pointer, slice and
    the sentence."""
    return {
        "domain": verdict.domain,
        "confidence": verdict.confidence,
        "pointer": verdict.pointer,
        "slice": verdict.slice,
        "says": sentence_of(verdict),
    }


def sureness_of(verdict: Verdict) -> str:
    """How sure, and what the second guess is."""
    second = verdict.runner_up
    guess = f"{words(second.domain)} {second.confidence:.0%}"
    if verdict.domain == "undetermined":
        return f"between {words(verdict.likeliest)} {verdict.confidence:.0%} and {guess}"
    return f"{verdict.confidence:.0%}; next: {guess}"


def words(domain: str) -> str:
    """A domain's name for people."""
    return domain.replace("_", " ")


def next_of(verdict: Verdict) -> str:
    """What happens next."""
    return _special(verdict)[1]


def _where(verdict: Verdict) -> str:
    named = {name: value for name, value in verdict.slice.items() if name != "provider"}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in named.items())
