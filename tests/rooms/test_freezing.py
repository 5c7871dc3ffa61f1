"""Frozen versions are what they were; new ones begin from something that works."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from tollkeeper.app import sources_of
from tollkeeper.integrations import freezing, scaffold
from tollkeeper.integrations.catalogue import GOLDEN, OURS, at_address
from tollkeeper.integrations.version import Delivery, Integration, SignatureRefused, WireReply
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.outcome import OPERATIONS

FOLDER = Path(freezing.__file__).parent
NAMES = sorted(OURS)


def source(name: str) -> Path:
    return FOLDER.parent / scaffold.module_path(*scaffold.parts_of(name))


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


def golden(one: Integration) -> bytes:
    return freezing.golden(one, GOLDEN[one.provider])


def entered(registry: freezing.Registry, name: str, sources: dict[str, bytes], day: str) -> bytes:
    return freezing.entered(registry, OURS[name], sources, GOLDEN["stripe"], day)


@pytest.mark.parametrize("name", NAMES)
def test_every_frozen_version_is_what_it_was(name: str) -> None:
    registry = freezing.read_registry((FOLDER / "frozen.json").read_bytes())
    assert set(registry) <= set(OURS), "a frozen version was removed"
    assert freezing.broken(registry, OURS[name], sources_of(OURS[name]), GOLDEN["stripe"]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_is_the_version_and_every_dialect_and_part_that_it_imports(name: str) -> None:
    modules = {module.removeprefix("tollkeeper.integrations.") for module in sources_of(OURS[name])}
    dialect = {"dialect_1", "lists_1", "objects_1", "refusals_1", "replies_1", "requests_1",
               "sandbox_1", "shape_1", "types_1", "webhooks_1", "words_1"}  # fmt: skip
    parts = {"amounts_1", "form_1", "reading_1"}
    version = scaffold.module_name(*scaffold.parts_of(name)[1:])
    assert modules == {f"stripe.{part}" for part in (*dialect, version)} | {
        f"parts.{part}" for part in parts
    }


ALTERATIONS = {
    "a comment": ("stripe/v2022_11_15.py", "INTEGRATION: F", "# x\nINTEGRATION: F", ["source"]),
    "a word": ("stripe/words_1.py", '"requires_capture": "authorized"',
               '"requires_capture": "captured"', ["source", "behaves"]),
    "what is sent": ("stripe/requests_1.py", '("confirm", "true")', '("confirm", "false")',
                     ["source", "behaves"]),
    "a refusal": ("stripe/words_1.py", "401, 403", "403", ["source", "behaves"]),
    "a window": ("stripe/dialect_1.py", "WINDOW_S: Final = 90", "WINDOW_S: Final = 9",
                 ["source", "behaves"]),
    "a part": ("parts/amounts_1.py", "lt=2**53", "lt=2**52", ["source"]),
    "the protocol": ("version.py", "class Samples(", "# a remark\nclass Samples(", []),
}  # fmt: skip

PROGRAM = """
import sys
from pathlib import Path
from tollkeeper.app import sources_of
from tollkeeper.integrations import freezing
from tollkeeper.integrations.catalogue import GOLDEN, OURS
one, place = OURS["stripe@2022-11-15"], Path(sys.argv[1])
if not place.exists():
    place.write_bytes(freezing.entered({}, one, sources_of(one), GOLDEN["stripe"], "2030-01-01"))
