"""Structured fuzzing of everything that reads foreign bytes: `./dev fuzz --seconds 30`.

Real replies and webhooks of the simulator, at every installed version, are mutated and read; laws
are checked, not only the absence of exceptions. A failure prints the command that repeats its case.
"""

import asyncio
import contextlib
import json
import math
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
import msgspec
from rich.console import Console

from tollkeeper.api.incoming import decode_object, idempotency_key, query_of
from tollkeeper.app import read_settings
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.masking import fields_read, mask_reply, mask_request
from tollkeeper.integrations.version import (
    Delivery,
    Integration,
    OperationInput,
    SignatureRefused,
    WireReply,
    WireRequest,
)
from tollkeeper.kernel.errors import TollkeeperError
from tollkeeper.payments.outcome import (
    Charge,
    DisputeSeen,
    Doubt,
    Event,
    Operation,
    Outcome,
    RefundSeen,
)
from tollkeeper.settings import Settings
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.simulator.stripe.webhooks import sign
from tollkeeper.testing.fuzz_contracts import MAX_SECONDS, check_case
from tollkeeper.testing.ports import EPOCH_MS, SeededChance
from tollkeeper.testing.watchdog import Failed, watched

KEY: Final = "sk_test_fuzz"
SECRETS: Final = {"secret_key": KEY}
WEBHOOK_SECRET: Final = "whsec_fuzz"  # noqa: S105 - of a provider in memory
PAYMENT, ATTEMPT = "pay_00000000000000000000000001", "att_00000000000000000000000001"
METHODS: Final = (
    "pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_threeDSecure2Required", "pm_card_chargeDeclinedExpiredCard", "pm_card_nobody",
)  # fmt: skip
STATUSES: Final = (200, 201, 202, 301, 400, 401, 402, 403, 404, 409, 424, 429, 500, 502, 503)
ODDITIES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 10**18, 2**63, 2**64, 10**40, 1.5, 1e308, "", "\0", "x", "🜁",
    "succeeded", "requires_capture", "failed", "a_word_nobody_knows", [], {}, [[]], {"id": None},
)  # fmt: skip
RAW_ODDITIES: Final = (
    b"NaN", b"Infinity", b"-0", b"1e400", b"1" * 400, b'"\\ud800"', b'"\\u0000"', b'"\xff"',
    b"[" * 3_000 + b"]" * 3_000, b'{"id":' * 2_000 + b"1" + b"}" * 2_000, b'""', b"// no", b"{",
)  # fmt: skip
SETTINGS_TEXT: Final = b"""
database = "a.sqlite3"
port = 8080
vault_key = "c2l4dGVlbiBieXRlcyB0d2ljZSBvdmVyIGFuZCBtb3Jl"
[weights]
"stripe@2022-11-15" = 60
"stripe@2022-08-01" = 40.0
[providers.stripe]
secret_key = "sk_test_1"
webhook_secrets = ["whsec_1"]
[timeouts]
total_seconds = 30.5
"""

_HUGE: Final = re.compile(rb'[^\\]":-?\d{19,}')
"""A number that is a member's value; digits within a text are no number."""

app = cyclopts.App(name="fuzz", help="Feeds the parsers of foreign bytes what nobody would send.")
console: Final = Console(highlight=False)


class Sample(msgspec.Struct, frozen=True):
    """A real reply to a real request of one version."""

    integration: str
    operation: Operation
    reply: WireReply


class Corpus(msgspec.Struct, frozen=True):
    """What mutations begin with. `events`: version and body of each webhook."""

    samples: list[Sample]
    requests: list[WireRequest]
    events: list[tuple[str, bytes]]


LISTINGS: Final = frozenset({"find", "list_refunds", "list_disputes"})


class Broken(AssertionError):
    """A law does not hold for a case."""


class StillClock:
    """Time stands; whoever sleeps, sleeps on."""

    def now_ms(self) -> int:
        return EPOCH_MS

    def monotonic(self) -> float:
        return EPOCH_MS / 1000

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.get_running_loop().create_future()


def make_corpus() -> Corpus:
    """Runs every operation of every version against the simulator's core, in memory."""
    return asyncio.run(_make_corpus())


async def _make_corpus() -> Corpus:
    corpus = Corpus([], [], [])
    for name, integration in sorted(INSTALLED.items()):
        await Recorder(name, integration, corpus).record()
    return corpus


