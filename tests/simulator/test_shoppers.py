"""Demo shoppers against a shop that speaks Tollkeeper's API and pays at a real simulator."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.simulator.stage import CARD, KEY, SeededChance

from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.shoppers import Plan, shop


class Shop:
    """A stand-in for Tollkeeper: its four routes, each forwarded to the provider.

    Levers: `broken` makes every answer a 503 problem; `silent` closes the connection.
    """

    def __init__(self, provider: RunningSimulator) -> None:
        self.provider = provider
        self.broken = False
        self.silent = False
        self.keys: list[str] = []
        self.calls: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/payments", self.create),
            web.get("/v1/payments/{id}", self.read),
            web.post("/v1/payments/{id}/capture", self.capture),
            web.post("/v1/payments/{id}/void", self.void),
            web.post("/v1/payments/{id}/refunds", self.refund),
        ]

    async def create(self, request: web.Request) -> web.Response:
        if self.silent:
            assert request.transport is not None
            request.transport.abort()
        order = await self._order(request, "create")
        if self.broken:
            return web.json_response({"code": "overloaded"}, status=503)
        return await self._payment(
            "/v1/payment_intents",
            {
                **CARD,
                "amount": str(order["amount_minor"]),
                "currency": order["currency"],
                "payment_method": order["payment_method"],
                "capture_method": order["capture_method"],
                "return_url": order["return_url"],
                "metadata[reference]": order["reference"],
            },
        )

    async def read(self, request: web.Request) -> web.Response:
        return await self._payment(f"/v1/payment_intents/{request.match_info['id']}", None)

    async def capture(self, request: web.Request) -> web.Response:
        order = await self._order(request, "capture")
        path = f"/v1/payment_intents/{request.match_info['id']}/capture"
        return await self._payment(path, {"amount_to_capture": str(order["amount_minor"])})

    async def void(self, request: web.Request) -> web.Response:
        await self._order(request, "void")
        return await self._payment(f"/v1/payment_intents/{request.match_info['id']}/cancel", {})

    async def refund(self, request: web.Request) -> web.Response:
        order = await self._order(request, "refund")
        body = {"payment_intent": request.match_info["id"], "amount": str(order["amount_minor"])}
        return await self._payment("/v1/refunds", body)

    async def _order(self, request: web.Request, call: str) -> Any:
        assert request.headers["Authorization"] == "Bearer tk_test"
        self.keys.append(request.headers["Idempotency-Key"])
        self.calls.append(call)
        return await request.json()

    async def _payment(self, path: str, form: dict[str, str] | None) -> web.Response:
        headers = [("Authorization", f"Bearer {KEY}")]
        body = "&".join(f"{name}={value}" for name, value in (form or {}).items()).encode()
        method = "GET" if form is None else "POST"
        reply = await self.provider.core.handle(SimRequest(method, path, "", headers, body))
        return web.json_response(_told(reply.body))


def _told(body: bytes) -> dict[str, Any]:
    intent = json.loads(body)
    if "error" in intent:
        return {"id": intent["error"]["payment_intent"]["id"], "status": "failed"}
    action = intent.get("next_action")
    redirect = {"type": "redirect", "url": action["redirect_to_url"]["url"]} if action else None
    words = {"requires_payment_method": "failed"}
    return {
        "id": intent["id"],
        "status": words.get(intent["status"], intent["status"]),
        "next_action": redirect,
        "amount_captured_minor": intent.get("amount_received"),
    }


@asynccontextmanager
async def _open() -> AsyncIterator[tuple[Shop, str]]:
    async with RunningSimulator() as provider:
        stand_in = Shop(provider)
        application = web.Application()
        application.add_routes(stand_in.routes())
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield stand_in, f"http://127.0.0.1:{port}"
        await runner.cleanup()


async def test_shoppers_pay_authenticate_capture_void_and_refund(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with _open() as (stand_in, url):
        assert await shop(Plan(url, "tk_test", rate=500, count=150), SeededChance(3))
        ledger = stand_in.provider.core.ledger()
    assert set(stand_in.calls) == {"create", "capture", "void", "refund"}
    assert len(set(stand_in.keys)) == len(stand_in.keys)
    statuses = {charge.status for charge in ledger.charges}
    assert statuses >= {"captured", "voided", "declined"}
    assert any(charge.amount_refunded_minor for charge in ledger.charges)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 151
    assert lines[-1].startswith("150 payments: ")
    assert any("3DS success" in line for line in lines)


async def test_a_service_that_refuses_is_told_by_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with _open() as (stand_in, url):
        stand_in.broken = True
        assert await shop(Plan(url, "tk_test", rate=500, count=3), SeededChance())
    assert capsys.readouterr().out.splitlines()[-1] == "3 payments: 3 overloaded"


async def test_a_service_that_is_silent_makes_the_answer_no() -> None:
    async with _open() as (stand_in, url):
        stand_in.silent = True
        assert not await shop(Plan(url, "tk_test", rate=500, count=2), SeededChance())


async def test_shoppers_stop_after_their_time() -> None:
    async with _open() as (stand_in, url):
        await shop(Plan(url, "tk_test", rate=50, seconds=0.2), SeededChance())
    assert 2 <= stand_in.calls.count("create") <= 12
