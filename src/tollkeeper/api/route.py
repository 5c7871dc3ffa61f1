"""One row of the table of routes: an operation of the API, who may ask for it, what it gives."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from tollkeeper.api.access import Reach, Resource
from tollkeeper.api.admission import Pot
from tollkeeper.api.answers import Answer
from tollkeeper.api.calls import Call
from tollkeeper.flows.operations.keys import Role

type Handler = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `resource`: what it acts on; `role`: the weakest that may, `None` for no key
    at all; `reach`: whose things it may touch; `money`: needs an idempotency key; `body`: what is
    sent, `signed` marks a provider's own bytes, `form` what a page's form sends; `gives`: what
    comes back with each of `statuses`, but for those in `also`; `gives_file`: the media type where
    it is a file."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    summary: str
    resource: Resource
    role: Role | None
    reach: Reach = "own"
    gives: type[msgspec.Struct] | None
    statuses: tuple[int, ...] = (200,)
    also: Mapping[int, type[msgspec.Struct]] = {}
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    signed: bool = False
    form: bool = False
    money: bool = False
    query: tuple[str, ...] = ()
    gives_file: str = ""

    def gives_with(self, status: int) -> type[msgspec.Struct] | None:
        """What comes back with `status`."""
        return self.also.get(status, self.gives)

    @property
    def pot(self) -> Pot:
        """Which requests it shares its places with."""
        if self.money:
            return "payments"
        if self.signed or self.reach == "link":
            return "inbound"
        if self.reach == "shopper":
            return "shoppers"  # the provider is asked, so that one that hangs fills this pot
        return "reads" if self.method == "GET" else "administration"
