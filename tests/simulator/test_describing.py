"""What the simulator says of itself is what it does, by an independent validator."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import msgspec
import pytest

from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.verdict import check
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig
from tollkeeper.simulator.stripe.describing import description
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.simulator.stripe.versions import VERSIONS
from tollkeeper.testing.loop import VirtualLoop
from tollkeeper.testing.ports import SeededChance, VirtualClock

KEY = "sk_test_describing"
VISIT: tuple[tuple[str, str, str, list[tuple[str, str]]], ...] = (
    ("POST", "/v1/payment_intents", "payment_intent", [
        ("amount", "1000"), ("currency", "eur"), ("confirm", "true"),
        ("payment_method", "pm_card_visa"), ("payment_method_types[]", "card"),
        ("capture_method", "manual"), ("expand[]", "latest_charge"),
        ("metadata[order]", "1"),
    ]),
    ("POST", "/v1/payment_intents/{}/capture", "payment_intent", [("expand[]", "latest_charge")]),
    ("GET", "/v1/payment_intents/{}", "payment_intent", []),
    ("POST", "/v1/refunds", "refund", [("payment_intent", "{}"), ("amount", "100")]),
)  # fmt: skip


def validator(name: str) -> Any:
    """OpenAPI 3.0's `nullable` said in JSON Schema, for a validator that knows no OpenAPI."""

    def said(schema: Any) -> Any:
        if isinstance(schema, list):
            return [said(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        plain = {key: said(value) for key, value in schema.items() if key != "nullable"}
        return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain

    whole = said(description())
    return jsonschema_rs.validator_for(
        {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
    )


def test_what_it_renders_at_its_newest_version_fits_its_description() -> None:
    loop = VirtualLoop(1)  # type: ignore[abstract]

    async def visit() -> int:
        core = SimulatorCore(
            VirtualClock(loop), SeededChance("describing"),
            SimulatorConfig(accounts=[AccountConfig(key=KEY)]), spawn=asyncio.ensure_future,
        )  # fmt: skip
        intent = ""
        for method, path, kind, fields in VISIT:
            body = urlencode([(name, value.format(intent)) for name, value in fields])
            reply = await core.handle(
                SimRequest(
                    method, path.format(intent), "",
                    [
                        ("authorization", f"Bearer {KEY}"),
                        ("stripe-version", VERSIONS[-1]),
                        ("content-type", "application/x-www-form-urlencoded"),
                    ],
                    body.encode(),
                )
            )  # fmt: skip
            assert reply.status == 200, reply.body
            document = msgspec.json.decode(reply.body)
            intent = intent or document["id"]
            errors = [error.message for error in validator(kind).iter_errors(document)]
            assert errors == [], (path, errors)
        return len(VISIT)

    done: list[int] = []

    async def main() -> None:
        done.append(await visit())

    loop.run(main())
    assert done == [len(VISIT)]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("stripe@2022-08-01", False),
        ("stripe@2022-11-15", True),
        ("stripe@2026-03-25.dahlia", True),
    ],
)
def test_the_checker_says_which_versions_fit_the_newest_text(name: str, fits: bool) -> None:
    version = INSTALLED[name]
    new = read_description(msgspec.json.encode(description()))
    result = check(usage_of(version), new, None, reader_through(version))
    assert result.compatible is fits
    if not fits:
        assert any("charges" in finding.path for finding in result.findings)
