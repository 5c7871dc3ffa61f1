"""Edits of a reply's JSON, by path: what a provider's unannounced change does to a document.

A path is dotted; `[]` after a member means each element: `charges.data[].amount`. A leading `$.`
is allowed.
"""

from collections.abc import Callable, Iterator
from typing import Any

Json = Any
Edit = Callable[[dict[str, Json], str], None]
"""Edits member `name` of the holder; the member exists."""


def holders(document: Json, path: str) -> Iterator[tuple[dict[str, Json], str]]:
    """Each (object, member name) that the path reaches and that exists."""
    *way, last = path.removeprefix("$.").split(".")
    last = last.removesuffix("[]")
    for holder in _walk([document], way):
        if isinstance(holder, dict) and last in holder:
            yield holder, last


def _walk(found: list[Json], way: list[str]) -> list[Json]:
    for step in way:
        name, each = step.removesuffix("[]"), step.endswith("[]")
        reached = [value[name] for value in found if isinstance(value, dict) and name in value]
        found = (
            [item for value in reached if isinstance(value, list) for item in value]
            if each
            else reached
        )
    return found


def objects(document: Json, kind: str) -> Iterator[dict[str, Json]]:
    """Every object of the wire type `kind` (empty: of any) anywhere, outermost first."""
    if isinstance(document, dict):
        if "object" in document and kind in ("", document["object"]):
            yield document
        for value in list(document.values()):
            yield from objects(value, kind)
    elif isinstance(document, list):
        for item in document:
            yield from objects(item, kind)


def rename(new_name: str) -> Edit:
    """Renames the member and keeps the order of the members."""

    def edit(holder: dict[str, Json], name: str) -> None:
        renamed = {new_name if key == name else key: value for key, value in holder.items()}
        holder.clear()
        holder.update(renamed)

    return edit


def remove(holder: dict[str, Json], name: str) -> None:
    del holder[name]


def assign(value: Json) -> Edit:
    def edit(holder: dict[str, Json], name: str) -> None:
        holder[name] = value

    return edit


def retype(holder: dict[str, Json], name: str) -> None:
    """Numbers become text, text becomes a list, everything else becomes text."""
    value = holder[name]
    if isinstance(value, str):
        holder[name] = [value]
    elif isinstance(value, bool) or not isinstance(value, int | float):
        holder[name] = str(value).lower()
    else:
        holder[name] = str(value)


def scale(factor: float) -> Edit:
    """Multiplies a number: minor units told as major units, or the reverse."""

    def edit(holder: dict[str, Json], name: str) -> None:
        value = holder[name]
        if isinstance(value, int | float) and not isinstance(value, bool):
            product = value * factor
            holder[name] = int(product) if product == int(product) else product

    return edit
