"""Files beside a description that its references name: by relative name, below its folder alone.

Nothing is ever asked of a network. What a neighbor refers to is rewritten to be relative to the
description, so that every reference means the same wherever it stands.
"""

import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from tollkeeper.kernel.errors import Invalid

type Load = Callable[[str], bytes | None]
"""A neighbor's text by its name relative to the description; `None` where there is none."""

MAX_NEIGHBORS: Final = 500
"""Files read for one description; a reference to one more leads nowhere."""


class Neighbors:
    """The files beside a description, each read once. `own` is the description's own name, which a
    neighbor may refer back to."""

    def __init__(self, load: Load | None, parse: Callable[[bytes], Any], own: str = "") -> None:
        self._load = load
        self._parse = parse
        self._own = own
        self._read: dict[str, Any] = {}

    def is_own(self, name: str) -> bool:
        """Whether `name` is the description itself."""
        return bool(self._own) and name == self._own

    def document(self, name: str) -> Any:
        """The parsed neighbor, its references rewritten; `None` where it cannot be had."""
        if name not in self._read:
            full = len(self._read) >= MAX_NEIGHBORS
            self._read[name] = None if full else self._parsed(name)
        return self._read[name]

    def _parsed(self, name: str) -> Any:
        text = self._load(name) if self._load is not None else None
        if text is None:
            return None
        try:
            document = self._parse(text)
        except Invalid:
            return None
        _rewrite(document, name)
        return document


def relative(reference: str, base: str = "") -> str | None:
    """The file of a reference that stands in `base`, relative to the description: `""` where the
    reference stays in the description, `None` where it is not below the description's folder."""
    file = unquote(reference.partition("#")[0])
    if not file:
        return base
    if "://" in file or "\\" in file or "\0" in file or file.startswith("/"):
        return None
    name = posixpath.normpath(posixpath.join(posixpath.dirname(base), file))
    return None if name.startswith("..") or name == "." else name


def _rewrite(document: Any, name: str) -> None:
    """Makes each reference in a neighbor relative to the description."""
    ahead = [document]
    while ahead:
        item = ahead.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            if isinstance(reference, str):
                file = relative(reference, name)
                if file is not None:
                    item["$ref"] = f"{file.replace('%', '%25')}#{reference.partition('#')[2]}"
        ahead += [i for i in _inner(item) if isinstance(i, (dict, list))]


def _inner(item: Any) -> Any:
    return item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ()
