"""The provider without sockets: a request in, a reply out, time and chance from ports.

Law: everything that happens to money happens in one step between two waits; what takes time is
done by a task of the simulator's own, so that a client that gives up undoes nothing.
"""

import asyncio
import base64
import binascii
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.simulator.core.faults import (
    EFFECTS,
    Facts,
    FaultRule,
    Faults,
    Stage,
)
from tollkeeper.simulator.core.messages import MAX_BODY_BYTES, SimReply, SimRequest
from tollkeeper.simulator.core.scheduler import Agenda, Spawn, Tasks
from tollkeeper.simulator.stripe import challenge, forms, idempotency, problems
from tollkeeper.simulator.stripe.calls import Call
from tollkeeper.simulator.stripe.config import SimulatorConfig
from tollkeeper.simulator.stripe.control import Control
from tollkeeper.simulator.stripe.ledger import Ledger
from tollkeeper.simulator.stripe.operations import Operation, route
from tollkeeper.simulator.stripe.parameters import check
from tollkeeper.simulator.stripe.presenting import check_expansions, present, present_problem
from tollkeeper.simulator.stripe.problems import Problem
from tollkeeper.simulator.stripe.records import Account, Origin
from tollkeeper.simulator.stripe.striking import edit_body, gate, strike_reply
from tollkeeper.simulator.stripe.versions import NEWEST, is_known
from tollkeeper.simulator.stripe.webhooks import Deliver, Outbox
from tollkeeper.simulator.stripe.world import Journal, World


class Visit(msgspec.Struct):
    """A request as far as it can be read; `problem` is what is wrong with it, told in due time."""

    request_id: str
    method: str
    path: str
    operation: Operation | None
    target: str
    account: Account | None
    version: str
    key: str
    sent: forms.Pairs = []
    params: dict[str, Any] = {}
    problem: Problem | None = None
    stored_error: int = 0

    @property
    def facts(self) -> Facts:
        method = self.params.get("payment_method")
        return Facts(
            operation=self.operation.name if self.operation else "",
            api_version=self.version,
            account=self.account.id if self.account else "",
            payment_method=method if isinstance(method, str) else "",
            key=self.key,
        )


