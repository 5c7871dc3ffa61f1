"""Every operation of the API, drawn from the table of routes: every role, on what is its own, on
another account's, and on everybody's."""

from pathlib import Path
from typing import Any

import pytest
from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.api.access import REACHES, owner_of
from tollkeeper.api.route import Route
from tollkeeper.api.routes import ROUTES
from tollkeeper.flows.operations.keys import ROLES, allows, create_key
from tollkeeper.flows.rollouts.commands import list_rollouts

NEW = "stripe@2026-03-25.dahlia"
OLD = "stripe@2022-08-01"
PLAN = {
    "candidate": NEW, "steps_percent": [50, 100], "pause_at": [50], "dwell_seconds": 0,
    "shadow_payments": 0, "floor_percent": 50, "override": "a test",
}  # fmt: skip
KEYED = [route for route in ROUTES if route.role is not None]
ACCOUNTS = ("acme", "other")


class Things:
    """One of each resource for each account, and a rollout where a test asks for one."""

    def __init__(self, it: Stage) -> None:
        self.it = it
        self.secrets: dict[tuple[str, str], str] = {}
        self.ids: dict[str, dict[str, str]] = {}

    async def make(self) -> None:
        for account in ACCOUNTS:
            for role in ROLES:
                _, secret = await create_key(self.it.service.runtime, account, role, "access")
                self.secrets[account, role] = secret
            paid = (await self.call(account, "service", "POST", "/v1/payments", PAYMENT)).body
            path = f"/v1/payments/{paid['id']}/refunds"
            refund = await self.call(account, "service", "POST", path, {"amount_minor": 1})
            hook = {"url": "http://127.0.0.1:9/x"}
            endpoint = await self.call(account, "admin", "POST", "/v1/webhook_endpoints", hook)
            events = (await self.call(account, "viewer", "GET", "/v1/events")).body["data"]
            self.ids[account] = {
                "payment_id": paid["id"],
                "refund_id": refund.body["id"],
                "endpoint_id": endpoint.body["id"],
                "event_id": events[0]["id"],
            }

    async def rollout(self, account: str | None) -> str:
        fields = PLAN if account is None else PLAN | {"account": account}
        made = await self.call("acme", "platform", "POST", "/v1/rollouts", fields)
        assert made.status == 201, made.body
        return str(made.body["id"])

    async def call(self, account: str, role: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.secrets[account, role]}"}
        if method == "POST":
            return await self.it.post(path, body or {}, role=None, headers=headers)
        return await self.it.send(method, path, role=None, headers=headers)

    async def ask(self, route: Route, account: str, role: str, ids: dict[str, str]) -> Any:
        path = route.path
        for name, id_ in ids.items():
            path = path.replace(f"{{{name}}}", id_)
        return await self.call(account, role, route.method, path, {"reason": "a test"})


def test_every_operation_says_what_it_acts_on_and_how_far_it_reaches() -> None:
    for route in ROUTES:
        assert route.resource
        assert route.reach in REACHES
        assert (route.role is None) == (route.reach in {"signature", "shopper", "input", "link"}), (
            route.path
        )
    assert {r.resource for r in KEYED if r.reach == "own_or_platform"} == {"rollout"}


