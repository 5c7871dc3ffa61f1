"""The verdict: root causes, guesses, dialects, references, bad input, reports, determinism."""

import os
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import yaml
from tests.contracts.sample import GET, PAY, USAGE, checked, fresh, sample_usage, schema

from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.reports.machines import as_junit, as_sarif
from tollkeeper.contracts.reports.plain import as_json, as_markdown, as_text
from tollkeeper.contracts.usage import read_usage
from tollkeeper.contracts.verdict import check
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.kernel.errors import Invalid


def _without_charges() -> dict[str, Any]:
    changed = fresh()
    payment = schema(changed, "Payment")
    del payment["properties"]["charges"]
    payment["required"].remove("charges")
    payment["properties"]["latest_charge"] = {"type": "string"}
    return changed


def test_one_removed_field_is_one_finding_that_names_every_operation_and_the_likely_heir() -> None:
    result = checked(_without_charges())
    (finding,) = [f for f in result.findings if f.severity == "breaking"]
    assert finding.operations == (GET, PAY)
    assert finding.before == "charges"
    assert finding.after == "latest_charge"
    assert finding.pointer == "/components/schemas/Payment/properties/charges"
    assert not result.compatible


def test_the_same_text_is_compatible_and_says_nothing() -> None:
    result = checked(fresh())
    assert result.compatible
    assert result.findings == []


def test_json_and_yaml_of_one_text_give_one_result() -> None:
    changed = _without_charges()
    as_yaml = read_description(yaml.safe_dump(changed).encode())
    old = read_description(msgspec.json.encode(fresh()))
    assert check(sample_usage(), as_yaml, old) == checked(changed)


def test_a_move_from_openapi_3_0_to_3_1_is_no_finding() -> None:
    moved = fresh()
    moved["openapi"] = "3.1.0"
    schema(moved, "Payment")["properties"]["failure"] = {"type": ["string", "null"]}
    before = fresh()
    schema(before, "Payment")["properties"]["failure"] = {"type": "string", "nullable": True}
    assert checked(moved, before).findings == []


def test_a_path_that_moves_into_the_servers_address_is_the_same_path() -> None:
    moved = fresh()
    moved["servers"] = [{"url": "https://api.example.com/v1"}]
    moved["paths"] = {path.removeprefix("/v1"): item for path, item in moved["paths"].items()}
    assert checked(moved).findings == []


def test_an_unused_operation_may_change_as_it_likes() -> None:
    changed = fresh()
    changed["paths"]["/v1/unused"] = {"post": {"requestBody": {"$ref": "#/nowhere"}}}
    assert checked(changed).findings == []


def test_a_cycle_of_schemas_ends() -> None:
    changed = fresh()
    schema(changed, "Charge")["properties"]["parent"] = {"$ref": "#/components/schemas/Charge"}
    changed["components"]["schemas"]["Loop"] = {"$ref": "#/components/schemas/Loop"}
    schema(changed, "Payment")["properties"]["failure"] = {"$ref": "#/components/schemas/Loop"}
    assert {f.rule for f in checked(changed).findings} >= {"dangling-reference"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not an object"),
        (b"{", "not JSON"),
        (b"[1]", "not an object"),
        (b'{"a": 1}', "neither `openapi` nor `swagger`"),
        (b"a: [", "neither JSON nor YAML"),
        (b"\xff\x00\x01", "neither JSON nor YAML"),
    ],
)
def test_a_text_that_is_no_description_is_named(text: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read_description(text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version"),
        ({"operations": {"GET": {}}}, "not a METHOD and a path"),
        ({"operations": {PAY: {"reed": ["id"]}}}, "did you mean read"),
        ({"operations": {PAY: {"read": ["a b"]}}}, "not a path"),
        ({"operations": []}, "Expected `object`"),
    ],
)
def test_a_usage_file_that_is_wrong_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read_usage(msgspec.json.encode({**USAGE, **change}))


def test_the_json_report_has_the_documented_shape() -> None:
    document = msgspec.json.decode(as_json(checked(_without_charges())))
    assert set(document) == {"compatible", "findings", "checked"}
    assert document["compatible"] is False
    assert set(document["findings"][0]) >= {
        "rule", "severity", "standing", "operations", "location", "path", "pointer",
        "relied_on_by", "before", "after", "advice", "witness",
    }  # fmt: skip


def test_text_and_markdown_name_the_rule_the_heir_and_the_verdict() -> None:
    result = checked(_without_charges())
    for text in (as_text(result), as_markdown(result)):
        assert "field-removed" in text
        assert "latest_charge" in text
        assert "not compatible" in text


def test_junit_fails_the_rule_that_broke_and_no_other() -> None:
    suite = ElementTree.fromstring(as_junit(checked(_without_charges())))  # noqa: S314 - ours
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["field-removed"]
    assert suite.get("failures") == "1"


def test_sarif_names_a_rule_and_a_place_for_each_result() -> None:
    result = checked(_without_charges())
    run = msgspec.json.decode(as_sarif(result, "new.json"))["runs"][0]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert len(run["results"]) == len(result.findings)
    assert {item["ruleId"] for item in run["results"]} <= known


def test_usage_is_derived_from_the_types_tables_and_requests_of_every_version() -> None:
    for version in INSTALLED.values():
        usage = usage_of(version)
        made = usage.operations["POST /v1/payment_intents"]
        assert {"id", "status", "amount", "currency"} <= set(made.nonnull)
        assert {"amount", "currency", "confirm", "metadata.tollkeeper_attempt"} <= set(made.send)
        assert made.values["capture_method"] == ("automatic", "manual")
        assert "succeeded" in made.exhaustive["status"]
    old = usage_of(INSTALLED["stripe@2022-08-01"]).operations["POST /v1/payment_intents"]
    assert "charges.data[].amount_captured" in old.read
    new = usage_of(INSTALLED["stripe@2022-11-15"]).operations["POST /v1/payment_intents"]
    assert "latest_charge.amount_captured" in new.read


def test_the_real_code_is_the_reader_of_an_installed_version() -> None:
    read = reader_through(INSTALLED["stripe@2022-08-01"])
    reply = {"id": "pi_1", "status": "succeeded", "amount": 100, "currency": "eur"}
    assert "/charges" in read("POST /v1/payment_intents", reply)[""]
    whole = {**reply, "charges": {"data": [{"amount_captured": 100, "amount_refunded": 0}]}}
    assert read("POST /v1/payment_intents", whole) == {}


def test_twenty_runs_under_different_hash_seeds_give_one_text() -> None:
    program = (
        "import sys; sys.path[:0] = ['tests', 'src']\n"
        "from contracts.test_verdict import _without_charges, checked, as_json\n"
        "sys.stdout.write(as_json(checked(_without_charges())))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (0, 1, 2, 3711)
    }
    assert len(texts) == 1
