"""The process and its machine, measured once a second in microseconds."""

import hashlib
import os
import resource
import ssl
from pathlib import Path
from typing import Final

from tollkeeper.settings import Settings
from tollkeeper.signals.counts import Gauges
from tollkeeper.store import migrate

DESCRIPTORS: Final = Path("/proc/self/fd")


class Machine:
    """What can be asked of the machine that a service runs on."""

    def __init__(self, settings: Settings) -> None:
        is_file = not migrate.is_postgres(settings.database)
        self._folder = migrate.sqlite_path(settings.database).parent if is_file else Path()

    def measured(self) -> Gauges:
        """The shares of file descriptors and of the disk in use; `None` where that cannot be
        asked."""
        return Gauges(descriptors=_descriptors(), disk=self._disk())

    def _disk(self) -> float | None:
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return None
        return round(1 - found.f_bavail / found.f_blocks, 4) if found.f_blocks else None


def _descriptors() -> float | None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most in {resource.RLIM_INFINITY, 0}:
        return None
    try:
        return round(sum(1 for _ in DESCRIPTORS.iterdir()) / most, 4)
    except OSError:
        # none is left to look with, or there is no such folder on this system
        return 1.0 if DESCRIPTORS.parent.exists() else None


def trusted() -> str:
    """A digest of the certificate authorities that this process trusts, empty if unknown."""
    paths = ssl.get_default_verify_paths()
    try:
        return hashlib.sha256(Path(paths.cafile or paths.openssl_cafile).read_bytes()).hexdigest()
    except OSError:
        return ""
