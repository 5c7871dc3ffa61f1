"""Breaking changes of what is read: replies, failures and webhooks."""

from typing import Any

from mutating.kinds import Change, Kind, table
from mutating.places import Spot, parts

SCALARS = ("string", "integer", "number", "boolean")


def types_of(schema: dict[str, Any]) -> list[str]:
    """The types that a schema names, without null; none where it names none."""
    said = schema.get("type")
    listed = said if isinstance(said, list) else [said] if said else []
    return [t for t in listed if t != "null"]


def every(spot: Spot, *types: str) -> bool:
    """Whether each schema of the member is plainly of one of the types, nothing combined."""
    found = spot.members()
    return bool(found) and all(
        set(types_of(m)) and set(types_of(m)) <= set(types)
        and not {"anyOf", "oneOf", "allOf"} & set(m) for m in found
    )  # fmt: skip


def remove(spot: Spot) -> bool:
    for holder in spot.holders:
        del holder["properties"][spot.name]
        unrequire(holder, spot.name)
    return True


def unrequire(holder: dict[str, Any], name: str) -> None:
    if name in holder.get("required", []):
        holder["required"] = [r for r in holder["required"] if r != name]


def rename(spot: Spot) -> bool:
    for holder in spot.holders:
        properties = holder["properties"]
        new = f"{spot.name}_v2"
        holder["properties"] = {new if k == spot.name else k: v for k, v in properties.items()}
        if spot.name in holder.get("required", []):
            holder["required"] = [new if r == spot.name else r for r in holder["required"]]
    return True


def recase(spot: Spot) -> bool:
    new = spot.name.upper() if spot.name.upper() != spot.name else spot.name.lower()
    for holder in spot.holders:
        if new == spot.name or new in holder["properties"]:
            return False
        holder["properties"][new] = holder["properties"].pop(spot.name)
        unrequire(holder, spot.name)
    return True


def move_into(spot: Spot) -> bool:
    for holder in spot.holders:
        member = holder["properties"].pop(spot.name)
        unrequire(holder, spot.name)
        inner = {"type": "object", "properties": {spot.name: member}, "required": [spot.name]}
        holder["properties"]["moved_details"] = inner
    return True


def retype(new: dict[str, Any], *old: str) -> Any:
    def change(spot: Spot) -> bool:
        if not every(spot, *old):
            return False
        for holder in spot.holders:
            holder["properties"][spot.name] = dict(new)
        return True

    return change


def wrap_in_array(spot: Spot) -> bool:
    if not every(spot, *SCALARS):
        return False
    for holder in spot.holders:
        member = holder["properties"][spot.name]
        holder["properties"][spot.name] = {"type": "array", "items": member}
    return True


def number_for_integer(spot: Spot) -> bool:
    if not every(spot, "integer"):
        return False
    for member in spot.members():
        member["type"] = "number"
        member.pop("format", None)
    return True


def another_type_too(spot: Spot) -> bool:
    if not every(spot, "string", "integer"):
        return False
    for holder, member in zip(spot.holders, spot.members(), strict=True):
        other = {"type": "object", "properties": {"value": dict(member)}}
        holder["properties"][spot.name] = {"anyOf": [member, other]}
    return True


def branch_without(spot: Spot) -> bool:
    """The object that holds the member may be another one, without it."""
    for holder in spot.holders:
        if "oneOf" in holder or "anyOf" in holder or "allOf" in holder:
            return False
        whole = {k: v for k, v in holder.items() if k != "nullable"}
        other = {
            "type": "object",
            "properties": {"kind_of_new": {"type": "string"}},
            "required": ["kind_of_new"],
        }
        nullable = holder.get("nullable")
        holder.clear()
        holder["anyOf"] = [whole, other]
        if nullable:
            holder["nullable"] = nullable
    return True


def make_nullable(spot: Spot) -> bool:
    for holder, member in zip(spot.holders, spot.members(), strict=True):
        if any(_nullable(p) for p in parts(spot.document, member)) or not types_of(member):
            return False
        if spot.document["openapi"].startswith("3.1"):
            if {"allOf", "anyOf", "oneOf"} & set(member):
                return False  # its parts refuse a null still: nothing would change
            member["type"] = [*types_of(member), "null"]
            if "enum" in member:
                member["enum"] = [*member["enum"], None]
        else:
            member["nullable"] = True
        holder["properties"][spot.name] = member
    return True


def null_branch(spot: Spot) -> bool:
    for holder, member in zip(spot.holders, spot.members(), strict=True):
        if any(_nullable(p) for p in parts(spot.document, member)) or not types_of(member):
            return False
        if spot.document["openapi"].startswith("3.1"):
            holder["properties"][spot.name] = {"oneOf": [member, {"type": "null"}]}
        else:
            holder["properties"][spot.name] = {
                "anyOf": [member, {"nullable": True, "enum": [None]}]
            }
    return True


def _nullable(part: dict[str, Any]) -> bool:
    return bool(part.get("nullable")) or "null" in str(part.get("type")) or None in part.get(
        "enum", [])  # fmt: skip


