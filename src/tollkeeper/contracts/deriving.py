"""Usage derived from an integration version: its wire types are what it reads, its requests what it
sends, its word tables what it knows. Nobody writes a contract by hand.
"""

import ast
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from tollkeeper.contracts.finding import Location
from tollkeeper.contracts.usage import OperationUsage, Usage, Words
from tollkeeper.contracts.witness import Reader
from tollkeeper.integrations.version import Integration, OperationInput, WireReply, WireRequest
from tollkeeper.payments.outcome import OPERATIONS, Operation

NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})
CHARGE: Final = "charge-id"
REFUSED: Final = 402
"""The status with which a witness's failure is read: the one of a declined payment."""
_PLAIN: Final = OperationInput(
    payment_id="pay_1",
    attempt_id="att_1",
    amount_minor=1_000,
    currency="EUR",
    payment_method="pm_1",
    return_url="https://example.com/back",
    description="an order",
    provider_id=CHARGE,
    created_from_s=1,
    created_to_s=2,
)
ORDERS: Final = (
    _PLAIN,
    msgspec.structs.replace(
        _PLAIN, capture_method="manual", multicapture=True, final=False,
        reason="requested_by_customer", cursor="before",
    ),
    msgspec.structs.replace(_PLAIN, reason="duplicate"),
    msgspec.structs.replace(_PLAIN, reason="fraudulent"),
)  # fmt: skip
FREE: Final = frozenset(
    {"amount", "currency", "payment_method", "return_url", "description", "payment_intent"}
)
"""Fields whose sample value says nothing about the words that we send."""


def usage_of(integration: Integration, sources: Mapping[str, bytes] = NOTHING) -> Usage:
    """The usage of `integration`; with the sources of its modules by name, also the line of each
    field."""
    named = {_name(integration, operation): operation for operation in OPERATIONS}
    operations: dict[str, OperationUsage] = {}
    where: dict[str, str] = {}
    lines = _lines(sources)
    for name, operation in named.items():
        reads = _fields_of(integration, operation)
        errors = _fields_of(integration, "error")
        operations[name] = OperationUsage(
            send=tuple(sorted(_sent(integration, operation))),
            read=tuple(reads),
            values=_values(integration, operation),
            exhaustive={
                path: words
                for path, words in integration.words.get(operation, {}).items()
                if path in reads
            },
            nonnull=tuple(path for path, field in reads.items() if field.needed),
            errors=tuple(errors),
        )
        for part in (operation, "error"):
            for path, owner in _owners(integration, part):
                line = lines.get((owner, path.rpartition(".")[2].removesuffix("[]")))
                if line is not None:
                    where[f"{name} {path}"] = line
    return Usage(
        name=integration.name, provider=integration.provider, operations=operations, where=where
    )


class Field(msgspec.Struct, frozen=True):
    """A field that is read: the type that holds it, and whether it must be there."""

    owner: str
    needed: bool


def _fields_of(integration: Integration, part: str) -> dict[str, Field]:
    kind = integration.reads.get(part)
    return dict(_paths(kind, integration.nested)) if kind is not None else {}


def _name(integration: Integration, operation: Operation) -> str:
    request = integration.request(operation, _PLAIN)
    return f"{request.method} {request.path.replace(CHARGE, '{}')}"


def _paths(
    kind: Any, nested: Mapping[str, Any], prefix: str = "", *, needed: bool = True
) -> Iterator[tuple[str, Field]]:
    """Every leaf path of a wire type. A raw part is read on as `nested` says for its path."""
    for field in msgspec.structs.fields(kind):
        path = f"{prefix}{field.encode_name}"
        must = needed and field.required
        inner, suffix = _inner(field.type)
        if inner is msgspec.Raw:
            inner = nested.get(f"{kind.__name__}.{field.encode_name}")
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from _paths(inner, nested, f"{path}{suffix}.", needed=must and not suffix)
        else:
            yield f"{path}{suffix}", Field(kind.__name__, must)


