"""A scenario file: what is broken, when, how badly, and the truth that a verdict must find.

Law: reading a file touches nothing. Whatever stands in it, the answer is a `Scenario` or one error
that names the place; the truth is used by the score alone, and no service can read it.
"""

import difflib
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.signals.weights import DOMAINS

Seconds = Annotated[float, Meta(ge=0, le=3_600)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Primitive(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What every primitive has. Seconds count from the beginning of the fault; without
    `end_seconds` it lasts as long as the scenario's fault. `severity` is the share that is hit."""

    start_seconds: Seconds = 0.0
    end_seconds: Seconds | None = None
    severity: Share = 1.0


class Provider(Primitive, frozen=True, kw_only=True, tag="provider"):
    """A fault of the simulated provider: `rule` as in the simulator's reference page, whose
    `probability` is the severity, or `settings` of the simulator. Webhooks: the operation
    `webhooks.deliver`, or an effect that begins with `webhook_`."""

    rule: dict[str, Any] = {}
    settings: dict[str, int | float | bool] = {}


class Issuer(Primitive, frozen=True, kw_only=True, tag="issuer"):
    """Banks or networks that decline more: a share of `severity` of all cards, or of one `brand`,
    which then does not answer."""

    word: Name = "do_not_honor"
    brand: str = ""


class Traffic(Primitive, frozen=True, kw_only=True, tag="traffic"):
    """Shoppers of another kind: `surge` and `quiet` multiply the usual rate by `factor`;
    `card_testing` adds `rate` attempts a second with small amounts and wrong numbers of a few
    customers; `bad_account` adds `rate` requests of one account that the provider refuses;
    `mistyping` lets a share of `severity` of shoppers mistype."""

    shape: Literal["surge", "quiet", "card_testing", "bad_account", "mistyping"]
    factor: Annotated[float, Meta(ge=0, le=50)] = 5.0
    rate: Annotated[float, Meta(ge=0, le=200)] = 10.0


class Tcp(Primitive, frozen=True, kw_only=True, tag="tcp"):
    """The network between us and a peer: `refuse` and `blackhole` connections, `delay` bytes by
    `seconds`, `reset` connections, `cut` replies after `bytes`; `loss` delays bytes as lost packets
    do. `peer`: the provider, or `all` with the anchor. `replica`: the one host that is struck,
    counted from 0; without it, all."""

    effect: Literal["refuse", "blackhole", "delay", "reset", "cut", "loss"]
    seconds: Seconds = 1.0
    bytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 40
    peer: Literal["provider", "anchor", "all"] = "provider"
    replica: Annotated[int, Meta(ge=0, le=2)] | None = None


class Dns(Primitive, frozen=True, kw_only=True, tag="dns"):
    """The resolver: no answer, no such name, or a `wrong` address; for one name or for all."""

    effect: Literal["timeout", "nxdomain", "wrong"]
    peer: Literal["provider", "anchor", "all"] = "all"


class Tls(Primitive, frozen=True, kw_only=True, tag="tls"):
    """Certificates: of a peer `expired` or `untrusted`; `our_trust` is broken; needs `tls = true`
    in the world."""

    effect: Literal["expired", "untrusted", "our_trust"]
    peer: Literal["provider", "anchor", "all"] = "provider"


class Service(Primitive, frozen=True, kw_only=True, tag="service"):
    """Our own service: `settings` that are changed, dotted names as in the settings file, with a
    restart; a `deploy` of a version that fails, or `file`, which defines `INTEGRATION` as the new
    code of `version`; the event loop blocked for `stall_seconds` again
    and again; a limit of file `descriptors`; the clock set off by `clock_seconds`. `announced`:
    whether the change is in our own audit."""

    settings: dict[str, Any] = {}
    deploy: Literal["", "raises", "wrong_field", "asks_again", "leaks"] = ""
    version: str = ""
    file: str = ""
    stall_seconds: Seconds = 0.0
    descriptors: Annotated[int, Meta(ge=0, le=65_536)] = 0
    clock_seconds: Annotated[float, Meta(ge=-86_400, le=86_400)] = 0.0
    announced: bool = True


class Store(Primitive, frozen=True, kw_only=True, tag="store"):
    """The database: `stopped`, `locked` by another session, `slow` by `seconds` a statement, or
    without room on its `disk`."""

    effect: Literal["stopped", "locked", "slow", "disk"]
    seconds: Seconds = 1.0


class ChangeNow(Primitive, frozen=True, kw_only=True, tag="change"):
    """An innocent change that is announced: a deploy, a setting, a maintenance, an entry of a
    status page."""

    what: Literal["deploy", "settings", "migration", "infrastructure", "status_feed", "announced"]
    text: Name = "an innocent change"
    integration: str = ""


type AnyPrimitive = (
    Provider | Issuer | Traffic | Tcp | Dns | Tls | Service | Store | ChangeNow
)  # fmt: skip

KINDS: Final[dict[str, type[Primitive]]] = {
    "provider": Provider, "issuer": Issuer, "traffic": Traffic, "tcp": Tcp, "dns": Dns, "tls": Tls,
    "service": Service, "store": Store, "change": ChangeNow,
}  # fmt: skip
"""Every kind of primitive."""


class Truth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is so. `domain` is one of verdicts, `none` where nothing is wrong; `slice` by dimension;
    `pointer` where a reply changed; `also`: the domain of a second fault at the same time."""

    domain: Name
    slice: dict[str, str] = {}
    pointer: str = ""
    also: str = ""


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The world before the fault. `rate`: shoppers a second. `weights`: of versions, in percent.
    `store`: sqlite or postgresql. `replicas` of the service, several on postgresql alone. `tls`:
    the provider speaks TLS and has a name in the test's own DNS, which `dns` primitives need as
    well."""

    rate: Annotated[float, Meta(gt=0, le=100)] = 2.0
    warmup_seconds: Annotated[float, Meta(ge=5, le=1_800)] = 45.0
    fault_seconds: Annotated[float, Meta(ge=5, le=1_800)] = 60.0
    weights: dict[str, float] = {}
    store: Literal["sqlite", "postgresql"] = "sqlite"
    replicas: Annotated[int, Meta(ge=1, le=3)] = 1
    tls: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file. `expect`: a `verdict`, or `silence` where nothing may page."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,40}$")]
    title: Name
    truth: Truth
    fault: tuple[AnyPrimitive, ...] = ()
    world: World = World()
    expect: Literal["verdict", "silence"] = "verdict"


