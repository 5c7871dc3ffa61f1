"""Webhooks: an outbox of signed deliveries, tried again with growing pauses until one is accepted.

Source: Stripe's public description of the `Stripe-Signature` header, scheme v1.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable

import msgspec

from tollkeeper.simulator.core.faults import DELIVER, EFFECTS, Facts, FaultRule, Faults
from tollkeeper.simulator.core.scheduler import Spawn
from tollkeeper.simulator.stripe.presenting import event_document
from tollkeeper.simulator.stripe.records import Endpoint, Event
from tollkeeper.simulator.stripe.striking import edit_document
from tollkeeper.simulator.stripe.world import World

Deliver = Callable[[str, list[tuple[str, str]], bytes], Awaitable[int]]
"""Posts to a URL with headers and a body; gives the status, or raises OSError or TimeoutError
if there was none."""


class Delivery(msgspec.Struct):
    """One event on its way to one endpoint; `attempts` already made, `status` of the last (0 if
    there was no answer)."""

    number: int
    endpoint: Endpoint
    event: Event
    due_ms: int
    attempts: int = 0
    status: int = 0
    delivered: bool = False
    rules: list[FaultRule] = []


def sign(secret: str, body: bytes, at_seconds: int) -> str:
    """The value of `Stripe-Signature` for `body` sent at `at_seconds` (Unix)."""
    digest = hmac.new(secret.encode(), b"%d." % at_seconds + body, hashlib.sha256).hexdigest()
    return f"t={at_seconds},v1={digest}"


class Outbox:
    """Deliveries that no endpoint has accepted yet, and what becomes of them.

    `outbox` is ordered by announcement. Without a `deliver` nothing is kept: nobody could send it.
    """

    def __init__(self, world: World, spawn: Spawn, deliver: Deliver | None, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._spawn = spawn
        self._deliver = deliver
        self._count = 0
        self.pending: dict[int, Delivery] = {}
        self.abandoned: list[str] = []
        world.announce = self.announce

    def announce(self, event: Event, endpoint: Endpoint) -> None:
        """Plan the first attempt; called for each event and each endpoint that hears it."""
        if self._deliver is None:
            return
        self._count += 1
        delivery = Delivery(self._count, endpoint, event, 0, rules=self._rules(event, endpoint))
        struck = {rule.effect: rule for rule in delivery.rules}
        if "webhook_lost" in struck:
            return
        self.pending[delivery.number] = delivery
        seconds = self._world.config.webhook_delay_seconds
        if "webhook_delay" in struck:
            seconds += struck["webhook_delay"].seconds
        self._plan(delivery, seconds)
        if "webhook_twice" in struck:
            self._plan(delivery, seconds)

    def _rules(self, event: Event, endpoint: Endpoint) -> list[FaultRule]:
        if not self._faults.rules:
            return []
        version = endpoint.api_version or event.api_version
        facts = Facts(DELIVER, version, event.account, event_type=event.type)
        return self._faults.pick(facts)

    def body_and_headers(self, delivery: Delivery) -> tuple[bytes, list[tuple[str, str]]]:
        """The request, signed as of now, in the form of the endpoint's version."""
        version = delivery.endpoint.api_version or delivery.event.api_version
        body = _edited(delivery.rules, msgspec.json.encode(event_document(delivery.event, version)))
        secret = delivery.endpoint.secret
        if any(rule.effect == "webhook_signature" for rule in delivery.rules):
            secret = "whsec_of_somebody_else"
        return body, [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Stripe-Signature", sign(secret, body, self._signing_time())),
            ("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
        ]

    def _signing_time(self) -> int:
        """Unix seconds, by the clock of the machines that deliver."""
        offset_ms = round(self._world.config.webhook_clock_offset_seconds * 1000)
        return (self._world.now_ms() + offset_ms) // 1000

    async def attempt(self, delivery: Delivery) -> int:
        """Send once; gives the status, 0 if there was no answer. A refusal plans the next try."""
        assert self._deliver is not None, "deliveries exist only with a deliver port"
        body, headers = self.body_and_headers(delivery)
        try:
            delivery.status = await self._deliver(delivery.endpoint.url, headers, body)
        except (OSError, TimeoutError):
            delivery.status = 0
        delivery.attempts += 1
        self._record(delivery)
        return delivery.status

    def _record(self, delivery: Delivery) -> None:
        if 200 <= delivery.status < 300:
            if not delivery.delivered:
                delivery.delivered = True
                delivery.event.pending_webhooks -= 1
                self.pending.pop(delivery.number, None)
            return
        pauses = self._world.config.webhook_backoff_seconds
        if delivery.delivered:
            return
        if delivery.attempts > len(pauses):
            self.pending.pop(delivery.number, None)
            self.abandoned.append(delivery.event.id)
            return
        self._plan(delivery, pauses[delivery.attempts - 1])

    def _plan(self, delivery: Delivery, seconds: float) -> None:
        delivery.due_ms = self._world.now_ms() + int(seconds * 1000)
        self._world.agenda.after(seconds, lambda: self._start(delivery))

    def _start(self, delivery: Delivery) -> None:
        if delivery.endpoint.status == "enabled":
            self._spawn(self.attempt(delivery))


def _edited(rules: list[FaultRule], body: bytes) -> bytes:
    """The payload after the rules that change documents."""
    edits = [
        rule
        for rule in rules
        if EFFECTS[rule.effect].stage == "body" and (rule.path or rule.effect == "nulls")
    ]
    if not edits:
        return body
    document = msgspec.json.decode(body)
    for rule in edits:
        edit_document(rule, document)
    return msgspec.json.encode(document)
