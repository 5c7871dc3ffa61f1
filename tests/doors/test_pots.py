"""Pots in the door: what fills one keeps no other from being served, and a provider that hangs
holds a bounded share."""

import asyncio
from pathlib import Path

import pytest
from tests.doors.stage import PAYMENT, Reply, Stage, stage

from tollkeeper.api.admission import POTS, admission_of
from tollkeeper.api.routes import ROUTES
from tollkeeper.flows.live.places import Places
from tollkeeper.kernel.errors import Overloaded
from tollkeeper.settings import Timeouts
from tollkeeper.simulator.stripe.config import SimulatorConfig

HANGING = SimulatorConfig(latency_seconds=4.0)
PATIENT = Timeouts(wait_seconds=10.0, total_seconds=12.0)
INBOUND = "/v1/inbound/stripe/2022-11-15"


async def hang(it: Stage, count: int) -> list["asyncio.Task[Reply]"]:
    """Payments that wait for the provider."""
    tasks = [asyncio.create_task(it.post("/v1/payments", PAYMENT)) for _ in range(count)]
    await asyncio.sleep(0.3)
    return tasks


def still_hanging(tasks: list["asyncio.Task[Reply]"]) -> bool:
    return not any(task.done() for task in tasks)


def test_every_route_has_a_pot_and_money_has_its_own() -> None:
    assert {route.pot for route in ROUTES} == set(POTS)
    assert all((route.pot == "payments") is route.money for route in ROUTES)
    assert {r.pot for r in ROUTES if r.role and r.method == "GET"} == {"reads"}


async def test_reads_and_webhooks_are_served_while_payments_fill_their_pot(tmp_path: Path) -> None:
    async with stage(tmp_path, config=HANGING, max_in_flight=4, timeouts=PATIENT) as it:
        inside = await hang(it, 4)
        full = await it.post("/v1/payments", PAYMENT)
        assert (full.status, full.body["code"]) == (503, "overloaded")
        assert int(full.headers["retry-after"]) >= 1
        for path in ("/v1/payments", "/v1/events", "/v1/webhook_endpoints"):
            assert (await it.get(path, role="admin")).status == 200, path
        reply = await it.post(INBOUND, {}, role=None, key=None)
        assert reply.status == 400  # its signature was looked at
        assert still_hanging(inside)
        assert {(await task).status for task in inside} == {201}


async def test_a_provider_that_hangs_holds_its_share_and_no_more(tmp_path: Path) -> None:
    changes = {"max_in_flight": 8, "max_in_flight_per_provider": 3, "timeouts": PATIENT}
    async with stage(tmp_path, config=HANGING, **changes) as it:
        inside = await hang(it, 3)
        refused = await it.post("/v1/payments", PAYMENT, key="refused")
        assert still_hanging(inside)
        assert (refused.status, refused.body["code"]) == (503, "overloaded")
        assert "stripe" in refused.body["detail"]
        assert admission_of(it.app.state).in_flight["payments"] == 3
        assert {(await task).status for task in inside} == {201}
        assert len((await it.get("/v1/payments")).body["data"]) == 3  # the refusal left nothing
        assert (await it.post("/v1/payments", PAYMENT, key="refused")).status == 201


async def test_follow_ups_share_the_places_of_their_provider(tmp_path: Path) -> None:
    async with stage(tmp_path, max_in_flight_per_provider=1) as it:
        held = await it.pay(capture_method="manual")
        path = f"/v1/payments/{held['id']}/capture"
        with it.service.runtime.live.places.at("stripe@2022-11-15", "main"):
            refused = await it.post(path, {}, key="c")
            assert (refused.status, refused.body["code"]) == (503, "overloaded")
            assert (await it.get(f"/v1/payments/{held['id']}")).status == 200
        assert (await it.post(path, {}, key="c")).status == 200


async def test_webhooks_and_reads_fill_their_own_pots_alone(tmp_path: Path) -> None:
    async with stage(tmp_path, max_reads_in_flight=1, max_inbound_in_flight=1) as it:
        desk = admission_of(it.app.state)
        with desk.inside("reads"):
            assert (await it.get("/v1/payments")).status == 503
            assert (await it.post(INBOUND, {}, role=None, key=None)).status == 400
            assert (await it.post("/v1/payments", PAYMENT)).status == 201
        with desk.inside("inbound"):
            assert (await it.post(INBOUND, {}, role=None, key=None)).status == 503
            assert (await it.get("/v1/payments")).status == 200
        assert set(desk.in_flight.values()) == {0}


def test_a_place_is_given_back_whatever_happens() -> None:
    places = Places(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.at("one@1", "main"):
            raise ZeroDivisionError
    full = pytest.raises(Overloaded, match="wait for one")
    with places.at("one@1", "main"), places.at("two@1", "main"), full, places.at("one@2", "main"):
        pass
