"""A provider's description: OpenAPI 3.0, 3.1 or Swagger 2, read lazily, where usage reaches.

A reference that leads nowhere is noted and taken for "anything"; it never raises.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec
import yaml

from tollkeeper.contracts.neighbors import Load, Neighbors, relative
from tollkeeper.contracts.servers import server_bases, swagger_bases
from tollkeeper.kernel.errors import Invalid, UnreadableText

Dialect = Literal["swagger2", "openapi3.0", "openapi3.1"]
BEGINNING: Final = 4_000
"""Bytes in which a description says what it is."""

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
MAX_HOPS: Final = 32
PARAMETER: Final = re.compile(r"\{[^}]*\}")
BOOLEAN: Final = re.compile(r"(?:true|True|TRUE|false|False|FALSE)$")


class Place(NamedTuple):
    """A value in the description and the JSON pointer at which it stands."""

    value: Any
    pointer: str

    def child(self, *names: str) -> "Place | None":
        """The member at `names`, without following references; `None` where there is none."""
        value, pointer = self.value, self.pointer
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                return None
            value, pointer = value[name], f"{pointer}/{escaped(name)}"
        return Place(value, pointer)


class Found(NamedTuple):
    """An operation: its place, its path as written, the place of the path's item, and the base
    paths of its servers, if any are named."""

    operation: Place
    path: str
    item: Place
    bases: tuple[str, ...] = ()

    def addresses(self) -> tuple[str, ...]:
        """The whole paths at which it answers; empty where no server is named."""
        return tuple(f"{base}{PARAMETER.sub('{}', self.path)}" for base in self.bases)


def escaped(name: str) -> str:
    """`name` as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class Description:
    """The parsed text. `dangling` collects the references that lead nowhere."""

    def __init__(
        self, document: Mapping[str, Any], load: Load | None = None, name: str = ""
    ) -> None:
        """`load` reads files beside the description, whose own name is `name`."""
        self.document = document
        self._neighbors = Neighbors(load, _parsed, name)
        self._lost: dict[str, tuple[str, str]] = {}
        self.dialect = _dialect(document)
        self.dangling: dict[str, str] = {}
        self._operations: dict[str, Found] | None = None
        self._schemas: dict[str, Place] = {}
        # Alternatives that were spread before, with what they were spread from, whose id is a key.
        self.spread: dict[tuple[int, str, bool], tuple[Any, tuple[Any, ...]]] = {}

    def resolve(self, place: Place, *, schema: bool = False) -> Place:
        """`place`, or what its chain of references leads to.

        What stands beside a reference counts in a `schema` alone (3.1 says so, and providers write
        it in 3.0); beside the reference to a reply or a parameter it is ignored.
        """
        for _ in range(MAX_HOPS):
            value = place.value
            if not isinstance(value, Mapping) or not isinstance(value.get("$ref"), str):
                return place
            target = self._target(value["$ref"])
            if target is None:
                self.dangling.setdefault(place.pointer, value["$ref"])
                return Place({}, place.pointer)
            place = _with_siblings(value, target, place) if schema else target
        self.dangling.setdefault(place.pointer, "a cycle of references")
        return Place({}, place.pointer)

    def _target(self, reference: str) -> Place | None:
        found = self._schemas.get(reference)
        if found is not None:
            return found
        name = relative(reference)
        fragment = reference.partition("#")[2]
        if name is None or (fragment and not fragment.startswith("/")):
            return None
        if not name or self._neighbors.is_own(name):
            place = Place(self.document, "")
        else:
            place = Place(self._neighbors.document(name), f"{name}#")
            if place.value is None:
                return None
        for token in fragment.split("/")[1:]:
            name = _unquoted(token).replace("~1", "/").replace("~0", "~")
            value = place.value
            if isinstance(value, list) and name.isdigit() and int(name) < len(value):
                place = Place(value[int(name)], f"{place.pointer}/{name}")
                continue
            child = place.child(name)
            if child is None:
                return None
            place = child
        self._schemas[reference] = place
        return place

    def find(self, operation: str, *, like: Found | None = None) -> Found | None:
        """The operation that a usage calls `POST /v1/things/{}` or `POST webhook:NAME`; where it is
        not, the one that answers at an address of `like`, the same operation in another text."""
        operation = operation if "webhook:" in operation else PARAMETER.sub("{}", operation)
        found = self._known().get(operation)
        if found is None and like is not None and "webhook:" not in operation:
            method = operation.partition(" ")[0]
            names = [f"{method} {address}" for address in like.addresses()]
            found = next((f for n in names if (f := self._known().get(n)) is not None), None)
        return found

    def lost(self, operation: str) -> bool:
        """Whether the operation may stand behind a path's reference that leads nowhere, which is
        noted as dangling then."""
        self._known()
        found = self._lost.get(operation.partition(" ")[2])
        if found is not None:
            self.dangling.setdefault(*found)
        return found is not None

    def operations(self) -> list[str]:
        """Every operation's name, as usages call them."""
        return sorted(self._known())

    def _known(self) -> dict[str, Found]:
        if self._operations is None:
            self._operations = self._index()
        return self._operations

    def _index(self) -> dict[str, Found]:
        root = Place(self.document, "")
        named: dict[str, Found] = {}
        based: dict[str, Found] = {}
        for path, item, method, operation in self._items(root.child("paths"), ""):
            bases = self._bases(operation, item)
            found = Found(operation, path, item, bases)
            name = PARAMETER.sub("{}", path)
            named[f"{method.upper()} {name}"] = found
            based |= {f"{method.upper()} {base}{name}": found for base in bases}
        for section in ("webhooks", "x-webhooks"):
            hooks = self._items(root.child(section), "webhook:")
            for path, item, method, operation in hooks:
                found = Found(operation, path, item)
                named[f"{method.upper()} webhook:{path.lstrip('/')}"] = found
        return based | named  # the path as written wins over one with a base path

    def _bases(self, operation: Place, item: Place) -> tuple[str, ...]:
        if self.dialect == "swagger2":
            return swagger_bases(self.document)
        return server_bases(operation.value, item.value, self.document)

    def _items(self, paths: Place | None, prefix: str) -> Iterator[tuple[str, Place, str, Place]]:
        if paths is None or not isinstance(paths.value, Mapping):
            return
        for path in paths.value:
            child = paths.child(path) if isinstance(path, str) else None
            if child is None:
                continue
            known = len(self.dangling)
            item = self.resolve(child)
            if len(self.dangling) > known:  # noted once usage asks for it
                name = path.lstrip("/") if prefix else PARAMETER.sub("{}", path)
                self._lost[f"{prefix}{name}"] = self.dangling.popitem()
            if not isinstance(item.value, Mapping):
                continue
            for method in METHODS:
                operation = item.child(method)
                if operation is not None and isinstance(operation.value, Mapping):
                    yield path, item, method, operation


