"""Usage: what one integration sends to a provider and reads from it. Derived, or read from a file.

The file's format (version 1) is documented in the reference, for any team in any language.
Paths are dotted; `[]` steps into an array's items, `*` into any member of a map; `query:` and
`header:` name parameters that are not in the body; `{}` stands for any path parameter.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tollkeeper.kernel.errors import Fault, Invalid

NEWEST: Final = 1
OPERATION: Final = re.compile(r"(GET|PUT|POST|DELETE|PATCH|HEAD|OPTIONS) (\S+)", re.ASCII)
PATH: Final = re.compile(r"(?:query:|header:)?[^\s.]+(?:\.[^\s.]+)*")

Words = tuple[str | int | float | bool | None, ...]


class OperationUsage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent and read in one operation.

    `values`: the words that a sent path may have; `exhaustive`: the words that a read path is
    matched against, all others being unknown (`all`: those of the old description); `nonnull`:
    read paths that must be there and not null; `lengths`: the longest text that a sent path may
    have; `errors`: paths read from bodies of failures.
    """

    send: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    values: dict[str, Words] = {}
    exhaustive: dict[str, Words | Literal["all"]] = {}
    nonnull: tuple[str, ...] = ()
    lengths: dict[str, int] = {}
    errors: tuple[str, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole integration's usage. `where` names our line for a (operation, path), if known."""

    name: str
    operations: dict[str, OperationUsage]
    provider: str = ""
    version: Literal[1] = 1
    where: dict[str, str] = {}


def read_usage(text: bytes) -> Usage:
    """A usage file's content. Raises `Invalid`, with pointers, for anything that is not one."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid(f"the usage file is not JSON: {error}") from error
    if isinstance(raw, Mapping) and raw.get("version", NEWEST) != NEWEST:
        raise Invalid(f"usage files of version {raw['version']!r} are not known; 1 is")
    try:
        usage = msgspec.convert(raw, Usage)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"the usage file is not right: {error}{_nearest(str(error))}") from error
    faults = tuple(_faults(usage))
    if faults:
        raise Invalid(f"the usage file is not right: {faults[0].detail}", faults=faults)
    return usage


def _nearest(message: str) -> str:
    found = re.search(r"unknown field `([^`]*)`", message)
    if found is None:
        return ""
    names = (*OperationUsage.__struct_fields__, *Usage.__struct_fields__)
    near = difflib.get_close_matches(found[1], names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


PATHS: Final = ("send", "read", "nonnull", "errors", "values", "exhaustive", "lengths")


def _faults(usage: Usage) -> list[Fault]:
    faults = []
    if not usage.operations:
        faults.append(Fault("/operations", "it names no operation: nothing would be asked"))
    for name, operation in usage.operations.items():
        at = f"/operations/{name.replace('~', '~0').replace('/', '~1')}"
        if OPERATION.fullmatch(name) is None:
            faults.append(Fault(at, f"{name!r} is not a METHOD and a path"))
        faults += [
            Fault(f"{at}/{field}", f"{path!r} is not a path")
            for field in PATHS
            for path in getattr(operation, field)
            if PATH.fullmatch(path) is None
        ]
    return faults


def segments(path: str) -> tuple[str, ...]:
    """`a.b[].c` as `("a", "b", "[]", "c")`; a `query:` or `header:` prefix must be gone."""
    found: list[str] = []
    for part in path.split("."):
        name = part
        arrays = 0
        while name.endswith("[]"):
            name, arrays = name[:-2], arrays + 1
        if name:
            found.append(name)
        found += ["[]"] * arrays
    return tuple(found)
