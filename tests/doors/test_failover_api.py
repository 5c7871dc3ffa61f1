"""Failovers and routes over HTTP: real sockets and a real file."""

from pathlib import Path

import pytest
from tests.doors.stage import Stage, stage

OLD, MIDDLE = "stripe@2022-08-01", "stripe@2022-11-15"
FAILOVER = "/v1/failovers/stripe"


def follow_ups(version: str, through: str, operation: str = "capture") -> dict[str, object]:
    return {"version": version, "operation": operation, "through": through, "reason": "x"}


async def chosen(it: Stage, policy: str) -> None:
    body = {"policy": policy, "reason": "a test"}
    reply = await it.post(f"{FAILOVER}/policy", body, role="platform", key=None)
    assert (reply.status, reply.body["policy"]) == (200, policy), reply.body


async def test_before_the_first_failure_nothing_is_watched(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/v1/failovers", role="platform")).body == {"data": []}
        reply = await it.get(FAILOVER, role="platform")
        assert (reply.status, "has failed yet" in reply.body["detail"]) == (404, True)
        other = await it.get("/v1/failovers/adyen", role="platform")
        assert (other.status, other.body["detail"]) == (404, "no provider adyen; providers: stripe")


async def test_the_policy_is_chosen_and_its_decision_is_listed(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await chosen(it, "ask")
        await chosen(it, "automatic")
        (shown,) = (await it.get("/v1/failovers", role="platform")).body["data"]
        assert (shown["provider"], shown["policy"], shown["streams"]) == ("stripe", "automatic", [])
        page = (await it.get(f"{FAILOVER}/decisions?limit=1", role="platform")).body
        assert [one["kind"] for one in page["data"]] == ["policy"]
        assert page["has_more"]
        cursor = page["data"][0]["seq"]
        rest = await it.get(f"{FAILOVER}/decisions?cursor={cursor}", role="platform")
        assert [one["reason"] for one in rest.body["data"]] == ["policy by hand: ask: a test"]
        assert all(one["same"] for one in rest.body["data"])


async def test_follow_ups_are_sent_through_another_version_and_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        path = f"{FAILOVER}/follow-ups"
        moved = await it.post(path, follow_ups(OLD, MIDDLE), role="platform", key=None)
        assert (moved.status, moved.body["follow_up_routes"]) == (200, {f"{OLD}#capture": MIDDLE})
        back = await it.post(path, follow_ups(OLD, ""), role="platform", key=None)
        assert (back.status, back.body["follow_up_routes"]) == (200, {})
        page = (await it.get(f"{FAILOVER}/decisions", role="platform")).body
        assert [one["kind"] for one in page["data"]] == ["follow_ups", "follow_ups"]
        assert f"captures of payments of {OLD} go through {MIDDLE}" in page["data"][1]["reason"]


async def test_routes_are_read_and_moved_by_hand(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        before = (await it.get("/v1/routes", role="platform")).body
        assert before["source"] == "settings"
        body = {"weights": {OLD: 25.0, MIDDLE: 75.0}, "reason": "the provider asks for it"}
        moved = await it.post("/v1/routes", body, role="platform", key=None)
        assert (moved.status, moved.body["source"]) == (200, "stored"), moved.body
        assert moved.body["rules"][-1]["weights"] == {OLD: 25.0, MIDDLE: 75.0}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (f"{FAILOVER}/policy", {"policy": "never", "reason": "x"}, 422, "/policy"),
        (f"{FAILOVER}/policy", {"policy": "ask"}, 422, "reason"),
        (f"{FAILOVER}/policy", {"policy": "ask", "reason": "4242424242424242"}, 422, "card"),
        (f"{FAILOVER}/stop", {"reason": "x"}, 409, "nothing goes on"),
        (f"{FAILOVER}/stop", {}, 422, "reason"),
        (f"{FAILOVER}/clear", {"version": OLD, "reason": "x"}, 409, "was not taken out"),
        (f"{FAILOVER}/follow-ups", follow_ups(OLD, "stripe@1"), 422, "cannot take"),
        (f"{FAILOVER}/follow-ups", follow_ups("other@1", MIDDLE), 422, "not of stripe"),
        (f"{FAILOVER}/follow-ups", follow_ups(OLD, MIDDLE, "authorize"), 422, "operation"),
        ("/v1/routes", {"weights": {OLD: 50.0}, "reason": "x"}, 422, "sum to 50"),
        ("/v1/routes", {"weights": {"stripe@1": 100.0}, "reason": "x"}, 422, "installed"),
        ("/v1/routes", {"weights": {OLD: 100.0}, "reason": " "}, 422, "reason"),
        ("/v1/routes", {"weights": {}, "reason": "x"}, 422, "weights"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_is_wrong(
    tmp_path: Path, path: str, body: dict[str, object], status: int, said: str
) -> None:
    async with stage(tmp_path) as it:
        await chosen(it, "ask")
        reply = await it.post(path, body, role="platform", key=None)
        assert reply.status == status, reply.body
        assert said in str(reply.body)
        assert "4242424242424242" not in str(reply.body)
        assert (await it.get("/v1/routes", role="platform")).body["source"] == "settings"


@pytest.mark.parametrize("role", ["viewer", "service", "operator", "admin"])
async def test_it_is_an_act_of_the_platform(tmp_path: Path, role: str) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/v1/failovers", role=role)).status == 403
        body = {"weights": {OLD: 100.0}, "reason": "x"}
        assert (await it.post("/v1/routes", body, role=role, key=None)).status == 403


async def test_metrics_say_what_was_decided(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await chosen(it, "ask")
        page = await it.get("/metrics", role=None)
        line = 'tollkeeper_failover_decisions_total{kind="policy",provider="stripe"} 1.0'
        assert line in page.raw.decode()