class SimulatorCore:
    """The whole provider.

    `deliver` posts webhooks (without it none are sent); `journal` hears of every charge after
    each effect on it; `spawn` starts the simulator's own tasks. Whoever hosts the core keeps
    `run()` running; without it, what falls due happens at the next request.
    """

    def __init__(
        self,
        clock: Clock,
        chance: Chance,
        config: SimulatorConfig | None = None,
        *,
        deliver: Deliver | None = None,
        journal: Journal | None = None,
        spawn: Spawn | None = None,
    ) -> None:
        self.clock = clock
        self.config = config or SimulatorConfig()
        self.spawn = spawn or Tasks()
        self.agenda = Agenda(clock, self.spawn)
        self.world = World(self.config, clock, chance, self.agenda, journal)
        self.faults = Faults(chance, is_known)
        self.outbox = Outbox(self.world, self.spawn, deliver, self.faults)
        self.control = Control(self.world, self.faults, self.outbox)
        self._keys = idempotency.Keys(self.config.idempotency_seconds)
        self._second = 0
        self._served: dict[str, int] = {}

    # What hosts call

    async def handle(self, request: SimRequest) -> SimReply:
        """Answer a request. Never raises; cancelling it undoes nothing that was begun."""
        self.agenda.fire_due()
        if request.path.startswith("/_control/"):
            return self.control.handle(request)
        if request.path.startswith("/3ds/"):
            return challenge.handle(self.world, request)
        reply = await self._reply(request)
        if reply.status:
            reply.headers.append(("date", formatdate(self.world.now(), usegmt=True)))
        return reply

    async def _reply(self, request: SimRequest) -> SimReply:
        visit = self._visit(request)
        rules = self.faults.pick(visit.facts) if self.faults.rules else []
        if not rules and not self.config.latency_seconds:
            return self._answer(visit)
        return await asyncio.shield(self.spawn(self._answer_slowly(visit, rules)))

    async def run(self) -> None:
        """Carry out what falls due (expiries, webhooks, aftermaths) until cancelled."""
        await self.agenda.run()

    def ledger(self) -> Ledger:
        """What really happened to money, oldest first."""
        return self.world.ledger()

    def complete_challenge(self, intent_id: str, *, authenticated: bool) -> bool:
        """Do what the shopper does on the bank's page; False if the intent does not wait."""
        return challenge.complete(self.world, intent_id, authenticated=authenticated)

    # Reading a request

    def _visit(self, request: SimRequest) -> Visit:
        headers = {name.lower(): value for name, value in request.headers}
        key = self.world.keys.get(_key_of(headers.get("authorization", "")))
        account = self.world.accounts[key.account] if key else None
        default = account.api_version if account else NEWEST
        found = route(request.method, request.path)
        visit = Visit(
            request_id=self.world.new_id("req"),
            method=request.method,
            path=request.path,
            operation=found[0] if found else None,
            target=found[1] if found else "",
            account=account,
            version=headers.get("stripe-version", default),
            key=headers.get("idempotency-key", "") if request.method == "POST" else "",
        )
        self._admit(visit, request, headers)
        return visit

    def _admit(self, visit: Visit, request: SimRequest, headers: dict[str, str]) -> None:
        """Note what stands against the request, in the order in which the provider looks."""
        try:
            self._admit_key(visit, headers.get("authorization", ""))
            if not is_known(visit.version):
                raise problems.bad_version(visit.version)
            if visit.operation is None:
                raise problems.no_route(visit.method, visit.path)
            self._admit_operation(visit, headers.get("authorization", ""))
            if len(request.body) > MAX_BODY_BYTES or len(visit.key) > 255:
                raise problems.malformed("The request or its idempotency key is too long.")
            posted = forms.decode_body(request.body) if visit.method == "POST" else ""
            text = f"{request.query_string}&{posted}" if request.query_string else posted
            visit.sent = forms.pairs(text)
            visit.params = forms.parse_form(visit.sent)
        except Problem as problem:
            visit.problem = problem

    def _admit_key(self, visit: Visit, authorization: str) -> None:
        if visit.account is None:
            raise _refused_key(authorization)
        secret = _key_of(authorization)
        if self.world.keys[secret].expired:
            raise problems.expired_key(secret)

    def _admit_operation(self, visit: Visit, authorization: str) -> None:
        secret = _key_of(authorization)
        assert visit.operation is not None, "routed"
        assert visit.account is not None, "admitted"
        name = visit.operation.name
        if not any(fnmatchcase(name, pattern) for pattern in self.world.keys[secret].allowed):
            raise problems.restricted_key(secret, visit.account.id, name)

    # Answering

    def _answer(self, visit: Visit) -> SimReply:
        """Without faults and latency: one step."""
        prepared = self._prepare(visit)
        return prepared if isinstance(prepared, SimReply) else self._perform(visit, prepared)

    async def _answer_slowly(self, visit: Visit, rules: list[FaultRule]) -> SimReply:
        stopped = self._stopped_at_gate(visit, rules)
        if stopped is not None:
            await self._pause(rules, "before", self.config.latency_seconds)
            return stopped
        for rule in _of_stage(rules, "version"):
            visit.version = rule.to
        for rule in _of_stage(rules, "late"):
            self.spawn(self._answer_late(visit, rule))
            return self._given_up(visit, rule)
        prepared = self._prepare(visit)
        await self._pause(rules, "before", self.config.latency_seconds)
        visit.stored_error = _stored_error(rules)
        reply = prepared if isinstance(prepared, SimReply) else self._perform(visit, prepared)
        reply = _struck(rules, reply)
        await self._pause(rules, "after", 0.0)
        return reply

    async def _answer_late(self, visit: Visit, rule: FaultRule) -> None:
        prepared = self._prepare(visit) if rule.holds_key else None
        await self.clock.sleep(self.faults.lateness_seconds(rule))
        self.agenda.fire_due()
        if prepared is None:
            prepared = self._prepare(visit)
        if not isinstance(prepared, SimReply):
            self._perform(visit, prepared)

    def _given_up(self, visit: Visit, rule: FaultRule) -> SimReply:
        """What the caller of a late effect gets at once: silence, or an error."""
        if not rule.status:
            return SimReply(0, [], b"", "drop")
        body = problems.body_of({"message": "An unknown error occurred.", "type": "api_error"})
        return SimReply(rule.status, self._headers(visit), body)

    def _stopped_at_gate(self, visit: Visit, rules: list[FaultRule]) -> SimReply | None:
        """The answer of a rule that strikes before the effect, or None."""
        for rule in rules:
            if EFFECTS[rule.effect].stage == "gate":
                found = gate(rule, visit.params, visit.key)
                if isinstance(found, SimReply):
                    return found
                if found is not None and rule.effect == "refuse" and rule.stored:
                    return self._refuse_for_good(visit, found)
                if found is not None:
                    return self._refusal(visit, found)
            elif EFFECTS[rule.effect].stage == "reply" and rule.when == "before":
                return strike_reply(rule, SimReply(0, self._headers(visit), b""))
        return None

    def _refuse_for_good(self, visit: Visit, problem: Problem) -> SimReply:
        """A refusal that execution came to: kept under the key, and replayed."""
        call = self._prepare(visit)
        if isinstance(call, SimReply):
            return call
        reply = self._refusal(visit, problem)
        self._store(visit, call, reply.status, reply.body)
        return reply

    async def _pause(self, rules: list[FaultRule], when: str, seconds: float) -> None:
        for rule in _of_stage(rules, "pause"):
            if rule.when == when:
                seconds += rule.seconds
        if seconds > 0:
            await self.clock.sleep(seconds)
            self.agenda.fire_due()

    def _prepare(self, visit: Visit) -> Call | SimReply:
        """All that precedes execution; gives a reply if there will be none. Takes the key."""
        try:
            call = self._accepted(visit)
            if visit.key and self.config.honors_idempotency:
                mark = idempotency.fingerprint(visit.method, visit.path, visit.sent)
                now_ms = self.world.now_ms()
                answer = self._keys.find(call.account.id, visit.key, mark, now_ms)
                if answer is not None:
                    return self._replay(visit, answer)
                self._keys.begin(call.account.id, visit.key, mark, now_ms)
        except Problem as problem:
            return self._refusal(visit, problem)
        return call

    def _accepted(self, visit: Visit) -> Call:
        if visit.problem is not None:
            raise visit.problem
        assert visit.operation is not None, "admitted"
        assert visit.account is not None, "admitted"
        self._count_request(visit.account.id)
        call = Call(
            operation=visit.operation.name,
            account=visit.account,
            version=visit.version,
            params=check(visit.params, visit.operation.name),
            target=visit.target,
            origin=Origin(visit.request_id, visit.key, visit.version),
        )
        call.expand = [path for path in call.get("expand", []) if isinstance(path, str)]
        check_expansions(call.expand, visit.operation.gives, call.version)
        if visit.operation.check is not None:
            visit.operation.check(self.world, call)
        return call

    def _count_request(self, account: str) -> None:
        limit = self.config.rate_limit_per_second
        if not limit:
            return
        second = self.world.now()
        if second != self._second:
            self._second = second
            self._served.clear()
        served = self._served[account] = self._served.get(account, 0) + 1
        if served > limit:
            raise problems.too_many_requests()

    def _perform(self, visit: Visit, call: Call) -> SimReply:
        """Execute, store the answer under the key, close the books."""
        assert visit.operation is not None, "prepared"
        status = 200
        try:
            given = visit.operation.execute(self.world, call)
            document = present(self.world, call.account.id, given, call.version, call.expand)
        except Problem as problem:
            status, document = problem.status, self._refused_document(visit, problem)
        self.world.close_books()
        body = msgspec.json.encode(document)
        self._store(visit, call, status, body)
        return SimReply(status, self._headers(visit), body)

    def _store(self, visit: Visit, call: Call, status: int, body: bytes) -> None:
        if not visit.key or not self.config.honors_idempotency:
            return
        if visit.stored_error:
            status = visit.stored_error
            body = problems.body_of({"message": "An unknown error occurred.", "type": "api_error"})
        answer = idempotency.Answer(status, body, visit.request_id, visit.version)
        self._keys.store(call.account.id, visit.key, answer)

    # Replies

    def _refused_document(self, visit: Visit, problem: Problem) -> dict[str, Any]:
        version = visit.version if is_known(visit.version) else NEWEST
        problem.error["request_log_url"] = f"{self.config.public_url}/logs/{visit.request_id}"
        return present_problem(self.world, problem, version)

    def _refusal(self, visit: Visit, problem: Problem) -> SimReply:
        headers = [h for h in self._headers(visit) if h[0] not in problem.headers]
        headers += problem.headers.items()
        body = msgspec.json.encode(self._refused_document(visit, problem))
        return SimReply(problem.status, headers, body)

    def _replay(self, visit: Visit, answer: idempotency.Answer) -> SimReply:
        headers = self._headers(visit)
        headers.append(("idempotent-replayed", "true"))
        headers.append(("original-request", answer.request_id))
        if answer.status >= 400:
            headers.append(("stripe-should-retry", "false"))
        return SimReply(answer.status, headers, answer.body)

    def _headers(self, visit: Visit) -> list[tuple[str, str]]:
        headers = [
            ("content-type", "application/json"),
            ("request-id", visit.request_id),
            ("stripe-version", visit.version),
        ]
        if visit.key:
            headers.append(("idempotency-key", visit.key))
        return headers


def _of_stage(rules: list[FaultRule], stage: Stage) -> list[FaultRule]:
    return [rule for rule in rules if EFFECTS[rule.effect].stage == stage]


def _stored_error(rules: list[FaultRule]) -> int:
    """The 5xx that a rule leaves under the key: what failed after its effect is remembered."""
    for rule in rules:
        if rule.effect == "error" and rule.when == "after" and rule.stored is not False:
            return rule.status or 500
    return 0


def _struck(rules: list[FaultRule], reply: SimReply) -> SimReply:
    """The reply after the rules that edit it: its document first, then its transport."""
    for rule in _of_stage(rules, "body"):
        edit_body(rule, reply)
    for rule in _of_stage(rules, "reply"):
        reply = strike_reply(rule, reply)
    return reply


def _key_of(authorization: str) -> str:
    """The secret key in an Authorization header (bearer, or basic with the key as user name)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _refused_key(authorization: str) -> Problem:
    key = _key_of(authorization)
    return problems.bad_key(key) if key else problems.no_key()