registry = freezing.read_registry(place.read_bytes())
print("\\n".join(freezing.broken(registry, one, sources_of(one), GOLDEN["stripe"])))
"""


@pytest.mark.parametrize("what", ALTERATIONS)
def test_any_alteration_of_a_frozen_closure_is_seen(tmp_path: Path, what: str) -> None:
    file, old, new, expected = ALTERATIONS[what]
    copy = tmp_path / "src"
    shutil.copytree(FOLDER.parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(copy), "PATH": ""}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "frozen.json")]
    for alter in (False, True):
        path = copy / "tollkeeper" / "integrations" / file
        if alter:
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new, 1))
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        problems = done.stdout.split("\n")[:-1] if done.stdout.strip() else []
        words = expected if alter else []
        assert [word in problem for word, problem in zip(words, problems, strict=True)] == [
            True
        ] * len(words)


def test_freezing_again_what_has_changed_is_refused() -> None:
    name = NAMES[0]
    frozen = freezing.read_registry(entered({}, name, {"a": b"1"}, "2030-01-01"))
    with pytest.raises(Misconfigured):
        entered(frozen, name, {"a": b"2"}, "2030-01-02")


def test_golden_bytes_are_the_same_in_another_process_with_other_hashes() -> None:
    program = (
        "from tollkeeper.integrations import freezing; "
        "from tollkeeper.integrations.catalogue import GOLDEN, OURS; "
        "print([freezing.digest(freezing.golden(OURS[n], GOLDEN['stripe'])) for n in sorted(OURS)])"
    )
    here = str([freezing.digest(golden(OURS[name])) for name in NAMES])
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.strip() == here


@pytest.mark.parametrize("name", NAMES)
def test_golden_bytes_hold_every_kind_of_outcome_and_each_request(name: str) -> None:
    document = msgspec.json.decode(golden(OURS[name]))
    kinds = {said["kind"] for said in document["outcomes"].values()}
    assert kinds == {"approved", "declined", "pending", "failed", "unknown"}
    assert len(document["requests"]) == len(OPERATIONS) * len(freezing.ORDERS)
    topics = {n: e if isinstance(e, str) else e[0]["topic"] for n, e in document["events"].items()}
    assert topics == {
        "paid": "charge", "refunded": "refund", "disputed": "dispute", "other": "other",
        "none": "refused",
    }  # fmt: skip


def test_a_registry_is_kept_in_order_and_read_back() -> None:
    first = entered({}, NAMES[1], {"a": b"source"}, "2030-01-01")
    registry = freezing.read_registry(first)
    second = entered(registry, NAMES[0], {"a": b"other"}, "2030-01-02")
    assert list(freezing.read_registry(second)) == NAMES[:2]
    again = entered(freezing.read_registry(second), NAMES[0], {"a": b"other"}, "2031-01-01")
    assert again == second
    with pytest.raises(Misconfigured):
        freezing.read_registry(b"{")


def test_a_revision_has_a_name_a_file_and_an_address_of_its_own(tmp_path: Path) -> None:
    name = "stripe@2022-11-15"
    text = scaffold.scaffold("stripe", "2022-11-15", source(name).read_text(), revision=2)
    path = tmp_path / "revised.py"
    path.write_text(text)
    made = integration(path)
    assert (made.name, made.version, made.revision) == (f"{name}+2", "2022-11-15", 2)
    assert name in made.handles
    assert scaffold.module_path("stripe", "2022-11-15", 2).endswith("v2022_11_15_r2.py")
    assert scaffold.parts_of(made.name) == ("stripe", "2022-11-15", 2)
    both = {**OURS, made.name: made}
    assert at_address(both, made.name) is made
    assert at_address(both, name) is OURS[name]
    alone = {made.name: made}
    assert at_address(alone, name) is made  # the first revision is gone, its address is not
    assert at_address(alone, "stripe@2022-08-01") is None
    for odd in ("stripe@1+1", "stripe@1+x", "stripe@1+"):
        with pytest.raises(Misconfigured):
            scaffold.parts_of(odd)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_version_begins_as_a_copy_that_works(tmp_path: Path, name: str) -> None:
    provider = name.partition("@")[0]
    text = scaffold.scaffold(provider, "2031-02-03.elm", source(name).read_text())
    path = tmp_path / "fresh.py"
    path.write_text(text)
    made = integration(path)
    assert made.name == f"{provider}@2031-02-03.elm"
    assert made.handles == OURS[name].handles | {name}
    sent = dict(made.request("authorize", freezing.ORDERS["plain"]).headers)
    assert sent["stripe-version"] == "2031-02-03.elm"
    before = msgspec.json.decode(golden(OURS[name]))["outcomes"]
    assert msgspec.json.decode(golden(made))["outcomes"] == before


def test_a_new_provider_begins_with_a_skeleton_that_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "skeleton.py"
    path.write_text(scaffold.scaffold("acme_pay", "v71"))
    made = integration(path)
    assert made.name == "acme_pay@v71"
    for operation in OPERATIONS:
        made.request(operation, freezing.ORDERS["full"])
        for reply in GOLDEN["stripe"].replies.values():
            said = made.outcome(operation, reply)
            refused = reply.status in {401, 403, 405}
            assert said.kind == ("failed" if refused else "unknown")
        whole = b'{"id":"1","status":"paid","amount":1,"currency":"eur"}'
        assert made.outcome(operation, WireReply(status=200, body=whole)).kind == "unknown"
    with pytest.raises(SignatureRefused):
        made.events(Delivery(body=b"{}", headers={}, secrets=(), now_ms=0))
    with pytest.raises(Misconfigured):
        freezing.golden(made, GOLDEN.get(made.provider))


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