class Recorder:
    """One version's conversation with a fresh provider."""

    def __init__(self, name: str, integration: Integration, corpus: Corpus) -> None:
        self._name, self._integration, self._corpus = name, integration, corpus
        config = SimulatorConfig(
            accounts=[AccountConfig(key=KEY, api_version=integration.version)],
            public_url="http://127.0.0.1:1",
        )
        self._core = SimulatorCore(
            StillClock(),
            SeededChance(1),
            config,
            deliver=self._deliver,
            spawn=asyncio.ensure_future,
        )
        self._keys = 0

    async def record(self) -> None:
        await self._post("/v1/webhook_endpoints", "url=http://us/&enabled_events[]=*")
        for method in METHODS:
            for capture_method in ("automatic", "manual"):
                await self._life(method, capture_method)
        await self._send("find", _order(created_from_s=1, created_to_s=4_000_000_000))
        self._core.faults.add(FaultRule(effect="error", when="before", status=500, count=1))
        await self._send("authorize", _order())
        for _ in range(50):
            await asyncio.sleep(0)

    async def _life(self, method: str, capture_method: str) -> None:
        order = _order(payment_method=method, capture_method=capture_method, description="a b")
        said = await self._send("authorize", order)
        if said.charge is None:
            return
        mine = msgspec.structs.replace(order, provider_id=said.charge.provider_id)
        await self._send("lookup", mine)
        if said.charge.state == "authorized":
            await self._send("capture", msgspec.structs.replace(mine, amount_minor=600))
        for amount in (500, 10_000):
            await self._send("refund", msgspec.structs.replace(mine, amount_minor=amount))
        await self._send("list_refunds", mine)
        await self._send("list_disputes", mine)
        await self._send("void", mine)
        await self._send("lookup", msgspec.structs.replace(mine, provider_id="pi_none"))

    async def _send(self, operation: Operation, order: OperationInput) -> Outcome:
        self._keys += 1
        integration = self._integration
        request = integration.request(operation, order)
        headers = [(k, v) for k, v in request.headers if k != "idempotency-key"]
        headers += [
            ("idempotency-key", f"k{self._keys}"),
            *integration.credentials(SECRETS),
        ]
        got = await self._core.handle(
            SimRequest(request.method, request.path, request.query, headers, request.body)
        )
        lower = tuple((name.lower(), value) for name, value in got.headers)
        reply = WireReply(status=got.status, headers=lower, body=got.body)
        self._corpus.requests.append(request)
        self._corpus.samples.append(Sample(self._name, operation, reply))
        return integration.outcome(operation, reply)

    async def _post(self, path: str, body: str) -> None:
        headers = [
            *self._integration.credentials(SECRETS),
            ("content-type", "x-www-form-urlencoded"),
        ]
        await self._core.handle(SimRequest("POST", path, "", headers, body.encode()))

    async def _deliver(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        del url, headers
        self._corpus.events.append((self._name, body))
        return 200


def _order(**fields: Any) -> OperationInput:
    defaults: dict[str, Any] = {
        "payment_id": PAYMENT, "attempt_id": ATTEMPT, "amount_minor": 1_000, "currency": "EUR",
        "payment_method": "pm_card_visa", "return_url": "http://127.0.0.1/back",
    }  # fmt: skip
    return OperationInput(**(defaults | fields))


# Mutations


def mutated(chance: random.Random, body: bytes) -> bytes:
    """`body` with one to three things wrong with it, mostly still JSON."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        body = chance.choice(_MUTATIONS)(chance, body)
    return body


def _in_document(change: Callable[[random.Random, Any, Any], None]) -> Any:
    """A mutation of one place in the document: an object or list and a key of it."""

    def mutate(chance: random.Random, body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return body
        places = list(_places(document))
        if places:
            change(chance, *chance.choice(places))
        return json.dumps(document).encode()

    return mutate


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    ahead = [document] if isinstance(document, dict | list) else []
    while ahead:
        item = ahead.pop()
        inner = item.items() if isinstance(item, dict) else enumerate(item)
        for key, value in inner:
            yield item, key
            if isinstance(value, dict | list):
                ahead.append(value)


def _drop(chance: random.Random, holder: Any, key: Any) -> None:
    del chance, holder[key]


def _rename(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[f"{key}_{chance.randrange(9)}"] = holder.pop(key)


def _retype(chance: random.Random, holder: Any, key: Any) -> None:
    holder[key] = chance.choice(ODDITIES)


def _scale(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder[key], int):
        holder[key] = int(holder[key]) * chance.choice((100, 10, -1)) + chance.choice((0, 1))


def _swap(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        other = chance.choice(sorted(holder))
        holder[key], holder[other] = holder[other], holder[key]


def _wrap(chance: random.Random, holder: Any, key: Any) -> None:
    holder[key] = chance.choice(([holder[key]], {"data": holder[key]}, str(holder[key])))


def _truncate(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flip(chance: random.Random, body: bytes) -> bytes:
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def _repeat_key(chance: random.Random, body: bytes) -> bytes:
    """A name twice in one object, the second time with an odd value."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(document, dict) or not document:
        return body
    name = json.dumps(chance.choice(sorted(document))).encode()
    odd = json.dumps(chance.choice(ODDITIES)).encode()
    return body.rstrip()[:-1] + b"," + name + b":" + odd + b"}"


def _raw_value(chance: random.Random, body: bytes) -> bytes:
    """Something that is no JSON, or hardly, in the place of a value."""
    at = body.find(b":", chance.randrange(len(body) + 1))
    if at < 0:
        return chance.choice(RAW_ODDITIES)
    end = min((e for e in (body.find(b",", at), body.find(b"}", at)) if e > 0), default=len(body))
    return body[: at + 1] + chance.choice(RAW_ODDITIES) + body[end:]


_MUTATIONS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    _in_document(_drop), _in_document(_rename), _in_document(_retype), _in_document(_retype),
    _in_document(_scale), _in_document(_swap), _in_document(_wrap), _truncate, _flip, _repeat_key,
    _raw_value,
)  # fmt: skip


