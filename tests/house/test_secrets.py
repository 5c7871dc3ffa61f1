"""No secret leaves by what a service says of itself: a canary stands in every setting of text."""

from typing import Any

import msgspec

from tollkeeper.app import starting
from tollkeeper.settings import ProviderSettings, Settings

CANARY = "canary-7c1f"


def planted(kind: type[Any]) -> dict[str, Any]:
    """A canary in every secret of a kind of settings."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name == "secrets":
            found[field.name] = {"second": f"{CANARY}-second"}
        elif field.name == "webhook_secrets":
            found[field.name] = (f"{CANARY}-hook",)
        elif "secret" in field.name or "key" in field.name or "salt" in field.name:
            if field.name.endswith("per_key"):
                continue
            found[field.name] = f"{CANARY}-{field.name}"
    return found


def test_no_secret_is_shown_at_the_start() -> None:
    settings = Settings(
        **planted(Settings),
        database=f"postgresql://user:{CANARY}@db.internal:5432/tollkeeper?password={CANARY}",
        providers={"stripe": ProviderSettings(**planted(ProviderSettings), base_url="https://x.y")},
    )
    text = msgspec.json.encode(starting.shown(settings)).decode()
    assert CANARY not in text
    assert "https://x.y" in text
    assert "postgresql://db.internal:5432/tollkeeper" in text


def test_what_is_at_its_default_is_not_shown() -> None:
    assert starting.shown(Settings()) == {}
    assert starting.shown(Settings(port=9)) == {"port": 9}


def test_every_setting_that_sounds_secret_is_named_as_one() -> None:
    for kind in (Settings, ProviderSettings):
        assert set(planted(kind)) <= starting.SECRETS


def test_an_address_with_a_password_is_not_shown() -> None:
    addresses = ("http://me:canary@127.0.0.1:9093", "http://127.0.0.1:9093")
    shown = starting.shown(Settings(alertmanagers=addresses, traces_url=addresses[0]))
    assert "canary" not in str(shown)
    assert addresses[1] in shown["alertmanagers"]
