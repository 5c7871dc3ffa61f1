"""Freezing: what a version's source and behavior were when it was released, as two digests.

Law: a frozen version never changes by a byte, nor does any module that it imports below
`integrations/`; a fix is a new revision. The digest is over the source of that whole closure. The
golden bytes are what the version sends for fixed inputs and understands of fixed replies, so that a
change of a library shows as well. The protocol (`version`) is no part of the closure: it holds
values and no behavior.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tollkeeper.integrations.version import (
    Delivery,
    Integration,
    OperationInput,
    Samples,
    SignatureRefused,
)
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.outcome import OPERATIONS

BELOW: Final = "tollkeeper.integrations."
PROTOCOL: Final = f"{BELOW}version"
MODULE: Final = re.compile(r"tollkeeper\.integrations\.[a-z_0-9]+\.[a-z_]*\d[a-z_0-9]*")
"""Modules that a version may import carry a number: dialects, parts, and versions themselves."""

NOW_S: Final = 1_700_000_000
SECRET: Final = "whsec_golden"  # noqa: S105 - of golden webhooks alone

_PLAIN: Final = OperationInput(
    payment_id="pay_golden",
    attempt_id="att_golden",
    amount_minor=1_234,
    currency="EUR",
    payment_method="pm_golden",
    provider_id="pi_golden",
    created_from_s=NOW_S,
    created_to_s=NOW_S + 60,
)
ORDERS: Final[Mapping[str, OperationInput]] = {
    "plain": _PLAIN,
    "full": msgspec.structs.replace(
        _PLAIN,
        amount_minor=500,
        currency="JPY",
        capture_method="manual",
        multicapture=True,
        final=False,
        return_url="https://shop.example/back?a=1&b=ü",
        description="two words, äöü & more",
        reason="requested_by_customer",
        cursor="pi_before",
    ),
    "odd id": msgspec.structs.replace(_PLAIN, provider_id="pi/../x y", reason="no such reason"),
}
"""What every version is asked to send, each operation for each of these."""


class Frozen(msgspec.Struct, frozen=True):
    """One released version: SHA-256 of its closure and of its golden bytes, both in hex, and the
    day (ISO 8601)."""

    digest: str
    golden_digest: str
    frozen_on: str


type Registry = dict[str, Frozen]


def closure(module: str, read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The sources of `module` and of every module that it imports below `integrations/`, but the
    protocol, by name. `read` gives the source of a module."""
    found: dict[str, bytes] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found[name] = read(name)
        pending += sorted(imported(found[name]))
    return found


def imported(source: bytes) -> set[str]:
    """The modules below `integrations/` that a source imports, but the protocol."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    below = {name for name in names if name.startswith(BELOW)}
    return {name for name in below if MODULE.fullmatch(name) and name != PROTOCOL}


def golden(integration: Integration, samples: Samples | None) -> bytes:
    """All that `integration` does with the fixed inputs, replies and webhooks, as JSON that is the
    same on every machine. Raises `Misconfigured` for a provider without samples."""
    if samples is None:
        raise Misconfigured(
            f"no golden samples for provider {integration.provider!r}: add a golden.py beside its "
            "versions, and enter it in integrations/catalogue.py"
        )
    document = {
        "name": integration.name,
        "declares": {
            "base_url": integration.base_url,
            "capabilities": integration.capabilities,
            "handles": sorted(integration.handles),
            "credentials": integration.credentials(
                {name: f"{name}_golden" for name in integration.capabilities.secrets}
            ),
        },
        "requests": {
            f"{operation} {name}": _shown(integration.request(operation, order))
            for operation in OPERATIONS
            for name, order in ORDERS.items()
        },
        "outcomes": {
            f"{operation} {name}": integration.outcome(operation, reply)
            for operation in OPERATIONS
            for name, reply in samples.replies.items()
        },
        "events": {name: _events(integration, body) for name, body in samples.events.items()},
    }
    encoded = msgspec.json.encode(_told(document), order="deterministic")
    return msgspec.json.format(encoded, indent=1)


def _told(value: Any) -> Any:
    """`value` without the fields that have their default, so that a field that the protocol learns
    later changes no golden bytes."""
    match value:
        case msgspec.Struct():
            fields = msgspec.structs.fields(value)
            said = {f.name: getattr(value, f.name) for f in fields}
            plain = {f.name: f.default for f in fields}
            return {name: _told(v) for name, v in said.items() if v != plain[name]}
        case Mapping():
            return {str(key): _told(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(value)
        case list() | tuple():
            return [_told(item) for item in value]
        case _:
            return value


def _shown(request: Any) -> dict[str, Any]:
    return {**msgspec.structs.asdict(request), "body": request.body.decode("utf-8", "replace")}


def _events(integration: Integration, body: bytes) -> Any:
    headers = integration.signed(body, SECRET, NOW_S * 1000) if integration.signed else {}
    delivery = Delivery(body=body, headers=headers, secrets=(SECRET,), now_ms=NOW_S * 1000)
    try:
        return integration.events(delivery)
    except SignatureRefused:
        return "refused"


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def closure_digest(sources: Mapping[str, bytes]) -> str:
    """SHA-256 in hex over the modules of a closure, in order of their names."""
    lines = (f"{name} {digest(source)}" for name, source in sorted(sources.items()))
    return digest("\n".join(lines).encode())


def read_registry(text: bytes) -> Registry:
    """The registry from the text of `frozen.json`; empty text is an empty registry."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Frozen])
    except msgspec.MsgspecError as error:
        raise Misconfigured(f"frozen.json cannot be read: {error}") from error


def entered(
    registry: Registry,
    integration: Integration,
    sources: Mapping[str, bytes],
    samples: Samples | None,
    day: str,
) -> bytes:
    """The text of the registry with `integration` frozen on `day`. Freezing it again changes
    nothing; raises `Misconfigured` where it was frozen otherwise."""
    problems = broken(registry, integration, sources, samples)
    if problems:
        raise Misconfigured("; ".join(problems))
    fresh = Frozen(closure_digest(sources), digest(golden(integration, samples)), day)
    everything = {integration.name: fresh} | registry
    text = msgspec.json.encode(everything, order="deterministic")
    return msgspec.json.format(text, indent=2) + b"\n"


def broken(
    registry: Registry,
    integration: Integration,
    sources: Mapping[str, bytes],
    samples: Samples | None,
) -> list[str]:
    """What has changed about `integration` since it was frozen; nothing for one that was not."""
    known = registry.get(integration.name)
    if known is None:
        return []
    found = []
    if closure_digest(sources) != known.digest:
        found.append(f"{integration.name} was frozen on {known.frozen_on}: its source has changed")
    if digest(golden(integration, samples)) != known.golden_digest:
        found.append(f"{integration.name} was frozen on {known.frozen_on}: it behaves otherwise")
    return found
