"""A full disk of the proving ground: only a small one of its own is ever filled."""

from pathlib import Path

import pytest

from tollkeeper.kernel.errors import Invalid
from tollkeeper.proving.disks import fill


def test_a_folder_of_the_machines_disk_is_never_filled(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no small disk"):
        fill(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_of_the_machine_is_never_filled() -> None:
    with pytest.raises(Invalid, match="no small disk"):
        fill(Path("/"))
