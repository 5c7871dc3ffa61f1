"""Alerts of other tools: PagerDuty's own client and Alertmanager's webhooks open one incident."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pagerduty
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doors.test_incidents import PLAN, Told, config, told

from tollkeeper.cli.main import main
from tollkeeper.incidents.inputs import Webhook, event_of, heard_of_event, heard_of_webhook

KEY = "a-routing-key-of-the-tests"
INPUTS = f"""
[inputs.monitor]
key = "{KEY}"
[inputs.payments]
key = "another-key-of-the-tests"
about = "stripe"
"""


async def incidents(it: Told) -> list[Any]:
    return list((await it.it.get("/v1/incidents", role="platform")).body["data"])


def client_of(it: Told, key: str) -> pagerduty.EventsApiV2Client:
    """PagerDuty's client. It takes https alone, and the stage has no TLS."""
    client = pagerduty.EventsApiV2Client(key, base_url="https://localhost")
    client._url = it.it.url
    return client


async def test_the_official_client_triggers_acknowledges_and_resolves(tmp_path: Path) -> None:
    async with told(tmp_path, PLAN + INPUTS) as it:
        client = client_of(it, KEY)
        send = asyncio.to_thread
        key = await send(client.trigger, "disk is full", "db-1", severity="critical")
        again = await send(client.trigger, "disk is full", "db-1", dedup_key=key)
        other = await send(client.trigger, "disk is fuller", "db-1", dedup_key="second")
        assert (again, other) == (key, "second")
        (one,) = await incidents(it)
        assert (one["severity"], one["title"]) == ("sev1", "disk is full")
        await it.until(lambda got: any("disk is full" in subject for _, _, subject, *_ in got))
        await send(client.acknowledge, key)
        assert [i["status"] for i in await incidents(it)] == ["acknowledged"]
        await send(client.resolve, key)
        assert [i["status"] for i in await incidents(it)] == ["acknowledged"]  # the other one
        await send(client.resolve, "second")
        assert [i["status"] for i in await incidents(it)] == ["resolved"]
        await send(client.resolve, "never heard of")
        assert len(await incidents(it)) == 1
        wrong = client_of(it, "a-wrong-key-of-the-tests")
        with pytest.raises(pagerduty.HttpError, match="401"):
            await send(wrong.trigger, "x", "y")
        for used in (client, wrong):
            used.close()


async def test_alertmanager_webhooks_join_what_is_open_about_the_provider(tmp_path: Path) -> None:
    async with told(tmp_path, PLAN + INPUTS) as it:
        await it.tell(about="stripe")
        async with asyncio.timeout(10):
            while not await incidents(it):
                await asyncio.sleep(0.05)
        body = {
            "version": "4",
            "groupKey": "{}",
            "status": "firing",
            "alerts": [
                {"status": "firing", "labels": {"alertname": f"Slow{n}", "severity": "page"},
                 "annotations": {"summary": "4242 4242 4242 4242 was seen"}, "fingerprint": f"f{n}"}
                for n in range(3)
            ],
        }  # fmt: skip
        head = {"Authorization": "Bearer another-key-of-the-tests"}
        sent = await it.it.post("/v1/inputs/alertmanager", body, role=None, headers=head)
        assert (sent.status, sent.body) == (200, {"alerts": 3})
        (one,) = await incidents(it)
        shown = await it.incident()
        assert one["about"] == "stripe"
        assert sum(entry["kind"] == "joined" for entry in shown["timeline"]) == 3
        assert "4242" not in json.dumps(shown)
        none = await it.it.post("/v1/inputs/alertmanager", body, role=None)
        assert none.status == 401


def test_no_secret_of_a_plan_is_shown(tmp_path: Path, capsys: Any) -> None:
    at = ["--config", str(config(tmp_path))]
    plan = tmp_path / "plan.toml"
    plan.write_text((PLAN + INPUTS).format(mail=1, chat=2))
    assert main(["db", "migrate", *at]) == 0
    assert main(["oncall", "apply", str(plan), *at]) == 0
    assert main(["oncall", "show", "--json", *at]) == 0
    assert main(["oncall", "show", *at]) == 0
    shown = capsys.readouterr()
    assert "monitor" in shown.out
    for secret in (KEY, "another-key-of-the-tests", "127.0.0.1"):
        assert secret not in shown.out + shown.err


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"\xff", b'{"routing_key": 1}', b'{"routing_key": "x"}',
        b'{"routing_key": "x", "event_action": "explode"}',
        b'{"routing_key": "x", "event_action": "trigger"}',
        b'{"routing_key": "x", "event_action": "resolve"}',
        b'{"routing_key": "x", "event_action": "trigger", "payload": {"summary": "x"}}',
    ],
)  # fmt: skip
async def test_what_is_no_event_is_said(tmp_path: Path, body: bytes) -> None:
    async with told(tmp_path, PLAN + INPUTS) as it:
        reply = await it.it.send("POST", "/v2/enqueue", role=None, data=body)
        assert (reply.status, reply.body["code"]) == (400, "malformed_request")
        assert await incidents(it) == []


def words() -> st.SearchStrategy[Any]:
    leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats()
    return st.recursive(leaf, lambda it: st.lists(it, max_size=3) | _objects(it), max_leaves=8)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = ["routing_key", "event_action", "dedup_key", "payload", "summary", "source", "severity",
             "alerts", "labels", "annotations", "status", "fingerprint"]  # fmt: skip
    values = values | st.sampled_from(["trigger", "resolve", "critical", "firing", "resolved"])
    return st.dictionaries(st.sampled_from(names), values, max_size=6)


@given(_objects(words()))
def test_every_body_is_read_or_refused(body: Any) -> None:
    import msgspec  # noqa: PLC0415 - the one place

    text = json.dumps(body).encode()
    for read in (_events, _webhooks):
        try:
            heard = list(read(text))
        except msgspec.DecodeError:
            continue
        assert all(one.key is not None and one.action for one in heard)


def _events(text: bytes) -> Iterator[Any]:
    yield heard_of_event(event_of(text), "new")


def _webhooks(text: bytes) -> Iterator[Any]:
    import msgspec  # noqa: PLC0415 - the one place

    yield from heard_of_webhook(msgspec.json.decode(text, type=Webhook))
