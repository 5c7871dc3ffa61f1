"""The OpenAPI text is true: who knows only it gets no answer that it does not announce."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.doors.programs import SECRET, service, simulator
from tests.doors.stage import PAYMENT, stage

from tollkeeper.api.openapi import document, operation_id, refusals
from tollkeeper.api.problems import STATUSES, status_of
from tollkeeper.api.routes import ROUTES

DESCRIPTION: Any = msgspec.json.decode(document())
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
BOUNDED = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service's program, with the simulator's behind it."""
    with (
        simulator() as provider,
        service(tmp_path_factory.mktemp("doors"), provider.url, receive_seconds=2.0) as it,
    ):
        yield it.url


@pytest.fixture(scope="module")
def known(address: str) -> dict[str, str]:
    """Ids that name something."""
    fields = PAYMENT | {"capture_method": "manual"}
    paid = _post(address, "/v1/payments", fields)
    refunded = _post(address, "/v1/payments", PAYMENT)
    refund = _post(address, f"/v1/payments/{refunded['id']}/refunds", {"amount_minor": 1})
    endpoint = _post(address, "/v1/webhook_endpoints", {"url": f"{address}/health"})
    events = requests.get(f"{address}/v1/events", headers=HEADERS, timeout=10).json()
    return {
        "payment_id": paid["id"],
        "refunded": refunded["id"],
        "refund_id": refund["id"],
        "event_id": events["data"][0]["id"],
        "endpoint_id": endpoint["id"],
    }


def _post(address: str, path: str, body: Any) -> Any:
    headers = HEADERS | {"Idempotency-Key": f"known {path} {json.dumps(body)}"}
    return requests.post(f"{address}{path}", json=body, headers=headers, timeout=10).json()


@pytest.mark.timeout(120)
@SCHEMA.parametrize()
@BOUNDED
def test_every_answer_is_announced(case: Any, address: str, known: dict[str, str]) -> None:
    case.call_and_validate(base_url=address, headers=HEADERS, checks=CHECKS)
    if case.path_parameters and case.method != "DELETE":  # once more about something that exists
        ids = known | ({"payment_id": known["refunded"]} if "{refund_id}" in case.path else {})
        case.path_parameters.update({k: ids[k] for k in case.path_parameters if k in ids})
        case.call_and_validate(base_url=address, headers=HEADERS, checks=CHECKS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from([*PAYMENT, "capture_method", "metadata", "return_url", "customer"]),
    JSON | st.sampled_from([1, "EUR", "pm_card_visa", "manual", {}, "https://a.example"]),
)
BODIES = (
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | FIELDS.map(lambda fields: json.dumps(PAYMENT | fields).encode())
)


@given(body=BODIES, key=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])))
@settings(BOUNDED, max_examples=150)
def test_no_bytes_break_the_door(address: str, body: bytes, key: str) -> None:
    headers: dict[str, str | bytes] = {**HEADERS, "Content-Type": "application/json"}
    headers["Idempotency-Key"] = key.strip().encode("latin-1")
    answer = requests.post(f"{address}/v1/payments", data=body, headers=headers, timeout=10)
    assert answer.status_code in {200, 201, 202, 400, 409, 422}, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in {kind.code for kind in STATUSES}


def test_the_text_is_openapi_and_knows_every_route_and_problem() -> None:
    for schema in DESCRIPTION["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        )
    names = [operation_id(route) for route in ROUTES]
    assert len(set(names)) == len(names)
    for route in ROUTES:
        told = DESCRIPTION["paths"][route.path][route.method.lower()]
        assert [int(status) for status in told["responses"]] == [*route.statuses, *refusals(route)]
        needs_key = any(p["name"] == "Idempotency-Key" for p in told["parameters"])
        assert needs_key is route.money
    references = re.findall(r'"\$ref":"#/([^"]+)"', document().decode())
    for reference in references:
        found = DESCRIPTION
        for part in reference.split("/"):
            found = found[part]


def test_every_error_has_a_status_of_its_own_choosing() -> None:
    from documents import error_classes  # noqa: PLC0415 - a tool, found by its folder

    for kind in error_classes():
        assert kind in STATUSES, f"{kind.__name__} is missing in api/problems.py"
        status, title = status_of(kind)
        assert (400 <= status < 600, bool(title)) == (True, True)
    announced = DESCRIPTION["components"]["responses"]
    assert {f"problem{status}" for status, _ in STATUSES.values()} == set(announced)


async def test_the_text_is_served_without_a_key(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        reply = await it.get("/openapi.json", role=None)
        assert (reply.status, reply.raw) == (200, document())


async def test_a_service_that_drains_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/ready", role=None)).status == 200
        it.service.draining = True
        assert (await it.get("/ready", role=None)).status == 503
        assert (await it.get("/health", role=None)).status == 200


async def test_metrics_count_by_route_and_by_outcome_and_name_nobody(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay(customer="somebody")
        await it.pay(payment_method="pm_card_visa_chargeDeclined")
        await it.get(f"/v1/payments/{paid['id']}")
        await it.get("/v1/nothing")
        text = (await it.get("/metrics", role=None)).raw.decode()
        for line in (
            'tollkeeper_http_requests_total{method="POST",route="/v1/payments",status="201"} 2.0',
            'tollkeeper_http_requests_total{method="ANY",route="unmatched",status="404"} 1.0',
            'tollkeeper_payment_outcomes_total{integration="stripe@2022-11-15",'
            'operation="authorize",outcome="succeeded"} 1.0',
            'tollkeeper_payment_outcomes_total{integration="stripe@2022-11-15",'
            'operation="authorize",outcome="failed"} 1.0',
            'tollkeeper_provider_requests_total{integration="stripe@2022-11-15",'
            'operation="authorize",result="approved",stage=""} 1.0',
            'tollkeeper_provider_requests_total{integration="stripe@2022-11-15",'
            'operation="authorize",result="B2",stage=""} 1.0',
            'tollkeeper_provider_request_seconds_bucket{integration="stripe@2022-11-15",'
            'le="+Inf",operation="authorize"} 2.0',
        ):
            assert line in text, text
        for name in (paid["id"], "somebody", "acme", "nothing"):
            assert name not in text
