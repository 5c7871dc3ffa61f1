"""The reader's corners: files beside a description, several replies, servers. Each has its twin."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.contracts.sample import GET, PAY, USAGE, checked, fresh, sample_usage, schema

from tollkeeper.cli.contracts import contract_verdict
from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.neighbors import relative
from tollkeeper.contracts.usage import read_usage
from tollkeeper.contracts.verdict import check
from tollkeeper.kernel.errors import Invalid


def _worse(result: Checked) -> list[tuple[str, str]]:
    return [(f.rule, f.severity) for f in result.findings
            if f.severity != "harmless" and not f.standing]  # fmt: skip


def _post(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/v1/payments"]["post"]
    return found


# Files beside the description


def _split(folder: Path, document: dict[str, Any]) -> Path:
    """The description in four files, which refer to each other and back."""
    document = copy.deepcopy(document)
    schemas = document["components"].pop("schemas")
    schemas["Payment"]["properties"]["charges"]["items"] = {"$ref": "charge.yaml"}
    (folder / "parts").mkdir(parents=True)
    (folder / "paths").mkdir()
    (folder / "parts" / "charge.yaml").write_text(yaml.safe_dump(schemas.pop("Charge")))
    (folder / "parts" / "all.json").write_bytes(msgspec.json.encode({"all": schemas}))
    text = msgspec.json.encode(document).decode()
    text = text.replace("#/components/schemas/", "../parts/all.json#/all/")
    document = msgspec.json.decode(text)
    item = document["paths"]["/v1/payments"]
    (folder / "paths" / "pay%20.json").write_bytes(msgspec.json.encode(item))
    document["paths"]["/v1/payments"] = {"$ref": "./paths/pay%2520.json"}
    text = msgspec.json.encode(document).decode().replace("../parts/", "parts/")
    root = folder / "root.json"
    root.write_text(text)
    return root


def _asked(folder: Path, new: Path, old: Path) -> Checked:
    usage = folder / "usage.json"
    usage.write_bytes(msgspec.json.encode(USAGE))
    return contract_verdict(new=new, old=old, usage=usage, integration=None)


def test_a_description_in_several_files_is_the_one_in_one_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole.json"
    whole.write_bytes(msgspec.json.encode(fresh()))
    root = _split(tmp_path / "new", fresh())
    assert _asked(tmp_path, root, whole).findings == []
    assert _asked(tmp_path, whole, root).findings == []


def test_a_break_in_a_file_beside_the_description_is_found_there(tmp_path: Path) -> None:
    changed = fresh()
    del schema(changed, "Charge")["properties"]["fee"]
    new, old = _split(tmp_path / "new", changed), _split(tmp_path / "old", fresh())
    (finding,) = _asked(tmp_path, new, old).findings
    assert (finding.rule, finding.severity) == ("field-removed", "breaking")
    assert finding.operations == (GET, PAY)
    assert finding.pointer == "parts/charge.yaml#/properties/fee"


def test_a_file_that_is_not_there_is_a_dangling_reference(tmp_path: Path) -> None:
    new, old = _split(tmp_path / "new", fresh()), _split(tmp_path / "old", fresh())
    (tmp_path / "new" / "parts" / "charge.yaml").unlink()
    result = _asked(tmp_path, new, old)
    assert ("dangling-reference", "risky") in _worse(result)
    assert result.compatible


def test_a_file_that_is_no_json_is_a_dangling_reference(tmp_path: Path) -> None:
    new, old = _split(tmp_path / "new", fresh()), _split(tmp_path / "old", fresh())
    (tmp_path / "new" / "parts" / "charge.yaml").write_bytes(b"a: [\xff")
    assert ("dangling-reference", "risky") in _worse(_asked(tmp_path, new, old))


def test_a_used_path_whose_reference_leads_nowhere_is_undecided_and_an_unused_one_is_nothing() -> (
    None
):
    changed = fresh()
    changed["paths"]["/v1/unused"] = {"$ref": "unused.yaml"}
    assert checked(changed).findings == []
    changed["paths"]["/v1/payments"] = {"$ref": "gone.yaml"}
    found = checked(changed)
    assert _worse(found) == [("dangling-reference", "risky"), ("operation-removed", "risky")]


@pytest.mark.parametrize(
    "reference",
    ["https://example.com/x.json", "/etc/passwd", "../x.json", "a/../../x", "a\\b", "."],
)
def test_nothing_outside_of_the_description_s_folder_is_read(reference: str) -> None:
    asked: list[str] = []
    changed = fresh()
    schema(changed, "Payment")["properties"]["amount"] = {"$ref": reference}
    new = read_description(msgspec.json.encode(changed), asked.append)
    old = read_description(msgspec.json.encode(fresh()))
    found: list[Finding] = check(sample_usage(), new, old).findings
    assert asked == []
    assert "dangling-reference" in {f.rule for f in found}


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    new, old = _split(tmp_path / "new", fresh()), _split(tmp_path / "old", fresh())
    charge = tmp_path / "new" / "parts" / "charge.yaml"
    charge.rename(tmp_path / "outside.yaml")
    charge.symlink_to(tmp_path / "outside.yaml")
    assert ("dangling-reference", "risky") in _worse(_asked(tmp_path, new, old))


def test_a_reference_is_relative_to_the_file_in_which_it_stands() -> None:
    assert relative("b.json#/x", "parts/a.json") == "parts/b.json"
    assert relative("../b.json", "parts/a.json") == "b.json"
    assert relative("#/x", "parts/a.json") == "parts/a.json"
    assert relative("#/x") == ""


# Several replies of one operation


def _content(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def test_every_reply_that_succeeds_must_be_understood() -> None:
    changed = fresh()
    _post(changed)["responses"]["202"] = _content("Failure")
    assert ("branch-added", "risky") in _worse(checked(changed))


def test_a_field_that_leaves_one_of_several_replies_is_found() -> None:
    old = fresh()
    old["components"]["schemas"]["Later"] = copy.deepcopy(schema(old, "Payment"))
    _post(old)["responses"]["202"] = _content("Later")
    new = copy.deepcopy(old)
    del schema(new, "Later")["properties"]["failure"]
    assert _worse(checked(old, old)) == []
    assert ("field-removed", "breaking") in _worse(checked(new, old))
    del schema(new, "Payment")["properties"]["failure"]
    assert ("field-removed", "breaking") in _worse(checked(new, old))


def test_the_same_reply_under_another_status_is_nothing() -> None:
    changed = fresh()
    replies = _post(changed)["responses"]
    replies |= {"201": _content("Payment"), "202": {"description": "no body"}}
    assert checked(changed).findings == []
    del replies["201"]
    replies["201"] = replies.pop("200")
    assert checked(changed).findings == []


def test_a_failure_s_field_is_asked_for_each_status() -> None:
    old = fresh()
    old["components"]["schemas"] |= {
        "Other": {"type": "object", "properties": {"message": {"type": "string"}}},
        "Wrong": copy.deepcopy(schema(old, "Failure")),
    }
    _post(old)["responses"] |= {"402": _content("Wrong"), "500": _content("Other")}
    assert _worse(checked(old, old)) == []
    new = copy.deepcopy(old)
    schema(new, "Wrong").update(properties={}, required=[])
    assert ("field-removed", "breaking") in _worse(checked(new, old))


# Servers


def _served(where: str, url: str) -> dict[str, Any]:
    document = fresh()
    item = document["paths"]["/v1/payments"]
    holder = {"root": document, "path": item, "operation": item["post"]}[where]
    holder["servers"] = [{"url": url}]
    return document


@pytest.mark.parametrize("where", ["root", "path", "operation"])
def test_a_base_path_that_changes_moves_the_operation(where: str) -> None:
    old, new = _served(where, "https://a.example/base"), _served(where, "https://a.example/other")
    result = checked(new, old)
    assert set(_worse(result)) == {("operation-moved", "breaking")}
    (finding,) = result.findings
    assert finding.witness is not None
    assert PAY in finding.operations
    assert (GET in finding.operations) == (where == "root")


@pytest.mark.parametrize("where", ["root", "path", "operation"])
def test_another_host_or_one_more_server_moves_nothing(where: str) -> None:
    old, new = _served(where, "https://a.example/base"), _served(where, "https://b.example/base/")
    assert checked(new, old).findings == []
    again = _served(where, "https://a.example/{stage}")
    holder = {"root": again, "path": again["paths"]["/v1/payments"]}.get(where, _post(again))
    holder["servers"][0]["variables"] = {"stage": {"default": "x", "enum": ["x", "base"]}}
    assert checked(again, old).findings == []


def test_a_base_path_that_is_said_at_another_level_is_the_same() -> None:
    old = _served("root", "https://a.example/base")
    new = _served("operation", "https://a.example/base")
    new["servers"] = [{"url": "/base"}]
    assert checked(new, old).findings == []


def test_another_edition_in_the_base_path_is_risky_since_callers_choose_it() -> None:
    old, new = _served("root", "https://a.example/v70"), _served("root", "https://a.example/v71")
    result = checked(new, old)
    assert set(_worse(result)) == {("operation-moved", "risky")}
    assert result.compatible


def test_a_path_that_moves_out_of_the_servers_address_is_the_same_operation() -> None:
    old, new = fresh(), fresh()
    old["servers"] = [{"url": "https://api.example.com/v2"}]
    new["paths"] = {f"/v2{path}": item for path, item in new["paths"].items()}
    assert checked(new, old).findings == []
    assert checked(old, new).findings == []


def test_swagger_2_s_base_path_moves_operations_too() -> None:
    texts = []
    for base in ("/a", "/b"):
        document: dict[str, Any] = {
            "swagger": "2.0",
            "host": "x",
            "basePath": base,
            "paths": {"/pay": {"post": {}}},
        }
        texts.append(read_description(msgspec.json.encode(document)))
    usage = read_usage(b'{"name": "x", "operations": {"POST /pay": {}}}')
    assert _worse(check(usage, texts[1], texts[0])) == [("operation-moved", "breaking")]
    assert check(usage, texts[0], texts[0]).findings == []


# Texts that cannot be read, and names as people write them


def test_a_text_that_breaks_off_is_a_finding_and_a_file_of_another_kind_a_mistake(
    tmp_path: Path,
) -> None:
    whole, torn, other = (tmp_path / name for name in ("whole.json", "torn.json", "other.json"))
    whole.write_bytes(msgspec.json.encode(fresh()))
    torn.write_bytes(msgspec.json.encode(fresh())[:-20])
    other.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    for new, old in ((torn, whole), (whole, torn)):
        result = _asked(tmp_path, new, old)
        assert [(f.rule, f.undecided) for f in result.findings] == [("unreadable-text", True)]
        assert not result.compatible
    with pytest.raises(Invalid, match=r"other\.json: the description is neither JSON nor YAML"):
        _asked(tmp_path, other, whole)


def test_a_path_parameter_may_have_its_name_in_a_usage() -> None:
    usage = read_usage(b'{"name": "x", "operations": {"GET /v1/payments/{id}": {"read": ["id"]}}}')
    description = read_description(msgspec.json.encode(fresh()))
    assert check(usage, description, description).findings == []


# Discriminators and scopes


def _ways_to_pay(document: dict[str, Any]) -> dict[str, Any]:
    """A union told apart by `kind`, whose words stand in the mapping alone."""
    schemas = document["components"]["schemas"]
    for name in ("Card", "Bank"):
        schemas[name] = {"type": "object", "properties": {"kind": {"type": "string"}, name: {}}}
    mapping = {"card": "#/components/schemas/Card", "bank": "Bank"}
    way = {
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Card", "Bank")],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }
    schema(document, "Order")["properties"]["way"] = way
    schema(document, "Payment")["properties"]["way"] = copy.deepcopy(way)
    return document


def _asked_of_ways(new: dict[str, Any]) -> list[tuple[str, str]]:
    used = {
        "send": ["amount", "currency", "way.kind"],
        "read": ["way.kind"],
        "values": {"way.kind": ["card"]},
        "exhaustive": {"way.kind": "all"},
    }
    usage = read_usage(msgspec.json.encode({"name": "x", "operations": {PAY: used}}))
    texts = [read_description(msgspec.json.encode(d)) for d in (new, _ways_to_pay(fresh()))]
    return _worse(check(usage, texts[0], texts[1]))


def test_a_word_of_a_discriminator_s_mapping_is_a_word_of_the_field() -> None:
    changed = _ways_to_pay(fresh())
    for name in ("Order", "Payment"):
        mapping = schema(changed, name)["properties"]["way"]["discriminator"]["mapping"]
        mapping["debit"] = mapping.pop("card")
    assert _asked_of_ways(changed) == [("parameter-values", "risky"), ("word-added", "risky")]


def test_a_mapping_in_another_order_or_with_a_word_that_we_do_not_send_is_nothing() -> None:
    changed = _ways_to_pay(fresh())
    for name in ("Order", "Payment"):
        way = schema(changed, name)["properties"]["way"]
        way["oneOf"].reverse()
        way["discriminator"]["mapping"] = dict(reversed(way["discriminator"]["mapping"].items()))
    schema(changed, "Order")["properties"]["way"]["discriminator"]["mapping"]["debit"] = "Card"
    assert _asked_of_ways(changed) == []


def _scoped(*scopes: str) -> dict[str, Any]:
    document = fresh()
    document["components"]["securitySchemes"]["key"] = {"type": "oauth2", "flows": {}}
    _post(document)["security"] = [{"key": list(scopes)}]
    return document


def test_a_scope_more_is_risky_and_a_scope_less_is_nothing() -> None:
    more, less = _scoped("pay", "read"), _scoped("pay")
    assert _worse(checked(more, less)) == [("security-changed", "risky")]
    assert checked(less, more).findings == []


def test_a_reply_that_turns_a_list_is_found_beside_another_that_does_not() -> None:
    old = fresh()
    old["components"]["schemas"]["Later"] = copy.deepcopy(schema(old, "Payment"))
    _post(old)["responses"]["201"] = _content("Later")
    new = copy.deepcopy(old)
    new["components"]["schemas"]["Later"] = {"type": "array", "items": schema(old, "Later")}
    assert ("field-removed", "breaking") in _worse(checked(new, old))
