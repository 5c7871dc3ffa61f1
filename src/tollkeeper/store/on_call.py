"""On call in the store: the plan, covers, and what persons say on the status page."""

from typing import Final

import msgspec

from tollkeeper.flows.ports.incidents import SealedPlan
from tollkeeper.incidents.schedule import Cover
from tollkeeper.incidents.statuspage import Override
from tollkeeper.store import tables as t
from tollkeeper.store.statements import Operation, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes

_json: Final = msgspec.json.Encoder().encode
_cover: Final = msgspec.json.Decoder(Cover).decode
_override: Final = msgspec.json.Decoder(Override).decode

LOAD_PLAN: Final = sql(
    "load_plan",
    "SELECT revision, at_ms, actor, sealed FROM on_call_plans ORDER BY revision DESC LIMIT 1",
)
INSERT_PLAN: Final = insert_into(t.on_call_plans, "insert_plan", conflict="nothing")
LIST_COVERS: Final = sql(
    "list_covers", "SELECT body FROM covers WHERE until_ms > :from_ms ORDER BY id"
)
INSERT_COVER: Final = insert_into(t.covers, "insert_cover", conflict="update")
LIST_OVERRIDES: Final = sql(
    "list_overrides", "SELECT body FROM status_overrides ORDER BY component"
)
INSERT_OVERRIDE: Final = insert_into(t.status_overrides, "insert_override", conflict="update")
DELETE_OVERRIDE: Final = sql(
    "delete_override", "DELETE FROM status_overrides WHERE component = :component"
)
DELETE_COVER: Final = sql("delete_cover", "DELETE FROM covers WHERE id = :id")


def load_plan() -> Operation[SealedPlan | None]:
    """The newest revision of the on-call plan."""
    rows = yield LOAD_PLAN, {}
    if not rows:
        return None
    revision, at_ms, actor, sealed = rows[0]
    return SealedPlan(revision=revision, at_ms=at_ms, actor=actor, sealed=sealed)


def save_plan(plan: SealedPlan) -> Operation[bool]:
    """Writes the next revision of the plan; false where another one was faster."""
    ((count,),) = yield INSERT_PLAN, msgspec.structs.asdict(plan)
    return bool(count)


def list_covers(from_ms: int) -> Operation[list[Cover]]:
    """Covers that end after a moment."""
    rows = yield LIST_COVERS, {"from_ms": from_ms}
    return [_cover(body) for (body,) in rows]


def save_covers(taken: list[Cover]) -> Operation[None]:
    """Writes covers, all of them or none."""
    for cover in taken:
        row = {"id": cover.id, "schedule": cover.schedule, "until_ms": cover.until_ms}
        yield INSERT_COVER, row | {"body": _json(cover)}


def remove_cover(cover_id: str) -> Operation[bool]:
    """Removes a cover; false where there is none."""
    ((count,),) = yield DELETE_COVER, {"id": cover_id}
    return bool(count)


def list_overrides() -> Operation[list[Override]]:
    """What persons say on the status page."""
    rows = yield LIST_OVERRIDES, {}
    return [_override(body) for (body,) in rows]


def save_override(override: Override) -> Operation[None]:
    """Writes what a person says of a component."""
    yield INSERT_OVERRIDE, {"component": override.component, "body": _json(override)}


def remove_override(component: str) -> Operation[bool]:
    """Takes back what a person said of a component; false where nothing was said."""
    ((count,),) = yield DELETE_OVERRIDE, {"component": component}
    return bool(count)


class OnCall(Topic):
    """On call."""

    load_plan = reads(load_plan)
    save_plan = writes(save_plan)
    list_covers = reads(list_covers)
    save_covers = writes(save_covers)
    remove_cover = writes(remove_cover)
    list_overrides = reads(list_overrides)
    save_override = writes(save_override)
    remove_override = writes(remove_override)
