"""Every rule has a mirror: a change that it must find, and a neutral twin that it must not."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contracts.sample import checked, fresh, schema

from tollkeeper.contracts.catalogue import RULES
from tollkeeper.contracts.reports.machines import OTHER_RULES

type Change = Callable[[dict[str, Any]], object]


def _payment(d: dict[str, Any]) -> dict[str, Any]:
    return schema(d, "Payment")


def _order(d: dict[str, Any]) -> dict[str, Any]:
    return schema(d, "Order")


def _post(d: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = d["paths"]["/v1/payments"]["post"]
    return found


def _remove_charges(d: dict[str, Any]) -> None:
    del _payment(d)["properties"]["charges"]
    _payment(d)["required"].remove("charges")
    _payment(d)["properties"]["latest_charge"] = {"type": "string"}


def _form_only(d: dict[str, Any]) -> None:
    content = _post(d)["requestBody"]["content"]
    content["application/x-www-form-urlencoded"] = content.pop("application/json")


def _form_too(d: dict[str, Any]) -> None:
    content = _post(d)["requestBody"]["content"]
    content["application/x-www-form-urlencoded"] = content["application/json"]


MIRRORS: dict[str, tuple[str, Change, Change]] = {
    "field-removed": (
        "breaking",
        _remove_charges,
        lambda d: _payment(d)["properties"].update(extra={"type": "string"}),
    ),
    "field-nullable": (
        "breaking",
        lambda d: _payment(d)["properties"]["amount"].update(nullable=True),
        lambda d: schema(d, "Failure")["properties"]["text"].update(nullable=True),
    ),
    "field-optional": (
        "risky",
        lambda d: _payment(d)["required"].remove("charges"),
        lambda d: _payment(d)["required"].append("failure"),
    ),
    "body-removed": (
        "breaking",
        lambda d: _post(d)["responses"]["200"].pop("content"),
        lambda d: _post(d)["responses"].update({"202": {"description": "later"}}),
    ),
    "branch-added": (
        "risky",
        lambda d: d["components"]["schemas"].update(
            Charge={"anyOf": [schema(d, "Charge"), {"type": "object", "properties": {"x": {}}}]}
        ),
        lambda d: d["components"]["schemas"].update(
            Charge={"anyOf": [schema(d, "Charge"), schema(d, "Charge")]}
        ),
    ),
    "field-type": (
        "breaking",
        lambda d: _payment(d)["properties"].update(failure={"type": "object"}),
        lambda d: _payment(d)["properties"]["id"].update(maxLength=64),
    ),
    "word-added": (
        "risky",
        lambda d: _payment(d)["properties"]["status"]["enum"].append("held"),
        lambda d: _payment(d)["properties"]["status"].update(enum=["paid", "open"]),
    ),
    "parameter-removed": (
        "breaking",
        lambda d: _order(d)["properties"].pop("note"),
        lambda d: _order(d)["properties"].pop("speed"),
    ),
    "parameter-read-only": (
        "risky",
        lambda d: _order(d)["properties"]["note"].update(readOnly=True),
        lambda d: _order(d)["properties"]["note"].update(writeOnly=True),
    ),
    "parameter-required": (
        "breaking",
        lambda d: (
            _order(d)["properties"].update(country={"type": "string"}),
            _order(d)["required"].append("country"),
        ),
        lambda d: _order(d)["required"].append("method"),
    ),
    "parameter-values": (
        "breaking",
        lambda d: _order(d)["properties"]["method"].update(enum=["bank"]),
        lambda d: _order(d)["properties"]["method"].update(enum=["card"]),
    ),
    "parameter-type": (
        "breaking",
        lambda d: _order(d)["properties"].update(amount={"type": "string"}),
        lambda d: _order(d)["properties"].update(amount={"type": ["integer", "string"]}),
    ),
    "parameter-limits": (
        "risky",
        lambda d: _order(d)["properties"]["note"].update(maxLength=100),
        lambda d: _order(d)["properties"]["note"].update(maxLength=300),
    ),
    "default-changed": (
        "risky",
        lambda d: _order(d)["properties"]["speed"].update(default="fast"),
        lambda d: _order(d)["properties"].update(lane={"type": "string", "default": "left"}),
    ),
    "content-type": ("breaking", _form_only, _form_too),
    "security-changed": (
        "risky",
        lambda d: d["components"]["securitySchemes"].update(key={"type": "oauth2"}),
        lambda d: (
            d["components"]["securitySchemes"].update(token={"type": "http", "scheme": "bearer"}),
            _post(d).update(security=[{"token": []}]),
        ),
    ),
    "operation-removed": (
        "breaking",
        lambda d: d["paths"].pop("/v1/payments/{id}"),
        lambda d: d["paths"].update({"/v1/payments/{other}": d["paths"].pop("/v1/payments/{id}")}),
    ),
    "operation-moved": (
        "breaking",
        lambda d: d.update(servers=[{"url": "https://api.example.com/gateway"}]),
        lambda d: d.update(servers=[{"url": "https://other.example.com/"}, {"url": "/test"}]),
    ),
    "header-removed": (
        "breaking",
        lambda d: _post(d)["responses"]["200"]["headers"].pop("Request-Id"),
        lambda d: _post(d)["responses"]["200"].update(headers={"request-id": {}, "X-More": {}}),
    ),
    "deprecated": (
        "harmless",
        lambda d: _post(d).update({"deprecated": True, "x-sunset": "2027-01-01"}),
        lambda d: d["paths"]["/v1/unused"]["get"].update(deprecated=True),
    ),
    "request-refused": (
        "risky",
        lambda d: _order(d).update(dependentRequired={"amount": ["token"]}),
        lambda d: _order(d).update(dependentRequired={"amount": ["currency"]}),
    ),
    "dangling-reference": (
        "risky",
        lambda d: d["components"]["schemas"].pop("Charge"),
        lambda d: d["paths"].pop("/v1/unused"),
    ),
}


def test_every_rule_has_a_mirror() -> None:
    assert set(MIRRORS) == {rule.name for rule in RULES} | set(OTHER_RULES)


@pytest.mark.parametrize("rule", sorted(MIRRORS))
def test_the_planted_change_is_found_with_its_severity(rule: str) -> None:
    severity, plant, _ = MIRRORS[rule]
    changed = fresh()
    plant(changed)
    found = [f for f in checked(changed).findings if f.rule == rule and not f.standing]
    assert severity in {f.severity for f in found}, found


@pytest.mark.parametrize("rule", sorted(MIRRORS))
def test_the_neutral_twin_is_no_finding(rule: str) -> None:
    neutral = fresh()
    MIRRORS[rule][2](neutral)
    result = checked(neutral)
    assert [f for f in result.findings if not f.standing and f.severity != "harmless"] == []
    assert result.compatible


@pytest.mark.parametrize("rule", sorted(MIRRORS))
def test_what_the_old_text_had_as_well_is_standing_and_never_breaking(rule: str) -> None:
    changed = fresh()
    MIRRORS[rule][1](changed)
    result = checked(changed, changed)
    assert all(f.standing and f.severity != "breaking" for f in result.findings), result.findings
    assert result.compatible


@pytest.mark.parametrize("rule", sorted(MIRRORS))
def test_every_breaking_finding_has_a_witness(rule: str) -> None:
    changed = fresh()
    MIRRORS[rule][1](changed)
    for finding in checked(changed).findings:
        assert finding.severity != "breaking" or finding.witness is not None, finding
