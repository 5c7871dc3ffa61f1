"""Settings: one value with every default in sight; `app` fills it from a file and environment.

The reference page of settings is drawn from the descriptions here.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider account, in a table `[providers.NAME]`."""

    secret_key: Annotated[str, Meta(description="What authenticates us at the provider.")] = ""
    secrets: Annotated[
        dict[str, str],
        Meta(
            description="More secrets of the account, by the names that the integration version "
            "asks for, where one secret key is not all."
        ),
    ] = {}
    webhook_secrets: Annotated[
        tuple[str, ...],
        Meta(description="What the provider signs its webhooks with; several during a rotation."),
    ] = ()
    base_url: Annotated[
        str | None,
        Meta(
            description="Where the provider is, where that is not its own public address: "
            "`https://`, or `http://` on this machine.",
        ),
    ] = None
    description: Annotated[
        str | None,
        Meta(description="Where the provider's newest description is, a URL or a file: watched."),
    ] = None
    announcements: Annotated[
        str | None,
        Meta(description="Where it announces changes, a URL or a file: kept beside a new text."),
    ] = None
    in_flight_window_seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="The longest that a request which we gave up on may still take effect, "
            "where it is not what the integration version says.",
        ),
    ] = None

    def all_secrets(self) -> dict[str, str]:
        """Every secret by its name, `secret_key` among them."""
        return {"secret_key": self.secret_key, **self.secrets}


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account of ours, in a table `[accounts.NAME]`."""

    late_charges: Annotated[
        Literal["keep", "reverse"],
        Meta(
            description="What happens to a charge that shows up after the shop was told that the "
            "payment failed. `keep`: the books are corrected and the shop is told. `reverse`: the "
            "service voids or refunds it as well."
        ),
    ] = "keep"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each stage of one send to a provider may take, in a table `[timeouts]`."""

    dns_seconds: Annotated[Seconds, Meta(description="Resolving the name.")] = 3.0
    connect_seconds: Annotated[Seconds, Meta(description="The TCP connection.")] = 3.0
    tls_seconds: Annotated[Seconds, Meta(description="The TLS handshake.")] = 5.0
    send_seconds: Annotated[Seconds, Meta(description="Sending the request.")] = 5.0
    wait_seconds: Annotated[Seconds, Meta(description="Waiting for the reply's first byte.")] = 20.0
    read_seconds: Annotated[Seconds, Meta(description="Reading the rest of the reply.")] = 5.0
    total_seconds: Annotated[Seconds, Meta(description="All stages together.")] = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    database: Annotated[str, Meta(description="A file (SQLite), or a `postgresql://` address.")] = (
        "tollkeeper.sqlite3"
    )
    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="The port to listen on.")] = 8080
    public_url: Annotated[
        str,
        Meta(description="Where shoppers reach us when they come back from authentication."),
    ] = "http://127.0.0.1:8080"
    vault_key: Annotated[
        str,
        Meta(
            description="32 random bytes in base64. They seal what is stored of exchanges and "
            "webhook secrets; required."
        ),
    ] = ""
    providers: Annotated[
        dict[str, ProviderSettings], Meta(description="Provider accounts by provider name.")
    ] = {}
    accounts: Annotated[
        dict[str, AccountSettings], Meta(description="Policies of accounts by account name.")
    ] = {}
    weights: Annotated[
        dict[str, float],
        Meta(
            description="Percent of new payments for each integration version; the sum is 100. A "
            "version with 0 takes none, and takes over a payment after proof that another version "
            "had no effect. "
            "From the first promotion on `tollkeeper routes` counts instead."
        ),
    ] = msgspec.field(default_factory=lambda: {"stripe@2022-11-15": 100.0})
    accept_payments: Annotated[
        bool,
        Meta(
            description="False: everything that moves money is answered 503, and what is under way "
            "is settled; for the time after a restore."
        ),
    ] = True
    routing_salt: Annotated[
        str, Meta(description="Makes the assignment of customers to versions your own.")
    ] = "tollkeeper"
    timeouts: Annotated[Timeouts, Meta(description="See the table below.")] = Timeouts()
    shopper_deadline_seconds: Annotated[
        Seconds,
        Meta(description="How long a payment in doubt may still be repeated under its own key."),
    ] = 120.0
    rescue_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="How long a caller waits for one look at the provider where its reply "
            "could not be read; 0 for none.",
        ),
    ] = 1.5
    patience_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="How long a caller may be kept waiting in all by pauses that a busy "
            "provider asks for; 0 for none.",
        ),
    ] = 8.0
    action_deadline_seconds: Annotated[
        Seconds,
        Meta(description="How long a shopper may take to authenticate before we cancel."),
    ] = 900.0
    attention_after_seconds: Annotated[
        Seconds,
        Meta(description="After how long in doubt a payment needs attention of a person."),
    ] = 600.0
    answer_days: Annotated[
        float, Meta(gt=0, description="How long a stored answer is repeated for its key.")
    ] = 30.0
    inbound_days: Annotated[
        float, Meta(gt=0, description="How long the text of a provider's webhook is kept.")
    ] = 30.0
    exchange_days: Annotated[
        float,
        Meta(
            gt=0,
            description="How long the masked exchange of a known outcome is kept: what "
            "`contracts replay` reads.",
        ),
    ] = 30.0
    event_days: Annotated[
        float,
        Meta(
            gt=0,
            description="How long events, their deliveries that ended, and the ids of a provider's "
            "webhooks are kept.",
        ),
    ] = 90.0
    max_body_bytes: Annotated[int, Meta(gt=0, description="The largest request body.")] = 65_536
    receive_seconds: Annotated[
        Seconds, Meta(description="How long a request may take to arrive whole.")
    ] = 10.0
    max_connections: Annotated[
        int, Meta(gt=0, description="Connections that one process holds; the rest get 503.")
    ] = 1024
    max_in_flight: Annotated[
        int,
        Meta(
            gt=0,
            description="Requests that move money inside at once, in one process; the rest get 503 "
            "at once. Every kind of request has places of its own.",
        ),
    ] = 256
    max_in_flight_per_provider: Annotated[
        int,
        Meta(
            gt=0,
            description="How many of them one provider may hold, so that one that hangs leaves "
            "places to the others.",
        ),
    ] = 192
    max_reads_in_flight: Annotated[
        int, Meta(gt=0, description="Reading requests (GET) inside at once.")
    ] = 128
    max_inbound_in_flight: Annotated[
        int, Meta(gt=0, description="Webhooks of providers inside at once.")
    ] = 128
    max_shoppers_in_flight: Annotated[
        int,
        Meta(
            gt=0,
            description="Shoppers who come back from authentication inside at once; each asks the "
            "provider.",
        ),
    ] = 64
    max_administration_in_flight: Annotated[
        int, Meta(gt=0, description="Requests about webhook endpoints and rollouts inside at once.")
    ] = 32
    requests_per_second_per_key: Annotated[
        float, Meta(ge=0, description="Rate limit of one API key; 0 for none.")
    ] = 0.0
    drain_seconds: Annotated[
        Seconds, Meta(description="How long SIGTERM waits for what is under way.")
    ] = 35.0
    database_connections: Annotated[
        int, Meta(gt=0, description="Connections to PostgreSQL that one replica holds.")
    ] = 10
    job_concurrency: Annotated[
        int,
        Meta(
            gt=0,
            description="Jobs that one replica runs at once; they mostly wait. Each kind has slots "
            "of its own, a fixed share of these and at least one.",
        ),
    ] = 64
    deliveries_per_account: Annotated[
        int,
        Meta(gt=0, description="Outgoing webhooks of one account that one replica sends at once."),
    ] = 4
    deliveries_per_endpoint: Annotated[
        int,
        Meta(gt=0, description="Outgoing webhooks to one endpoint that one replica sends at once."),
    ] = 2
    watch_seconds: Annotated[
        Seconds, Meta(description="How often providers' descriptions are looked at.")
    ] = 3600.0
    watch_account: Annotated[
        str, Meta(description="Whose webhook endpoints hear of descriptions that break us.")
    ] = "default"
    webhooks_to_loopback: Annotated[
        bool,
        Meta(description="Outgoing webhooks may go to this machine, without TLS: development."),
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is logged.")
    ] = "info"
