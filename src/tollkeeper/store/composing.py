"""Composing a batch into one PostgreSQL statement, so that a change is one round trip.

Each part becomes a data-modifying WITH query; the main query counts what they changed and divides
by the counts that must not be zero, so that the whole undoes itself where one is. A statement alone
is a transaction, so BEGIN and COMMIT fall away. Measured: `./dev bench store`.
"""

import re
from typing import Any, Final

from tollkeeper.store.statements import Batch

MAX_COMPOSED: Final = 40
"""Parts of one statement: an ordinary change has under ten; PostgreSQL allows 65,535 parameters."""

MAX_SHAPES: Final = 500
"""Texts that are kept. There are as many shapes as there are combinations of parts."""

_PARAMETER: Final = re.compile(r"\$(\d+)")
_TEXTS: Final[dict[tuple[Any, ...], str]] = {}


def composed(batch: Batch) -> tuple[str, tuple[Any, ...]]:
    """The text and the parameters of the one statement that does all of `batch`; its one row holds
    the count of each part. Division by zero means that a required part changed nothing."""
    parameters: list[Any] = []
    texts: list[tuple[str, int]] = []
    for statement, values in batch.items:
        text, mine = statement.sql("postgresql", values)
        texts.append((text, len(parameters)))
        parameters += mine
    shape = (batch.required, *(statement for statement, _ in batch.items))
    known = _TEXTS.get(shape)
    if known is None:
        known = _compose(texts, batch.required)
        if len(_TEXTS) < MAX_SHAPES:
            _TEXTS[shape] = known
    return known, tuple(parameters)


def _compose(texts: list[tuple[str, int]], required: int) -> str:
    parts = ", ".join(
        f"part{n} AS ({_renumbered(text, offset)} RETURNING 1)"
        for n, (text, offset) in enumerate(texts)
    )
    counts = ", ".join(
        f"1 / (SELECT count(*) FROM part{n})" if n < required else f"(SELECT count(*) FROM part{n})"
        for n in range(len(texts))
    )
    return f"WITH {parts} SELECT {counts}"


def _renumbered(text: str, offset: int) -> str:
    """`text` with its `$1` ... counted from `offset`. Our texts hold no other dollar sign."""
    return _PARAMETER.sub(lambda match: f"${int(match[1]) + offset}", text)
