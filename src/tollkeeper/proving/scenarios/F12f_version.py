"""A faulty deploy: the version of 2026 with a reader that looks where nothing stands."""

from typing import Final

import msgspec

from tollkeeper.integrations.stripe import v2026_03_25_dahlia
from tollkeeper.integrations.version import Integration, WireReply
from tollkeeper.payments.outcome import Operation, Outcome


def outcome(operation: Operation, reply: WireReply) -> Outcome:
    """Reads no reply at all."""
    raise KeyError(f"{operation}: charges of a reply of {len(reply.body)} bytes")


INTEGRATION: Final[Integration] = msgspec.structs.replace(
    v2026_03_25_dahlia.INTEGRATION, outcome=outcome
)
