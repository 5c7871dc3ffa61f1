"""Settings: one value with every default in sight; `app` fills it from a file and environment.

The reference page of settings is drawn from the descriptions here.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=86_400)]

Policy = Literal["automatic", "ask", "off"]

POLICIES: Final[dict[Policy, str]] = {
    "automatic": "Traffic moves to another version on proof.",
    "ask": "A move is proposed, and an operator moves the traffic.",
    "off": "Nothing is watched; single payments are still rescued.",
}
"""Every policy, and what it means."""

NoneWorks = Literal["send", "accept", "pause"]

NONE_WORKS: Final[dict[NoneWorks, str]] = {
    "send": "New payments are sent as ever; each is told what came of it.",
    "accept": "New payments are answered 202 and sent when a version works again.",
    "pause": "New payments are refused with 503 and when to try again; nothing is kept of them.",
}
"""What happens to new payments while no installed version works."""


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider account, in a table `[providers.NAME]`."""

    secret_key: Annotated[
        str, Meta(description="The secret key of our account at the provider.")
    ] = ""
    secrets: Annotated[
        dict[str, str],
        Meta(
            description="More secrets of the account, if the integration version needs several; by "
            "the names that it declares."
        ),
    ] = {}
    webhook_secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="The secrets of the provider's webhook signatures; both during a rotation."
        ),
    ] = ()
    base_url: Annotated[
        str | None,
        Meta(
            description="The provider's address, if it is not the public one: `https://`, or "
            "`http://` on this machine.",
        ),
    ] = None
    description: Annotated[
        str | None,
        Meta(description="The provider's newest description to watch: a URL or a file."),
    ] = None
    announcements: Annotated[
        str | None,
        Meta(
            description="The provider's announced changes: a URL or a file, kept beside a new text."
        ),
    ] = None
    status_feed: Annotated[
        str | None,
        Meta(
            description="The provider's status feed: a URL or a file. Statuspage's API v2, Atom or "
            "RSS. Read each minute; it corroborates verdicts, and decides nothing."
        ),
    ] = None
    failover: Annotated[
        Policy,
        Meta(
            description="What happens if the version that carries traffic fails and another one "
            "provably works. `automatic`: traffic moves. `ask`: it is proposed. `off`: nothing."
        ),
    ] = "automatic"
    failover_pause_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="How long after traffic has moved it moves again only if the version that "
            "carries it fails nearly all payments; else a move is proposed.",
        ),
    ] = 1800
    none_works: Annotated[
        NoneWorks,
        Meta(
            description="What happens to new payments while no installed version works. `send`: "
            "they are sent as ever. `accept`: they are answered 202 and sent when a version works "
            "again. `pause`: they are refused with 503."
        ),
    ] = "send"
    accept_seconds: Annotated[
        Seconds,
        Meta(
            description="How long a payment that was accepted while no version worked waits. Then "
            "it fails, and nothing was sent."
        ),
    ] = 3600
    in_flight_window_seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="How long after we time out a request may still take effect, in seconds. "
            "By default the integration version sets it.",
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
            description="What to do with a charge that is found after the payment was reported as "
            "failed. `keep`: the service corrects the books and notifies the shop. `reverse`: the "
            "service also voids or refunds the charge."
        ),
    ] = "keep"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each stage of one send to a provider may take, in a table `[timeouts]`."""

    dns_seconds: Annotated[Seconds, Meta(description="Time to resolve the name.")] = 3.0
    connect_seconds: Annotated[
        Seconds, Meta(description="Time to establish the TCP connection.")
    ] = 3.0
    tls_seconds: Annotated[Seconds, Meta(description="Time for the TLS handshake.")] = 5.0
    send_seconds: Annotated[Seconds, Meta(description="Time to send the request.")] = 5.0
    wait_seconds: Annotated[Seconds, Meta(description="Time to the first byte of the reply.")] = (
        20.0
    )
    read_seconds: Annotated[Seconds, Meta(description="Time to read the rest of the reply.")] = 5.0
    total_seconds: Annotated[Seconds, Meta(description="Time for all stages together.")] = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    database: Annotated[str, Meta(description="A file (SQLite) or a `postgresql://` address.")] = (
        "tollkeeper.sqlite3"
    )
    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="The port to listen on.")] = 8080
    public_url: Annotated[
        str,
        Meta(description="The service's address for shoppers who return from authentication."),
    ] = "http://127.0.0.1:8080"
    vault_key: Annotated[
        str,
        Meta(
            description="Required: 32 random bytes in base64. They encrypt stored exchanges and "
            "webhook secrets."
        ),
    ] = ""
    providers: Annotated[
        dict[str, ProviderSettings], Meta(description="Provider accounts, by provider name.")
    ] = {}
    accounts: Annotated[
        dict[str, AccountSettings], Meta(description="Policies of accounts, by account name.")
    ] = {}
    weights: Annotated[
        dict[str, float],
        Meta(
            description="Percent of new payments for each integration version; the sum is 100. A "
            "version with 0 takes no new payments, but takes over a payment after proof that "
            "another version had no effect. After the first promotion these weights are ignored; "
            "run `tollkeeper routes show` to see what is in force."
        ),
    ] = msgspec.field(default_factory=lambda: {"stripe@2022-11-15": 100.0})
    accept_payments: Annotated[
        bool,
        Meta(
            description="If false, requests that move money get 503, and the service settles what "
            "is under way. Use it after a restore."
        ),
    ] = True
    routing_salt: Annotated[
        str,
        Meta(description="Text that makes the assignment of customers to versions unique to you."),
    ] = "tollkeeper"
    timeouts: Annotated[Timeouts, Meta(description="See the table below.")] = Timeouts()
    anchors: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses that have nothing to do with a provider, `https://` each. They "
            "are asked from time to time, so that a fault of your own network is told from a "
            "provider's. Any reply counts as an answer. By default none is asked."
        ),
    ] = ()
    heartbeat_url: Annotated[
        str | None,
        Meta(
            description="An address that is asked (GET) once a minute while the service counts, "
            "looks and reaches its database. A monitor there pages when the requests stop."
        ),
    ] = None
    alertmanagers: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses of Prometheus' Alertmanagers, such as "
            "`http://127.0.0.1:9093`. Each alert is posted to every one of them, again each "
            "minute while it is open, and once when it is over."
        ),
    ] = ()
    alert_labels: Annotated[
        dict[str, str],
        Meta(
            description="Labels of alerts that are posted, such as the name of this installation; "
            "`severity` is `page` unless it stands here."
        ),
    ] = {}
    slo_files: Annotated[
        tuple[str, ...],
        Meta(
            description="Files with objectives in OpenSLO v1. An alert is opened while the error "
            "budget of one burns too fast. `tollkeeper signals slo check` tells what is wrong with "
            "a file."
        ),
    ] = ()
    traces_url: Annotated[
        str | None,
        Meta(
            description="Where spans are sent: OTLP over HTTP, such as "
            "`http://127.0.0.1:4318/v1/traces`. Needs the extra `otel`. Off by default."
        ),
    ] = None
    trace_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of traces that are kept, if the caller has not decided it.",
        ),
    ] = 1.0
    shopper_deadline_seconds: Annotated[
        Seconds,
        Meta(description="How long the service may repeat a payment in doubt under its own key."),
    ] = 120.0
    rescue_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="How long a request may wait for one check with the provider, if the "
            "provider's reply could not be read; 0 for no check.",
        ),
    ] = 1.5
    patience_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="How long a request may wait in total, if a busy provider asks for pauses; "
            "0 for no pause.",
        ),
    ] = 8.0
    action_deadline_seconds: Annotated[
        Seconds,
        Meta(description="How long a shopper may take to authenticate before the service cancels."),
    ] = 900.0
    attention_after_seconds: Annotated[
        Seconds,
        Meta(description="How long a payment may be in doubt before a person must look at it."),
    ] = 600.0
    answer_days: Annotated[
        float, Meta(gt=0, description="How long the service repeats a stored answer for its key.")
    ] = 30.0
    inbound_days: Annotated[
        float, Meta(gt=0, description="How long the text of a provider's webhook is kept.")
    ] = 30.0
    exchange_days: Annotated[
        float,
        Meta(
            gt=0,
            description="How long the masked exchange of a known outcome is kept. "
            "`contracts replay` reads it.",
        ),
    ] = 30.0
    event_days: Annotated[
        float,
        Meta(
            gt=0,
            description="How long events, ended deliveries, the ids of a provider's webhooks, and "
            "what failover counted and decided are kept.",
        ),
    ] = 90.0
    status_page_folder: Annotated[
        str | None,
        Meta(
            description="A folder into which the status page is written: HTML, JSON as of "
            "Statuspage's API v2, and Atom. Serve it from somewhere else than the service."
        ),
    ] = None
    status_page_title: Annotated[str, Meta(description="The title of the status page.")] = (
        "Payments"
    )
    status_page_url: Annotated[
        str, Meta(description="Where the status page is read; it ends in a slash.")
    ] = "https://status.invalid/"
    incident_days: Annotated[
        float,
        Meta(gt=0, description="How long incidents that are over are kept, with their timelines."),
    ] = 400.0
    max_body_bytes: Annotated[
        int, Meta(gt=0, description="The largest request body, in bytes.")
    ] = 65_536
    receive_seconds: Annotated[
        Seconds, Meta(description="How long a request may take to arrive completely.")
    ] = 10.0
    max_connections: Annotated[
        int, Meta(gt=0, description="Connections per process. Further connections get 503.")
    ] = 1024
    max_in_flight: Annotated[
        int,
        Meta(
            gt=0,
            description="Concurrent requests that move money, per process. Further requests get "
            "503 at once. Every kind of request has its own limit.",
        ),
    ] = 256
    max_in_flight_per_provider: Annotated[
        int,
        Meta(
            gt=0,
            description="Concurrent requests that move money, per provider. A provider that hangs "
            "then leaves room for the others.",
        ),
    ] = 192
    max_reads_in_flight: Annotated[
        int, Meta(gt=0, description="Concurrent requests that read (GET).")
    ] = 128
    max_inbound_in_flight: Annotated[
        int, Meta(gt=0, description="Concurrent webhooks from providers.")
    ] = 128
    max_shoppers_in_flight: Annotated[
        int,
        Meta(
            gt=0,
            description="Concurrent shoppers who return from authentication. Each one costs a "
            "request to the provider.",
        ),
    ] = 64
    max_administration_in_flight: Annotated[
        int, Meta(gt=0, description="Concurrent requests about webhook endpoints and rollouts.")
    ] = 32
    requests_per_second_per_key: Annotated[
        float, Meta(ge=0, description="Rate limit of one API key; 0 for no limit.")
    ] = 0.0
    drain_seconds: Annotated[
        Seconds, Meta(description="How long the service may finish its work after SIGTERM.")
    ] = 35.0
    database_connections: Annotated[
        int, Meta(gt=0, description="Connections to PostgreSQL per replica.")
    ] = 10
    job_concurrency: Annotated[
        int,
        Meta(
            gt=0,
            description="Concurrent jobs per replica; most of them wait for a reply. Each kind has "
            "its own slots: a fixed share of these, and at least one.",
        ),
    ] = 64
    deliveries_per_account: Annotated[
        int,
        Meta(gt=0, description="Concurrent outgoing webhooks of one account, per replica."),
    ] = 4
    deliveries_per_endpoint: Annotated[
        int,
        Meta(gt=0, description="Concurrent outgoing webhooks to one endpoint, per replica."),
    ] = 2
    watch_seconds: Annotated[
        Seconds, Meta(description="How often the service checks the providers' descriptions.")
    ] = 3600.0
    watch_account: Annotated[
        str,
        Meta(description="The account that gets events about the watched descriptions."),
    ] = "default"
    webhooks_to_loopback: Annotated[
        bool,
        Meta(description="Allow outgoing webhooks to this machine, without TLS. For development."),
    ] = False
    access_log: Annotated[
        bool,
        Meta(
            description="Log a line for each request: method, route, status, milliseconds, request "
            "id and account. No id of a payment, no query and no body."
        ),
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The lowest level that is logged."),
    ] = "info"