def _dialect(document: Mapping[str, Any]) -> Dialect:
    if str(document.get("swagger", "")).startswith("2"):
        return "swagger2"
    return "openapi3.0" if str(document.get("openapi", "3.0")).startswith("3.0") else "openapi3.1"


def _with_siblings(value: Mapping[str, Any], target: Place, place: Place) -> Place:
    extra = {k: v for k, v in value.items() if k not in {"$ref", "description", "summary"}}
    if not extra or not isinstance(target.value, Mapping):
        return target
    return Place({"allOf": [{"$ref": value["$ref"]}], **extra}, place.pointer)


def _unquoted(token: str) -> str:
    if "%" not in token:
        return token
    from urllib.parse import unquote  # noqa: PLC0415 - seldom needed

    return unquote(token)


def read_description(text: bytes, load: Load | None = None, name: str = "") -> Description:
    """A description's text, JSON or YAML. Raises `Invalid` with the place of the mistake.

    `load` reads the files beside it that references name, and `name` is its own among them; without
    it such references lead nowhere.
    """
    try:
        document = _parsed(text)
    except Invalid as error:
        begins = text[:BEGINNING]
        if b"openapi" in begins or b"swagger" in begins:
            raise UnreadableText(error.detail) from error
        raise
    if not isinstance(document, Mapping):
        raise Invalid("the description is not an object")
    if not {"openapi", "swagger"} & set(document):
        raise Invalid("the description says neither `openapi` nor `swagger`")
    return Description(document, load, name)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as OpenAPI means it (1.2): `no` and `2022-11-15` are texts, as they are in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, BOOLEAN if tag.endswith(":bool") else pattern)
        for tag, pattern in resolvers
        if not tag.endswith(":timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if text.lstrip()[:1] in {b"{", b"["}:
            raise Invalid(f"the description is not JSON: {error}") from error
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"the description is neither JSON nor YAML: {error}") from error
