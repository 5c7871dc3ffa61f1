"""Microseconds to read one live reply with drift detection, beside other readers of the same bytes.

The sample is a PaymentIntent as the simulator answers it. `./dev bench drift` prints the
best of five rounds. pydantic and jsonschema are measured where they are installed.
"""

import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec

from tollkeeper.app import SystemChance, SystemClock
from tollkeeper.contracts.drift import DriftReader
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import OperationInput, WireReply
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.config import DEFAULT_KEY
from tollkeeper.simulator.stripe.provider import SimulatorCore

VERSION = INSTALLED["stripe@2022-11-15"]
ROUNDS, READS = 5, 20_000
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status", "amount", "currency"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": list(VERSION.words["authorize"]["status"])},
        "amount": {"type": "integer"},
        "currency": {"type": "string"},
        "amount_capturable": {"type": ["integer", "null"]},
        "amount_received": {"type": ["integer", "null"]},
        "latest_charge": {
            "type": ["object", "string", "null"],
            "properties": {"amount_captured": {"type": "integer"}},
        },
    },
}
"""What the version reads, for the readers that want a schema."""


def sample() -> bytes:
    """A real reply's body."""
    order = OperationInput(
        payment_id="pay_1", attempt_id="att_1", amount_minor=2_000, currency="EUR",
        payment_method="pm_card_visa", return_url="https://example.com/back",
    )  # fmt: skip
    request = VERSION.request("authorize", order)

    async def ask() -> bytes:
        core = SimulatorCore(SystemClock(), SystemChance())
        headers = [*request.headers, *VERSION.credentials({"secret_key": DEFAULT_KEY})]
        reply = await core.handle(
            SimRequest(method="POST", path=request.path, headers=headers, body=request.body)
        )
        assert reply.status == 200, reply.body
        return reply.body

    return asyncio.run(ask())


def readers(body: bytes) -> dict[str, Callable[[], Any]]:
    """Every reader by name; each parses the bytes and checks what it can."""
    ours = DriftReader(VERSION, "authorize")
    typed = msgspec.json.Decoder(VERSION.reads["authorize"])
    rust = jsonschema_rs.validator_for(SCHEMA)
    reply = WireReply(status=200, body=body)
    found: dict[str, Callable[[], Any]] = {
        "tollkeeper drift": lambda: ours.read(body),
        "tollkeeper outcome (the whole reading)": lambda: VERSION.outcome("authorize", reply),
        "msgspec, typed": lambda: typed.decode(body),
        "msgspec, untyped": lambda: msgspec.json.decode(body),
        "json": lambda: json.loads(body),
        "json + jsonschema-rs": lambda: rust.is_valid(json.loads(body)),
    }
    if importlib.util.find_spec("jsonschema"):
        import jsonschema  # noqa: PLC0415 - not everywhere

        slow = jsonschema.Draft202012Validator(SCHEMA)
        found["json + jsonschema"] = lambda: slow.is_valid(json.loads(body))
    if importlib.util.find_spec("pydantic"):
        found["pydantic"] = _pydantic(body)
    return found


def _pydantic(body: bytes) -> Callable[[], Any]:
    import pydantic  # noqa: PLC0415 - not everywhere

    charge = pydantic.create_model("Charge", amount_captured=(int, ...), amount_refunded=(int, ...))
    model = pydantic.create_model(
        "PaymentIntent",
        id=(str, ...),
        status=(str, ...),
        amount=(int, ...),
        currency=(str, ...),
        amount_capturable=(int | None, None),
        amount_received=(int | None, None),
        latest_charge=(charge | str | None, None),
    )
    return lambda: model.model_validate_json(body)


def main() -> int:
    """Measures and prints."""
    body = sample()
    print(f"a reply of {len(body)} bytes, best of {ROUNDS} rounds of {READS}")
    for name, read in readers(body).items():
        best = float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(READS):
                read()
            best = min(best, time.process_time() - began)
        print(f"{name:40} {best / READS * 1e6:8.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