async def test_no_role_of_an_account_touches_another_accounts_things(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        things = Things(it)
        await things.make()
        named = [route for route in KEYED if "{" in route.path and route.reach == "own"]
        assert len(named) >= 12
        for route in named:
            for role in ROLES:
                foreign = await things.ask(route, "other", role, things.ids["acme"])
                needed = route.role or "viewer"
                expected = {404, 422} if allows(role, needed) else {403}
                assert foreign.status in expected, (route.path, role, foreign.body)
        for route in named:  # the same ids name something for their owner
            if route.method == "GET" and "{dispute_id}" not in route.path:
                mine = await things.ask(route, "acme", "platform", things.ids["acme"])
                assert mine.status == 200, (route.path, mine.body)


async def test_every_list_shows_an_account_its_own_things_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        things = Things(it)
        await things.make()
        lists = [r for r in KEYED if r.method == "GET" and "{" not in r.path and r.reach == "own"]
        assert len(lists) == 3
        for route in lists:
            for account in ACCOUNTS:
                for role in (r for r in ROLES if allows(r, route.role or "viewer")):
                    shown = (await things.ask(route, account, role, {})).body["data"]
                    ids = {one["id"] for one in shown}
                    others = set(things.ids["other" if account == "acme" else "acme"].values())
                    assert ids, (route.path, role)
                    assert not ids & others, (route.path, role)


@pytest.mark.parametrize("owner", ["acme", "other", None], ids=str)
async def test_a_rollout_is_reached_by_its_account_and_the_platform(
    tmp_path: Path, owner: str | None
) -> None:
    async with stage(tmp_path) as it:
        things = Things(it)
        await things.make()
        named = [r for r in KEYED if r.resource == "rollout" and "{" in r.path]
        assert len(named) == 9
        id_ = await things.rollout(owner)
        for route in sorted(named, key=lambda route: route.method):
            for role in ROLES:
                answer = await things.ask(route, "acme", role, {"rollout_id": id_})
                if not allows(role, route.role or "viewer"):
                    assert answer.status == 403, (route.path, role)
                elif role != "platform" and owner != "acme":
                    assert answer.status == 404, (route.path, role)
                else:
                    assert answer.status in {200, 409}, (route.path, role, answer.body)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("account", ["acme", "other", None], ids=str)
async def test_starting_a_rollout_needs_a_key_that_reaches_as_far(
    tmp_path: Path, role: str, account: str | None
) -> None:
    async with stage(tmp_path) as it:
        fields = PLAN if account is None else PLAN | {"account": account}
        reply = await it.post("/v1/rollouts", fields, role=role, key=None)
        may = role == "platform" or (role == "admin" and account == "acme")
        assert reply.status == (201 if may else 403), reply.body
        if role == "admin" and not may:
            assert reply.body["errors"][0]["pointer"] == "/account"
            assert "platform" in reply.body["detail"]
        assert len(await list_rollouts(it.service.runtime, 10)) == int(may)


@pytest.mark.parametrize("owner", ["acme", "other", None], ids=str)
async def test_lists_and_the_kill_switch_reach_as_far_as_the_key(
    tmp_path: Path, owner: str | None
) -> None:
    async with stage(tmp_path) as it:
        things = Things(it)
        await things.make()
        id_ = await things.rollout(owner)
        for role in ("operator", "admin"):
            listed = await things.call("acme", role, "GET", "/v1/rollouts")
            assert [one["id"] for one in listed.body["data"]] == ([id_] if owner == "acme" else [])
            stopped = await things.call("acme", role, "POST", "/v1/rollouts/stop")
            assert stopped.status == 200
            first = owner == "acme" and role == "operator"
            assert len(stopped.body["data"]) == int(first)
        (listed_one,) = (await things.call("acme", "platform", "GET", "/v1/rollouts")).body["data"]
        assert (listed_one["status"] == "stopped") is (owner == "acme")
        await things.call("other", "platform", "POST", "/v1/rollouts/stop")
        (listed_one,) = (await things.call("acme", "platform", "GET", "/v1/rollouts")).body["data"]
        assert listed_one["status"] == "stopped"


async def test_an_accounts_rollout_tells_its_account_and_proves_nothing_to_others(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, watch_account="ops") as it:
        runtime = it.service.runtime
        made = await it.post("/v1/rollouts", PLAN | {"account": "acme"}, role="admin", key=None)
        assert NEW in runtime.live.routes.unproved_for["acme"]
        assert runtime.live.routes.is_proved(NEW, "other")
        path = f"/v1/rollouts/{made.body['id']}/promote"
        assert (await it.post(path, {"reason": "mine"}, role="admin", key=None)).status == 200
        kinds = {event["type"] for event in (await it.get("/v1/events")).body["data"]}
        assert {"rollout.started", "rollout.promoted"} <= kinds
        assert await runtime.store.list_events("ops", "z", 10) == []
        assert (await it.pay())["integration"] == NEW
        headers = {"Authorization": f"Bearer {it.keys['stranger'][1]}"}
        theirs = await it.post("/v1/payments", PAYMENT, role=None, headers=headers)
        assert theirs.body["integration"] != NEW


async def test_an_accounts_rollout_keeps_no_other_account_waiting(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        things = Things(it)
        await things.make()
        for account in ACCOUNTS:
            fields = PLAN | {"account": account}
            made = await things.call(account, "admin", "POST", "/v1/rollouts", fields)
            assert made.status == 201, made.body
            again = await things.call(account, "admin", "POST", "/v1/rollouts", fields)
            assert again.status == 409
        everybody = await things.call("acme", "platform", "POST", "/v1/rollouts", PLAN)
        assert everybody.status == 409
        stopped = await things.call("acme", "operator", "POST", "/v1/rollouts/stop")
        assert len(stopped.body["data"]) == 1
        (theirs,) = (await things.call("other", "operator", "GET", "/v1/rollouts")).body["data"]
        assert theirs["status"] in {"shadow", "running"}
        await things.call("acme", "platform", "POST", "/v1/rollouts/stop")
        assert (await things.call("acme", "platform", "POST", "/v1/rollouts", PLAN)).status == 201
        mine = await things.call(
            "acme", "admin", "POST", "/v1/rollouts", PLAN | {"account": "acme"}
        )
        assert mine.status == 409


async def test_a_version_refused_for_everybody_is_not_proved_by_one_account(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        made = await it.post("/v1/rollouts", PLAN, role="platform", key=None)
        await it.post(f"/v1/rollouts/{made.body['id']}/abort", {}, role="platform", key=None)
        assert NEW in it.service.runtime.live.routes.unproved
        mine = await it.post("/v1/rollouts", PLAN | {"account": "acme"}, role="admin", key=None)
        path = f"/v1/rollouts/{mine.body['id']}/promote"
        assert (await it.post(path, {"reason": "mine"}, role="admin", key=None)).status == 200
        assert NEW in it.service.runtime.live.routes.unproved


async def test_the_platform_is_confined_to_no_account(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for role in ROLES:
            expected = None if role == "platform" else "acme"
            assert owner_of(it.keys[role][0]) == expected