# Laws


def check_outcome(integration: Integration, operation: Operation, reply: WireReply) -> Outcome:
    """Reads `reply`: it never raises, and what it approves stands in the reply."""
    said = integration.outcome(operation, reply)
    if said.kind in {"approved", "pending"}:
        document = _lenient(reply.body)
        shown = document.get("data") if operation in LISTINGS else [document]
        told: list[Charge | RefundSeen] = [*said.charges, *said.refunds]
        told += [item for item in (said.charge, said.refund) if item is not None]
        for item in told:
            _require(any(_shows(d, item) for d in shown), "an approval that the reply does not say")
        if operation not in LISTINGS:
            _require(bool(told), "an approval of nothing")
    if said.kind == "unknown":
        _require(said.doubt is not None, "unknown without a doubt")
    plain = msgspec.structs.replace(said, doubt=None, provider_request_id="")
    _require(_fits_columns(plain), "an outcome that no table can hold")
    return said


def _fits_columns(said: Outcome | Event) -> bool:
    """No NUL in a text and no number beyond 64 bits."""
    text = msgspec.json.encode(said)
    return b"\\u0000" not in text and not _HUGE.search(text)


def _shows(document: Any, item: Charge | RefundSeen) -> bool:
    """Whether this object of the reply, or this row of it, says what was read from it."""
    if not isinstance(document, dict):
        return False
    metadata = document.get("metadata")
    reference = metadata.get("tollkeeper_attempt") if isinstance(metadata, dict) else None
    return (
        document.get("id") == item.provider_id
        and document.get("amount") == item.amount_minor
        and str(document.get("currency")).upper() == item.currency
        and reference == item.attempt_id
    )


def _lenient(body: bytes) -> Any:
    return json.loads(body.decode("utf-8", "replace"), parse_constant=lambda _: None)


