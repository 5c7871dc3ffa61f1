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

RIVALS = """
## Rivals and the report

```sh
./dev prove --fault F20 F28 --rivals --report report
```

`--rivals` scores simpler rules on the same runs, by the same marks. `--json` has them too. The
first one runs as real programs beside the service; the others read the counts that it has written.

1. **Burn rate, Prometheus**: Prometheus and Alertmanager with default intervals scrape `/metrics`.
   Burn rates of 99.9 % page. It names no cause.
2. **Elimination** (Juspay): fewer than 5 % of the last 20 payments of a version succeeded, or
   20 % of the last 200. One version: the provider changed. All of them: it is down.
3. **Status codes**: a tenth of the attempts of a minute failed, five at least. The kind with most
   failures counts: 5xx down, 429 limited, 401 and 403 our configuration, other 4xx our code, no
   connection our infrastructure, no reply slow.
4. **BARO, told the onset** (Pham et al., 2024): the metric that left its interquartile range
   furthest within 30 seconds, and the domain of that metric.

BARO is told when the fault began, so that its seconds say nothing; it takes no part in quiet runs.
The first rival needs Debian's `prometheus` and `prometheus-alertmanager`; it is left out where they
are not installed.

`--report FOLDER` writes `report.html`, which needs nothing else: the score, and for each run the
share of shoppers that were served well, with fault, alarm, verdict and move.
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
    parts += [RIVALS, LIBRARY]
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
