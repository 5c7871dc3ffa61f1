"""Reading foreign bytes: what is refused before anything is decided on it.

Law: frozen versions import this file. It never changes by a byte; a change is `reading_2`.
"""


def storable(body: bytes) -> bytes:
    """`body`, unless some string of it may hold a NUL character, which no text of PostgreSQL can:
    raises ValueError, so that it is unknown before anything is decided on it."""
    if b"\\u0000" in body or b"\0" in body:
        raise ValueError("a NUL character in the body")
    return body


def pointer(message: str) -> str:
    """The JSON pointer that msgspec's message names: `... - at `$.a[...].b`` gives /a/-/b."""
    path = message.rpartition("`$")[2].rstrip("`") if "`$" in message else ""
    return path.replace("[...]", "/-").replace(".", "/")
