"""A disk that is small enough to be filled: a tmpfs of its own, for the time of a scenario."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tollkeeper.kernel.errors import Invalid

DISK_BYTES: Final = 160 * 1024 * 1024
"""Room for a fresh PostgreSQL (40 MB) and four of its log's segments of 16 MB each."""

CHUNK: Final = b"\0" * 65_536
SECTOR: Final = 512


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of `DISK_BYTES` at `folder`. Raises `Invalid` where nothing may be mounted."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)  # noqa: S603 - no input of others
    if done.returncode:
        raise Invalid("a full disk is a small tmpfs here, and only root may mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S603, S607


def fill(folder: Path) -> Path:
    """Writes a ballast until the small disk at `folder` takes no more; gives the ballast. Raises
    `Invalid`, and writes nothing, where `folder` is no small disk of its own: the machine's disk
    belongs to others."""
    found = os.statvfs(folder)
    if not folder.is_mount() or found.f_blocks * found.f_frsize > DISK_BYTES:
        raise Invalid(f"{folder} is no small disk of its own, and is not filled")
    ballast = folder / "ballast"
    left = DISK_BYTES // len(CHUNK)
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while left and file.write(CHUNK):
            left -= 1
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        for _ in range(len(CHUNK) // SECTOR):  # and the rest that a chunk did not fit in
            file.write(CHUNK[:SECTOR])
    return ballast
