"""What real and hostile descriptions do: each was once a wrong finding, a miss or worse."""

import random
import re
from typing import Any

import msgspec
import pytest
from tests.contracts.sample import GET, PAY, USAGE, checked, fresh, sample_usage, schema

from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.patterns import text_for
from tollkeeper.contracts.reports.plain import as_json
from tollkeeper.contracts.usage import read_usage
from tollkeeper.contracts.verdict import check
from tollkeeper.kernel.errors import Invalid
from tollkeeper.testing.fuzz_contracts import check_case


def _post(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/v1/payments"]["post"]
    return found


def _worse(new: dict[str, Any], old: dict[str, Any] | None = None) -> list[Finding]:
    return [f for f in checked(new, old).findings if f.severity != "harmless" and not f.standing]


def test_what_stands_beside_the_reference_to_a_reply_is_ignored() -> None:
    changed = fresh()
    replies = _post(changed)["responses"]
    changed["components"]["responses"] = {"Bad": replies["400"]}
    replies["400"] = {"$ref": "#/components/responses/Bad", "headers": {"X": {}}}
    assert checked(changed).findings == []


def test_a_field_that_is_write_only_does_not_come() -> None:
    changed = fresh()
    schema(changed, "Payment")["properties"]["amount"]["writeOnly"] = True
    (finding,) = _worse(changed)
    assert (finding.rule, finding.severity, finding.path) == ("field-removed", "breaking", "amount")


def test_a_member_that_nothing_is_valid_for_is_gone() -> None:
    changed = fresh()
    schema(changed, "Order")["properties"]["note"] = {"not": {}}
    (finding,) = _worse(changed)
    assert (finding.rule, finding.severity) == ("parameter-removed", "breaking")


def test_a_lost_body_is_one_finding_and_not_one_for_each_field() -> None:
    changed = fresh()
    del _post(changed)["requestBody"]
    (finding,) = _worse(changed)
    assert (finding.rule, finding.severity, finding.location) == (
        "body-removed", "breaking", "request",
    )  # fmt: skip


def test_an_operation_that_moved_is_guessed_by_its_identifier() -> None:
    old, new = fresh(), fresh()
    old["paths"]["/v1/payments/{id}"]["get"]["operationId"] = "getPayment"
    new["paths"]["/v2/payments/{id}"] = {
        "get": {**new["paths"].pop("/v1/payments/{id}")["get"], "operationId": "getPayment"}
    }
    (finding,) = _worse(new, old)
    assert (finding.before, finding.after) == (GET, "GET /v2/payments/{}")


def test_a_field_lost_inside_a_list_has_a_reply_with_an_item_as_its_witness() -> None:
    changed = fresh()
    del schema(changed, "Charge")["properties"]["id"]
    schema(changed, "Charge")["required"] = []
    (finding,) = _worse(changed)
    assert finding.severity == "breaking"
    assert finding.witness is not None
    assert len(finding.witness["reply"]["charges"]) == 1


def test_one_scalar_for_another_is_risky_and_an_object_for_a_scalar_breaks() -> None:
    for new, severity in ({"type": "string"}, "risky"), ({"type": "object"}, "breaking"):
        changed = fresh()
        schema(changed, "Payment")["properties"]["amount"] = new
        assert [f.severity for f in _worse(changed)] == [severity]


def test_the_words_of_yaml_are_those_of_json() -> None:
    text = b"openapi: 3.0.3\npaths: {}\ninfo: {version: 2022-11-15, title: no}\nx: on\n"
    assert read_description(text).document["info"] == {"version": "2022-11-15", "title": "no"}
    assert read_description(text).document["x"] == "on"


def test_a_query_in_brackets_is_the_path_that_usage_writes() -> None:
    old = fresh()
    _post(old)["parameters"] = [
        {"in": "query", "name": "created[gte]", "schema": {"type": "integer"}}
    ]
    new = fresh()
    used = {**USAGE, "operations": {PAY: {"send": ["query:created.gte"], "read": ["id"]}}}
    usage = read_usage(msgspec.json.encode(used))
    before, after = (read_description(msgspec.json.encode(d)) for d in (old, new))
    assert [f for f in check(usage, before, before).findings if f.rule == "parameter-removed"] == []
    assert "parameter-removed" in {f.rule for f in check(usage, after, before).findings}


def test_a_bound_that_3_1_writes_as_a_number_is_the_one_of_3_0() -> None:
    old, new = fresh(), fresh()
    schema(old, "Order")["properties"]["amount"] |= {"maximum": 9, "exclusiveMaximum": True}
    schema(new, "Order")["properties"]["amount"] |= {"exclusiveMaximum": 9}
    new["openapi"] = "3.1.0"
    assert checked(new, old).findings == []


def test_a_webhook_s_required_members_are_the_provider_s_duty() -> None:
    hook = {
        "post": {
            "requestBody": {
                "content": {
                    "application/json": {
                        "schema": {"type": "object", "properties": {"id": {"type": "string"}}}
                    }
                }
            }
        }
    }
    old = {"openapi": "3.1.0", "webhooks": {"paid": hook}}
    new = msgspec.json.decode(msgspec.json.encode(old))
    body = new["webhooks"]["paid"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body |= {"required": ["id", "at"]}
    body["properties"]["at"] = {"type": "string"}
    usage = read_usage(b'{"name": "x", "operations": {"POST webhook:paid": {"read": ["id"]}}}')
    after, before = (read_description(msgspec.json.encode(d)) for d in (new, old))
    result = check(usage, after, before)
    assert result.findings == []


def test_numbers_beyond_64_bits_are_reported() -> None:
    changed = fresh()
    schema(changed, "Order")["properties"]["amount"]["maximum"] = 10**30
    assert msgspec.json.decode(as_json(checked(changed)))["compatible"] is True


@pytest.mark.parametrize("pattern", ["^[A-Z]{3}$", r"^\d{4}-(a|b)+$", "^[^a]x?$", r"^\S{30,}$"])
def test_a_text_is_made_for_a_pattern(pattern: str) -> None:
    assert re.search(pattern, text_for(pattern)) is not None


@pytest.mark.parametrize("case", [135, 749, 2980, 12295, *range(20)])
def test_generated_descriptions_give_findings_or_are_refused(case: int) -> None:
    check_case(random.Random(f"1/contracts/{case}"))  # noqa: S311 - seeded on purpose


def _with_id(schema: dict[str, Any], *, version: str = "3.0.3") -> dict[str, Any]:
    document = fresh()
    document["openapi"] = version
    document["paths"]["/v1/payments/{id}"]["parameters"] = [
        {"in": "path", "name": "id", "required": True, "schema": schema}
    ]
    return document


@pytest.mark.parametrize(
    ("narrower", "rule"),
    [
        ({"type": "string", "maxLength": 3}, "parameter-limits"),
        ({"type": "string", "pattern": "^pay_[0-9]{20}$"}, "parameter-limits"),
        ({"type": "string", "enum": ["one", "two"]}, "parameter-values"),
        ({"type": "integer"}, "parameter-type"),
    ],
)
def test_a_path_that_takes_fewer_ids_is_a_risk_that_is_shown(
    narrower: dict[str, Any], rule: str
) -> None:
    (finding,) = _worse(_with_id(narrower), _with_id({"type": "string"}))
    assert (finding.rule, finding.severity, finding.path) == (rule, "risky", "path:id")
    assert finding.operations == (GET,)
    assert finding.pointer == "/paths/~1v1~1payments~1{id}/parameters/0/schema"
    assert finding.witness is not None
    assert finding.witness["request"]["parameters"] == {"path:id": "text"}


@pytest.mark.parametrize(
    ("before", "wider"),
    [
        ({"type": "string", "maxLength": 20}, {"type": "string", "maxLength": 30}),
        ({"type": "string", "enum": ["one"]}, {"type": "string", "enum": ["one", "two"]}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int64"}),
        ({"type": "integer"}, {"type": "string"}),
    ],
)
def test_a_path_that_takes_more_ids_is_no_finding(
    before: dict[str, Any], wider: dict[str, Any]
) -> None:
    assert _worse(_with_id(wider), _with_id(before)) == []


def test_ids_that_usage_knows_decide_whether_the_path_still_takes_them() -> None:
    raw = {**USAGE, "operations": {GET: {"read": ["id"], "values": {"path:id": ["12", "345"]}}}}

    def told(narrower: dict[str, Any]) -> list[tuple[str, str]]:
        new, old = _with_id(narrower), _with_id({"type": "string"})
        result = check(
            read_usage(msgspec.json.encode(raw)),
            read_description(msgspec.json.encode(new)),
            read_description(msgspec.json.encode(old)),
        )
        return [(f.severity, f.rule) for f in result.findings]

    assert told({"type": "integer"}) == []
    assert told({"type": "string", "maxLength": 3}) == []
    assert told({"type": "string", "maxLength": 2}) == [("risky", "parameter-limits")]
    assert told({"type": "string", "minLength": 9}) == [("breaking", "parameter-limits")]
    assert told({"type": "boolean"}) == [("breaking", "parameter-type")]
    assert told({"type": "string", "enum": ["one"]}) == [("breaking", "parameter-values")]


def test_a_path_whose_parameter_has_another_name_now_is_the_same_path() -> None:
    new = _with_id({"type": "string", "maxLength": 3})
    item = new["paths"].pop("/v1/payments/{id}")
    item["parameters"][0]["name"] = "payment"
    new["paths"]["/v1/payments/{payment}"] = item
    assert _worse(new, _with_id({"type": "string", "maxLength": 3})) == []
    (finding,) = _worse(new, _with_id({"type": "string"}))
    assert (finding.rule, finding.path) == ("parameter-limits", "path:id")


def _only_default(member: str = "code") -> dict[str, Any]:
    """One reply for whatever comes: a payment or a failure."""
    document = fresh()
    schemas = document["components"]["schemas"]
    schemas["Either"] = {
        "type": "object",
        "required": list(schemas["Payment"]["required"]),
        "properties": {**schemas["Payment"]["properties"], member: {"type": "string"}},
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Either"}}}
    _post(document)["responses"] = {"default": {"description": "", "content": content}}
    return document


def test_a_default_reply_is_asked_as_a_success_and_as_a_failure() -> None:
    assert [f for f in _worse(_only_default(), _only_default()) if f.location == "error"] == []
    (finding,) = [
        f for f in _worse(_only_default("kind"), _only_default()) if f.location == "error"
    ]
    assert (finding.rule, finding.severity, finding.before) == ("field-removed", "breaking", "code")
    changed = _only_default()
    del schema(changed, "Either")["properties"]["id"]
    schema(changed, "Either")["required"].remove("id")
    (finding,) = [f for f in _worse(changed, _only_default()) if f.location == "response"]
    assert (finding.rule, finding.before) == ("field-removed", "id")


def test_without_an_old_text_a_null_that_is_allowed_is_a_risk_and_no_break() -> None:
    new = fresh()
    schema(new, "Payment")["properties"]["amount"]["nullable"] = True
    result = check(sample_usage(), read_description(msgspec.json.encode(new)), None)
    (finding,) = [f for f in result.findings if f.rule == "field-nullable"]
    assert (finding.severity, finding.standing, result.compatible) == ("risky", False, True)


@pytest.mark.parametrize("old", [None, fresh()])
def test_an_operation_with_a_slip_in_its_name_has_the_nearest_one_named(
    old: dict[str, Any] | None,
) -> None:
    usage = read_usage(b'{"name": "slip", "operations": {"POST /v1/payment": {"read": ["id"]}}}')
    before = read_description(msgspec.json.encode(old)) if old is not None else None
    new = read_description(msgspec.json.encode(fresh()))
    (finding,) = check(usage, new, before).findings
    assert finding.advice.endswith(f"; did you mean `{PAY}`?")
    assert finding.standing is (old is not None)


def test_a_usage_that_names_no_operation_is_refused_since_nothing_would_be_asked() -> None:
    with pytest.raises(Invalid, match="no operation"):
        read_usage(b'{"name": "nothing", "operations": {}}')


def test_the_last_parameter_of_a_body_that_is_gone_is_not_taken_for_a_free_map() -> None:
    old, new = fresh(), fresh()
    for document in (old, new):
        schema(document, "Order")["properties"]["address"]["properties"].pop("zip")
    schema(new, "Order")["properties"]["address"]["properties"].pop("city")
    (finding,) = _worse(new, old)
    assert (finding.rule, finding.severity, finding.path) == (
        "parameter-removed", "breaking", "address.city",
    )  # fmt: skip
    assert _worse(old, new) == []
    del schema(new, "Order")["properties"]["address"]["properties"]
    assert _worse(new, old) == []


def test_a_parameter_whose_name_is_no_text_is_passed_over() -> None:
    torn = _with_id({"type": "string"})
    torn["paths"]["/v1/payments/{id}"]["parameters"].append({"in": "path", "name": {"$ref": "#"}})
    assert _worse(torn, _with_id({"type": "string"})) == []


def test_a_format_that_is_no_text_says_nothing_of_what_is_wider() -> None:
    old, new = _with_id({"type": "string"}), _with_id({"type": "string", "format": {"a": 1}})
    assert [f.rule for f in _worse(new, old)] == ["parameter-limits"]


def test_unions_within_themselves_are_spread_once_and_not_for_each_member() -> None:
    check_case(random.Random("12/contracts/93075"))  # noqa: S311 - a case of the fuzz: 4.6 s