def _owners(integration: Integration, part: str) -> Iterator[tuple[str, str]]:
    """Every path of a wire type, containers too, with the name of the type that declares it."""
    kind = integration.reads.get(part)
    pending = [(kind, "")] if kind is not None else []
    for current, prefix in pending:  # grows while it is walked
        for field in msgspec.structs.fields(current):
            inner, suffix = _inner(field.type)
            if inner is msgspec.Raw:
                inner = integration.nested.get(f"{current.__name__}.{field.encode_name}")
            path = f"{prefix}{field.encode_name}"
            yield path, _declaring(current, field.name)
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                pending.append((inner, f"{path}{suffix}."))


def _declaring(kind: Any, field: str) -> str:
    """The name of the type that declares the field: the version's own, or one that it extends."""
    declaring = (base for base in kind.__mro__ if field in vars(base).get("__annotations__", {}))
    found: type = next(declaring, kind)
    return found.__name__


def _inner(kind: Any) -> tuple[Any, str]:
    """The struct inside a type, and `[]` where it is a list's item."""
    origin = get_origin(kind)
    if origin is list:
        inner, suffix = _inner(get_args(kind)[0])
        return inner, f"[]{suffix}"
    for part in get_args(kind):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part, ""
    return kind, ""


def _fields(request: WireRequest) -> list[tuple[str, str]]:
    """What a request sends, as usage paths: `a[b][]` is `a.b[]`."""
    body = _body(request)
    query = parse_qsl(request.query, keep_blank_values=True)
    found = [(_dotted(name), value) for name, value in body]
    return found + [(f"query:{_dotted(name)}", value) for name, value in query]


def _body(request: WireRequest) -> list[tuple[str, str]]:
    if not dict(request.headers).get("content-type", "").startswith("application/json"):
        return parse_qsl(request.body.decode(), keep_blank_values=True)
    return list(_flat(msgspec.json.decode(request.body or b"{}"), ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, f"{path}[]")
    else:
        yield path, str(value)


def _dotted(name: str) -> str:
    return name.replace("[]", "\0").replace("[", ".").replace("]", "").replace("\0", "[]")


def _sent(integration: Integration, operation: Operation) -> set[str]:
    return {path for order in ORDERS for path, _ in _fields(integration.request(operation, order))}


def _values(integration: Integration, operation: Operation) -> dict[str, Words]:
    found: dict[str, dict[str, None]] = {}
    for order in ORDERS:
        for path, value in _fields(integration.request(operation, order)):
            last = path.rpartition(".")[2]
            if last in FREE or last.startswith(("tollkeeper_", "query:")) or value.isdigit():
                continue
            found.setdefault(path, {})[value] = None
    return {path: tuple(values) for path, values in found.items()}


def _lines(sources: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    """(class, field) to the place at which a module declares it: file, line and text."""
    found = {}
    for module, source in sorted(sources.items()):
        file = "/".join(module.split(".")[-2:]) + ".py"
        texts = source.decode().splitlines()
        for node in ast.parse(source).body:
            if not isinstance(node, ast.ClassDef):
                continue
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    text = texts[item.lineno - 1].strip()
                    found[node.name, item.target.id] = f"{file}:{item.lineno}: {text}"
    return found


def reader_through(integration: Integration) -> Reader:
    """The real code as a witness's reader: it fails where its outcome is `unknown`."""
    named = {_name(integration, operation): operation for operation in reversed(OPERATIONS)}

    def read(operation: str, reply: Any, location: Location = "response", /) -> dict[str, str]:
        wire = WireReply(
            status=REFUSED if location == "error" else 200,
            headers=(("content-type", "application/json"),),
            body=msgspec.json.encode(reply),
        )
        said = integration.outcome(named[operation], wire)
        if said.kind != "unknown":
            return {}
        doubt = said.doubt
        what = f"{doubt.detail} {doubt.pointer}".strip() if doubt is not None else ""
        return {"": f"{integration.name} answers unknown: {what}"}

    return read
