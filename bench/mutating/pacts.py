"""A pact for the comparator that wants one: what a usage sends and reads, as an example of each
operation that the old text allows. Whoever writes pacts by hand writes the same, one by one."""

import json
from typing import Any
from urllib.parse import urlencode

from tollkeeper.contracts.asking import Side
from tollkeeper.contracts.description import Description
from tollkeeper.contracts.instances import instance, wish_for
from tollkeeper.contracts.requests import (
    FORM,
    JSON,
    bodies_of,
    in_path,
    parameters,
    reply_body,
    request_body,
    request_types,
)
from tollkeeper.contracts.usage import OperationUsage, Usage, segments
from tollkeeper.contracts.witness import body_sent


def pact_of(usage: Usage, old: Description) -> str:
    """The pact's text, version 2. Webhooks have no place in it."""
    found = [
        _interaction(name, used, Side(description=old, operation=operation))
        for name, used in usage.operations.items()
        if "webhook:" not in name and (operation := old.find(name)) is not None
    ]
    return json.dumps(
        {
            "consumer": {"name": "ours"},
            "provider": {"name": usage.provider or usage.name},
            "interactions": found,
            "metadata": {"pactSpecification": {"version": "2.0.0"}},
        }
    )


def _interaction(name: str, used: OperationUsage, side: Side) -> dict[str, Any]:
    request: dict[str, Any] = {"method": name.partition(" ")[0], "path": _path(side)}
    headers = {"Accept": JSON, "Authorization": "Bearer token"}
    place = request_body(side)
    if place is not None and any(":" not in p for p in used.send):
        media = JSON if JSON in request_types(side) else FORM
        body = body_sent(side, place, used)
        request["body"] = body if media == JSON else urlencode(list(_pairs("", body)))
        headers["Content-Type"] = media
    query = [
        (p.partition(":")[2], "1")
        for p in used.send
        if p.startswith("query:") and p in parameters(side)
    ]
    if query:
        request["query"] = urlencode(query)
    return {"description": name, "request": {**request, "headers": headers},
            "response": _response(used, side)}  # fmt: skip


def _path(side: Side) -> str:
    path = side.operation.path
    for name, place in in_path(side):
        value = instance(side.description, place, {}, words={}, request=True)
        path = path.replace("{" + name + "}", str(value or "text"))
    return path


def _response(used: OperationUsage, side: Side) -> dict[str, Any]:
    statuses = list(bodies_of(side, success=True))
    status = int(statuses[0]) if statuses and statuses[0].isdigit() else 200
    place = reply_body(side)
    if place is None:
        return {"status": status}
    read = [segments(p) for p in used.read if not p.startswith("header:")]
    words = {p: w[0] for p, w in used.exhaustive.items() if isinstance(w, tuple) and w}
    wish = wish_for(read)
    body = _read(instance(side.description, place, wish, words=words, request=False), wish)
    return {"status": status, "headers": {"Content-Type": JSON}, "body": body}


def _read(value: Any, wish: Any) -> Any:
    """What is read of it: a pact lists nothing else."""
    if isinstance(value, dict) and wish:
        return {k: _read(v, wish[k]) for k, v in value.items() if k in wish}
    if isinstance(value, list) and wish:
        return [_read(item, wish.get("[]", {})) for item in value]
    return value


def _pairs(prefix: str, value: Any) -> Any:
    """A body as a form with deep objects has it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pairs(f"{prefix}[{name}]" if prefix else name, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _pairs(f"{prefix}[{number}]", inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)
