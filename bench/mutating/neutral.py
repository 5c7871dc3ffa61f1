"""Neutral twins: changes that no integration can notice, whatever it sends and reads."""

import copy
from typing import Any

from mutating.kinds import Change, Kind, table
from mutating.places import Spot, content_of, parts
from mutating.reading import every, types_of, unrequire, words
from mutating.whole import item_of


def on_members(change: Any) -> Change:
    def all_of_them(spot: Spot) -> bool:
        return all([change(spot, member) for member in spot.members()])  # noqa: C419 - changes all

    return all_of_them


def annotate(**fields: Any) -> Change:
    return on_members(lambda spot, member: member.update(fields) is None)


def add_beside(schema: dict[str, Any], *, required: bool = False) -> Change:
    def change(spot: Spot) -> bool:
        for holder in spot.holders:
            holder["properties"]["of_no_interest"] = copy.deepcopy(schema)
            if required:
                holder["required"] = [*holder.get("required", []), "of_no_interest"]
        return True

    return change


def reverse_members(spot: Spot) -> bool:
    for holder in spot.holders:
        holder["properties"] = dict(reversed(holder["properties"].items()))
    return True


def reverse_required(spot: Spot) -> bool:
    if not all(len(h.get("required", [])) > 1 for h in spot.holders):
        return False
    for holder in spot.holders:
        holder["required"] = holder["required"][::-1]
    return True


def reverse_words(spot: Spot) -> bool:
    return words(spot) and on_members(
        lambda s, m: m.update(enum=m["enum"][::-1]) is None)(spot)  # fmt: skip


def into_component(spot: Spot) -> bool:
    schemas = spot.document.setdefault("components", {}).setdefault("schemas", {})
    for number, holder in enumerate(spot.holders):
        schemas[f"Taken~Out/{number}"] = holder["properties"][spot.name]
        holder["properties"][spot.name] = {"$ref": f"#/components/schemas/Taken~0Out~1{number}"}
    return True


def inlined(spot: Spot) -> bool:
    return bool(spot.members())  # finding the spot has replaced every reference on the way


def wrapped(word: str) -> Change:
    def change(spot: Spot) -> bool:
        for holder in spot.holders:
            member = holder["properties"][spot.name]
            nullable = member.pop("nullable", None) if word == "allOf" else None
            holder["properties"][spot.name] = {word: [member]}
            if nullable:
                holder["properties"][spot.name]["nullable"] = True
        return True

    return change


def split_holder(spot: Spot) -> bool:
    """The object as `allOf` of two halves."""
    for holder in spot.holders:
        if {"allOf", "anyOf", "oneOf", "additionalProperties"} & set(holder):
            return False
        member = holder["properties"].pop(spot.name)
        half: dict[str, Any] = {"type": "object", "properties": {spot.name: member}}
        if spot.name in holder.get("required", []):
            half["required"] = [spot.name]
            unrequire(holder, spot.name)
        nullable = holder.get("nullable")
        rest = dict(holder)
        holder.clear()
        holder["allOf"] = [rest, half]
        if nullable:
            half["nullable"] = holder["nullable"] = True
    return True


def doubled(word: str) -> Change:
    def change(spot: Spot) -> bool:
        for holder in spot.holders:
            member = holder["properties"][spot.name]
            if "nullable" in member:
                return False
            holder["properties"][spot.name] = {word: [member, copy.deepcopy(member)]}
        return True

    return change


def drop(*names: str) -> Change:
    def change(spot: Spot, member: dict[str, Any]) -> bool:
        return any([member.pop(n, None) is not None for n in names])  # noqa: C419 - drops all

    return on_members(change)


def require_what_comes(spot: Spot) -> bool:
    for holder in spot.holders:
        if spot.name in holder.get("required", []):
            return False
        holder["required"] = [*holder.get("required", []), spot.name]
    return True


def never_null(spot: Spot) -> bool:
    changed = False
    for member in spot.members():
        for part in parts(spot.document, member):
            if part.pop("nullable", None):
                changed = True
            elif isinstance(part.get("type"), list) and "null" in part["type"]:
                part["type"], changed = [t for t in part["type"] if t != "null"], True
    return changed


