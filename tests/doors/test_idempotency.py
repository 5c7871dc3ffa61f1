"""One effect per key, for ever: replays, other bodies, requests in flight, answers that expired."""

import asyncio
import json
from pathlib import Path

from tests.doors.stage import PAYMENT, stage

from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.stripe.config import SimulatorConfig


async def test_a_replay_gets_the_same_bytes_and_pays_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        first = await it.post("/v1/payments", PAYMENT, key="a")
        again = await it.post("/v1/payments", PAYMENT, key="a")
        assert (again.status, again.raw) == (first.status, first.raw)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert len(it.simulator.core.ledger().charges) == 1


async def test_order_and_spacing_of_a_body_do_not_matter(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        first = await it.post("/v1/payments", PAYMENT, key="a")
        turned = json.dumps(dict(reversed(PAYMENT.items())), indent=3).encode()
        again = await it.send(
            "POST", "/v1/payments", data=turned,
            headers={"Idempotency-Key": "a", "Content-Type": "application/json"},
        )  # fmt: skip
        assert (again.status, again.raw) == (201, first.raw)


async def test_a_key_with_another_request_is_refused_without_effect(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.post("/v1/payments", PAYMENT, key="a")
        others = [
            await it.post("/v1/payments", PAYMENT | {"amount_minor": 1235}, key="a"),
            await it.post(f"/v1/payments/{paid.body['id']}/refunds", {}, key="a"),
        ]
        for other in others:
            assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
        charges = it.simulator.core.ledger().charges
        assert [(c.amount_minor, c.refunds) for c in charges] == [(1234, [])]


async def test_keys_belong_to_an_account(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        mine = await it.post("/v1/payments", PAYMENT, key="a")
        theirs = await it.post("/v1/payments", PAYMENT, key="a", role="stranger")
        assert (theirs.status, theirs.body["id"] != mine.body["id"]) == (201, True)


async def test_while_the_first_is_running_the_second_is_told_to_wait(tmp_path: Path) -> None:
    async with stage(tmp_path, config=SimulatorConfig(latency_seconds=0.4)) as it:
        first = asyncio.create_task(it.post("/v1/payments", PAYMENT, key="a"))
        await asyncio.sleep(0.2)
        second = await it.post("/v1/payments", PAYMENT, key="a")
        assert (second.status, second.body["code"]) == (409, "request_in_flight")
        assert second.body["retryable"] is True
        assert second.headers["retry-after"] == "1"
        paid = await first
        third = await it.post("/v1/payments", PAYMENT, key="a")
        assert (third.status, third.raw) == (201, paid.raw)
        assert len(it.simulator.core.ledger().charges) == 1


async def test_after_the_answer_expired_a_replay_gets_the_payment_as_it_is(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, answer_days=0.0) as it:
        paid = await it.post("/v1/payments", PAYMENT, key="a")
        refund = await it.post(f"{paid.headers['location']}/refunds", {"amount_minor": 34}, key="b")
        await it.service.store.expire(it.service.store.now_ms(), 0)
        again = await it.post("/v1/payments", PAYMENT, key="a")
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.body["id"], again.body["amount_refunded_minor"]) == (paid.body["id"], 34)
        assert (await it.get(paid.headers["location"])).body == again.body
        other = await it.post("/v1/payments", PAYMENT | {"amount_minor": 1}, key="a")
        assert other.body["code"] == "idempotency_key_reused"
        same = await it.post(f"{paid.headers['location']}/refunds", {"amount_minor": 34}, key="b")
        assert same.body == refund.body
        (charge,) = it.simulator.core.ledger().charges
        assert charge.amount_refunded_minor == 34


async def test_a_refused_capture_is_refused_again_without_asking_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        held = await it.pay(capture_method="manual")
        it.simulator.core.faults.add(
            FaultRule(effect="unauthorized", operation="payment_intents.capture", count=1)
        )
        path = f"/v1/payments/{held['id']}/capture"
        first = await it.post(path, {}, key="a")
        assert (first.status, first.body["code"]) == (503, "provider_refused_for_now")
        assert (first.headers["retry-after"], first.body["retryable"]) == ("5", True)
        assert first.body["failure_code"] == "provider_configuration"
        again = await it.post(path, {}, key="a")
        assert (again.status, again.body["code"]) == (503, "provider_refused_for_now")
        assert again.body["failure_code"] == "provider_configuration"
        assert again.body["provider_error"] == first.body["provider_error"]
        missing = await it.post("/v1/payments/pay_1/capture", {}, key="c")
        assert "failure_code" not in missing.body
        fresh = await it.post(path, {}, key="b")
        assert (fresh.status, fresh.body["status"]) == (200, "succeeded")


async def test_two_at_once_pay_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        replies = await asyncio.gather(
            *(it.post("/v1/payments", PAYMENT, key="a") for _ in range(8))
        )
        # 200: the key was read just before its answer was stored, the payment just after
        assert {reply.status for reply in replies} <= {200, 201, 409}
        assert len({reply.body["id"] for reply in replies if reply.status != 409}) == 1
        assert len(it.simulator.core.ledger().charges) == 1
