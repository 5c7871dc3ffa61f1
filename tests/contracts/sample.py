"""A small description and a usage of it, and ways to change one thing in a copy."""

import copy
from typing import Any

import msgspec

from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.usage import Usage, read_usage
from tollkeeper.contracts.verdict import check

PAY = "POST /v1/payments"
GET = "GET /v1/payments/{}"

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "sample", "version": "1"},
    "servers": [{"url": "https://api.example.com"}],
    "paths": {
        "/v1/payments": {
            "post": {
                "security": [{"key": []}],
                "parameters": [{"in": "query", "name": "dry", "schema": {"type": "boolean"}}],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}}
                    }
                },
                "responses": {
                    "200": {
                        "headers": {"Request-Id": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}
                        },
                    },
                    "400": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}
                        }
                    },
                },
            }
        },
        "/v1/payments/{id}": {
            "get": {
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}
                        }
                    }
                }
            }
        },
        "/v1/unused": {"get": {"responses": {"200": {"description": "nothing of ours"}}}},
    },
    "components": {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["amount", "currency"],
                "properties": {
                    "amount": {"type": "integer"},
                    "currency": {"type": "string", "maxLength": 3},
                    "method": {"type": "string", "enum": ["card", "bank"]},
                    "note": {"type": "string", "maxLength": 500},
                    "address": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
                    },
                    "speed": {"type": "string", "default": "normal"},
                },
            },
            "Payment": {
                "type": "object",
                "required": ["id", "status", "amount", "charges"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "string", "enum": ["open", "paid"]},
                    "amount": {"type": "integer"},
                    "charges": {"type": "array", "items": {"$ref": "#/components/schemas/Charge"}},
                    "failure": {"type": "string"},
                },
            },
            "Charge": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "fee": {"type": "integer"}},
            },
            "Failure": {
                "type": "object",
                "required": ["code"],
                "properties": {"code": {"type": "string"}, "text": {"type": "string"}},
            },
        },
    },
}

READ = ["id", "status", "amount", "charges[].id", "charges[].fee", "failure"]
USAGE: dict[str, Any] = {
    "name": "sample",
    "operations": {
        PAY: {
            "send": ["amount", "currency", "method", "note", "address.city", "query:dry"],
            "read": [*READ, "header:Request-Id"],
            "values": {"method": ["card"], "currency": ["EUR", "USD"]},
            "exhaustive": {"status": ["open", "paid"]},
            "nonnull": ["id", "status", "amount", "charges"],
            "lengths": {"note": 200},
            "errors": ["code"],
        },
        GET: {
            "read": READ,
            "exhaustive": {"status": ["open", "paid"]},
            "nonnull": ["id", "status", "amount", "charges"],
        },
    },
}


def sample_usage() -> Usage:
    return read_usage(msgspec.json.encode(USAGE))


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def fresh() -> dict[str, Any]:
    return copy.deepcopy(DESCRIPTION)


def checked(new: dict[str, Any], old: dict[str, Any] | None = None) -> Checked:
    before = DESCRIPTION if old is None else old
    return check(
        sample_usage(),
        read_description(msgspec.json.encode(new)),
        read_description(msgspec.json.encode(before)),
    )
