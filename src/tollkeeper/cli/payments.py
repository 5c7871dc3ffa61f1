"""`tollkeeper payments`: what the store holds."""

from typing import Annotated, get_args

import cyclopts
import msgspec
from rich.markup import escape

from tollkeeper.cli.opening import (
    AsJson,
    Config,
    console,
    print_json,
    table_of,
    with_runtime,
    with_store,
)
from tollkeeper.flows.payments import attention as attentive
from tollkeeper.flows.payments import read as read_flow
from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.kernel.money import display
from tollkeeper.payments.failures import said_of
from tollkeeper.payments.payment import Books, Payment, Status
from tollkeeper.payments.view import payment_view

MAX_LIMIT = 10_000
LAST_ID = "pay_~"
"""Above every payment's id."""

app = cyclopts.App(name="payments", help="List and show payments.")


@app.command(name="list")
def list_(
    *,
    account: Annotated[str, cyclopts.Parameter(help="Payments of this account.")] = "default",
    status: Annotated[str | None, cyclopts.Parameter(help="Only payments in this status.")] = None,
    customer: Annotated[
        str | None, cyclopts.Parameter(help="Only payments of this customer.")
    ] = None,
    reference: Annotated[
        str | None, cyclopts.Parameter(help="Only payments with this reference.")
    ] = None,
    attention: Annotated[
        bool, cyclopts.Parameter(help="Only payments that need attention.")
    ] = False,
    limit: Annotated[int, cyclopts.Parameter(help="Maximum number of payments.")] = 20,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List payments, newest first.

    Example: `tollkeeper payments list --status requires_capture --limit 5`
    """
    if status is not None and status not in get_args(Status):
        detail = f"{status!r} is not one of {', '.join(get_args(Status))}"
        raise Invalid(detail, faults=(Fault("--status", detail),))
    if not 1 <= limit <= MAX_LIMIT:
        detail = f"{limit} is not from 1 to {MAX_LIMIT}"
        raise Invalid(detail, faults=(Fault("--limit", detail),))
    wanted = {"status": status, "customer": customer, "reference": reference}
    filters = {name: value for name, value in wanted.items() if value is not None}
    if attention:
        filters["needs_attention"] = "true"

    async def read(store: Store) -> list[Payment]:
        return await read_flow.page(store, account, filters, LAST_ID, limit)

    found = with_store(config, read)
    if json:
        print_json([payment_view(payment) for payment in found])
        return 0
    table = table_of("id", "created", "amount", "status", "outcome", "integration", "customer")
    for payment in found:
        table.add_row(
            payment.id,
            rfc3339(payment.created_ms)[:19],
            display(payment.amount_minor, payment.currency),
            payment.status,
            "known" if payment.outcome_known else "unknown",
            payment.integration,
            payment.customer or "",
        )
    console.print(table)
    console.print(f"{len(found)} payments of account {account}")
    return 0


@app.command
def show(payment_id: str, /, *, json: AsJson = False, config: Config = None) -> int:
    """Show one payment with its attempts, refunds, disputes and audit trail.

    Example: `tollkeeper payments show pay_01m7q5cqg00n9tdzzy37gh1mk3`
    """
    books, rows = with_store(config, lambda store: read_flow.whole(store, payment_id))
    trail: list[dict[str, object]] = [
        {"seq": r.seq, "at": rfc3339(r.at_ms), "actor": r.actor, **_cause(r.body)} for r in rows
    ]
    if json:
        print_json(
            {
                "payment": payment_view(books.payment),
                "attempts": books.attempts,
                "refunds": books.refunds,
                "disputes": books.disputes,
                "audit": trail,
            }
        )
        return 0
    _tell(books, trail)
    return 0


@app.command
def clear(
    payment_id: str,
    /,
    *,
    reason: Annotated[str, cyclopts.Parameter(help="What was found and done; audited.")],
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Mark a payment as needing no more attention.

    Example: `tollkeeper payments clear pay_01m7q5cqg00n9tdzzy37gh1mk3 --reason "refunded by hand"`
    """

    async def work(runtime: Runtime) -> Payment:
        return await attentive.clear(runtime, payment_id, account=None, reason=reason, actor="cli")

    payment = with_runtime(config, work)
    if json:
        print_json(payment_view(payment))
    else:
        console.print(f"{payment.id} needs no attention any more")
    return 0


def _cause(body: bytes) -> dict[str, object]:
    said = msgspec.json.decode(body, type=dict[str, object])
    return {"cause": said["cause"], "status": said["status"]}


def _tell(books: Books, trail: list[dict[str, object]]) -> None:
    payment = books.payment
    amount = display(payment.amount_minor, payment.currency)
    console.print(f"[bold]{payment.id}[/bold] {amount} {payment.status} via {payment.integration}")
    if payment.failure_code:
        console.print(f"failed: {payment.failure_code}: {said_of(payment.failure_code)}")
    if payment.attention:
        console.print(f"[red]needs attention[/red]: {escape(payment.attention)}")
    for attempt in books.attempts:
        by = f" by {attempt.settled_by}" if attempt.settled_by else ""
        outcome = attempt.outcome or "sending"
        console.print(
            f"  {attempt.operation} {display(attempt.amount_minor, payment.currency)} "
            f"{attempt.id} {attempt.integration}: {outcome}{by} {attempt.detail}".rstrip()
        )
        if attempt.error is not None:
            words = " ".join(part for part in msgspec.structs.astuple(attempt.error) if part)
            console.print(f"      the provider said: {escape(words)}")
    for refund in books.refunds:
        money = display(refund.amount_minor, payment.currency)
        why = f": {refund.failure_code}" if refund.failure_code else ""
        console.print(f"  refund {refund.id} {money} {refund.status}{why} ({refund.origin})")
    for dispute in books.disputes:
        console.print(f"  dispute {dispute.provider_id} {dispute.state} {dispute.reason}")
    for row in trail:
        console.print(f"  {row['seq']:>3} {row['at']} {row['cause']} -> {row['status']}")
