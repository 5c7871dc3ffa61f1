"""The laws of integration versions: what a version and a dialect module may import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tollkeeper.integrations import freezing

FOLDER = Path(freezing.__file__).parent
BELOW = "tollkeeper.integrations."
NUMBERED = re.compile(r"[a-z_]+_\d+")
VERSION = re.compile(r"v\d[a-z0-9_]*")
LONGEST_VERSION = 60
LONGEST_DIALECT = 400


def files() -> list[Path]:
    """Modules of versions and dialects, and the numbered parts that they share."""
    found = [path for path in FOLDER.glob("*/*.py") if path.stem not in {"__init__", "golden"}]
    assert len(found) >= 14
    return sorted(found)


def breaches(path: Path, source: bytes) -> list[str]:
    """Imports of a version or a dialect module that the laws do not allow."""
    provider = path.parent.name
    found = []
    for name in sorted(_imported(source)):
        place, _, module = name.removeprefix(BELOW).rpartition(".")
        own = place in {provider, "parts"} and NUMBERED.fullmatch(module)
        if name != freezing.PROTOCOL and not own:
            found.append(f"{provider}/{path.name} imports {name}")
    return found


def _imported(source: bytes) -> set[str]:
    import ast  # noqa: PLC0415 - read here alone

    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(BELOW[:-1]):
            assert node.module is not None
            is_module = (FOLDER / "/".join(node.module.split(".")[2:])).with_suffix(".py").is_file()
            names |= {node.module} if is_module else {f"{node.module}.{a.name}" for a in node.names}
    return names


@pytest.mark.parametrize("path", files(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_versions_and_dialects_import_their_own_numbered_modules_alone(path: Path) -> None:
    assert breaches(path, path.read_bytes()) == []
    assert NUMBERED.fullmatch(path.stem) or VERSION.fullmatch(path.stem), "a name without a number"


@pytest.mark.parametrize(
    "line",
    [
        "from tollkeeper.integrations.stripe import v2022_08_01",
        "from tollkeeper.integrations.stripe.v2022_08_01 import INTEGRATION",
        "from tollkeeper.integrations.acme.words_1 import STATES",
        "from tollkeeper.integrations import masking",
        "from tollkeeper.integrations.stripe.golden import GOLDEN",
        "from tollkeeper.integrations.catalogue import INSTALLED",
    ],
)
def test_a_breach_is_seen(line: str) -> None:
    assert breaches(FOLDER / "stripe" / "v2099_01_01.py", line.encode()) != []


@pytest.mark.parametrize("path", files(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_version_is_small_and_a_dialect_fits_a_thought(path: Path) -> None:
    longest = LONGEST_VERSION if VERSION.fullmatch(path.stem) else LONGEST_DIALECT
    assert len(path.read_text().splitlines()) <= longest


def test_a_version_of_another_distribution_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """As docs/how-to/add-an-integration-version.md has it."""
    (tmp_path / "acme_pay.py").write_text(
        "from msgspec.structs import replace\n"
        "from tollkeeper.integrations.stripe.v2022_11_15 import INTEGRATION as MODEL\n"
        "V71 = replace(MODEL, provider='acme', version='71', handles=frozenset())\n"
    )
    info = tmp_path / "acme_pay-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-pay\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tollkeeper.integrations]\nacme@71 = acme_pay:V71\n")
    program = (
        "from tollkeeper.integrations.catalogue import INSTALLED, OURS; "
        "print(sorted(set(INSTALLED) - set(OURS)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(tmp_path)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['acme@71']"
    (info / "entry_points.txt").write_text("[tollkeeper.integrations]\nother@1 = acme_pay:V71\n")
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(tmp_path)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "same names" in done.stderr
