"""Events over HTTP: what the account's webhook endpoints are told, to be read as well."""

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import NEWEST, Call, bad_parameter
from tollkeeper.api.views import EventPage
from tollkeeper.flows.webhooks import events
from tollkeeper.flows.webhooks.deliver import envelope, event_view
from tollkeeper.kernel.ids import is_id


async def page(call: Call) -> Answer:
    call.only(("cursor", "limit"))
    limit = call.limit()
    cursor = call.query.get("cursor", f"evt_{NEWEST}")
    if not is_id(cursor, "evt"):
        raise bad_parameter("cursor", "a cursor comes from an earlier page's answer")
    found = await events.page(call.runtime.store, call.account, cursor, limit + 1)
    more, found = len(found) > limit, found[:limit]
    return json_answer(
        EventPage(
            data=[event_view(event) for event in found],
            has_more=more,
            next_cursor=found[-1].id if more else None,
        )
    )


async def read(call: Call) -> Answer:
    event_id = call.id("event_id", "evt")
    event = await events.one(call.runtime.store, event_id, call.account)
    return Answer(200, envelope(event))
