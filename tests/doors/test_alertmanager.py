"""The operator's Alertmanager, the real one: it gets our alerts, once each, and sees them end."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doors.stage import settings_for
from tests.wire.test_notify import OVER, PAGE, TAKEN, sent

from tollkeeper.app import Service
from tollkeeper.flows.signals import posting
from tollkeeper.incidents.plan import Receiver
from tollkeeper.signals.alerts import Alert
from tollkeeper.store import migrate

PROGRAM, TOOL = shutil.which("prometheus-alertmanager"), shutil.which("amtool")
CONFIG = """
route: {receiver: nobody, group_wait: 1s}
receivers: [{name: nobody}]
"""

pytestmark = pytest.mark.skipif(
    PROGRAM is None or TOOL is None,
    reason="Alertmanager is not installed (Debian: prometheus-alertmanager)",
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    assert PROGRAM is not None
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    arguments = [
        PROGRAM, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        try:
            for _ in range(100):
                with socket.socket() as tried:
                    if tried.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            it.terminate()


def listed(address: str) -> list[dict[str, Any]]:
    """The alerts that are active there, as `amtool` lists them."""
    assert TOOL is not None
    done = subprocess.run(
        [TOOL, "alert", "query", "-o", "json", f"--alertmanager.url={address}"],
        capture_output=True, check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


async def until_listed(address: str, count: int) -> list[dict[str, Any]]:
    for _ in range(100):
        found = await asyncio.to_thread(listed, address)
        if len(found) == count:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


async def test_an_alertmanager_sees_an_alert_begin_once_and_end(
    tmp_path: Path, address: str
) -> None:
    settings = replace(settings_for(tmp_path, "http://127.0.0.1:9"), alertmanagers=(address,))
    migrate.upgrade(settings.database)
    async with Service(settings) as service:
        now_ms = service.store.now_ms()
        alert = Alert(
            id="alr_1", fingerprint="stripe", status="open", opened_ms=now_ms, seen_ms=now_ms
        )
        wakes = posting.wakes(service.runtime, now_ms)
        assert await service.store.save_alert(alert, (), wakes)
        (found,) = await until_listed(address, 1)
        assert found["labels"] == {
            "alertname": "TollkeeperAlert", "about": "stripe", "service": "tollkeeper",
            "severity": "page",
        }  # fmt: skip
        assert found["annotations"]["alert_id"] == "alr_1"
        another = replace(alert, id="alr_2")  # what a replica posts while the store is away
        service.runtime.live.open_alerts = (another,)
        service.runtime.live.is_store_away = True
        await asyncio.sleep(1.5)
        service.runtime.live.is_store_away = False
        assert len(await until_listed(address, 1)) == 1
        stored = await service.store.load_alert("alr_1")
        assert stored is not None
        now_ms = service.store.now_ms()
        over = replace(stored, status="resolved", resolved_ms=now_ms, revision=stored.revision + 1)
        assert await service.store.save_alert(over, (), posting.wakes(service.runtime, now_ms))
        await until_listed(address, 0)


async def test_an_alertmanager_that_is_a_receiver_sees_an_incident_begin_and_end(
    address: str,
) -> None:
    receiver = Receiver(kind="alertmanager", url=address)
    now_ms = int(time.time() * 1000)
    page, taken, over = (replace(one, at_ms=now_ms) for one in (PAGE, TAKEN, OVER))
    assert [answer.said for answer in await sent(receiver, page, page)] == ["200 accepted"] * 2
    (one,) = await until_listed(address, 1)
    assert (one["labels"]["incident"], one["annotations"]["summary"]) == ("inc_1", PAGE.subject)
    await sent(receiver, taken)
    assert len(await until_listed(address, 1)) == 1
    await sent(receiver, over)
    assert await until_listed(address, 0) == []
