"""How far a key reaches: whose things each operation of the API may touch.

Law: the table of routes gives each operation its resource, its weakest role and its reach. The
checks, the tests and the reference are drawn from that table. Another account's thing is 404.
"""

from typing import Final, Literal

from tollkeeper.flows.operations.keys import PLATFORM
from tollkeeper.flows.ports import ApiKey

Reach = Literal[
    "own", "own_or_platform", "installation", "signature", "shopper", "input", "link"
]  # fmt: skip

REACHES: Final[dict[Reach, str]] = {
    "own": "what belongs to the key's account, whatever the role",
    "own_or_platform": "what names the key's account; a `platform` key reaches every account's",
    "installation": "what every account depends on; a `platform` key alone",
    "signature": "no key: the provider's signature is checked",
    "input": "no key of the API: the key of an input of the on-call plan",
    "shopper": "no key: the shopper comes back with the payment's id",
    "link": "no key: a provider's contact shows the signed link to one notice",
}
"""Every reach, and what it means."""

Resource = Literal[
    "payment", "event", "webhook endpoint", "rollout", "failover", "routes", "alert", "change",
    "incident", "on-call plan", "provider", "notice",
    "drift",
]  # fmt: skip


def owner_of(key: ApiKey) -> str | None:
    """The account that `key` is confined to where an operation may reach further; `None` for the
    platform, which is confined to none."""
    return None if key.role == PLATFORM else key.account
