"""One call, as a handler sees it: who asks, for what, with which key; all of it checked."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tollkeeper.api.access import owner_of
from tollkeeper.api.checking import checked, nothing_more, unknown_name
from tollkeeper.api.incoming import decode_object, refuse_cards
from tollkeeper.flows.payments.answers import Key
from tollkeeper.flows.ports import ApiKey
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Fault, Invalid, Malformed, NotFound
from tollkeeper.kernel.ids import ALPHABET, BODY_LENGTH, is_id

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 20
NEWEST: Final = ALPHABET[-1] * BODY_LENGTH
"""The body of an id that no id comes after."""

_canonical: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that was let in. `key` is `None` where the route asks for none; `idempotency_key`
    is set where the route moves money."""

    runtime: Runtime
    request_id: str
    method: str
    template: str
    path: dict[str, str]
    query: dict[str, str]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    key: ApiKey | None = None
    idempotency_key: str = ""

    @property
    def account(self) -> str:
        """The account that the key opens."""
        assert self.key is not None, f"{self.template} asks for a key"
        return self.key.account

    @property
    def owner(self) -> str | None:
        """The account that the key is confined to; `None` where it reaches every account."""
        assert self.key is not None, f"{self.template} asks for a key"
        return owner_of(self.key)

    def id(self, name: str, prefix: str) -> str:
        """The path's id, which must look like one."""
        given = self.path[name]
        if not is_id(given, prefix):
            refuse_cards(given, name)
            raise NotFound(f"no such {name.removesuffix('_id')}: an id begins with {prefix}_")
        return given

    def asked[T](
        self,
        kind: type[T],
        meaning: Callable[[T], list[Fault]] = nothing_more,
        *,
        optional: bool = False,
    ) -> tuple[T, dict[str, Any]]:
        """The body as a `kind`, and as it was sent. `optional`: an empty body means `{}`."""
        if not self.body and not optional:
            raise Malformed("the body is empty; send a JSON object")
        raw = decode_object(self.body) if self.body else {}
        return checked(kind, raw, meaning), raw

    def intent(self, raw: dict[str, Any]) -> Key:
        """The idempotency key with what it is bound to: method, path, ids, account and the body's
        values, whatever their order and spacing."""
        assert self.key is not None, f"{self.template} asks for a key"
        bound = _canonical([self.method, self.template, self.path, self.key.account, raw])
        return Key(
            account=self.key.account,
            key=self.idempotency_key,
            fingerprint=hashlib.sha256(bound).hexdigest(),
            actor=self.key.id,
        )

    def only(self, known: Collection[str]) -> None:
        """Raises `Invalid` where the query has a parameter that is not `known`."""
        faults = [
            Fault(name[:64], unknown_name(name, known, "parameter"))
            for name in self.query
            if name not in known
        ]
        if faults:
            raise Invalid(f"{faults[0].pointer}: {faults[0].detail}", faults=tuple(faults))

    def limit(self) -> int:
        """How many entries a page may have."""
        given = self.query.get("limit")
        if given is None:
            return DEFAULT_LIMIT
        if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MAX_LIMIT:
            raise bad_parameter("limit", f"an integer from 1 to {MAX_LIMIT}")
        return int(given)


def bad_parameter(name: str, detail: str) -> Invalid:
    """`Invalid` for one query parameter."""
    return Invalid(f"{name}: {detail}", faults=(Fault(name, detail),))
