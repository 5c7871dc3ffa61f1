"""The reference page of settings, drawn from their descriptions and defaults."""

from typing import Any

import msgspec

from tollkeeper.settings import AccountSettings, ProviderSettings, Settings, Timeouts


def page() -> str:
    """`docs/reference/settings.md`."""
    return (
        "# Settings\n\nThe settings are a TOML file. The first of these counts: the path "
        "after `--config`, the path in the variable `TOLLKEEPER_CONFIG`, or `./tollkeeper.toml`. "
        "The variables `TOLLKEEPER_DATABASE`, `TOLLKEEPER_VAULT_KEY`, `TOLLKEEPER_PUBLIC_URL` and "
        "`TOLLKEEPER_STRIPE_SECRET_KEY` (likewise for other providers) have priority over "
        "the file. With an unknown name or a value out of range the service does not start, and "
        "the error names it.\n\n"
        + _table(Settings)
        + "\n## `[providers.NAME]`\n\n"
        + _table(ProviderSettings)
        + "\n## `[timeouts]`\n\n"
        + _table(Timeouts)
    )


def descriptions() -> dict[str, str]:
    """Every setting, as `Table.name`, with its description."""
    return {
        f"{kind.__name__}.{name}": described
        for kind in (Settings, ProviderSettings, AccountSettings, Timeouts)
        for name, described in _described(kind).items()
    }


def undescribed() -> list[str]:
    """Settings without a description."""
    return [name for name, described in descriptions().items() if not described]


def _table(kind: type[msgspec.Struct]) -> str:
    described = _described(kind)
    rows = [
        f"| `{field.name}` | {_default(field)} | {described[field.name]} |"
        for field in msgspec.structs.fields(kind)
    ]
    return "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _described(kind: type[msgspec.Struct]) -> dict[str, str]:
    (_,), components = msgspec.json.schema_components([kind])
    found = components[kind.__name__]["properties"]
    return {name: str(found[name].get("description", "")) for name in found}


def _default(field: Any) -> str:
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else None
    if isinstance(value, msgspec.Struct):
        return ""
    if value in ("", (), None, {}):
        return "none"
    return f"`{msgspec.json.encode(value).decode()}`"
