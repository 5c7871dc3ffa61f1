"""Settings from a TOML file and the environment."""

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.routing import weights
from tollkeeper.settings import Settings

CONFIG_VARIABLE: Final = "TOLLKEEPER_CONFIG"


def read_settings(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings from a TOML file (`path`, else the variable TOLLKEEPER_CONFIG, else
    `tollkeeper.toml` where it exists); TOLLKEEPER_DATABASE, TOLLKEEPER_VAULT_KEY and
    TOLLKEEPER_<PROVIDER>_SECRET_KEY replace what the file says."""
    variables = os.environ if environment is None else environment
    chosen = path or Path(variables.get(CONFIG_VARIABLE, "tollkeeper.toml"))
    named = path is not None or CONFIG_VARIABLE in variables
    raw: dict[str, Any] = {}
    if chosen.exists():
        raw = _parsed(chosen)
    elif named:
        raise Misconfigured(f"no settings file at {chosen}")
    _overlay(raw, variables)
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{chosen}: {error}") from error
    weights.check(settings.weights, tuple(INSTALLED))
    _check_addresses(settings)
    return settings


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error


def _overlay(raw: dict[str, Any], variables: Mapping[str, str]) -> None:
    for name in ("database", "vault_key", "public_url"):
        value = variables.get(f"TOLLKEEPER_{name.upper()}")
        if value:
            raw[name] = value
    for name in sorted({item.provider for item in INSTALLED.values()}):
        value = variables.get(f"TOLLKEEPER_{name.upper()}_SECRET_KEY")
        if value:
            raw.setdefault("providers", {}).setdefault(name, {})["secret_key"] = value


def _check_addresses(settings: Settings) -> None:
    """Raises `Misconfigured` where a provider would be sent its secret key in the clear."""
    for name, provider in settings.providers.items():
        if provider.base_url is None:
            continue
        parts = urlsplit(provider.base_url)
        if parts.scheme == "https" and parts.hostname:
            continue
        if parts.scheme == "http" and is_loopback(parts.hostname or ""):
            continue
        raise Misconfigured(
            f"base_url in [providers.{name}] must begin with https://; http:// may only lead to "
            "this machine (localhost, 127.0.0.1, [::1])"
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine by its text alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_keys(settings: Settings) -> None:
    """Raises `Misconfigured` where a provider that is given payments cannot be authenticated at."""
    for name, weight_percent in settings.weights.items():
        provider = name.partition("@")[0]
        mine = settings.providers.get(provider)
        if weight_percent > 0 and (mine is None or not mine.secret_key):
            raise Misconfigured(
                f"weights send payments to {name}, and provider {provider} has no secret_key: set "
                f"TOLLKEEPER_{provider.upper()}_SECRET_KEY, or secret_key in [providers.{provider}]"
            )
