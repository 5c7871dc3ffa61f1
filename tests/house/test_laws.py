"""Laws that the syntax tree shows: rules stay in rooms, doors go through flows, and
files and functions stay small or are argued."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from tollkeeper.incidents import incident, news, paging
from tollkeeper.payments import outcome, payment
from tollkeeper.rollouts import rollout

SOURCE: Final = Path(outcome.__file__).parents[1]
PYPROJECT: Final = SOURCE.parents[1] / "pyproject.toml"
DOORS: Final = ("api", "cli", "dashboard")
SHARED: Final = ("live", "ports")
FEATURES: Final = sorted(
    path.name for path in (SOURCE / "flows").iterdir() if (path / "__init__.py").is_file()
    and path.name not in SHARED
)  # fmt: skip
RESULT_CLASSES: Final = frozenset({"A", "B1", "B2", "C"})
WORDS: Final[frozenset[str]] = frozenset(
    {
        *get_args(payment.Status),
        *get_args(outcome.OutcomeKind),
        *get_args(outcome.ChargeState),
        *get_args(outcome.RefundState),
        *get_args(outcome.DoubtKind),
        *get_args(rollout.Status),
        *get_args(rollout.Decision.__annotations__["kind"]),
        *get_args(incident.Status.__value__),
        *get_args(incident.Severity.__value__),
        *get_args(news.Weight.__value__),
        *(set(get_args(paging.NotificationStatus.__value__)) - {"queued"}),  # a webhook's fate, too
        *RESULT_CLASSES,
    }
)
"""Statuses, outcomes and result classes: what is decided by them is decided in a room."""

LONGEST_FILE: Final = 400
LONGEST_FUNCTION: Final = 60


def decided_by_words(source: str) -> list[str]:
    """Comparisons and cases in `source` that name a room's word."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare | ast.match_case):
            named = {str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant)} & WORDS
            line = node.lineno if isinstance(node, ast.Compare) else node.pattern.lineno
            found += [f"{line}: {word}" for word in sorted(named)]
    return found


def store_calls(source: str) -> list[str]:
    """Calls of a store's methods in `source`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        holder = node.func.value
        name = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
        if name == "store":
            found.append(f"{node.lineno}: {ast.unparse(node.func)}")
    return found


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((SOURCE / folder).rglob("*.py"))]
    assert found
    return found


def named(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", modules("flows"), ids=named)
def test_a_flow_decides_nothing_by_a_word_of_a_room(path: Path) -> None:
    assert decided_by_words(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        'done = payment.status == "failed"',
        'if said.kind in {"approved", "pending"}: pass',
        'match kind:\n    case "B1": pass',
        'if rollout.status != "promoted": pass',
    ],
)
def test_a_flow_that_decides_by_a_word_is_found(line: str) -> None:
    assert len(decided_by_words(line)) >= 1


@pytest.mark.parametrize("path", modules(*DOORS[:2]), ids=named)
def test_a_door_asks_flows_and_never_the_store(path: Path) -> None:
    opening = {"cli/opening.py": ["store.close"]}
    calls = [call.partition(": ")[2] for call in store_calls(path.read_text())]
    assert calls == opening.get(named(path), [])


def test_a_door_that_asks_the_store_is_found() -> None:
    assert store_calls("await call.runtime.store.load_payment(id)")
    assert store_calls("rows = await store.list_payments()")
    assert not store_calls("await read.one(call.runtime.store, id)")


def test_every_feature_has_the_same_shape() -> None:
    for feature in FEATURES:
        assert (SOURCE / "flows" / feature / "jobs.py").is_file(), feature
    contracts = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (named,) = (one["modules"] for one in contracts if one["id"] == "features")
    assert sorted(named) == [f"tollkeeper.flows.{feature}" for feature in FEATURES]
    loose = {path.stem for path in (SOURCE / "flows").glob("*.py")}
    shared = {
        "comparing",
        "exchanges",
        "observing",
        "reaching",
        "recording",
        "routes",
        "runtime",
        "sending",
    }
    assert loose == {"__init__", *shared}


# How long files and functions are


LONG_FILES: Final = {
    "contracts/witness.py": "one recursion over a schema, which builds and executes a witness",
    "failover/rule.py": "one rule, whose five gates are read as a whole and beside their sources",
    "payments/invariants.py": "one check for each invariant, read beside the list of invariants",
    "payments/settlement.py": "one decision, which must be read as a whole",
    "payments/reconcile.py": "the only place where a reading changes the books",
    "settings.py": "one value with every default in sight, which the reference page is drawn from",
    "store/tables.py": "every table in one place, which the last migration must equal",
}
"""Files of more than 400 lines outside the simulator and our own harnesses, and why."""


LONG_FUNCTIONS: Final = {"cli/rollout.py: start": "nineteen options, each with its help"}


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION:
                yield node.name


def test_long_files_and_functions_are_argued() -> None:
    paths = [
        path for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).parts[0] not in {"simulator", "testing"}
        and "migrations" not in path.parts
    ]  # fmt: skip
    long_files = {named(p) for p in paths if len(p.read_text().splitlines()) > LONGEST_FILE}
    assert long_files == set(LONG_FILES)
    found = {
        f"{named(path)}: {name}" for path in paths for name in long_functions(path.read_text())
    }
    assert found == set(LONG_FUNCTIONS)


def speed_bounds(source: str) -> list[int]:
    """Lines that assert that something took less than so long: false on a busy machine."""
    clocks = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
        and any(isinstance(part, ast.Lt | ast.LtE) for part in ast.walk(node.test))
        and any(
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in clocks
            and not part.args
            for part in ast.walk(node.test)
        )
    ]


def test_no_test_asserts_speed() -> None:
    assert speed_bounds("assert time.process_time() - began < 2.0") == [1]
    tests = sorted(Path(__file__).parents[1].rglob("*.py"))
    found = {path.name: speed_bounds(path.read_text("utf-8")) for path in tests}
    assert {name: lines for name, lines in found.items() if lines} == {}
