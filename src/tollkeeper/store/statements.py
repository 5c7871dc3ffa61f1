"""SQL for both databases: said once as text, and run on the raw driver.

A statement names its parameters with a colon (`:payment_id`). SQLite and PostgreSQL get the same
text but for the marks of parameters; the few statements that differ say the second text beside the
first. Where nothing tells PostgreSQL a parameter's type, the text casts it.
Measured: executing through SQLAlchemy's engine costs 3x (PostgreSQL) to 25x (SQLite) the CPU of
the raw driver.
"""

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from sqlalchemy import Table

type Row = tuple[Any, ...]
type Result = list[Row]
type Values = Mapping[str, Any]
type Item = tuple["Statement", Values]
type Operation[T] = Generator[Item | "Batch", Any, T]
"""One store operation, written once: it yields statements and their values, receives rows, and
returns its result. Each driver runs it as one atomic unit. A statement without RETURNING gives the
number of rows it changed as `[(count,)]`; a `Batch` gives the list of its statements' counts."""

_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]+)")


class Batch:
    """Statements that are independent: none reads what another writes, none has RETURNING.

    The first `required` of them must each change a row: at one that does not a driver stops, and
    the operation, which sees the counts so far, undoes everything by `Rollback`. Where each does,
    the operation ends without another statement, so that a driver may send all in one round trip
    and commit them with it.
    """

    __slots__ = ("items", "required")

    def __init__(self, items: list[Item], *, required: int) -> None:
        self.items = items
        self.required = required


class Rollback[T](Exception):
    """Raised inside an operation: undo all it did, and answer with `result`."""

    def __init__(self, result: T) -> None:
        super().__init__()
        self.result = result


class Statement:
    """SQL for both dialects with the order of its parameters. `returns`: whether it gives rows."""

    __slots__ = ("_texts", "name", "returns")

    def __init__(self, name: str, sqlite: str, postgresql: str) -> None:
        self.name = name
        self.returns = sqlite.startswith("SELECT") or " RETURNING " in sqlite
        self._texts = {
            "sqlite": _positional(sqlite, "?"),
            "postgresql": _positional(postgresql, "$"),
        }

    def sql(self, dialect: str, values: Values) -> tuple[str, tuple[Any, ...]]:
        """The text and the positional parameters for `dialect` (`sqlite` or `postgresql`)."""
        text, order = self._texts[dialect]
        return text, tuple([values[name] for name in order])


def sql(name: str, text: str, *, postgresql: str = "") -> Statement:
    """The statement called `name`; `postgresql` is its text there, where it is another one."""
    plain = " ".join(text.split())
    return Statement(name, plain, " ".join(postgresql.split()) or plain)


def insert_into(table: Table, name: str, *, conflict: str = "") -> Statement:
    """INSERT of every column of `table`. `conflict`: `nothing`, or `update` of all but the primary
    key."""
    columns = [column.name for column in table.c]
    keys = [column.name for column in table.primary_key]
    text = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
    if conflict == "nothing":
        text += f" ON CONFLICT ({', '.join(keys)}) DO NOTHING"
    elif conflict == "update":
        rest = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in keys)
        text += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {rest}"
    return sql(name, text)


def columns_of(table: Table) -> str:
    """The columns of `table`, in its order, as a list for SELECT."""
    return ", ".join(column.name for column in table.c)


def _positional(text: str, mark: str) -> tuple[str, tuple[str, ...]]:
    """The text with positional parameters, and the names in their order."""
    order = [match[1] for match in _PARAMETER.finditer(text)]
    if mark == "?":
        return _PARAMETER.sub("?", text), tuple(order)
    places = iter(range(1, len(order) + 1))
    return _PARAMETER.sub(lambda _: f"${next(places)}", text), tuple(order)
