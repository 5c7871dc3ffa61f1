"""What a service says of itself when it starts: release, store, and settings without secrets.

Law: a setting is shown only if its name is in no table of secrets; a new secret must be named here,
and a test plants one in every setting.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

import tollkeeper
from tollkeeper.settings import Settings

SECRETS: Final = frozenset(
    {"vault_key", "secret_key", "secrets", "webhook_secrets", "routing_salt"}
)
"""Names of settings that are secret, wherever they stand."""

HIDDEN: Final = "(secret)"


def release() -> str:
    """The release: its version and eight hexadecimal digits of its sources."""
    digest = hashlib.sha256()
    folder = Path(tollkeeper.__path__[0])
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{version('tollkeeper')}+{digest.hexdigest()[:8]}"


def shown(settings: Settings) -> dict[str, Any]:
    """The settings that are not at their defaults, without secrets."""
    usual = msgspec.to_builtins(Settings())
    given = msgspec.to_builtins(settings)
    changed = {name: value for name, value in given.items() if value != usual[name]}
    return {name: _shown(name, value) for name, value in changed.items()}


def _shown(name: str, value: Any) -> Any:
    if name in SECRETS:
        return HIDDEN if value else value
    if name == "database":
        return store_of(value)
    if isinstance(value, dict):
        return {key: _shown(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, inner) for inner in value]
    if isinstance(value, str) and "://" in value and "@" in value:
        return HIDDEN  # an address with a user and a password
    return value


def store_of(database: str) -> str:
    """Where the store is, without a password."""
    if "://" not in database:
        return database
    parts = urlsplit(database)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
