"""For those who run the service: is it alive, is it ready, what does it count, what is its API."""

from litestar.datastructures import State

from tollkeeper.api.admission import admission_of
from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.metrics import MEDIA_TYPE
from tollkeeper.api.views import Health
from tollkeeper.flows.operations.readiness import store_answers


async def health(_: State) -> Answer:
    """Alive: the process answers."""
    return json_answer(Health(status="ok"))


async def ready(state: State) -> Answer:
    """Ready: not draining, and the store answers. A provider that refuses our key degrades it."""
    service = state.service
    if service.draining:
        return json_answer(Health(status="draining"), 503)
    if not await store_answers(service.runtime.store):
        return json_answer(Health(status="the store does not answer"), 503)
    refusing = service.runtime.live.refusing
    if refusing:
        return json_answer(Health(status="degraded", providers=refusing))
    return json_answer(Health(status="ok"))


async def metrics(state: State) -> Answer:
    """The counters in Prometheus' text format."""
    page = state.metrics.page(admission_of(state).in_flight, state.service.runtime.live)
    return Answer(200, page, media_type=MEDIA_TYPE)


async def openapi(state: State) -> Answer:
    """The description of this API (OpenAPI 3.1)."""
    return Answer(200, state.openapi)
