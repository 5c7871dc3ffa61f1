"""The commands for integration versions: on the package's own folder, as a developer calls them."""

import json
import shutil
from pathlib import Path

import pytest

import tollkeeper
from tollkeeper.cli import integrations
from tollkeeper.cli.main import MISUSE, main
from tollkeeper.integrations.catalogue import OURS
from tollkeeper.integrations.scaffold import module_path, parts_of

NEW = "stripe@2027-01-27.elm"
OLD = "stripe@2022-11-15"


def copied(tmp_path: Path) -> Path:
    """The package's versions in a folder that may be written to."""
    place = tmp_path / "package"
    shutil.copytree(integrations.HOME / "integrations", place / "integrations")
    return place


def test_the_commands_work_in_the_folder_of_the_package() -> None:
    assert Path(tollkeeper.__file__).parent == integrations.HOME
    for name in OURS:
        assert (integrations.HOME / module_path(*parts_of(name))).is_file(), name


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_version_is_frozen_and_unchanged(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["integrations", "freeze", "--check", name]) == 0
    assert "as it was frozen" in capsys.readouterr().out


def test_a_version_that_is_not_in_the_registry_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(tmp_path)
    registry = place / "integrations" / "frozen.json"
    left = json.loads(registry.read_bytes())
    del left[OLD]
    registry.write_text(json.dumps(left))
    check = ["integrations", "freeze", "--check", OLD, "--folder", str(place)]
    assert main(check) == 1
    assert "is not frozen" in capsys.readouterr().out
    assert main(["integrations", "freeze", OLD, "--folder", str(place)]) == 0
    assert main(check) == 0


def test_a_new_version_is_written_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(tmp_path)
    new = ["integrations", "new", NEW, "--folder", str(place)]
    assert main(new) == 0
    written = place / module_path(*parts_of(NEW))
    assert f'"{NEW.partition("@")[2]}"' in written.read_text("utf-8")
    assert "enter it in integrations/catalogue.py" in capsys.readouterr().out
    assert main(new) == MISUSE
    assert "exists already" in capsys.readouterr().err
    assert main(["integrations", "new", "stripe", "--folder", str(place)]) == MISUSE
