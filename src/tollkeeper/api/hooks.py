"""Webhooks over HTTP: the account's endpoints for ours, and the door for the providers'."""

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import Call
from tollkeeper.api.requests import CreateEndpoint, RotateSecret
from tollkeeper.api.views import (
    DeliveryList,
    EndpointList,
    Received,
    delivery_view,
    endpoint_view,
)
from tollkeeper.flows.payments import webhook
from tollkeeper.flows.webhooks import endpoints


async def create(call: Call) -> Answer:
    asked, _ = call.asked(CreateEndpoint)
    made, secret = await endpoints.create_endpoint(
        call.runtime, call.account, asked.url, asked.description
    )
    answer = json_answer(endpoint_view(made, secret), 201)
    answer.headers.append((b"location", f"/v1/webhook_endpoints/{made.id}".encode()))
    return answer


async def listed(call: Call) -> Answer:
    found = await endpoints.list_endpoints(call.runtime, call.account)
    return json_answer(EndpointList(data=[endpoint_view(item) for item in found]))


async def read(call: Call) -> Answer:
    found = await endpoints.load_endpoint(call.runtime, call.account, _id(call))
    return json_answer(endpoint_view(found))


async def rotate(call: Call) -> Answer:
    asked, _ = call.asked(RotateSecret, optional=True)
    rotated, secret = await endpoints.rotate_secret(
        call.runtime, call.account, _id(call), keep_previous=asked.keep_previous
    )
    return json_answer(endpoint_view(rotated, secret))


async def end(call: Call) -> Answer:
    await endpoints.end_endpoint(call.runtime, call.account, _id(call))
    return Answer(204)


async def deliveries(call: Call) -> Answer:
    found = await endpoints.list_deliveries(call.runtime, call.account, _id(call))
    return json_answer(DeliveryList(data=[delivery_view(item) for item in found]))


def _id(call: Call) -> str:
    return call.id("endpoint_id", "we")


async def inbound(call: Call) -> Answer:
    """A provider's webhook. 2xx for all that was understood or stored, so that the provider stops
    sending it; a store that does not answer makes it come again."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1").strip() for name, value in call.headers
    }
    fate = await webhook.webhook(
        call.runtime, call.path["provider"], call.path["version"], call.body, headers
    )
    return json_answer(Received(fate=fate))
