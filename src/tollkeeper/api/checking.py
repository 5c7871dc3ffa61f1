"""From a decoded body to a request struct, or to every fault in it, each with its pointer."""

import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from tollkeeper.kernel.errors import Fault, Invalid

MAX_FAULTS: Final = 20

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$[^`]*`$")
_ENUM: Final = re.compile(r"^Invalid enum value ")
_SHOWN: Final = 64


def checked[T](kind: type[T], value: dict[str, Any], meaning: Callable[[T], list[Fault]]) -> T:
    """`value` as a `kind`. `meaning` finds what the types cannot say. Raises `Invalid`."""
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise _invalid(_faults(kind, value)) from None
    faults = meaning(found)
    if faults:
        raise _invalid(faults)
    return found


def nothing_more(_: object) -> list[Fault]:
    """For bodies whose types say all."""
    return []


def unknown_name(name: str, known: Collection[str], what: str) -> str:
    """A sentence about an unknown name, with the nearest known one."""
    near = get_close_matches(name, known, n=1)
    return f"unknown {what}; did you mean {near[0]}?" if near else f"unknown {what}"


def _invalid(faults: list[Fault]) -> Invalid:
    count = len(faults)
    detail = faults[0].detail if count == 1 else f"{count} fields are wrong"
    first = f"{faults[0].pointer}: {detail}" if count == 1 else detail
    return Invalid(first, faults=tuple(faults[:MAX_FAULTS]))


def _faults(kind: type[Any], value: dict[str, Any]) -> list[Fault]:
    """Every fault, one field at a time; only for bodies that are known to be wrong."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    faults = []
    for name, given in value.items():
        if name not in fields:
            shown = name[:_SHOWN].replace("~", "~0").replace("/", "~1")
            faults.append(Fault(f"/{shown}", unknown_name(name, fields, "field")))
            continue
        faults.extend(_field_faults(name, given, fields[name].type))
    faults.extend(
        Fault(f"/{name}", "required")
        for name, field in fields.items()
        if field.required and name not in value
    )
    assert faults, "a body that does not convert has a fault in some field"
    return faults


def _field_faults(name: str, given: Any, kind: Any) -> list[Fault]:
    try:
        msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        inner = _PATH.search(text)
        detail = _ENUM.sub("not one of the allowed values: ", _PATH.sub("", text))
        if detail.startswith("not one of"):
            detail = f"not one of {_words(kind)}"
        return [Fault(f"/{name}{_deeper(given, kind) if inner else ''}", detail)]
    return []


def _words(kind: Any) -> str:
    schema = msgspec.json.schema(kind)
    return ", ".join(str(word) for word in schema.get("enum", []))


def _deeper(given: Any, kind: Any) -> str:
    """Which entry of a mapping is wrong: the first that does not convert alone."""
    if not isinstance(given, dict):
        return ""
    for name, inner in given.items():
        try:
            msgspec.convert({name: inner}, kind)
        except msgspec.ValidationError:
            shown = name[:_SHOWN].replace("~", "~0").replace("/", "~1")
            return f"/{shown}"
    return ""
