"""Webhook endpoints of an account: made, rotated, ended. A secret is shown once and kept sealed."""

from typing import Final

import msgspec

from tollkeeper.flows.ports import Delivery, Endpoint
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.webhooks.deliver import new_secret, seal_secret
from tollkeeper.kernel.errors import Conflict, Fault, Invalid, NotFound

MAX_ENDPOINTS: Final = 16
"""Per account: every event is sent to each of them."""

MAX_DELIVERIES: Final = 100


async def create_endpoint(
    runtime: Runtime, account: str, url: str, description: str
) -> tuple[Endpoint, str]:
    """Makes an endpoint; gives it with its secret, which is never shown again."""
    refused = runtime.hook.refusal(url)
    if refused is not None:
        raise Invalid(f"url: {refused}", faults=(Fault("/url", refused),))
    if len(await list_endpoints(runtime, account)) >= MAX_ENDPOINTS:
        raise Conflict(f"an account has at most {MAX_ENDPOINTS} webhook endpoints")
    secret = new_secret(runtime)
    endpoint = Endpoint(
        id=runtime.new_id("we"),
        account=account,
        url=url,
        secrets=(seal_secret(runtime, secret),),
        enabled=True,
        created_ms=runtime.clock.now_ms(),
        description=description,
    )
    await runtime.store.save_endpoint(endpoint)
    return endpoint, secret


async def list_endpoints(runtime: Runtime, account: str) -> list[Endpoint]:
    """The account's endpoints, oldest first."""
    return [known for known in await runtime.store.list_endpoints(account) if known.enabled]


async def load_endpoint(runtime: Runtime, account: str, endpoint_id: str) -> Endpoint:
    """One endpoint. Raises `NotFound`, also for another account's and for one that was ended."""
    found = await runtime.store.load_endpoint(endpoint_id)
    if found is None or found.account != account or not found.enabled:
        raise NotFound(f"no webhook endpoint {endpoint_id}")
    return found


async def rotate_secret(
    runtime: Runtime, account: str, endpoint_id: str, *, keep_previous: bool
) -> tuple[Endpoint, str]:
    """Gives the endpoint a new secret. With `keep_previous` the one before signs as well, until
    the next rotation, so that no event is lost while the receiver changes over."""
    endpoint = await load_endpoint(runtime, account, endpoint_id)
    secret = new_secret(runtime)
    kept = endpoint.secrets[:1] if keep_previous else ()
    rotated = msgspec.structs.replace(endpoint, secrets=(seal_secret(runtime, secret), *kept))
    await runtime.store.save_endpoint(rotated)
    return rotated, secret


async def end_endpoint(runtime: Runtime, account: str, endpoint_id: str) -> None:
    """Ends an endpoint: what is not delivered to it yet becomes undeliverable."""
    endpoint = await load_endpoint(runtime, account, endpoint_id)
    await runtime.store.save_endpoint(msgspec.structs.replace(endpoint, enabled=False))


async def list_deliveries(runtime: Runtime, account: str, endpoint_id: str) -> list[Delivery]:
    """The newest deliveries to an endpoint."""
    endpoint = await load_endpoint(runtime, account, endpoint_id)
    return await runtime.store.list_deliveries(endpoint.id, MAX_DELIVERIES)
