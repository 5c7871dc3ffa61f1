"""Frozen versions are what they were; new ones begin from something that works."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from tollkeeper.integrations import freezing, scaffold
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.values import Integration, SignatureRefused, WireReply
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.outcome import OPERATIONS

FOLDER = Path(freezing.__file__).parent
NAMES = sorted(INSTALLED)


def source(name: str) -> Path:
    provider, _, version = name.partition("@")
    return FOLDER.parent / scaffold.module_path(provider, version)


def loaded(path: Path) -> ModuleType:
    """The module in a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(f"loose_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # msgspec resolves annotations there
    spec.loader.exec_module(module)
    return module


def integration(path: Path) -> Integration:
    found: Integration = loaded(path).INTEGRATION
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_frozen_version_is_what_it_was(name: str) -> None:
    registry = freezing.read_registry((FOLDER / "frozen.json").read_bytes())
    assert set(registry) <= set(INSTALLED), "a frozen version was removed"
    assert freezing.broken(registry, INSTALLED[name], source(name).read_bytes()) == []


ALTERATIONS = {
    "a comment": ("VERSION: Final", "# a remark\nVERSION: Final", ["source"]),
    "a word of a table": ('"requires_capture": "authorized"', '"requires_capture": "captured"',
                          ["source", "behaves"]),
    "what is sent": ('("confirm", "true")', '("confirm", "false")', ["source", "behaves"]),
    "a refusal": ("401, 403", "403", ["source", "behaves"]),
    "a window": ("in_flight_window_s=", "in_flight_window_s=1 + ", ["source", "behaves"]),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_any_alteration_of_a_frozen_version_is_seen(tmp_path: Path, name: str, what: str) -> None:
    old, new, expected = ALTERATIONS[what]
    copy = tmp_path / "copied.py"
    copy.write_bytes(source(name).read_bytes())
    frozen = freezing.read_registry(
        freezing.entered({}, integration(copy), copy.read_bytes(), "2030-01-01")
    )
    assert freezing.broken(frozen, integration(copy), copy.read_bytes()) == []
    text = copy.read_text()
    assert old in text
    altered = tmp_path / "altered.py"
    altered.write_text(text.replace(old, new, 1))
    problems = freezing.broken(frozen, integration(altered), altered.read_bytes())
    assert [any(word in problem for problem in problems) for word in expected] == [True] * len(
        expected
    )
    assert len(problems) == len(expected)
    with pytest.raises(Misconfigured):
        freezing.entered(frozen, integration(altered), altered.read_bytes(), "2030-01-02")


def test_golden_bytes_are_the_same_in_another_process_with_other_hashes() -> None:
    program = (
        "from tollkeeper.integrations import freezing; "
        "from tollkeeper.integrations.catalogue import INSTALLED; "
        "print([freezing.digest(freezing.golden(INSTALLED[n])) for n in sorted(INSTALLED)])"
    )
    here = str([freezing.digest(freezing.golden(INSTALLED[name])) for name in NAMES])
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.strip() == here


@pytest.mark.parametrize("name", NAMES)
def test_golden_bytes_hold_every_kind_of_outcome_and_each_request(name: str) -> None:
    document = msgspec.json.decode(freezing.golden(INSTALLED[name]))
    kinds = {said["kind"] for said in document["outcomes"].values()}
    assert kinds == {"approved", "declined", "pending", "failed", "unknown"}
    assert len(document["requests"]) == len(OPERATIONS) * len(freezing.ORDERS)
    topics = {n: e if isinstance(e, str) else e["topic"] for n, e in document["events"].items()}
    assert topics == {
        "paid": "charge", "refunded": "refund", "disputed": "dispute", "other": "other",
        "none": "refused",
    }  # fmt: skip


def test_a_registry_is_kept_in_order_and_read_back() -> None:
    first = freezing.entered({}, INSTALLED[NAMES[1]], b"source", "2030-01-01")
    registry = freezing.read_registry(first)
    second = freezing.entered(registry, INSTALLED[NAMES[0]], b"other", "2030-01-02")
    assert list(freezing.read_registry(second)) == NAMES[:2]
    again = freezing.entered(
        freezing.read_registry(second), INSTALLED[NAMES[0]], b"other", "2031-01-01"
    )
    assert again == second
    with pytest.raises(Misconfigured):
        freezing.read_registry(b"{")


@pytest.mark.parametrize("name", NAMES)
def test_a_new_version_begins_as_a_copy_that_works(tmp_path: Path, name: str) -> None:
    provider = name.partition("@")[0]
    text = scaffold.scaffold(provider, "2031-02-03.elm", source(name).read_text())
    path = tmp_path / "fresh.py"
    path.write_text(text)
    made = integration(path)
    assert made.name == f"{provider}@2031-02-03.elm"
    assert made.handles == INSTALLED[name].handles | {name}
    sent = dict(made.request("authorize", freezing.ORDERS["plain"]).headers)
    assert sent["stripe-version"] == "2031-02-03.elm"
    before = msgspec.json.decode(freezing.golden(INSTALLED[name]))["outcomes"]
    assert msgspec.json.decode(freezing.golden(made))["outcomes"] == before


def test_a_new_provider_begins_with_a_skeleton_that_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "skeleton.py"
    path.write_text(scaffold.scaffold("acme_pay", "v71"))
    made = integration(path)
    assert made.name == "acme_pay@v71"
    for operation in OPERATIONS:
        made.request(operation, freezing.ORDERS["full"])
        for reply in freezing.REPLIES["stripe"].values():
            said = made.outcome(operation, reply)
            refused = reply.status in {401, 403, 405}
            assert said.kind == ("failed" if refused else "unknown")
        whole = b'{"id":"1","status":"paid","amount":1,"currency":"eur"}'
        assert made.outcome(operation, WireReply(status=200, body=whole)).kind == "unknown"
    with pytest.raises(SignatureRefused):
        made.event(b"{}", {}, (), 0)
    with pytest.raises(Misconfigured):
        freezing.golden(made)


def test_a_skeleton_satisfies_the_house_tools(tmp_path: Path) -> None:
    text = scaffold.scaffold("acme_pay", "v71")
    for command in (["check"], ["format", "--check"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename",
             str(FOLDER / "acme_pay" / "v71.py"), "-"],
            input=text, text=True, check=True, capture_output=True,
        )  # fmt: skip


def test_where_a_module_belongs() -> None:
    assert scaffold.module_path("stripe", "2026-03-25.dahlia") == (
        "integrations/stripe/v2026_03_25_dahlia.py"
    )
    assert "import v71" in scaffold.catalogue_entry("acme", "71")
    assert all(source(name).exists() for name in NAMES)


@pytest.mark.parametrize(
    ("provider", "version"), [("Stripe", "1"), ("s", "1"), ("a/b", "1"), ("ab", "../x"), ("ab", "")]
)
def test_odd_names_are_refused(provider: str, version: str) -> None:
    with pytest.raises(Misconfigured):
        scaffold.scaffold(provider, version)
