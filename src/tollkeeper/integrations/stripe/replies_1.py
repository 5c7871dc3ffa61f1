"""What Stripe's replies say, in our words.

Law: frozen versions import this file. It never changes by a byte; a change is `replies_2`, for new
revisions only.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from tollkeeper.integrations.parts.reading_1 import pointer, storable
from tollkeeper.integrations.stripe.lists_1 import read_disputes, read_intents, read_refunds
from tollkeeper.integrations.stripe.objects_1 import read_authorize, read_intent, read_refund
from tollkeeper.integrations.stripe.refusals_1 import refusal
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.version import WireReply
from tollkeeper.payments.outcome import (
    Operation,
    Outcome,
    unknown,
)


def outcome(shape: Shape, operation: Operation, reply: WireReply) -> Outcome:
    """What the reply says, in our words; `unknown` for whatever the tables do not know."""
    try:
        body = reply.body if operation in LISTINGS else storable(reply.body)
        ok = reply.status == 200
        said = _READERS[operation](shape, body) if ok else refusal(shape, operation, reply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        at = pointer(str(error))
        said = unknown("decode", f"{operation}: {error}", at, reply.body[:80])
    return msgspec.structs.replace(
        said,
        provider_request_id=reply.header("request-id"),
        replayed=reply.header("idempotent-replayed") == "true",
        may_retry=_MAY_RETRY.get(reply.header("stripe-should-retry")),
    )


LISTINGS: Final = frozenset({"find", "list_refunds", "list_disputes"})
"""Their rows are read one by one: what is wrong with one hides no other."""

_MAY_RETRY: Final = {"true": True, "false": False}


_READERS: Final[dict[Operation, Callable[[Shape, bytes], Outcome]]] = {
    "authorize": read_authorize,
    "capture": read_intent,
    "void": read_intent,
    "refund": read_refund,
    "lookup": read_intent,
    "find": read_intents,
    "list_refunds": read_refunds,
    "list_disputes": read_disputes,
}
