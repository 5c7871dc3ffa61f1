"""The table of weights: how much each row of evidence speaks for or against each fault domain.

Nats (natural logarithms of odds): +2.3 makes a domain ten times likelier, -2.3 ten times less
likely. Written by hand and not fitted: what an on-call engineer would sign. A table that was fitted
freely learned the laboratory's faults by heart (ATTRIBUTION.md, section 3). An unknown row adds
nothing.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

type Domain = Literal[
    "our_infrastructure", "our_code", "our_configuration", "our_database", "provider_down",
    "provider_slow", "provider_changed", "provider_limited", "issuer", "bad_traffic", "none",
    "undetermined",
]  # fmt: skip
"""Where the cause lies: in our machines and network, our versions, our settings, our store; the
provider does not work, is slow, changed its API, or limits us; banks and their networks; callers.
`none`: nothing is wrong. `undetermined`: the evidence does not decide."""

INFRA: Final = "our_infrastructure"
CODE: Final = "our_code"
CONFIG: Final = "our_configuration"
DB: Final = "our_database"
DOWN: Final = "provider_down"
SLOW: Final = "provider_slow"
CHANGED: Final = "provider_changed"
LIMITED: Final = "provider_limited"
ISSUER: Final = "issuer"
BAD: Final = "bad_traffic"

DOMAINS: Final[tuple[Domain, ...]] = (
    INFRA, CODE, CONFIG, DB, DOWN, SLOW, CHANGED, LIMITED, ISSUER, BAD,
)  # fmt: skip
"""The domains that compete."""

NAMING: Final[frozenset[Domain]] = frozenset({DOWN, SLOW, CHANGED, LIMITED, CONFIG, CODE})
"""Domains whose verdict names a provider: theirs, and those of what we have of each."""

type Source = Literal["words", "place", "change", "probe", "gauge", "measure"]
"""Where a row comes from: words of failures, a comparison of slices, a change, a probe, a gauge,
or counts and durations. Two sources are needed for a confidence of 0.8 and more."""


class Weights(msgspec.Struct, frozen=True):
    """One row of the table: nats by domain where the row says yes, and where it says no."""

    source: Source
    yes: Mapping[Domain, float]
    no: Mapping[Domain, float] = {}


WEIGHTS: Final[Mapping[str, Weights]] = {
    # What kind of trouble the additional failures are.
    "no_connection": Weights(
        "words",
        {INFRA: 1, DOWN: 1.5, CONFIG: 0.5, CODE: -1, DB: -2, CHANGED: -1, LIMITED: -1,
         ISSUER: -2, BAD: -2},
    ),
    "provider_answered": Weights(
        "words",
        {CHANGED: 1, LIMITED: 1, DOWN: 0.5, BAD: 0.5, INFRA: -2, DB: -0.5},
        {INFRA: 1, DOWN: 0.5, CONFIG: 0.5, CHANGED: -1, LIMITED: -1},
    ),
    # Neither our settings nor a version make a provider break off its replies or fail inside.
    "server_errors": Weights("words", {DOWN: 3, SLOW: 0.5, CONFIG: -1, CODE: -1}, {DOWN: -0.5}),
    "no_reply": Weights("words", {SLOW: 1.5, DOWN: 0.5, INFRA: 0.5, CONFIG: 0.5}),
    "broken_replies": Weights(
        "words", {DOWN: 3, INFRA: 0.5, CONFIG: -1.5, CODE: -1.5}, {DOWN: -0.5}
    ),
    "certificate": Weights("words", {INFRA: 1.5, DOWN: 1.5, CONFIG: 0.5}),
    "fields_refused": Weights("words", {CHANGED: 2, CODE: 2, BAD: 2}),
    # An account can only get wrong what it gave us.
    "our_parameter": Weights("words", {CHANGED: 1.5, CODE: 1.5, BAD: -3}, {BAD: 0.5}),
    "address_gone": Weights("words", {CHANGED: 3, CONFIG: 1.5}, {CHANGED: -0.5}),
    "unreadable": Weights("words", {CHANGED: 4, CONFIG: -1}),
    "key_refused": Weights("words", {CONFIG: 3, LIMITED: 2}),
    "told_to_wait": Weights("words", {LIMITED: 3.5, CODE: 1}, {LIMITED: -0.5}),
    # Our keys are our versions' own and new each time: only the provider can mix them up, or a bug.
    "key_in_use": Weights("words", {DOWN: 2.5, CODE: 1.5, CHANGED: -0.5, BAD: -2}),
    "cannot_build": Weights("words", {CODE: 4}),
    "store_errors": Weights("words", {DB: 3.5, INFRA: 1}),
    "turned_away": Weights("words", {INFRA: 2, BAD: 0.5}),
    # A full disk shows as errors of the store: the store is its victim.
    "no_space": Weights("words", {INFRA: 5.5, DB: -3}, {INFRA: -0.5}),
    "no_handles": Weights("words", {INFRA: 5, CODE: 0.5, DB: -2}),
    "webhooks_rejected": Weights("words", {CHANGED: 3, CONFIG: 1.5, BAD: -0.5, DB: -1}),
    # The version of an endpoint's events is a setting of ours at the provider, or its default; that
    # of a reply is what we asked for, or the provider does otherwise.
    "webhooks_of_other_version": Weights("place", {CONFIG: 6, CHANGED: -2}),
    "replies_of_other_version": Weights("place", {CHANGED: 2, CONFIG: 1}),
    "webhooks_contradict": Weights("words", {CHANGED: 3}),
    "webhooks_missing": Weights("measure", {DOWN: 1.5, CHANGED: 0.5}),
    "webhooks_late": Weights("measure", {DOWN: 1.5, SLOW: 0.5}),
    # Payments go well, so that of the provider only the sending of webhooks can be broken. Whether
    # it reaches our door cannot be seen from inside.
    "only_webhooks": Weights(
        "place",
        {DOWN: 2.5, INFRA: 2, SLOW: -1, DB: -2, LIMITED: -2, CHANGED: -0.5, CODE: -1, ISSUER: -2,
         BAD: -2},
    ),
    "host_gone": Weights("gauge", {INFRA: 4, DOWN: -2}, {INFRA: -0.5}),
    "only_our_api": Weights(
        "place", {CODE: 1.5, DB: 1, INFRA: 1, DOWN: -3, SLOW: -3, CHANGED: -3, LIMITED: -3}
    ),
    # What the disturbance is one of.
    "declines_alone": Weights("measure", {ISSUER: 2.5, BAD: 1}, {ISSUER: -3}),
    "slowness_alone": Weights("measure", {SLOW: 2, INFRA: 1, DB: -1, CODE: -1, CHANGED: -1}),
    "bank_unavailable": Weights("words", {ISSUER: 2}),
    "declines_gathered": Weights("place", {ISSUER: 2.5}, {ISSUER: -1.5, CHANGED: 1}),
    "reasonless_declines": Weights("words", {CHANGED: 4}),
    "banks_reasons": Weights("words", {ISSUER: 1, CHANGED: -1}),
    "wrong_numbers": Weights("words", {BAD: 4}, {BAD: -1}),
    "many_methods": Weights("measure", {BAD: 3}, {BAD: -1}),
    "small_amounts": Weights("measure", {BAD: 1}),
    "more_payments": Weights("measure", {BAD: 1, INFRA: 1}),
    "more_repeats": Weights("measure", {CODE: 2.5}),
    # No flow of ours sends the same bytes three times within seconds: a bug does.
    "sent_again": Weights("measure", {CODE: 4}),
    # Durations.
    "slow_first_byte": Weights("measure", {SLOW: 3, INFRA: 0.5}, {SLOW: -3}),
    "slow_connecting": Weights("measure", {INFRA: 3, SLOW: -2}, {INFRA: -0.5}),
    # The provider cannot change how long we wait.
    "short_timeouts": Weights("measure", {CONFIG: 4}, {CONFIG: -1}),
    # Comparisons: one fails, and the others, equally exposed, do not.
    "one_provider": Weights(
        "place",
        {DOWN: 0.5, SLOW: 0.5, CHANGED: 0.5, LIMITED: 0.5, INFRA: -2, DB: -2},
        {INFRA: 1.5, DB: 0.5, DOWN: -2, SLOW: -2, CHANGED: -2, LIMITED: -2},
    ),
    "one_version": Weights(
        "place",
        {CODE: 2.5, CONFIG: 0.5, INFRA: -1, DB: -1, DOWN: -2, SLOW: -2, LIMITED: -1, ISSUER: -2,
         BAD: -1},
        {CODE: -2},
    ),
    "one_host": Weights(
        "place",
        {INFRA: 3.5, DOWN: -3, SLOW: -3, CHANGED: -2, LIMITED: -2, ISSUER: -2, DB: -1},
        {INFRA: -0.5},
    ),
    "one_operation": Weights("place", {DOWN: 0.5, CHANGED: 0.5}),
    "one_account": Weights("place", {BAD: 2.5, LIMITED: 0.5, CONFIG: 0.5}, {BAD: -1}),
    # Settings that are new everywhere show in `our_settings`: one change is not to count twice.
    "one_settings": Weights(
        "place",
        {CONFIG: 1.5, DOWN: -1.5, SLOW: -1.5, CHANGED: -1.5, LIMITED: -1.5, ISSUER: -2, DB: -1},
        {CONFIG: -1.5},
    ),
    "one_currency": Weights("place", {CHANGED: 0.5, CODE: 0.5}),
    # Changes.
    "our_deploy": Weights("change", {CODE: 2}, {CODE: -2}),
    "our_settings": Weights("change", {CONFIG: 3}, {CONFIG: -2.5}),
    "our_migration": Weights("change", {DB: 1.5}),
    "our_infrastructure_change": Weights("change", {INFRA: 1}),
    # A status page follows the disturbance: it comes too late to lead.
    "their_notice": Weights("change", {DOWN: 0.5, SLOW: 0.5, CHANGED: 0.5}),
    "certificate_over": Weights("change", {DOWN: 0.5}),
    "their_description": Weights("change", {CHANGED: 1}),
    # Probes. A sandbox may lack the change, so that a passed question says little.
    "anchor": Weights("probe", {INFRA: 3.5, DOWN: -2, SLOW: -2, CHANGED: -2}, {INFRA: -0.5}),
    "anchor_asked": Weights(
        "probe", {INFRA: 3.5, DOWN: -1.5, SLOW: -1.5, CHANGED: -1.5}, {INFRA: -1.5}
    ),
    # What is slow for neutral addresses as well is slow on our side.
    "anchor_slow": Weights("probe", {INFRA: 3.5, SLOW: -3, DOWN: -1}, {INFRA: -0.5}),
    "second": Weights("probe", {INFRA: 3, DOWN: -1, SLOW: -1, CHANGED: -1}, {INFRA: -0.5}),
    "golden_split": Weights(
        "probe", {CODE: 3, CHANGED: -0.5}, {CODE: -2, DOWN: 0.5, CHANGED: 1, CONFIG: 0.5}
    ),
    "golden_fine": Weights("probe", {ISSUER: 1, BAD: 1, DB: 0.5}, {ISSUER: -1, BAD: -1.5}),
    # A lock may hold one table and spare the one that is written here.
    "store_probe": Weights("probe", {DB: 2.5, INFRA: 0.5}, {DB: -0.5}),
    # Gauges.
    "event_loop_lag": Weights("gauge", {INFRA: 4, SLOW: -1}),
    "store_wait": Weights("gauge", {DB: 2}),
    "disk_full": Weights("gauge", {INFRA: 3, DB: -1}),
    "descriptors_out": Weights("gauge", {INFRA: 3}),
    # What climbs for seconds until nothing is left is lost by our code, not by the machine.
    "descriptors_climb": Weights("gauge", {CODE: 3, INFRA: -1}),
    "clock_off": Weights("gauge", {INFRA: 4, CHANGED: -1}),
    # Rules: two rows together.
    "peer_alone": Weights("probe", {DOWN: 1.5, CONFIG: 0.5, INFRA: -1.5}),
    "no_way_out": Weights("probe", {INFRA: 2}),
    "limited_by_us": Weights("measure", {CODE: 1, LIMITED: -2}),
    "own_storm": Weights("measure", {CODE: 3, LIMITED: -1}),
    "refused_for_all": Weights("place", {CHANGED: 2, CODE: -1}),
    "refused_for_one": Weights("place", {BAD: 2}),
    "version_alone": Weights("place", {CODE: 2}),
    # Our versions send alike: what only one of them meets inside the provider is the provider's.
    "version_breaks_there": Weights("place", {DOWN: 3, CODE: -1.5}),
    "version_slow_there": Weights("place", {SLOW: 4, CODE: -1.5}),
    "unreadable_for_all": Weights("place", {CHANGED: 2}),
    "unreadable_since_deploy": Weights("change", {CODE: 3, CHANGED: -2}),
    "store_with_space": Weights("words", {DB: 1.5}),
    "signatures_stale": Weights("gauge", {INFRA: 2.5, CHANGED: -1}),
    "certificate_ended": Weights("change", {DOWN: 3, INFRA: -1.5, CONFIG: -1}),
    "certificates_stale": Weights("gauge", {INFRA: 2}),
    "no_webhooks_at_all": Weights("place", {INFRA: 2, DOWN: -1}),
    "lost_since_deploy": Weights("change", {CODE: 4, INFRA: -3}),
    "settings_refused": Weights("change", {CONFIG: 1.5, LIMITED: -1}),
    "settings_astray": Weights("change", {CONFIG: 1.5, CHANGED: -1}),
}  # fmt: skip
"""By row. The figures start from the appendix of ATTRIBUTION.md; rows that it has not are new."""

EXPECTED: Final[Mapping[Domain, frozenset[str]]] = {
    INFRA: frozenset({
        "anchor", "anchor_asked", "anchor_slow", "second", "one_host", "event_loop_lag", "no_space",
        "no_handles", "disk_full", "descriptors_out", "clock_off", "slow_connecting", "turned_away",
        "host_gone",
    }),
    CODE: frozenset({
        "one_version", "golden_split", "cannot_build", "more_repeats", "our_deploy", "only_our_api",
        "sent_again", "descriptors_climb",
    }),
    CONFIG: frozenset({
        "our_settings", "one_settings", "key_refused", "short_timeouts",
        "webhooks_of_other_version",
    }),
    DB: frozenset({"store_errors", "store_wait", "store_probe"}),
    DOWN: frozenset({
        "server_errors", "no_connection", "broken_replies", "no_reply", "webhooks_missing",
        "webhooks_late", "key_in_use",
    }),
    SLOW: frozenset({"slow_first_byte", "no_reply", "slowness_alone"}),
    CHANGED: frozenset({
        "unreadable", "fields_refused", "address_gone", "webhooks_rejected", "webhooks_contradict",
        "reasonless_declines",
    }),
    LIMITED: frozenset({"told_to_wait", "key_refused"}),
    ISSUER: frozenset({"bank_unavailable", "declines_gathered", "banks_reasons"}),
    BAD: frozenset({"wrong_numbers", "many_methods", "one_account", "small_amounts"}),
}  # fmt: skip
"""Rows of which at least one ought to be present where a domain is to blame. Without any, the
disturbance is unlike anything known, and the confidence is lowered."""
