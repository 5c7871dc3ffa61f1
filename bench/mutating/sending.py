"""Breaking changes of what is sent: bodies and parameters."""

from typing import Any

from mutating.kinds import Kind, table
from mutating.places import Spot
from mutating.reading import (
    every,
    move_into,
    recase,
    remove,
    rename,
    retype,
    words,
    wrap_in_array,
)  # fmt: skip


def is_form(spot: Spot) -> bool:
    content = spot.operation.get("requestBody", {}).get("content", {})
    return "application/json" not in content


def typed(change: Any) -> Any:
    """Only where the body tells types apart: in a form, all is text."""
    return lambda spot: not is_form(spot) and change(spot)


def limit(word: str, value: Any, *types: str) -> Any:
    def change(spot: Spot) -> bool:
        if not every(spot, *types):
            return False
        for member in spot.members():
            if word in member or "enum" in member:
                return False
            member[word] = value
        return True

    return change


def require_beside(spot: Spot) -> bool:
    for holder in spot.holders:
        holder["properties"]["new_duty"] = {"type": "string"}
        holder["required"] = [*holder.get("required", []), "new_duty"]
    return True


def require_known(spot: Spot) -> bool:
    """Another member of the same object, optional until now, that we do not send: required."""
    if spot.site.used:
        return False
    for holder in spot.holders:
        if spot.name in holder.get("required", []):
            return False
        holder["required"] = [*holder.get("required", []), spot.name]
    return True


def keep_words(spot: Spot, wanted: list[Any]) -> bool:
    for member in spot.members():
        member["enum"] = wanted
        member["type"] = "string"
    return True


def no_word_of_ours(spot: Spot) -> bool:
    return words(spot) and keep_words(spot, ["a_word_of_tomorrow"])


def closed_words(spot: Spot) -> bool:
    return (
        every(spot, "string")
        and not any("enum" in m for m in spot.members())
        and keep_words(spot, ["one_of_few", "another"])
    )


def const(spot: Spot) -> bool:
    if not every(spot, "string"):
        return False
    for member in spot.members():
        member.pop("enum", None)
        member["enum" if spot.document["openapi"].startswith("3.0") else "const"] = (
            ["only_this"] if spot.document["openapi"].startswith("3.0") else "only_this"
        )
    return True


def read_only(spot: Spot) -> bool:
    for member in spot.members():
        if member.get("readOnly"):
            return False
        member["readOnly"] = True
    return True


def forbid(spot: Spot) -> bool:
    """The member is named and nothing is valid there."""
    for holder in spot.holders:
        holder["properties"][spot.name] = {"not": {}}
    return True


def narrower_integer(spot: Spot) -> bool:
    if not every(spot, "number"):
        return False
    for member in spot.members():
        member["type"] = "integer"
    return True


def shorter(spot: Spot) -> bool:
    if not every(spot, "string"):
        return False
    for member in spot.members():
        most = member.get("maxLength", 40)
        if most < 2 or "enum" in member:
            return False
        new = max(1, most // 20)
        if spot.site.longest is not None:  # what is longer than anything sent breaks nothing
            new = min(new, max(1, spot.site.longest - 1))
        member["maxLength"] = new
    return True


REFUSED = "the provider refuses what we send every time"
MAYBE = "refused for some values; usage does not say which we send"

BREAKING = table(
    Kind(name="parameter removed", at="send", least="breaking", why=REFUSED, change=remove),
    Kind(name="parameter renamed", at="send", least="breaking", why=REFUSED, change=rename),
    Kind(name="parameter in other case", at="send", least="breaking", why=REFUSED, change=recase),
    Kind(name="parameter moved inside", at="send", least="breaking", why=REFUSED,
         change=move_into),
    Kind(name="parameter forbidden", at="send", least="breaking", why=REFUSED, change=forbid),
    Kind(name="sent text turned number", at="send", least="breaking", why=REFUSED,
         change=typed(retype({"type": "integer"}, "string"))),
    Kind(name="sent number turned text", at="send", least="breaking", why=REFUSED,
         change=typed(retype({"type": "string"}, "integer", "number"))),
    Kind(name="sent text turned object", at="send", least="breaking", why=REFUSED,
         change=retype({"type": "object", "properties": {"value": {"type": "string"}}},
                       "string")),
    Kind(name="sent object turned text", at="send", least="breaking", why=REFUSED,
         change=retype({"type": "string"}, "object")),
    Kind(name="sent list turned text", at="send", least="breaking", why=REFUSED,
         change=typed(retype({"type": "string"}, "array"))),
    Kind(name="sent value turned list", at="send", least="breaking", why=REFUSED,
         change=typed(wrap_in_array)),
    Kind(name="sent number turned integer", at="send", least="risky", why=MAYBE,
         change=narrower_integer),
    Kind(name="sent boolean turned words", at="send", least="breaking", why=REFUSED,
         change=retype({"type": "string", "enum": ["on", "off"]}, "boolean")),
    Kind(name="newly required beside", at="send", least="breaking", why=REFUSED,
         change=require_beside, unused="nowhere"),
    Kind(name="no word of ours", at="send", least="risky",
         why="breaking where usage names our words", change=no_word_of_ours),
    Kind(name="words closed", at="send", least="risky", why=MAYBE, change=closed_words),
    Kind(name="one constant", at="send", least="risky", why=MAYBE, change=const),
    Kind(name="shorter text", at="send", least="risky", why=MAYBE, change=shorter),
    Kind(name="longer least", at="send", least="risky", why=MAYBE,
         change=limit("minLength", 200, "string")),
    Kind(name="new pattern", at="send", least="risky", why=MAYBE,
         change=limit("pattern", "^zz[0-9]{9}$", "string")),
    Kind(name="new format", at="send", least="risky", why=MAYBE,
         change=limit("format", "uuid", "string")),
    Kind(name="new maximum", at="send", least="risky", why=MAYBE,
         change=limit("maximum", 10, "integer", "number")),
    Kind(name="new minimum", at="send", least="risky", why=MAYBE,
         change=limit("minimum", 100000, "integer", "number")),
    Kind(name="new step", at="send", least="risky", why=MAYBE,
         change=limit("multipleOf", 500, "integer", "number")),
    Kind(name="fewer items", at="send", least="risky", why=MAYBE,
         change=limit("maxItems", 1, "array")),
    Kind(name="more items", at="send", least="risky", why=MAYBE,
         change=limit("minItems", 3, "array")),
    Kind(name="read-only now", at="send", least="risky",
         why="it should not be sent any more: some providers refuse it, some ignore it",
         change=read_only),
    Kind(name="constant of another type", at="send", least="risky", why=MAYBE,
         change=typed(retype({"enum": [7]}, "string"))),
)  # fmt: skip