def _require(holds: bool, law: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise Broken(law)


def check_masking(sample: Sample, reply: WireReply, kept: frozenset[str]) -> None:
    """Masks `reply`: it never raises, and a masked reply is read as the whole one was, where that
    was JSON as a whole (a version may read its part of what is not)."""
    integration = INSTALLED[sample.integration]
    masked = mask_reply(reply, kept)
    before = integration.outcome(sample.operation, reply)
    after = integration.outcome(sample.operation, masked)
    if before.kind != "unknown" and _is_json(reply.body):
        _require(comparable(before) == comparable(after), "a masked reply is read otherwise")
    if _is_json(reply.body):
        again = mask_reply(masked, kept)
        _require(again.body == masked.body, "masking a masked reply changes it")


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


_NO_DOUBT: Final = Doubt("decode", "")


def comparable(said: Outcome) -> bytes:
    """What must survive masking: all but the provider's own texts, and what is told from them."""
    refusal, decline = said.refusal, said.decline
    if refusal is not None:
        refusal = msgspec.structs.replace(refusal, error=None, reason="refused", ours=False)
    if decline is not None:
        decline = msgspec.structs.replace(decline, error=None)
    unread = tuple(msgspec.structs.replace(row, doubt=_NO_DOUBT) for row in said.unread)
    plain = msgspec.structs.replace(
        said, provider_request_id="", doubt=None, refusal=refusal, decline=decline, unread=unread
    )
    return msgspec.json.encode(plain)


def check_event(integration: Integration, body: bytes, headers: dict[str, str]) -> Event | None:
    """Reads a webhook: an Event or a refusal."""
    delivery = Delivery(body=body, headers=headers, secrets=(WEBHOOK_SECRET,), now_ms=EPOCH_MS)
    try:
        (event,) = integration.events(delivery)
    except SignatureRefused:
        return None
    _require(_fits_columns(event), "an event that no table can hold")
    return event


# Targets: each draws one case and checks it


def _fuzz_outcome(chance: random.Random, corpus: Corpus) -> None:
    sample = chance.choice(corpus.samples)
    reply = _reply(chance, sample)
    name = sample.integration if chance.random() < 0.7 else chance.choice(sorted(INSTALLED))
    check_outcome(INSTALLED[name], sample.operation, reply)


def _fuzz_rows(chance: random.Random, corpus: Corpus) -> None:
    """Spoils one row of a real page, which may hide no other row."""
    pages = [s for s in corpus.samples if s.operation in LISTINGS and _rows_of(s.reply)]
    sample = chance.choice(pages)
    check_rows(sample, chance.randrange(len(_rows_of(sample.reply))), chance)


def _rows_of(reply: WireReply) -> list[Any]:
    rows: list[Any] = json.loads(reply.body).get("data", []) if reply.status == 200 else []
    return rows


def check_rows(sample: Sample, spoiled: int, chance: random.Random) -> None:
    """Spoils row `spoiled`: all others read as before, and it is read, not ours, or told unread."""
    integration = INSTALLED[sample.integration]
    page = json.loads(sample.reply.body) | {"has_more": False}
    whole = _read_page(integration, sample, page)
    row = mutated(chance, json.dumps(page["data"][spoiled]).encode())
    try:
        page["data"][spoiled] = json.loads(row)
        body = json.dumps(page).encode()
        msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return  # no JSON at all: then there is no page
    after = _read_page(integration, sample, page)
    _require(after.kind == "approved", "one row makes a page unreadable")
    others = [item for item in _items(whole) if _names(item) != _row_name(sample, spoiled)]
    _require(set(others) <= set(_items(after)), "one row hides another")


def _read_page(integration: Integration, sample: Sample, page: Any) -> Outcome:
    reply = msgspec.structs.replace(sample.reply, body=json.dumps(page).encode())
    return integration.outcome(sample.operation, reply)


def _items(said: Outcome) -> list[Charge | RefundSeen | DisputeSeen]:
    return [*said.charges, *said.refunds, *said.disputes]


def _names(item: Charge | RefundSeen | DisputeSeen) -> str:
    return item.provider_id


def _row_name(sample: Sample, number: int) -> str:
    return str(json.loads(sample.reply.body)["data"][number]["id"])


def _reply(chance: random.Random, sample: Sample) -> WireReply:
    if chance.random() < 0.1:
        body = chance.randbytes(chance.randrange(200))
    else:
        body = mutated(chance, sample.reply.body)
    status = sample.reply.status if chance.random() < 0.8 else chance.choice(STATUSES)
    headers = sample.reply.headers if chance.random() < 0.9 else (("request-id", "\xff\x00"),)
    return WireReply(status=status, headers=headers, body=body)


def _fuzz_event(chance: random.Random, corpus: Corpus) -> None:
    name, body = chance.choice(corpus.events)
    body = mutated(chance, body) if chance.random() < 0.9 else chance.randbytes(50)
    headers = {"stripe-signature": sign(WEBHOOK_SECRET, body, EPOCH_MS // 1000)}
    if chance.random() < 0.2:
        torn = mutated(chance, headers["stripe-signature"].encode())
        headers["stripe-signature"] = torn.decode("latin-1")
    check_event(INSTALLED[name], body, headers)


def _fuzz_masking(chance: random.Random, corpus: Corpus) -> None:
    sample = chance.choice(corpus.samples)
    kept = fields_read(INSTALLED.values())
    check_masking(sample, _reply(chance, sample), kept)
    request = chance.choice(corpus.requests)
    torn = msgspec.structs.replace(request, body=mutated(chance, request.body))
    mask_request(torn, kept)


def _fuzz_settings(chance: random.Random, corpus: Corpus) -> None:
    del corpus
    text = SETTINGS_TEXT
    for _ in range(chance.randrange(1, 5)):
        text = chance.choice((_flip, _truncate, _shuffled, _odd_setting))(chance, text)
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(text)
        file.flush()
        try:
            settings = read_settings(Path(file.name), {"TOLLKEEPER_PUBLIC_URL": "http://x"})
        except TollkeeperError:
            return
    _require(isinstance(settings, Settings), "settings that are none")


def _shuffled(chance: random.Random, text: bytes) -> bytes:
    lines = text.splitlines()
    chance.shuffle(lines)
    return b"\n".join(lines)


def _odd_setting(chance: random.Random, text: bytes) -> bytes:
    lines = text.splitlines()
    at = chance.randrange(len(lines) or 1)
    odd = chance.choice(("nan", "inf", "-1", '""', "[]", "{}", "1979-05-27", "10" * 200, '"x"'))
    lines[at : at + 1] = [lines[at].partition(b"=")[0] + b"= " + odd.encode()] if lines else []
    return b"\n".join(lines)


def _fuzz_body(chance: random.Random, corpus: Corpus) -> None:
    body = mutated(chance, chance.choice(corpus.samples).reply.body)
    try:
        decode_object(body)
    except TollkeeperError:
        return


def _fuzz_request_line(chance: random.Random, corpus: Corpus) -> None:
    del corpus
    text = mutated(chance, b'limit=20&cursor=pay_1&status=failed&x=%41%f0%9f%9c%81"k"')
    scope: Any = {"headers": [(b"idempotency-key", text)], "query_string": text}
    for read in (idempotency_key, query_of):
        try:
            read(scope)
        except TollkeeperError:
            continue


def _fuzz_contracts(chance: random.Random, corpus: Corpus) -> None:
    del corpus
    check_case(chance)


TARGETS: Final[dict[str, Callable[[random.Random, Corpus], None]]] = {
    "outcome": _fuzz_outcome,
    "event": _fuzz_event,
    "rows": _fuzz_rows,
    "masking": _fuzz_masking,
    "settings": _fuzz_settings,
    "body": _fuzz_body,
    "request_line": _fuzz_request_line,
    "contracts": _fuzz_contracts,
}


MAX_CASES: Final = 10**9
MAX_FAILURES: Final = 5
TELL_SECONDS: Final = 5.0


def run_case(target: str, seed: int, case: int, corpus: Corpus) -> None:
    """One case, the same for the same numbers. Raises what it finds."""
    TARGETS[target](random.Random(f"{seed}/{target}/{case}"), corpus)


@app.default
def fuzz(
    *,
    seconds: Annotated[float, cyclopts.Parameter(help="how long, all targets together")] = 20.0,
    seed: Annotated[int, cyclopts.Parameter(help="where the draws begin")] = 1,
    target: Annotated[str, cyclopts.Parameter(help=f"one of {', '.join(TARGETS)}")] = "",
    case: Annotated[int, cyclopts.Parameter(help="run this case alone")] = -1,
    cases: Annotated[int, cyclopts.Parameter(help="how many, instead of how long")] = 0,
) -> int:
    """Fuzzes until the time is over, or so many cases of each target; a case that hangs for five
    seconds or kills its process is a failure like any other.

    Examples: `./dev fuzz --seconds 60`; `./dev fuzz --target contracts --cases 100000`;
    `./dev fuzz --target outcome --seed 1 --case 42`.
    """
    if target and target not in TARGETS:
        console.print(f"no target {target!r}; there are: {', '.join(TARGETS)}")
        return 2
    corpus = make_corpus()
    targets = [target] if target else list(TARGETS)
    if case >= 0:
        run_case(targets[0], seed, case, corpus)
        console.print(f"{targets[0]} {case}: fine")
        return 0
    limit = seconds / len(targets) if not cases else math.inf
    failures = sum(_run(name, seed, limit, cases or MAX_CASES, corpus) for name in targets)
    return 1 if failures else 0


def _run(target: str, seed: int, seconds: float, cases: int, corpus: Corpus) -> int:
    ends = time.monotonic() + seconds
    told = time.monotonic() + TELL_SECONDS
    failures = done = 0
    watch = watched(lambda case: run_case(target, seed, case, corpus), 0, cases, MAX_SECONDS)
    with contextlib.closing(watch):
        for seen in watch:
            if isinstance(seen, Failed):
                failures += 1
                console.print(f"[red]{target}[/red] {seen.kind}: {seen.text!r}")
                console.print(f"  ./dev fuzz --target {target} --seed {seed} --case {seen.case}")
            else:
                done = seen.cases
            if time.monotonic() > told:
                told += TELL_SECONDS
                console.print(f"{target}: {done} cases, {failures} failures yet")
            if time.monotonic() > ends or failures >= MAX_FAILURES:
                break
    console.print(f"{target}: {done} cases, {failures} failures")
    return failures


def main() -> None:
    raise SystemExit(app())


if __name__ == "__main__":
    main()
