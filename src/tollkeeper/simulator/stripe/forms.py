"""Form-encoded parameters to nested values, in the provider's bracket notation.

`metadata[order]=7` is a hash, `expand[]=a&expand[]=b` and `expand[0]=a` are lists.
"""

from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qsl

from tollkeeper.simulator.stripe.problems import Problem, malformed

MAX_PARAMETERS: Final = 1000
MAX_DEPTH: Final = 8

Params = dict[str, Any]
"""Values are text, hashes of values, or lists of values."""


Pairs = list[tuple[str, str]]


def parse_form(sent: Pairs) -> Params:
    """Parameters from the pairs of a body or a query string; raises Problem (400) if malformed."""
    found: Params = {}
    for name, value in sent:
        if "[" in name:
            _place(found, name, value)
        else:
            found[name] = value
    return found


def pairs(text: str) -> Pairs:
    """Decoded (name, value) pairs in the order sent; raises Problem (400) if malformed."""
    if not text:
        return []
    try:
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise malformed("Invalid request: the parameters could not be decoded.") from None


def decode_body(body: bytes) -> str:
    """The body as text; raises Problem (400) if it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise malformed("Invalid request: the body is not valid UTF-8.") from None


def _place(found: Params, name: str, value: str) -> None:
    head, *inner = name.replace("]", "").split("[")
    if not head or len(inner) > MAX_DEPTH:
        raise malformed(f"Invalid parameter name: {name[:80]}")
    here: Any = found
    keys = [head, *inner]
    for key, following in pairwise(keys):
        here = _step(here, key, following, name)
    _put(here, keys[-1], value, name)


def _step(here: Any, key: str, following: str, name: str) -> Any:
    """Enter `here[key]`, made a list if what follows is an empty or numeric bracket."""
    fresh: Any = [] if following == "" or following.isdigit() else {}
    if isinstance(here, list):
        # Elements of a list that are hashes: a numeric bracket opens or continues one.
        index = int(key) if key.isascii() and key.isdigit() and len(key) < 4 else len(here)
        if index >= len(here):
            here.append(fresh)
        return _hash_or_list(here[min(index, len(here) - 1)], name)
    return _hash_or_list(here.setdefault(key, fresh), name)


def _put(here: Any, key: str, value: str, name: str) -> None:
    if isinstance(here, list):
        here.append(value)
    elif isinstance(here, dict):
        here[key] = value
    else:  # pragma: no cover - _hash_or_list has refused text already
        raise _conflict(name)


def _hash_or_list(value: Any, name: str) -> Any:
    if isinstance(value, str):
        raise _conflict(name)
    return value


def _conflict(name: str) -> Problem:
    return malformed(f"Invalid parameters: {name[:80]} is used both as a value and as a hash.")
