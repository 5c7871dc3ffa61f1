"""One settlement run: the payment as it is now, what was learned so far, and what it records.

Law: exchanges of attempts that a decision settles are masked in the same commit.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tollkeeper.flows.exchanges import masked
from tollkeeper.flows.recording import record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask, order_for
from tollkeeper.integrations.version import Integration, OperationInput
from tollkeeper.payments.change import Change, Exchange
from tollkeeper.payments.judging import is_doubtful, is_whole
from tollkeeper.payments.outcome import (
    Operation,
    Outcome,
)
from tollkeeper.payments.payment import Attempt, Books, is_open
from tollkeeper.payments.settlement import (
    Look,
    Step,
)

ACTOR: Final = "settling"


class SettlementRun:
    """One pass over one payment: its books, and what was learned so far."""

    def __init__(self, runtime: Runtime, books: Books, *, refresh: bool) -> None:
        self.runtime = runtime
        self.books = books
        self.look = Look()
        self.refresh = refresh

    def learn(self, **learned: object) -> None:
        self.look = msgspec.structs.replace(self.look, **learned)

    @property
    def skew_ms(self) -> int:
        """The clock of the payment's provider, less ours."""
        return self.runtime.live.health(provider_of(self.books)).skew_ms

    async def record(
        self,
        decide: Callable[[Books], Books],
        cause: str,
        complete: Callable[[Change, Books], Change] = lambda change, _: change,
    ) -> None:
        """Records a decision; exchanges of attempts that it settles are masked in the same commit,
        so that no crash leaves what is private sealed for ever."""
        sealed = await self._sealed()

        def masking(change: Change, after: Books) -> Change:
            return _masking(self.runtime, complete(change, after), sealed)

        self.books = await record(
            self.runtime, self.books, decide, cause=cause, actor=ACTOR, complete=masking
        )

    async def _sealed(self) -> dict[str, Exchange]:
        """What is stored sealed of the attempts that are open."""
        found = [await self.runtime.store.load_exchange(a.id) for a in self.books.open_attempts()]
        return {e.attempt_id: e for e in found if e is not None and e.sealed}


def _masking(runtime: Runtime, change: Change, sealed: Mapping[str, Exchange]) -> Change:
    told = {exchange.attempt_id for exchange in change.exchanges}
    extra = [
        masked(runtime, attempt, sealed[attempt.id])
        for attempt in change.attempts
        if attempt.id in sealed and attempt.id not in told and not is_open(attempt)
    ]
    return msgspec.structs.replace(change, exchanges=(*change.exchanges, *extra))


def provider_of(books: Books) -> str:
    """The name of the provider that the payment is at."""
    return books.payment.integration.partition("@")[0]


async def ask_versions(
    current: SettlementRun, operation: Operation, order: OperationInput
) -> Outcome:
    """Asks through the payment's version, and where that cannot read the answer, or some row of it,
    or the answer is doubtful, through each other version that declares it can handle it. A
    candidate that was not proved is asked last: its payments are settled by the reading of a
    version that was."""
    runtime, payment = current.runtime, current.books.payment
    name, account = payment.integration, payment.account
    askers = [runtime.integration(name), *able_versions(runtime, name, account)]
    if not runtime.live.routes.is_proved(name, account):
        askers = [*askers[1:], askers[0]]
    first: Outcome | None = None
    for version in askers:
        said = await ask(runtime, version, operation, order)
        if said.is_silence or (is_whole(said) and not is_doubtful(current.books, said)):
            return said
        if first is None or (not first.is_known and said.is_answer):
            first = said
    assert first is not None, "a payment's own version can always be asked"
    return first


def able_versions(runtime: Runtime, name: str, account: str) -> list[Integration]:
    return [v for v in runtime.router.other_versions(name, account) if name in v.handles]


def order_of(current: SettlementRun, provider_id: str | None) -> OperationInput:
    payment = current.books.payment
    attempt = current.books.attempts[-1]
    order = order_for(current.runtime, payment, attempt)
    return msgspec.structs.replace(order, provider_id=provider_id)


def subject_of(current: SettlementRun, step: Step) -> Attempt:
    """The attempt that a step is about; the last authorization where it is about the payment."""
    if step.attempt is not None:
        return step.attempt
    return [a for a in current.books.attempts if a.operation == "authorize"][-1]
