"""TOML that an operator wrote, as one of our values; what is wrong is said with its place."""

import tomllib

import msgspec

from tollkeeper.kernel.errors import Fault, Invalid

LONGEST = 1_000_000
"""Bytes of a file."""


def read_toml[T](text: bytes, kind: type[T], what: str) -> T:
    """A `kind` from TOML; `what` names it in the errors. Raises `Invalid`."""
    if len(text) > LONGEST:
        raise Invalid(f"{what} has at most {LONGEST} bytes")
    try:
        return msgspec.convert(tomllib.loads(text.decode("utf-8")), kind)
    except UnicodeDecodeError:
        raise Invalid(f"{what} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Invalid(f"{what} is no TOML: {error}") from None
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        pointer = "/" + place.rstrip("`").replace("[...]", "/*").replace(".", "/").lstrip("/")
        raise Invalid(f"{what}: {said}", faults=(Fault(pointer, said),)) from None