def make_optional(spot: Spot) -> bool:
    if not all(spot.name in h.get("required", []) for h in spot.holders):
        return False
    for holder in spot.holders:
        unrequire(holder, spot.name)
    return True


def words(spot: Spot) -> bool:
    plain = all("enum" in m and types_of(m) in (["string"], []) for m in spot.members())
    return plain and not any({"pattern", "maxLength"} & set(m) for m in spot.members())


def add_word(spot: Spot) -> bool:
    if not words(spot):
        return False
    for member in spot.members():
        member["enum"] = [*member["enum"], "a_word_of_tomorrow"]
    return True


def other_words(spot: Spot) -> bool:
    if not words(spot):
        return False
    for member in spot.members():
        member["enum"] = [f"{w}_2" for w in member["enum"] if w is not None]
    return True


def upper_words(spot: Spot) -> bool:
    if not words(spot):
        return False
    for member in spot.members():
        new = [w.swapcase() for w in member["enum"] if w is not None]
        if set(new) & set(member["enum"]):
            return False
        member["enum"] = new
    return True


def any_word(spot: Spot) -> bool:
    if not words(spot):
        return False
    for member in spot.members():
        del member["enum"]
        member["type"] = "string"
    return True


def write_only(spot: Spot) -> bool:
    if spot.site.direction == "hook":
        return False  # the provider's request: the word means nothing for its reader
    for member in spot.members():
        member["writeOnly"] = True
    return True


def dangling(spot: Spot) -> bool:
    for holder in spot.holders:
        holder["properties"][spot.name] = {"$ref": "#/components/schemas/ForgottenOne"}
    return True


def granted(change: Change) -> Change:
    """Only where usage takes the value for granted, or where it does not use it at all."""
    return lambda spot: (spot.site.granted or not spot.site.used) and change(spot)


GONE = "what we read is not there: an ordinary reply is not understood"
TYPE = "nothing that comes has the type that came: an ordinary reply is not understood"
SCALAR = (
    "providers often correct a type that was always so, and usage does not say how strictly "
    "it reads; the real code of an installed version does"
)
SOME = "only some replies are like that, and nothing says how many"

BREAKING = table(
    Kind(name="field removed", at="read", least="breaking", why=GONE, change=remove),
    Kind(name="field renamed", at="read", least="breaking", why=GONE, change=rename),
    Kind(name="field in other case", at="read", least="breaking", why=GONE, change=recase),
    Kind(name="field moved inside", at="read", least="breaking", why=GONE, change=move_into),
    Kind(name="text turned object", at="read", least="breaking", why=TYPE,
         change=retype({"type": "object", "properties": {"value": {"type": "string"}}}, "string")),
    Kind(name="text turned number", at="read", least="risky", why=SCALAR,
         change=retype({"type": "integer"}, "string")),
    Kind(name="text turned boolean", at="read", least="risky", why=SCALAR,
         change=retype({"type": "boolean"}, "string")),
    Kind(name="number turned text", at="read", least="risky", why=SCALAR,
         change=retype({"type": "string"}, "integer", "number")),
    Kind(name="boolean turned text", at="read", least="risky", why=SCALAR,
         change=retype({"type": "string", "enum": ["yes", "no"]}, "boolean")),
    Kind(name="object turned text", at="read", least="breaking", why=TYPE,
         change=retype({"type": "string"}, "object")),
    Kind(name="list turned object", at="read", least="breaking", why=TYPE,
         change=retype({"type": "object", "properties": {"data": {"type": "array", "items": {}}}},
                       "array")),
    Kind(name="value turned list", at="read", least="breaking", why=TYPE, change=wrap_in_array),
    Kind(name="integer turned number", at="read", least="risky",
         why="fractions may come; whole numbers are read as before", change=number_for_integer),
    Kind(name="another type as well", at="read", least="risky", why=SOME, change=another_type_too),
    Kind(name="branch without the field", at="read", least="risky", why=SOME,
         change=branch_without, unused="nowhere"),
    Kind(name="newly nullable", at="read", least="breaking",
         why="usage takes the value for granted (elsewhere it is harmless)",
         change=granted(make_nullable)),
    Kind(name="null as a branch", at="read", least="breaking",
         why="usage takes the value for granted (elsewhere it is harmless)",
         change=granted(null_branch)),
    Kind(name="newly optional", at="read", least="risky",
         why="usage takes the value for granted (elsewhere it is harmless)",
         change=granted(make_optional)),
    Kind(name="new word", at="read", least="risky", why=SOME, change=add_word),
    Kind(name="all words replaced", at="read", least="breaking",
         why="no word that we know comes any more", change=other_words),
    Kind(name="words in other case", at="read", least="breaking",
         why="no word that we know comes any more", change=upper_words),
    Kind(name="any word", at="read", least="risky", why=SOME, change=any_word),
    Kind(name="write-only now", at="read", least="breaking", why=GONE, change=write_only),
    Kind(name="dangling reference", at="read", least="risky",
         why="nothing can be known of what the text does not hold", change=dangling,
         unused="member"),
)  # fmt: skip
