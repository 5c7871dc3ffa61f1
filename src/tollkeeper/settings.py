"""Settings: one value with every default in sight; `app` fills it from a file and environment."""

from typing import Literal

import msgspec


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider account. `secret_key` authenticates us; `webhook_secrets` check its webhooks.

    `base_url` replaces the provider's own address; `in_flight_window_seconds` replaces what the
    integration version declares (the longest a request that we gave up on may still land).
    """

    secret_key: str = ""
    webhook_secrets: tuple[str, ...] = ()
    base_url: str | None = None
    in_flight_window_seconds: float | None = None


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds that each stage of one send to a provider may take, and all of them together."""

    dns_seconds: float = 3.0
    connect_seconds: float = 3.0
    tls_seconds: float = 5.0
    send_seconds: float = 5.0
    wait_seconds: float = 20.0
    read_seconds: float = 5.0
    total_seconds: float = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.

    `database`: a file (SQLite) or a `postgresql://` address. `vault_key`: 32 bytes in base64 that
    seal what is stored of exchanges; `weights`: percent per integration version, summing to 100.
    """

    database: str = "tollkeeper.sqlite3"
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = "http://127.0.0.1:8080"
    vault_key: str = ""
    providers: dict[str, ProviderSettings] = {}
    weights: dict[str, float] = msgspec.field(
        default_factory=lambda: {"stripe@2022-11-15": 100.0}
    )
    routing_salt: str = "tollkeeper"
    timeouts: Timeouts = Timeouts()
    shopper_deadline_seconds: float = 120.0
    action_deadline_seconds: float = 900.0
    attention_after_seconds: float = 600.0
    answer_days: float = 30.0
    inbound_days: float = 30.0
    max_body_bytes: int = 65_536
    receive_seconds: float = 10.0
    max_in_flight: int = 256
    requests_per_second_per_key: float = 0.0
    drain_seconds: float = 35.0
    database_connections: int = 10
    job_concurrency: int = 16
    webhooks_to_loopback: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
