"""What the effects do: refusals in place of execution, edits of documents, broken transports."""

from collections.abc import Callable
from math import ceil
from typing import Any, Final

import msgspec

from tollkeeper.simulator.core import mutations, rows
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.core.messages import SimReply
from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.problems import Problem


def gate(rule: FaultRule, params: dict[str, Any], key: str) -> Problem | SimReply | None:
    """What a `gate` rule answers in place of execution, or None to let the request through."""
    match rule.effect:
        case "require_parameter" if _lacks(params, rule.parameter):
            return problems.missing(rule.parameter)
        case "forbid_parameter" if not _lacks(params, rule.parameter):
            message = f"The parameter {rule.parameter} is not supported any more."
            return problems.invalid(rule.parameter, message)
        case "conflict":
            return problems.key_in_use(key)
        case "sunset":
            return html_page(rule.status or 404)
        case effect:
            make = _REFUSALS.get(effect)
            return make(rule) if make is not None else None


def refusal(rule: FaultRule) -> Problem:
    """What a `refuse` rule answers."""
    code, param = rule.code or None, rule.param or None
    problem = Problem(rule.status or 400, rule.message, kind=rule.type, code=code, param=param)
    problem.headers = {name.lower(): value for name, value in rule.headers.items()}
    return problem


def _revoked(rule: FaultRule) -> Problem:
    return Problem(401, "Invalid API Key provided: it was revoked.", code="api_key_expired")


_REFUSALS: Final[dict[str, Callable[[FaultRule], Problem]]] = {
    "refuse": refusal,
    "rate_limited": lambda rule: problems.too_many_requests(ceil(rule.seconds) or 1),
    "lock_timeout": lambda rule: problems.lock_timeout(ceil(rule.seconds)),
    "maintenance": lambda rule: problems.maintenance(ceil(rule.seconds) or 60),
    "unauthorized": _revoked,
}
"""The gates that look at nothing but their own rule."""


def _lacks(params: dict[str, Any], parameter: str) -> bool:
    """Whether `parameter` (bracket notation for members) is absent from the request."""
    found: Any = params
    for name in parameter.replace("]", "").split("["):
        if not isinstance(found, dict) or name not in found:
            return True
        found = found[name]
    return False


def html_page(status: int) -> SimReply:
    body = b"<!DOCTYPE html><html><head><title>Unavailable</title></head><body></body></html>"
    return SimReply(status, [("content-type", "text/html; charset=utf-8")], body)


def edit_body(rule: FaultRule, reply: SimReply) -> None:
    """Apply a `body` rule to the reply in place; a body that is not JSON stays as it is."""
    try:
        document = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return
    if rule.effect == "decline_as_approval":
        document = _approval(document, reply)
    else:
        edit_document(rule, document)
    reply.body = msgspec.json.encode(document)


def edit_document(rule: FaultRule, document: Any) -> None:
    """Apply a `body` rule to the rows that it chooses: at its path, from the root or from every
    object of its type."""
    if rule.effect == "foreign_row":
        rows.add_foreign(document, rule.value, rule.row)
        return
    found = [document]
    if rule.only or rule.other_than or rule.row or rule.effect == "replace_row":
        found = rows.chosen(document, only=rule.only, other_than=rule.other_than, place=rule.row)
    if rule.effect == "replace_row":
        rows.replace(document, found, rule.value)
        return
    for row in found:
        _edit_row(rule, row)


def _edit_row(rule: FaultRule, row: Any) -> None:
    if rule.effect == "nulls":
        rows.make_null(row, rule.object, rule.path)
        return
    edit = _edit(rule)
    roots = list(mutations.objects(row, rule.object)) if rule.object else [row]
    for root in roots:
        for holder, name in list(mutations.holders(root, rule.path)):
            edit(holder, name)


def _edit(rule: FaultRule) -> mutations.Edit:
    edits: dict[str, Callable[[], mutations.Edit]] = {
        "rename_field": lambda: mutations.rename(rule.to),
        "remove_field": lambda: mutations.remove,
        "null_field": lambda: mutations.assign(None),
        "change_type": lambda: mutations.retype,
        "new_word": lambda: mutations.assign(
            "a_word_nobody_knows" if rule.value is None else rule.value
        ),
        "amount_unit": lambda: mutations.scale(rule.factor),
    }
    return edits[rule.effect]()


def _approval(document: Any, reply: SimReply) -> Any:
    error = document.get("error") if isinstance(document, dict) else None
    intent = error.get("payment_intent") if isinstance(error, dict) else None
    if reply.status != 402 or not isinstance(intent, dict):
        return document
    reply.status = 200
    manual = intent.get("capture_method") == "manual"
    intent["status"] = "requires_capture" if manual else "succeeded"
    intent["amount_capturable" if manual else "amount_received"] = intent["amount"]
    intent["last_payment_error"] = None
    return intent


def strike_reply(rule: FaultRule, reply: SimReply) -> SimReply:
    """Apply a `reply` rule; gives the reply to send."""
    match rule.effect:
        case "drop" | "reset":
            reply.ending = "drop" if rule.effect == "drop" else "reset"
            reply.hold_seconds = rule.seconds
        case "truncate":
            reply.ending, reply.truncate_at = "truncate", rule.at
        case "slow_body":
            reply.body_delay_seconds = rule.seconds
        case "error":
            return _with_error(reply, rule.status or 500)
        case "html":
            page = html_page(rule.status or 200)
            return SimReply(page.status, page.headers, page.body)
        case "error_in_200":
            return _with_error(reply, rule.status or 200)
        case "duplicate_keys":
            reply.body = _duplicated(reply.body)
        case _:
            raise AssertionError(f"{rule.effect} is not a reply effect")
    return reply


def _with_error(reply: SimReply, status: int) -> SimReply:
    message = "An unknown error occurred."
    reply.status = status
    reply.body = problems.body_of({"message": message, "type": "api_error"})
    return reply


def _duplicated(body: bytes) -> bytes:
    """The first member again, as null: most parsers keep the last one, some the first."""
    try:
        first = next(iter(msgspec.json.decode(body, type=dict[str, Any])), None)
    except msgspec.MsgspecError:
        return body
    if first is None:
        return body
    return body.rstrip()[:-1] + b"," + msgspec.json.encode(first) + b":null}"