def fewer_words(spot: Spot) -> bool:
    return words(spot) and on_members(
        lambda s, m: len(m["enum"]) > 1 and m.update(enum=m["enum"][:1]) is None)(spot)  # fmt: skip


def integer_for_number(spot: Spot) -> bool:
    return every(spot, "number") and annotate(type="integer")(spot)


def type_as_list(spot: Spot) -> bool:
    if not spot.document["openapi"].startswith("3.1"):
        return False
    return on_members(
        lambda s, m: isinstance(m.get("type"), str) and m.update(type=[m["type"]]) is None
    )(spot)


def const_for_word(spot: Spot) -> bool:
    def change(spot: Spot, member: dict[str, Any]) -> bool:
        if len(member.get("enum", [])) != 1 or spot.document["openapi"].startswith("3.0"):
            return False
        member["const"] = member.pop("enum")[0]
        return True

    return on_members(change)(spot)


def optional_to_send(spot: Spot) -> bool:
    if not all(spot.name in h.get("required", []) for h in spot.holders):
        return False
    for holder in spot.holders:
        unrequire(holder, spot.name)
    return True


def more_words(spot: Spot) -> bool:
    return words(spot) and on_members(
        lambda s, m: m.update(enum=[*m["enum"], "one_more"]) is None)(spot)  # fmt: skip


def longer(spot: Spot) -> bool:
    def change(spot: Spot, member: dict[str, Any]) -> bool:
        member["maxLength"] = member.get("maxLength", 0) * 2
        return bool(member["maxLength"])

    return on_members(change)(spot)


def null_may_be_sent(spot: Spot) -> bool:
    for holder in spot.holders:
        member = holder["properties"][spot.name]
        if spot.document["openapi"].startswith("3.1"):
            holder["properties"][spot.name] = {"anyOf": [member, {"type": "null"}]}
        elif not types_of(member):
            return False
        else:
            member["nullable"] = True
    return True


def number_too(spot: Spot) -> bool:
    return every(spot, "integer") and annotate(type="number")(spot)


def another_way_to_send(spot: Spot) -> bool:
    for holder in spot.holders:
        member = holder["properties"][spot.name]
        other = {"type": "object", "properties": {"by_id": {"type": "string"}},
                 "required": ["by_id"]}  # fmt: skip
        holder["properties"][spot.name] = {"anyOf": [member, other]}
    return True


# Operations


def parameter(**fields: Any) -> Change:
    def change(spot: Spot) -> bool:
        known = spot.operation.get("parameters", [])
        spot.operation["parameters"] = [*known, {"schema": {"type": "string"}, **fields}]
        return True

    return change


def note(**fields: Any) -> Change:
    return lambda spot: spot.operation.update(fields) is None


def rename_path_parameter(spot: Spot) -> bool:
    paths, path, _ = item_of(spot)
    if "{" not in path:
        return False
    new = path.replace("{", "{new_")
    spot.document["paths"] = {new if p == path else p: item for p, item in paths.items()}
    return True


def reverse_paths(spot: Spot) -> bool:
    paths, _, _ = item_of(spot)
    turned = dict(reversed(list(paths.items())))
    paths.clear()
    paths.update(turned)
    return True


def new_operation(spot: Spot) -> bool:
    spot.document.setdefault("paths", {})["/brand/new"] = {
        "post": {"responses": {"200": {"description": "new"}}}
    }
    return True


def new_status(status: str) -> Change:
    def change(spot: Spot) -> bool:
        replies = spot.operation.setdefault("responses", {})
        if status in replies:
            return False
        replies[status] = {"description": "something else"}
        return True

    return change


def created(spot: Spot) -> bool:
    replies = spot.operation.get("responses", {})
    if "200" not in replies or "201" in replies or "webhook:" in spot.site.operation:
        return False
    replies["201"] = replies.pop("200")
    return True


def reply_header(spot: Spot) -> bool:
    for reply in spot.operation.get("responses", {}).values():
        reply["headers"] = {"X-Extra": {"schema": {"type": "string"}}}
    return True


def media_too(direction: str) -> Change:
    def change(spot: Spot) -> bool:
        content = content_of(spot.document, spot.operation, direction)
        if not content:
            return False
        content["application/vnd.other+xml"] = {"schema": {"type": "string"}}
        return True

    return change