MOST_BYTES: Final = 100_000
MOST_FAULTS: Final = 20


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises `Invalid` with the place and what would be right."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror or error}") from None
    found = parse(body, str(path))
    return replace(found, fault=tuple(_beside(path, one) for one in found.fault))


def _beside(path: Path, one: AnyPrimitive) -> AnyPrimitive:
    """A primitive whose file is named from the folder of the scenario."""
    if isinstance(one, Service) and one.file:
        return replace(one, file=str((path.parent / one.file).absolute()))
    return one


def parse(body: bytes, name: str = "scenario") -> Scenario:
    """The scenario in the text of a file; `name` is for errors."""
    if len(body) > MOST_BYTES:
        raise Invalid(f"{name}: a scenario has at most {MOST_BYTES} bytes")
    try:
        document = tomllib.loads(body.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise Invalid(f"{name}: no TOML: {error}") from None
    try:
        found = msgspec.convert(document, Scenario)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"{name}: {_helped(str(error), document)}") from None
    faults = tuple(_faults(found))
    if faults:
        raise Invalid(f"{name}: {faults[0].detail}", faults=faults)
    return found


def _helped(said: str, document: dict[str, Any]) -> str:
    """An error of the reader with the nearest kind of primitive, where that is what is wrong."""
    faults = document.get("fault")
    for fault in faults if isinstance(faults, list) else []:
        kind = fault.get("kind") if isinstance(fault, dict) else None
        if isinstance(kind, str) and kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(KINDS)}"
            return f"no primitive {kind[:40]!r}{hint}"
    return said


def _faults(found: Scenario) -> list[Fault]:
    faults = []
    truth = found.truth
    for pointer, domain in (("/truth/domain", truth.domain), ("/truth/also", truth.also)):
        if domain and domain not in (*DOMAINS, "none"):
            near = difflib.get_close_matches(domain, DOMAINS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; one of {', '.join(DOMAINS)}"
            faults.append(Fault(pointer, f"{domain[:40]!r} is no domain{hint}"))
    if found.expect == "verdict" and truth.domain == "none":
        faults.append(Fault("/truth/domain", "a scenario without a fault expects silence"))
    if len(found.fault) > MOST_FAULTS:
        faults.append(Fault("/fault", f"at most {MOST_FAULTS} primitives"))
    if found.world.replicas > 1 and found.world.store == "sqlite":
        faults.append(Fault("/world/replicas", "several replicas need postgresql"))
    for number, one in enumerate(found.fault):
        faults += [Fault(f"/fault/{number}", said) for said in _wrong(one, found.world)]
    return faults


def _wrong(one: AnyPrimitive, world: World) -> list[str]:
    said = []
    if one.end_seconds is not None and one.end_seconds <= one.start_seconds:
        said.append("end_seconds must be after start_seconds")
    if isinstance(one, Provider) and bool(one.rule) == bool(one.settings):
        said.append("a provider primitive has a rule or settings, one of them")
    if isinstance(one, Dns | Tls) and not world.tls:
        said.append("dns and tls primitives need `tls = true` in [world]")
    if isinstance(one, Store) and one.effect != "locked" and world.store == "sqlite":
        said.append(f"the store is {one.effect} on postgresql alone")
    if isinstance(one, Tcp) and one.replica is not None and one.replica >= world.replicas:
        said.append(f"there is no replica {one.replica}: the world has {world.replicas}")
    if isinstance(one, Service) and (one.deploy or one.file) and not one.version:
        said.append("a deploy names the version that it changes")
    if not all(math.isfinite(value) for value in (one.start_seconds, one.severity)):
        said.append("numbers must be finite")
    return said
