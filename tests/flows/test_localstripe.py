"""Against `localstripe`, a look-alike that nobody here wrote: what it says is read or unknown, and
never wrong. It knows no versions and no idempotency keys, and answers old and new shapes at once.

It runs in a process and an environment of its own (`./dev localstripe-env`), bound to loopback.
"""

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, PROVIDER_KEY, Stage, stage

from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.settings import ProviderSettings
from tollkeeper.testing.temper import without_keys
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.trip import Budgets

PYTHON = Path(__file__).parents[2] / ".venv-localstripe/bin/python"
LAUNCH = """
import sys
from aiohttp import web
from localstripe.server import app
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no localstripe: `./dev localstripe-env` makes its environment"
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(PYTHON), "-c", LAUNCH, str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=tmp_path) as process:
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "localstripe ended"
        time.sleep(0.1)
    raise AssertionError("localstripe does not answer")


class Tolerated:
    """The wire, without the parameters that localstripe refuses to know."""

    def __init__(self, real: HttpWire, *drop: str) -> None:
        self._real = real
        self._drop = drop
        self.sent: list[WireRequest] = []

    async def send(self, request: WireRequest, target: Target) -> WireResult:
        self.sent.append(request)
        body, query = self._kept(request.body.decode()), self._kept(request.query)
        return await self._real.send(replace(request, body=body.encode(), query=query), target)

    def _kept(self, form: str) -> str:
        fields = parse_qsl(form, keep_blank_values=True)
        return urlencode([f for f in fields if f[0].partition("[")[0] not in self._drop])


@asynccontextmanager
async def shop(
    folder: Path, address: str, version: str, *, drop: tuple[str, ...] = ("return_url", "created")
) -> AsyncIterator[tuple[Stage, Tolerated]]:
    provider = ProviderSettings(
        secret_key=PROVIDER_KEY, base_url=address, in_flight_window_seconds=5
    )
    settings: dict[str, Any] = {
        "providers": {"stripe": provider}, "weights": {version: 100.0},
        "attention_after_seconds": 60,
    }  # fmt: skip
    async with stage(folder, **settings) as s, HttpWire(Budgets()) as real:
        wire = Tolerated(real, *drop)
        alter(s.runtime, wire=wire)
        # it keeps no keys, whatever the version says of Stripe
        alter(s.runtime, installed={n: without_keys(v) for n, v in s.runtime.installed.items()})
        s.clock.now = time.time()
        yield s, wire


async def intents(s: Stage, wire: Tolerated) -> list[dict[str, Any]]:
    """What localstripe holds, by its own listing."""
    import msgspec  # noqa: PLC0415 - the one place

    request = WireRequest(method="GET", path="/v1/payment_intents", query="limit=100")
    result = await wire.send(request, s.runtime.target(s.runtime.integration(MIDDLE)))
    assert result.reply is not None
    found: list[dict[str, Any]] = msgspec.json.decode(result.reply.body)["data"]
    return found


@pytest.mark.parametrize("version", [OLD, MIDDLE, NEW])
async def test_an_authorization_a_capture_and_a_refund_are_completed(
    tmp_path: Path, address: str, version: str
) -> None:
    async with shop(tmp_path, address, version) as (s, wire):
        held = await s.held()
        assert (held["status"], held["outcome"]) == ("requires_capture", "known")
        captured = await s.capture(held["id"])
        assert (captured["status"], captured["amount_captured_minor"]) == ("succeeded", 1_000)
        refund = await s.refund(held["id"], 400)
        assert (refund["status"], refund["outcome"]) == ("succeeded", "known")
        (mine,) = [i for i in await intents(s, wire) if i["id"] == held["provider_id"]]
        assert (mine["status"], mine["latest_charge"]["amount_refunded"]) == ("succeeded", 400)
        await s.work(60)
        assert (await s.examined(quiet=False)).open_attempts == 0


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_what_it_refuses_in_no_words_of_stripes_is_unknown_and_settled(
    tmp_path: Path, address: str, version: str
) -> None:
    async with shop(tmp_path, address, version, drop=("created",)) as (s, wire):
        paid = await s.create()
        assert (paid["status"], paid["outcome"]) == ("processing", "unknown")
        await s.work(60)
        payment = (await s.books(paid["id"])).payment
        assert (payment.status, payment.failure_code) == ("failed", "not_executed")
        assert [i for i in await intents(s, wire) if i["metadata"]] == []
        assert sum(request.method == "POST" for request in wire.sent) == 1


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_partial_capture_whose_sum_it_leaves_out_is_unknown_and_never_sent_again(
    tmp_path: Path, address: str, version: str
) -> None:
    async with shop(tmp_path, address, version) as (s, wire):
        held = await s.held()
        captured = await s.capture(held["id"], 400)
        assert (captured["outcome"], captured["amount_captured_minor"]) == ("unknown", 0)
        await s.work(300)
        books = await s.books(held["id"])
        assert not books.payment.outcome_known
        assert books.payment.reserved_minor == 400
        assert books.payment.attention is not None
        assert sum(r.path.endswith("/capture") for r in wire.sent) == 1
