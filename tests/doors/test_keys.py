"""Keys and roles: who may do what, and what an account never sees of another."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.api.openapi import PREFIXES
from tollkeeper.api.route import Route
from tollkeeper.api.routes import ROUTES
from tollkeeper.flows.operations.keys import ROLES, allows, create_key, digest_of, revoke_key
from tollkeeper.kernel.errors import Invalid, NotFound

NOBODY = "tk_" + "0" * 32


async def test_without_a_live_key_nothing_is_shown(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for given in (None, "", "Bearer", "Bearer ", f"Bearer {NOBODY}", "Basic dGs6", NOBODY):
            headers = {} if given is None else {"Authorization": given}
            for path in ("/v1/payments", "/v1/payments/pay_1", "/v1/events"):
                reply = await it.get(path, role=None, headers=headers)
                assert (reply.status, reply.body["code"]) == (401, "unauthenticated"), given
                assert reply.headers["www-authenticate"] == "Bearer"


def _path(route: Route) -> str:
    """The route's path with ids that name nothing."""
    path = route.path
    for name, prefix in PREFIXES.items():
        path = path.replace(f"{{{name}}}", f"{prefix}_{'0' * 26}")
    return path


async def _call(it: Stage, route: Route, role: str) -> int:
    if route.method == "POST":
        return (await it.post(_path(route), {}, role=role)).status
    return (await it.send(route.method, _path(route), role=role)).status


async def test_a_role_may_do_what_the_table_says_and_no_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for route in (route for route in ROUTES if route.role):
            for role in ROLES:
                status = await _call(it, route, role)
                assert (status == 403) is not allows(role, route.role), (route.path, role)  # type: ignore[arg-type]
                assert status != 401
                assert status < 500


async def test_an_account_sees_nothing_of_another(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        held = await it.pay(capture_method="manual")
        made = await it.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9/x"}, role="admin")
        event = (await it.get("/v1/events")).body["data"][0]
        mine = f"/v1/payments/{held['id']}"
        hook = f"/v1/webhook_endpoints/{made.body['id']}"
        for path in (mine, f"{mine}/refunds", f"{mine}/attempts", f"{mine}/audit",
                     f"/v1/events/{event['id']}", hook, f"{hook}/deliveries"):  # fmt: skip
            assert (await it.get(path, role="admin")).status == 200, path
            assert (await it.get(path, role="stranger")).status == 404, path
        for path in ("capture", "void", "refunds"):
            assert (await it.post(f"{mine}/{path}", {}, role="stranger")).status == 404
        assert (await it.post(f"{hook}/rotate_secret", {}, role="stranger")).status == 404
        assert (await it.send("DELETE", hook, role="stranger")).status == 404
        for path in ("/v1/payments", "/v1/events", "/v1/webhook_endpoints"):
            assert (await it.get(path, role="stranger")).body["data"] == []
        assert (await it.get(mine)).body["status"] == "requires_capture"


async def test_a_revoked_key_dies_within_two_seconds(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        runtime = it.service.runtime
        key, secret = await create_key(runtime, "acme", "viewer", "soon gone")
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await it.get("/v1/payments", role=None, headers=headers)).status == 200
        revoked = await revoke_key(runtime, key.id)
        assert await revoke_key(runtime, key.id) == revoked
        async with asyncio.timeout(2.5):
            while (await it.get("/v1/payments", role=None, headers=headers)).status != 401:
                await asyncio.sleep(0.1)


async def test_of_a_secret_only_the_digest_is_kept(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        key, secret = it.keys["admin"]
        assert key.digest == digest_of(secret)
        assert secret not in repr(await it.service.store.list_api_keys())
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite3*"))
        assert key.digest.encode() in stored
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("account", "role", "label", "pointer"),
    [
        ("", "admin", "x", "/account"),
        ("ä", "admin", "x", "/account"),
        ("acme", "root", "x", "/role"),
        ("acme", "admin", "x" * 201, "/label"),
    ],
)
async def test_a_key_needs_a_role_that_exists(
    tmp_path: Path, account: str, role: str, label: str, pointer: str
) -> None:
    async with stage(tmp_path) as it:
        with pytest.raises(Invalid) as caught:
            await create_key(it.service.runtime, account, role, label)
        assert [fault.pointer for fault in caught.value.faults] == [pointer]
        with pytest.raises(NotFound):
            await revoke_key(it.service.runtime, "key_1")


async def test_operators_see_attempts_and_the_audit_chain(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        path = f"/v1/payments/{paid['id']}"
        (attempt,) = (await it.get(f"{path}/attempts", role="operator")).body["data"]
        assert (attempt["operation"], attempt["outcome"]) == ("authorize", "approved")
        rows: list[Any] = (await it.get(f"{path}/audit", role="operator")).body["data"]
        assert [row["change"]["cause"] for row in rows] == ["created", "authorize.answered"]
        assert [row["previous"] for row in rows] == ["", rows[0]["hash"]]
        assert {row["actor"] for row in rows} == {it.keys["service"][0].id}
        assert str(PAYMENT["payment_method"]) not in str(rows)
