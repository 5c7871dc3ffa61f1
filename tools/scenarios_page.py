"""`docs/reference/scenarios.md`, drawn from the primitives and the library of scenarios."""

import typing

import msgspec

from tollkeeper.proving.program import known
from tollkeeper.proving.scenario import KINDS, Primitive, Truth, World, read

INTRO = """# Scenario files

A scenario says what is broken, when and how badly, and what a verdict should find. It is a TOML
file. `./dev prove --scenario FILE` plays it on a service of its own and scores what is said.
`tollkeeper drill fault FILE` breaks the running demo, without its truth.

```toml
id = "mine"
title = "the provider requires a parameter that we do not send"

[truth]
domain = "provider_changed"
slice = { provider = "stripe" }

[world]
rate = 2.0
fault_seconds = 60.0

[[fault]]
kind = "provider"
rule = { effect = "require_parameter", when = "before", parameter = "mandate_data" }
```

Several `[[fault]]` tables may overlap. An error names the place, and the nearest right word.

## A scenario

`expect` is `verdict` or `silence`. In `silence` nothing may page.
"""

LIBRARY = """
## Scenarios that come with it

| id | what happens | domain | pointer |
|---|---|---|---|
"""


def page() -> str:
    """The page."""
    parts = [INTRO]
    for title, kind in (("`[truth]`", Truth), ("`[world]`", World)):
        parts += [f"\n### {title}\n\n{_said(kind)}\n\n", _table(kind)]
    parts.append(f"\n## Primitives\n\n{_said(Primitive)}\n")
    for name, primitive in KINDS.items():
        parts += [f"\n### `{name}`\n\n{_said(primitive)}\n\n", _table(primitive, own=True)]
    parts.append(LIBRARY)
    for path in known().values():
        one = read(path)
        pointer = f"`{one.truth.pointer}`" if one.truth.pointer else ""
        parts.append(f"| `{one.id}` | {one.title} | `{one.truth.domain}` | {pointer} |\n")
    return "".join(parts)


def _said(kind: type[msgspec.Struct]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _table(kind: type[msgspec.Struct], *, own: bool = False) -> str:
    common = {field.name for field in msgspec.structs.fields(Primitive)} if own else set()
    rows = [
        f"| `{field.name}` | {_type(field.type)} | {_default(field)} |\n"
        for field in msgspec.structs.fields(kind)
        if field.name not in common
    ]
    return "| field | values | default |\n|---|---|---|\n" + "".join(rows)


def _type(kind: object) -> str:
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _type(typing.get_args(kind)[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(kind))
    names = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
    return names.get(kind, "a table") if isinstance(kind, type) else "a table"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT:
        return ""
    return f"`{field.default}`" if field.default not in ("", None) else ""
