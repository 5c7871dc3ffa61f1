"""Whatever a provider sends: nothing raises, and nothing is approved that was not said."""

import ast
import importlib
import random
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rooms.plays import intent

from tollkeeper.app import sources_of
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import Integration, WireReply
from tollkeeper.payments.judging import judge
from tollkeeper.payments.outcome import Operation
from tollkeeper.payments.payment import Attempt, Payment
from tollkeeper.simulator.stripe.webhooks import sign
from tollkeeper.testing import fuzz
from tollkeeper.testing.ports import EPOCH_MS

NAMES = sorted(INSTALLED)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
CORPUS = fuzz.make_corpus()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
STATUS = st.sampled_from(fuzz.STATUSES)


def test_the_corpus_holds_every_operation_and_kind_of_outcome() -> None:
    seen = set()
    for sample in CORPUS.samples:
        said = INSTALLED[sample.integration].outcome(sample.operation, sample.reply)
        seen |= {sample.operation, said.kind}
    assert seen == {*OPERATIONS, "approved", "declined", "pending", "failed", "unknown"}
    assert len(CORPUS.events) > 50


@given(st.sampled_from(NAMES), st.sampled_from(OPERATIONS), STATUS, st.binary())
def test_arbitrary_bytes(name: str, operation: Operation, status: int, body: bytes) -> None:
    fuzz.check_outcome(INSTALLED[name], operation, WireReply(status=status, body=body))


@given(st.sampled_from(NAMES), st.sampled_from(OPERATIONS), STATUS, JSON)
def test_arbitrary_json(name: str, operation: Operation, status: int, value: Any) -> None:
    body = msgspec.json.encode(value)
    fuzz.check_outcome(INSTALLED[name], operation, WireReply(status=status, body=body))


@given(st.integers(0, 2**32))
def test_mutated_real_replies(seed: int) -> None:
    for case in range(5):
        fuzz.run_case("outcome", seed, case, CORPUS)


@given(st.integers(0, 2**32))
def test_mutated_real_webhooks(seed: int) -> None:
    for case in range(5):
        fuzz.run_case("event", seed, case, CORPUS)


@given(st.sampled_from(NAMES), st.binary(), st.text())
def test_arbitrary_webhooks(name: str, body: bytes, header: str) -> None:
    fuzz.check_event(INSTALLED[name], body, {"stripe-signature": header})
    mine = sign(fuzz.WEBHOOK_SECRET, body, EPOCH_MS // 1000)
    fuzz.check_event(INSTALLED[name], body, {"stripe-signature": mine})


@given(st.integers(0, 2**32), st.sampled_from(NAMES))
def test_what_is_approved_after_judging_is_what_was_asked(seed: int, name: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    payment = Payment(
        id=fuzz.PAYMENT, account="a", amount_minor=1_000, currency="EUR",
        capture_method="automatic", payment_method="pm", integration=name, created_ms=0,
        updated_ms=0, deadline_ms=0,
    )  # fmt: skip
    attempt = Attempt(
        id=fuzz.ATTEMPT, payment_id=payment.id, operation="authorize", integration=name,
        amount_minor=1_000, first_sent_ms=0, sent_ms=0,
    )  # fmt: skip
    mine = [s for s in CORPUS.samples if s.operation == "authorize"]
    body = fuzz.mutated(chance, chance.choice(mine).reply.body)
    said = INSTALLED[name].outcome("authorize", WireReply(status=200, body=body))
    judged = judge(payment, attempt, said)
    if judged.kind in {"approved", "pending", "declined"}:
        charge = judged.charge
        assert charge is not None
        assert (charge.amount_minor, charge.currency) == (1_000, "EUR")
        assert (charge.payment_id, charge.attempt_id) == (payment.id, attempt.id)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [b'"a\\u0000b"', b'"\\ud800"', b"NaN", b"1e400", b"9" * 400, b"[" * 9_000, b"-1", b"9" * 19],
    ids=lambda t: f"{len(t)} {t[:8]!r}",
)
@pytest.mark.parametrize("field", ["id", "amount", "status", "currency", "metadata"])
def test_values_that_no_row_can_hold_are_unknown(name: str, field: str, text: bytes) -> None:
    whole = msgspec.json.encode(intent(name, "succeeded") | {field: "PLACE"})
    reply = WireReply(status=200, body=whole.replace(b'"PLACE"', text))
    assert fuzz.check_outcome(INSTALLED[name], "authorize", reply).kind == "unknown"


# Every field of a wire type is read by the version's code


def wire_fields(integration: Integration) -> Iterator[tuple[type, str]]:
    pending: list[Any] = list(integration.reads.values())
    seen: set[Any] = set()
    while pending:
        current = pending.pop()
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            if current in seen:
                continue
            seen.add(current)
            for field in msgspec.structs.fields(current):
                yield current, field.name
                pending.append(field.type)
        else:
            pending.extend(get_args(current))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_the_wire_types_is_read(name: str) -> None:
    trees = [ast.parse(source) for source in sources_of(INSTALLED[name]).values()]
    read = {n.attr for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    unread = [f"{t.__name__}.{f}" for t, f in wire_fields(INSTALLED[name]) if f not in read]
    assert unread == []


@pytest.mark.parametrize("name", NAMES)
def test_every_wire_type_of_the_module_is_declared_as_read(name: str) -> None:
    modules = [importlib.import_module(module) for module in sources_of(INSTALLED[name])]
    own = {
        value for module in modules for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    }  # fmt: skip
    declared = {kind for kind, _ in wire_fields(INSTALLED[name])}
    # what is decoded from a part that is kept raw is declared by the whole
    raw = {"Listed", "Referenced", "EventObject", "Dispute", "ThinEvent", "RelatedObject",
           "PaymentIntent", "Shape"}  # fmt: skip
    assert {kind.__name__ for kind in own - declared} <= raw


@given(st.integers(0, 2**32))
def test_one_spoiled_row_hides_no_other(seed: int) -> None:
    for case in range(5):
        fuzz.run_case("rows", seed, case, CORPUS)


@pytest.mark.parametrize("row", [1e308, 7, "a text", None, True, []])
@pytest.mark.parametrize("operation", sorted(fuzz.LISTINGS))
def test_a_row_that_is_no_object_is_a_row_that_could_be_ours(
    operation: Operation, row: object
) -> None:
    samples = [s for s in CORPUS.samples if s.operation == operation and s.reply.status == 200]
    assert samples
    for sample in samples:
        page = msgspec.json.decode(sample.reply.body)
        page["data"].insert(0, row)
        reply = WireReply(status=200, body=msgspec.json.encode(page))
        said = fuzz.check_outcome(INSTALLED[sample.integration], operation, reply)
        assert any(unread.may_be_ours for unread in said.unread)