def charset(spot: Spot) -> bool:
    content = content_of(spot.document, spot.operation, "read")
    if not content or "application/json" not in content:
        return False
    content["application/json; charset=utf-8"] = content.pop("application/json")
    return True


def security_too(spot: Spot) -> bool:
    known = spot.operation.get("security", spot.document.get("security"))
    if not known:
        return False
    spot.document.setdefault("components", {}).setdefault("securitySchemes", {})["m"] = {
        "type": "mutualTLS"
    }
    spot.operation["security"] = [*known, {"m": []}]
    return True


def other_host(spot: Spot) -> bool:
    servers = spot.document.get("servers", [])
    for server in servers:
        scheme, _, rest = server["url"].partition("://")
        server["url"] = f"{scheme}://other.example/{rest.partition('/')[2]}"
    return bool(servers)


def component_renamed(spot: Spot) -> bool:
    """Every component gets another name, and every reference follows."""
    schemas = spot.document.get("components", {}).get("schemas", {})
    if not schemas:
        return False
    spot.document["components"]["schemas"] = {f"New{name}": s for name, s in schemas.items()}
    _follow(spot.document)
    return True


def _follow(value: Any) -> None:
    ahead = [value]
    while ahead:
        item = ahead.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            if isinstance(reference, str):
                item["$ref"] = reference.replace("/schemas/", "/schemas/New")
            ahead += item.values()
        elif isinstance(item, list):
            ahead += item


def item_as_reference(spot: Spot) -> bool:
    paths, path, _ = item_of(spot)
    spot.document["components"] = {**spot.document.get("components", {}),
                                   "pathItems": {"Item": paths[path]}}  # fmt: skip
    paths[path] = {"$ref": "#/components/pathItems/Item"}
    return True


def request_body_as_reference(spot: Spot) -> bool:
    if "requestBody" not in spot.operation:
        return False
    bodies = spot.document.setdefault("components", {}).setdefault("requestBodies", {})
    bodies["Ours"] = spot.operation["requestBody"]
    spot.operation["requestBody"] = {"$ref": "#/components/requestBodies/Ours"}
    return True


def replies_as_references(spot: Spot) -> bool:
    replies = spot.operation.get("responses", {})
    shared = spot.document.setdefault("components", {}).setdefault("responses", {})
    for status in list(replies):
        shared[f"R{status}"] = replies[status]
        replies[status] = {"$ref": f"#/components/responses/R{status}"}
    return bool(replies)


def modern(spot: Spot) -> bool:
    """The whole text from OpenAPI 3.0 to 3.1: `nullable` as a list of types."""
    if not spot.document["openapi"].startswith("3.0"):
        return False
    spot.document["openapi"] = "3.1.0"
    ahead: list[Any] = [spot.document]
    while ahead:
        item = ahead.pop()
        if isinstance(item, list):
            ahead += item
        if not isinstance(item, dict):
            continue
        ahead += item.values()
        if item.get("nullable") is True and isinstance(item.get("type"), str):
            item["type"] = [item["type"], "null"]
            del item["nullable"]
            if isinstance(item.get("enum"), list) and None not in item["enum"]:
                item["enum"] = [*item["enum"], None]
        elif item.get("nullable") is True and "anyOf" in item:
            item["anyOf"] = [*item["anyOf"], {"type": "null"}]
            del item["nullable"]
    return True


def _kind(name: str, at: Any, change: Change) -> Kind:
    return Kind(name=name, at=at, least="neutral", why="nothing of ours can tell", change=change)


NOTES = annotate(description="told anew", title="A title", example="x", deprecated=True)

