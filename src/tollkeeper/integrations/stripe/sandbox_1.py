"""What rehearsals and the check of versions' skew ask a Stripe account; no payment passes here.

Law: frozen versions import this file. It never changes by a byte; a change is `sandbox_2`, for new
revisions only.
"""

import msgspec

from tollkeeper.integrations.stripe.requests_1 import PAGE, get
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import EventList, HookEndpoints
from tollkeeper.integrations.version import HookAddress, ProviderAccount, WireReply, WireRequest


def event_list_request(shape: Shape) -> WireRequest:
    """Asks for the newest events, each as its webhook's body was."""
    return get(shape, "/v1/events", [("limit", str(PAGE))])


def event_list(reply: WireReply) -> tuple[bytes, ...]:
    """The bodies of the listed events; none where the reply is no list."""
    try:
        listed = msgspec.json.decode(reply.body, type=EventList)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()
    return tuple(bytes(item) for item in listed.data)


def account_request() -> WireRequest:
    """Asks for the webhook endpoints without naming a version, so that the reply tells the
    account's own."""
    return WireRequest(method="GET", path="/v1/webhook_endpoints", query=f"limit={PAGE}")


def account(reply: WireReply) -> ProviderAccount | None:
    """The account's default version and its enabled endpoints; `None` where the reply is none."""
    try:
        listed = msgspec.json.decode(reply.body, type=HookEndpoints)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    hooks = tuple(
        HookAddress(item.url, item.api_version) for item in listed.data if item.status == "enabled"
    )
    return ProviderAccount(reply.header("stripe-version") or None, hooks)
