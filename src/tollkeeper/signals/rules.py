"""Rules: rows that stand for two others together, so that nothing outranks what a person can read.

Law: a rule reads rows alone, and is a row itself.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.signals.evidence import Evidence, row

type Rows = Mapping[str, Evidence]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A row that holds where all of `yes` say yes, none of `never` does, and each of `no` says
    no."""

    name: str
    sentence: str
    yes: tuple[str, ...]
    no: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def holds(self, rows: Rows) -> bool:
        """Whether it does."""
        return (
            all(_is(rows, name, "yes") for name in self.yes)
            and all(_is(rows, name, "no") for name in self.no)
            and not any(_is(rows, name, "yes") for name in self.never)
        )


def _is(rows: Rows, name: str, state: str) -> bool:
    found = rows.get(name)
    return found is not None and found.state == state


RULES: Final = (
    Rule(
        name="peer_alone", yes=("no_connection",), no=("anchor",), never=("one_host",),
        sentence="No connection to the provider, while neutral addresses answer.",
    ),
    Rule(
        name="no_way_out", yes=("no_connection", "anchor"),
        sentence="Neither the provider nor neutral addresses can be reached.",
    ),
    Rule(
        name="own_storm", yes=("told_to_wait", "more_repeats"),
        sentence="The provider says to send less, and one version repeats its attempts.",
    ),
    Rule(
        name="limited_by_us", yes=("told_to_wait", "sent_again"),
        sentence="The provider says to send less, and one version sends each request again.",
    ),
    Rule(
        name="lost_since_deploy", yes=("descriptors_climb", "our_deploy"),
        sentence="Descriptors have been lost one by one since our deploy.",
    ),
    Rule(
        name="refused_for_all", yes=("fields_refused",), never=("one_version",),
        no=("our_deploy", "one_account"),
        sentence="Fields are refused for all versions and accounts, without a deploy of ours.",
    ),
    Rule(
        name="refused_for_one", yes=("fields_refused", "one_account"),
        sentence="Fields are refused for one account, and not for others.",
    ),
    Rule(
        name="version_alone", yes=("one_version",),
        never=(
            "unreadable", "address_gone", "told_to_wait", "server_errors", "broken_replies",
            "slow_first_byte", "no_reply",
        ),
        sentence="One version fails, and the replies of the others are fine.",
    ),
    Rule(
        name="version_breaks_there", yes=("one_version", "server_errors"),
        sentence="The provider fails inside for one API version, and serves the others.",
    ),
    Rule(
        name="version_slow_there", yes=("one_version", "slow_first_byte"),
        sentence="The provider is slow for one API version, and quick for the others.",
    ),
    Rule(
        name="unreadable_for_all", yes=("unreadable",), never=("one_version",),
        sentence="Replies depart from the contract, and no version is spared.",
    ),
    Rule(
        name="unreadable_since_deploy", yes=("unreadable", "one_version", "our_deploy"),
        sentence="One version cannot read its replies since it was deployed; the others can.",
    ),
    Rule(
        name="store_with_space", yes=("store_errors",), never=("no_space", "disk_full"),
        sentence="The store fails, and its disk has space.",
    ),
    Rule(
        name="signatures_stale", yes=("clock_off", "webhooks_rejected"),
        sentence="Webhooks are refused, and our clock tells another time than the provider's.",
    ),
    Rule(
        name="certificate_ended", yes=("certificate", "certificate_over"), never=("clock_off",),
        sentence="The provider's certificate is refused, and it was known to end now.",
    ),
    Rule(
        name="certificates_stale", yes=("clock_off", "certificate"),
        sentence="Certificates are refused, and our clock tells another time than the provider's.",
    ),
    Rule(
        name="no_webhooks_at_all", yes=("only_webhooks",), no=("one_provider",),
        sentence="Webhooks of more than one provider do not come: they share our door.",
    ),
    Rule(
        name="settings_refused", yes=("key_refused", "our_settings"),
        sentence="Our key is refused since our settings changed.",
    ),
    Rule(
        name="settings_astray", yes=("address_gone", "our_settings"),
        sentence="We ask at addresses that are not there since our settings changed.",
    ),
)  # fmt: skip


def ruled(rows: Rows) -> dict[str, Evidence]:
    """The rules that hold, as rows. One that does not hold says nothing."""
    return {
        rule.name: row(rule.name, yes=True, no=False, sentence=rule.sentence)
        for rule in RULES
        if rule.holds(rows)
    }


RULE_NAMES: Final[tuple[str, ...]] = tuple(rule.name for rule in RULES)
