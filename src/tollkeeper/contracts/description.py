"""A provider's description: OpenAPI 3.0, 3.1 or Swagger 2, read lazily, where usage reaches.

A reference that leads nowhere is noted and taken for "anything"; it never raises.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec
import yaml

from tollkeeper.kernel.errors import Invalid

Dialect = Literal["swagger2", "openapi3.0", "openapi3.1"]
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
    """An operation: its place, its path as written, and the place of the path's item."""

    operation: Place
    path: str
    item: Place


def escaped(name: str) -> str:
    """`name` as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class Description:
    """The parsed text. `dangling` collects the references that lead nowhere."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.dialect = _dialect(document)
        self.dangling: dict[str, str] = {}
        self._operations: dict[str, Found] | None = None
        self._schemas: dict[str, Place] = {}

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
        if not reference.startswith("#"):
            return None
        place = Place(self.document, "")
        for token in reference[1:].split("/")[1:]:
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

    def find(self, operation: str) -> Found | None:
        """The operation that a usage calls `POST /v1/things/{}` or `POST webhook:NAME`."""
        if self._operations is None:
            self._operations = dict(self._index())
        return self._operations.get(operation)

    def operations(self) -> list[str]:
        """Every operation's name, as usages call them."""
        if self._operations is None:
            self._operations = dict(self._index())
        return sorted(self._operations)

    def _index(self) -> Iterator[tuple[str, Found]]:
        root = Place(self.document, "")
        prefixes = self._prefixes()
        paths = root.child("paths") or Place({}, "/paths")
        for path, item, method, operation in self._items(paths):
            name = PARAMETER.sub("{}", path)
            for prefix in (*prefixes, ""):  # the path as written wins over one with a prefix
                yield f"{method.upper()} {prefix}{name}", Found(operation, path, item)
        for section in ("webhooks", "x-webhooks"):
            hooks = root.child(section) or Place({}, f"/{section}")
            for path, item, method, operation in self._items(hooks):
                found = Found(operation, path, item)
                yield f"{method.upper()} webhook:{path.lstrip('/')}", found

    def _items(self, paths: Place) -> Iterator[tuple[str, Place, str, Place]]:
        if not isinstance(paths.value, Mapping):
            return
        for path in paths.value:
            if not isinstance(path, str):
                continue
            child = paths.child(path)
            item = self.resolve(child) if child is not None else None
            if item is None or not isinstance(item.value, Mapping):
                continue
            for method in METHODS:
                operation = item.child(method)
                if operation is not None and isinstance(operation.value, Mapping):
                    yield path, item, method, operation

    def _prefixes(self) -> list[str]:
        """Path prefixes that `servers` or `basePath` add to every path."""
        if self.dialect == "swagger2":
            base = self.document.get("basePath")
            return [base.rstrip("/")] if isinstance(base, str) and base.strip("/") else []
        found = []
        servers = self.document.get("servers")
        for server in servers if isinstance(servers, list) else ():
            url = server.get("url") if isinstance(server, Mapping) else None
            if not isinstance(url, str):
                continue
            path = "/" + url.partition("://")[2].partition("/")[2] if "://" in url else url
            if path.strip("/"):
                found.append(path.rstrip("/"))
        return sorted(set(found))


def _dialect(document: Mapping[str, Any]) -> Dialect:
    if str(document.get("swagger", "")).startswith("2"):
        return "swagger2"
    return "openapi3.1" if str(document.get("openapi", "")).startswith("3.1") else "openapi3.0"


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


def read_description(text: bytes) -> Description:
    """A description's text, JSON or YAML. Raises `Invalid` with the place of the mistake."""
    document = _parsed(text)
    if not isinstance(document, Mapping):
        raise Invalid("the description is not an object")
    if not {"openapi", "swagger"} & set(document):
        raise Invalid("the description says neither `openapi` nor `swagger`")
    return Description(document)


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
