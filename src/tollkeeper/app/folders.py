"""Folders that others serve: files are written whole, beside the old ones, and renamed."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from tollkeeper.flows.ports import Publish

READABLE: int = 0o644


class Folder:
    """A folder that a web server reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self, files: Mapping[str, bytes]) -> None:
        """Writes files by their names; a reader sees the old one or the new one."""
        await asyncio.to_thread(self._write, dict(files))

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, text in files.items():
            path = self._path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.write_bytes(text)
            new.chmod(READABLE)
            new.replace(path)


def folder_of(path: str | None) -> Publish | None:
    """The folder of the settings, if there is one."""
    return Folder(Path(path)) if path is not None else None
