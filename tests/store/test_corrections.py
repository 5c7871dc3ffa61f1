"""What corrections need of a store: ids that webhooks name early, and references held once."""

import asyncio

from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.payments.audit import row_digest
from tollkeeper.payments.change import Change, HeldReference, Inbound
from tollkeeper.payments.commit import Committed, Duplicate, ReferenceTaken
from tollkeeper.payments.payment import Attempt, Payment

PAYMENT_DIGEST = "bbec56bcd7e94bee4169559a75def4b8"
ATTEMPT_DIGEST = "40260f496eb79deeb3ce9c3128fcea92"


def event(event_id: str, payment_id: str | None = None, charge: str | None = "pi_1") -> Inbound:
    return Inbound(
        provider="stripe", event_id=event_id, integration="stripe@2022-11-15", word="charge",
        payload=b"x", received_ms=EPOCH_MS, fate="queued" if payment_id else "unmatched",
        payment_id=payment_id, charge_id=charge,
    )  # fmt: skip


async def test_a_webhook_leaves_the_charges_id_as_a_hint(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.hinted_charge("pay_1") is None
        assert await store.receive(event("evt_1", "pay_1")) is None
        assert await store.hinted_charge("pay_1") == "pi_1"
        assert await store.receive(event("evt_2", "pay_1", "pi_2")) is None
        assert await store.hinted_charge("pay_1") == "pi_2"  # the newest counts
        assert isinstance(await store.receive(event("evt_1", "pay_1")), Duplicate)


async def test_an_event_of_nobody_is_traced_and_matched_once(backend: Backend) -> None:
    async with backend.store() as store:
        await store.receive(event("evt_1"), EPOCH_MS + 5)
        await store.receive(event("evt_2"), EPOCH_MS + 5)
        await store.receive(event("evt_3", charge=None), EPOCH_MS + 5)
        (job,) = await store.claim_jobs(EPOCH_MS + 10, 1_000, 10)
        assert (job.kind, job.subject) == ("trace", "stripe@2022-11-15|pi_1")
        stale = replace(job, fence=job.fence - 1)
        assert not await store.match_inbound(stale, "pi_1", "pay_1", EPOCH_MS + 10)
        assert await store.hinted_charge("pay_1") is None
        assert await store.match_inbound(job, "pi_1", "pay_1", EPOCH_MS + 10)
        assert await store.hinted_charge("pay_1") == "pi_1"
        (refresh,) = await store.claim_jobs(EPOCH_MS + 10, 1_000, 10)
        assert (refresh.kind, refresh.subject) == ("refresh", "pay_1")


async def test_hints_are_forgotten_with_the_webhooks(backend: Backend) -> None:
    async with backend.store() as store:
        await store.hint("pay_1", "pi_1", EPOCH_MS)
        await store.forget(exchanges_before_ms=0, events_before_ms=EPOCH_MS)
        assert await store.hinted_charge("pay_1") == "pi_1"
        await store.forget(exchanges_before_ms=0, events_before_ms=EPOCH_MS + 1)
        assert await store.hinted_charge("pay_1") is None


async def test_a_charge_from_before_is_found_for_its_provider_alone(backend: Backend) -> None:
    async with backend.store() as store:
        for number, (name, provider_id) in enumerate(
            [("stripe@2022-11-15", "pi_1"), ("acme@1", "x_1"), ("stripe@2022-08-01", None)]
        ):
            books = stage.fresh_books(
                id=f"pay_{number:026d}", integration=name, provider_id=provider_id
            )
            await store.commit(stage.opening(books))
        assert await store.earlier_charge("stripe", f"pay_{9:026d}") == "pi_1"
        assert await store.earlier_charge("acme", f"pay_{9:026d}") == "x_1"
        assert await store.earlier_charge("stripe", f"pay_{0:026d}") is None
        assert await store.earlier_charge("other", f"pay_{9:026d}") is None


def holding(reference: str, previous: str = "", **fields: object) -> Change:
    books = stage.fresh_books(reference=reference, **fields)
    held = HeldReference(
        account="acc_1", reference=reference, payment_id=books.payment.id, previous=previous
    )
    return stage.opening(books, held=held)


async def test_of_payments_that_race_for_a_reference_one_gets_it(backend: Backend) -> None:
    async with backend.store() as store:
        changes = [holding("order-7") for _ in range(8)]
        results = await asyncio.gather(*(store.commit(change) for change in changes))
        won = [c for c, r in zip(changes, results, strict=True) if isinstance(r, Committed)]
        assert len(won) == 1
        lost = [r for r in results if isinstance(r, ReferenceTaken)]
        assert {r.payment_id for r in lost} == {won[0].payment.id}
        assert len(lost) == 7
        # nothing of the others was written, and the winner's repetition writes nothing again
        for change in changes:
            there = await store.load_payment(change.payment.id)
            assert (there is not None) == (change is won[0])
        assert isinstance(await store.commit(won[0]), Committed)


async def test_a_reference_is_taken_over_from_the_payment_that_ended(backend: Backend) -> None:
    async with backend.store() as store:
        first = holding("order-7", status="failed")
        assert isinstance(await store.commit(first), Committed)
        assert await store.reference_holder("acc_1", "order-7") == (None, first.payment.id)
        assert isinstance(await store.commit(holding("order-7", "pay_other")), ReferenceTaken)
        second = holding("order-7", first.payment.id)
        assert isinstance(await store.commit(second), Committed)
        assert await store.reference_holder("acc_1", "order-7") == (
            second.payment.id, second.payment.id,
        )  # fmt: skip
        assert await store.reference_holder("acc_2", "order-7") == (None, "")


async def test_a_live_payment_without_the_wish_counts_as_well(backend: Backend) -> None:
    async with backend.store() as store:
        await store.commit(stage.opening(stage.fresh_books(reference="order-7")))
        live, held = await store.reference_holder("acc_1", "order-7")
        assert (live is not None, held) == (True, "")


def test_a_row_that_was_written_before_a_field_was_added_keeps_its_digest() -> None:
    """The digests below were computed by the release before the fields were added."""
    made = stage.payment(id="pay_1", account="a", created_ms=1, updated_ms=1, deadline_ms=2)
    attempt = Attempt(
        id="att_1", payment_id="pay_1", operation="authorize", integration="stripe@2022-11-15",
        amount_minor=1_000, first_sent_ms=1, sent_ms=1,
    )  # fmt: skip
    assert row_digest(made) == PAYMENT_DIGEST
    assert row_digest(attempt) == ATTEMPT_DIGEST
    assert row_digest(replace(attempt, in_use=True)) != ATTEMPT_DIGEST
    assert row_digest(replace(attempt, corrected_ms=1)) != ATTEMPT_DIGEST
    assert row_digest(replace(made, unique_reference=True)) != PAYMENT_DIGEST
    assert isinstance(made, Payment)
