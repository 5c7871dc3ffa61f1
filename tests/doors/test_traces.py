"""Spans as a collector gets them: real exports, decoded with OpenTelemetry's own classes."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.doors.stage import WEBHOOK_SECRET, Stage, settings_for, stage

from tollkeeper.app import Service, tracing
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.stripe.config import DEFAULT_KEY
from tollkeeper.store import migrate

CANARY = "canary-77c1"
CARD = "4242424242424242"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Keeps every span that it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.content_type == "application/x-protobuf"
        self.bodies.append(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        return web.Response(content_type="application/x-protobuf")

    @property
    def spans(self) -> list[Any]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert names["service.name"] == "tollkeeper"
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    try:
        yield made
    finally:
        await runner.cleanup()


def facts(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


async def pay(s: Stage, **fields: Any) -> Any:
    body = {
        "amount_minor": 1_000, "currency": "EUR", "payment_method": "pm_card_visa",
        "description": CANARY, "metadata": {"note": CANARY},
    }  # fmt: skip
    return await s.post("/v1/payments", body | fields, headers={"traceparent": CALLER})


async def test_a_payment_is_a_tree_of_spans_below_its_caller_s(tmp_path: Path) -> None:
    async with collector() as seen:
        async with stage(tmp_path, traces_url=seen.url) as s:
            reply = await pay(s)
            assert reply.status == 201
        (request,) = seen.named("POST /v1/payments")
        assert request.kind == Span.SPAN_KIND_SERVER
        assert request.trace_id.hex() == CALLER.split("-")[1]
        assert request.parent_span_id.hex() == CALLER.split("-")[2]
        assert facts(request) == {
            "http.request.method": "POST", "http.route": "/v1/payments",
            "http.response.status_code": 201,
        }  # fmt: skip
        (attempt,) = seen.named("provider authorize")
        assert attempt.parent_span_id == request.span_id
        assert attempt.kind == Span.SPAN_KIND_CLIENT
        assert facts(attempt)["payment.integration"].startswith("stripe@")
        assert facts(attempt)["http.response.status_code"] == 200
        children = [span for span in seen.spans if span.parent_span_id == attempt.span_id]
        assert "wait" in {span.name for span in children}
        times = sorted((span.start_time_unix_nano, span.end_time_unix_nano) for span in children)
        assert times[0][0] == attempt.start_time_unix_nano
        assert all(a[1] <= b[0] for a, b in pairwise(times))


async def test_doubt_is_settled_in_spans_of_jobs_and_failures_are_errors(tmp_path: Path) -> None:
    async with collector() as seen:
        async with stage(tmp_path, traces_url=seen.url) as s:
            s.simulator.core.faults.add(
                FaultRule(effect="error", when="before", status=500, operation="payment_intents.*")
            )
            await pay(s)
            for _ in range(100):
                if seen.named("job settle"):
                    break
                await asyncio.sleep(0.1)
        failed = seen.named("provider authorize")[0]
        assert failed.status.code == Status.STATUS_CODE_ERROR
        assert facts(failed)["error.type"] == "500"
        (settle, *_) = seen.named("job settle")
        assert settle.kind == Span.SPAN_KIND_CONSUMER
        assert facts(settle)["job.subject"].startswith("pay_")


async def test_no_secret_and_nothing_that_a_caller_wrote_is_in_a_span(tmp_path: Path) -> None:
    async with collector() as seen:
        async with stage(tmp_path, traces_url=seen.url) as s:
            await pay(s)
            await pay(s, payment_method=CARD)
            await pay(s, amount_minor=CANARY)
            secrets = [secret for _, secret in s.keys.values()]
        assert len(seen.spans) > 5
        body = b"".join(seen.bodies)
        for secret in (CANARY, CARD, DEFAULT_KEY, WEBHOOK_SECRET, *secrets):
            assert secret.encode() not in body


async def test_a_collector_that_is_not_there_stops_no_payment(tmp_path: Path) -> None:
    async with stage(tmp_path, traces_url="http://127.0.0.1:9/v1/traces") as s:
        assert (await pay(s)).status == 201


async def test_a_share_of_nothing_keeps_no_trace_that_the_caller_did_not_ask_for(
    tmp_path: Path,
) -> None:
    async with collector() as seen:
        async with stage(tmp_path, traces_url=seen.url, trace_share=0.0) as s:
            await pay(s)
            await s.get("/v1/payments")
        assert len(seen.named("POST /v1/payments")) == 1
        assert seen.named("GET /v1/payments") == []


async def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name, name="opentelemetry")

    monkeypatch.setattr(tracing, "import_module", missing)
    settings = settings_for(tmp_path, "http://127.0.0.1:9", traces_url="http://127.0.0.1:9")
    migrate.upgrade(settings.database)
    with pytest.raises(Misconfigured, match=r"tollkeeper\[otel\]"):
        async with Service(settings, work=False):
            pass