NEUTRAL = table(
    _kind("told anew (read)", "read", NOTES),
    _kind("told anew (sent)", "send", NOTES),
    _kind("extension (read)", "read", annotate(**{"x-anything": {"type": "object"}})),
    _kind("extension (sent)", "send", annotate(**{"x-anything": {"required": ["a"]}})),
    _kind("field added", "read", add_beside({"type": "string"})),
    _kind("field added, always there", "read", add_beside({"type": "object"}, required=True)),
    _kind("field added, a union", "read",
          add_beside({"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]})),
    _kind("parameter added", "send", add_beside({"type": "string", "enum": ["a", "b"]})),
    _kind("object parameter added", "send",
          add_beside({"type": "object", "required": ["a"], "properties": {"a": {}}})),
    _kind("members in other order (read)", "read", reverse_members),
    _kind("members in other order (sent)", "send", reverse_members),
    _kind("required in other order (read)", "read", reverse_required),
    _kind("required in other order (sent)", "send", reverse_required),
    _kind("words in other order (read)", "read", reverse_words),
    _kind("words in other order (sent)", "send", reverse_words),
    _kind("taken out to a component (read)", "read", into_component),
    _kind("taken out to a component (sent)", "send", into_component),
    _kind("references replaced (read)", "read", inlined),
    _kind("references replaced (sent)", "send", inlined),
    _kind("allOf of one (read)", "read", wrapped("allOf")),
    _kind("allOf of one (sent)", "send", wrapped("allOf")),
    _kind("anyOf of one (read)", "read", wrapped("anyOf")),
    _kind("anyOf of one (sent)", "send", wrapped("anyOf")),
    _kind("oneOf of one (read)", "read", wrapped("oneOf")),
    _kind("oneOf of one (sent)", "send", wrapped("oneOf")),
    _kind("anyOf of two alike (read)", "read", doubled("anyOf")),
    _kind("anyOf of two alike (sent)", "send", doubled("anyOf")),
    _kind("object split in two (read)", "read", split_holder),
    _kind("object split in two (sent)", "send", split_holder),
    _kind("required to come", "read", require_what_comes),
    _kind("never null", "read", never_null),
    _kind("fewer words come", "read", fewer_words),
    _kind("whole numbers come", "read", integer_for_number),
    _kind("shorter texts come", "read",
          lambda s: every(s, "string") and annotate(maxLength=2000, minLength=1)(s)),
    _kind("pattern of what comes", "read",
          lambda s: every(s, "string") and annotate(pattern="^.*$")(s)),
    _kind("format of what comes", "read",
          lambda s: every(s, "string") and annotate(format="x-ours")(s)),
    _kind("type as a list (read)", "read", type_as_list),
    _kind("type as a list (sent)", "send", type_as_list),
    _kind("const for one word (read)", "read", const_for_word),
    _kind("read-only in a reply", "read", annotate(readOnly=True)),
    _kind("write-only in a request", "send", annotate(writeOnly=True)),
    _kind("need not be sent", "send", optional_to_send),
    _kind("more words accepted", "send", more_words),
    _kind("longer texts accepted", "send", longer),
    _kind("limits dropped", "send", drop("maxLength", "minLength", "pattern", "maximum")),
    _kind("words no longer closed", "send",
          lambda s: words(s) and annotate(type="string")(s) and drop("enum")(s)),
    _kind("null accepted", "send", null_may_be_sent),
    _kind("fractions accepted", "send", number_too),
    _kind("another form accepted", "send", another_way_to_send),
    _kind("query parameter added", "operation", parameter(name="extra", **{"in": "query"})),
    _kind("header added", "operation", parameter(name="X-Extra", **{"in": "header"})),
    _kind("operation told anew", "operation",
          note(summary="new", description="new", tags=["new"], deprecated=True)),
    _kind("operation has another id", "operation", note(operationId="brandNewName")),
    _kind("path parameter renamed", "operation", rename_path_parameter),
    _kind("paths in other order", "operation", reverse_paths),
    _kind("new operation", "operation", new_operation),
    _kind("new failure", "operation", new_status("418")),
    _kind("accepted as well", "operation", new_status("202")),
    _kind("201 for 200", "operation", created),
    _kind("reply header added", "operation", reply_header),
    _kind("another media type in", "operation", media_too("send")),
    _kind("another media type out", "operation", media_too("read")),
    _kind("charset named", "operation", charset),
    _kind("another way to authenticate", "operation", security_too),
    _kind("another host", "operation", other_host),
    _kind("components renamed", "operation", component_renamed),
    _kind("path item as a reference", "operation", item_as_reference),
    _kind("request body as a reference", "operation", request_body_as_reference),
    _kind("replies as references", "operation", replies_as_references),
    _kind("3.0 to 3.1", "operation", modern),
)  # fmt: skip
