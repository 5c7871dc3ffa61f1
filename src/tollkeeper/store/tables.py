"""Every table, described once for both databases.

A row that is a value of ours keeps the whole value in `body` (JSON) and copies into columns only
what is searched, joined or counted by. Times are Unix milliseconds, amounts minor units.

SQLite pays for every B-tree page that a commit touches: small rows that are found by their key
alone live in their key's tree (`WITHOUT ROWID`), and an index holds no row that nobody seeks
through it. Rows of a kilobyte keep a rowid: in a key's tree they would spill into overflow pages.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    true,
)
from sqlalchemy.dialects import postgresql

metadata: Final = MetaData()

TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Compared byte by byte on both databases: pages are cut by identifier, and a server's language
must not decide what comes first."""

payments: Final = Table(
    "payments",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("account", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("outcome_known", Boolean, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", TEXT, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("integration", TEXT, nullable=False),
    Column("provider_id", TEXT),
    Column("customer", TEXT),
    Column("reference", TEXT),
    Column("attention", TEXT),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("audit_head", TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("payments_account_id", payments.c.account, payments.c.id)
Index("payments_account_status_id", payments.c.account, payments.c.status, payments.c.id)
Index(
    "payments_provider_id",
    payments.c.provider_id,
    payments.c.id,
    sqlite_where=payments.c.provider_id.is_not(None),
    postgresql_where=payments.c.provider_id.is_not(None),
)
Index(
    "payments_account_customer_id",
    payments.c.account,
    payments.c.customer,
    payments.c.id,
    sqlite_where=payments.c.customer.is_not(None),
    postgresql_where=payments.c.customer.is_not(None),
)
Index(
    "payments_account_reference_id",
    payments.c.account,
    payments.c.reference,
    payments.c.id,
    sqlite_where=payments.c.reference.is_not(None),
    postgresql_where=payments.c.reference.is_not(None),
)
Index(
    "payments_attention",
    payments.c.id,
    sqlite_where=payments.c.attention.is_not(None),
    postgresql_where=payments.c.attention.is_not(None),
)

attempts: Final = Table(
    "attempts",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("operation", TEXT, nullable=False),
    Column("integration", TEXT, nullable=False),
    Column("outcome", TEXT),
    Column("sent_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

refunds: Final = Table(
    "refunds",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("status", TEXT, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("provider_id", TEXT),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

disputes: Final = Table(
    "disputes",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("state", TEXT, nullable=False),
    Column("provider_id", TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

exchanges: Final = Table(
    "exchanges",
    metadata,
    Column("attempt_id", TEXT, primary_key=True),
    Column("payment_id", TEXT, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("request", LargeBinary),
    Column("reply", LargeBinary),
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("account", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("fingerprint", TEXT, nullable=False),
    Column("token", TEXT, nullable=False),
    Column("payment_id", TEXT, nullable=False),
    Column("refund_id", TEXT),
    Column("status", Integer),
    Column("body", LargeBinary),
    Column("expires_ms", BigInteger),
)
Index(
    "idempotency_keys_expires",
    idempotency_keys.c.expires_ms,
    sqlite_where=idempotency_keys.c.body.is_not(None),
    postgresql_where=idempotency_keys.c.body.is_not(None),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("previous", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

audit_seals: Final = Table(
    "audit_seals",
    metadata,
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("heads", BigInteger, nullable=False),
    Column("previous", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
)

sealed_heads: Final = Table(
    "sealed_heads",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("audit_seq", BigInteger, primary_key=True),
    Column("seal", BigInteger, nullable=False),
    Column("head", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

events: Final = Table(
    "events",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("account", TEXT, nullable=False),
    Column("payment_id", TEXT, nullable=False),
    Column("type", TEXT, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
Index("events_account_id", events.c.account, events.c.id)

webhook_endpoints: Final = Table(
    "webhook_endpoints",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("account", TEXT, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("webhook_endpoints_account", webhook_endpoints.c.account, webhook_endpoints.c.id)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("event_id", TEXT, primary_key=True),
    Column("endpoint_id", TEXT, primary_key=True),
    Column("state", TEXT, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("last_status", Integer),
    Column("last_error", TEXT),
    Column("updated_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("deliveries_endpoint", deliveries.c.endpoint_id, deliveries.c.event_id)

inbound_events: Final = Table(
    "inbound_events",
    metadata,
    Column("provider", TEXT, primary_key=True),
    Column("event_id", TEXT, primary_key=True),
    Column("integration", TEXT, nullable=False),
    Column("word", TEXT, nullable=False),
    Column("fate", TEXT, nullable=False),
    Column("payment_id", TEXT),
    Column("received_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("charge_id", TEXT),
)
Index("inbound_events_received", inbound_events.c.received_ms)
Index(
    "inbound_events_unmatched",
    inbound_events.c.charge_id,
    sqlite_where=inbound_events.c.fate == "unmatched",
    postgresql_where=inbound_events.c.fate == "unmatched",
)

charge_hints: Final = Table(
    "charge_hints",
    metadata,
    Column("payment_id", TEXT, primary_key=True),
    Column("charge_id", TEXT, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

held_references: Final = Table(
    "held_references",
    metadata,
    Column("account", TEXT, primary_key=True),
    Column("reference", TEXT, primary_key=True),
    Column("payment_id", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("kind", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("run_at_ms", BigInteger, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("jobs_run_at", jobs.c.run_at_ms)
Index("jobs_kind_run_at", jobs.c.kind, jobs.c.run_at_ms)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("digest", TEXT, nullable=False, unique=True),
    Column("account", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("api_version", TEXT, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)

descriptions: Final = Table(
    "descriptions",
    metadata,
    Column("provider", TEXT, primary_key=True),
    Column("digest", TEXT, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
    Column("checked_ms", BigInteger, nullable=False),
    Column("etag", TEXT),
    Column("text", LargeBinary, nullable=False),
    Column("verdicts", LargeBinary, nullable=False),
    Column("notes", LargeBinary),
)
Index("descriptions_provider_seen", descriptions.c.provider, descriptions.c.seen_ms)

routing: Final = Table(
    "routing",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("rules", LargeBinary),
)

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("provider", TEXT, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("account", TEXT),
)
Index("rollouts_account_id", rollouts.c.account, rollouts.c.id)

rollout_records: Final = Table(
    "rollout_records",
    metadata,
    Column("rollout_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

assignments: Final = Table(
    "assignments",
    metadata,
    Column("rollout_id", TEXT, primary_key=True),
    Column("unit", TEXT, primary_key=True),
    Column("payment_id", TEXT, nullable=False),
    Column("canary", Boolean, nullable=False),
    Column("share_ppm", Integer, nullable=False),
    Column("assigned_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Column("failed", Boolean),
    Column("unreadable", Boolean),
    Column("declined", Boolean),
    Column("approved", Boolean),
    Column("latency_ms", BigInteger),
    Column("cross_read", TEXT),
    Column("counted", BigInteger),
    Column("followed_failed", Boolean),
    Column("follow_counted", BigInteger),
    sqlite_with_rowid=False,
)
Index(
    "assignments_uncounted",
    assignments.c.rollout_id,
    assignments.c.assigned_ms,
    sqlite_where=assignments.c.counted.is_(None),
    postgresql_where=assignments.c.counted.is_(None),
)
_followed: Final = assignments.c.followed_failed.is_not(None) & assignments.c.follow_counted.is_(
    None
)
Index(
    "assignments_followed",
    assignments.c.rollout_id,
    assignments.c.follow_counted,
    assignments.c.unit,
    assignments.c.share_ppm,
    assignments.c.canary,
    assignments.c.followed_failed,  # all that is asked for: else SQLite searches the primary key
    sqlite_where=_followed,
    postgresql_where=_followed,
)
"""`approved` and `cross_read` are written by replicas of before revision 0005 alone."""

canary_payments: Final = Table(
    "canary_payments",
    metadata,
    Column("rollout_id", TEXT, primary_key=True),
    Column("payment_id", TEXT, primary_key=True),
    Column("assigned_ms", BigInteger, nullable=False),
    Column("cross_read", TEXT),
    sqlite_with_rowid=False,
)
Index(
    "canary_payments_cross_read",
    canary_payments.c.rollout_id,
    canary_payments.c.cross_read,
    canary_payments.c.payment_id,
)

shadow_readings: Final = Table(
    "shadow_readings",
    metadata,
    Column("rollout_id", TEXT, primary_key=True),
    Column("payment_id", TEXT, primary_key=True),
    Column("differs", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", TEXT, nullable=False),
)

failover_watches: Final = Table(
    "failover_watches",
    metadata,
    Column("provider", TEXT, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

failover_records: Final = Table(
    "failover_records",
    metadata,
    Column("provider", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

failover_trials: Final = Table(
    "failover_trials",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("provider", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("failed", Boolean, nullable=False, server_default=true()),
)
Index("failover_trials_of_version", failover_trials.c.version, failover_trials.c.at_ms)
Index(
    "failover_trials_in_order",
    failover_trials.c.provider,
    failover_trials.c.at_ms,
    failover_trials.c.id,
)

version_counts: Final = Table(
    "version_counts",
    metadata,
    Column("version", TEXT, primary_key=True),
    Column("second", BigInteger, primary_key=True),
    Column("unfailed", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

signal_batches: Final = Table(
    "signal_batches",
    metadata,
    Column("second", BigInteger, primary_key=True),
    Column("replica", TEXT, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

signal_minutes: Final = Table(
    "signal_minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("alarmed", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

signal_usual: Final = Table(
    "signal_usual",
    metadata,
    Column("at_s", BigInteger, primary_key=True, autoincrement=False),
    Column("seconds", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

drift_samples: Final = Table(
    "drift_samples",
    metadata,
    Column("key", TEXT, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("outline", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("fingerprint", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_open_alert: Final = alerts.c.status == "open"
Index(
    "alerts_open",
    alerts.c.fingerprint,
    unique=True,
    sqlite_where=_open_alert,
    postgresql_where=_open_alert,
)

changes: Final = Table(
    "changes",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("changes_in_order", changes.c.at_ms)

incidents: Final = Table(
    "incidents",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("fingerprint", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_open_incident: Final = incidents.c.ended_ms.is_(None)
Index(
    "incidents_open",
    incidents.c.fingerprint,
    unique=True,
    sqlite_where=_open_incident,
    postgresql_where=_open_incident,
)
Index("incidents_ended", incidents.c.fingerprint, incidents.c.ended_ms)

incident_entries: Final = Table(
    "incident_entries",
    metadata,
    Column("incident_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

incident_news: Final = Table(
    "incident_news",
    metadata,
    Column("event_id", TEXT, primary_key=True),
    Column("incident_id", TEXT, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

notifications: Final = Table(
    "notifications",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("key", TEXT, nullable=False),
    Column("incident_id", TEXT, nullable=False),
    Column("receiver", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("sent_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("notifications_key", notifications.c.key, unique=True)
Index("notifications_incident", notifications.c.incident_id, notifications.c.id)
Index("notifications_receiver", notifications.c.receiver, notifications.c.status)

on_call_plans: Final = Table(
    "on_call_plans",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

covers: Final = Table(
    "covers",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("schedule", TEXT, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("covers_until", covers.c.until_ms)

status_overrides: Final = Table(
    "status_overrides",
    metadata,
    Column("component", TEXT, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

provider_books: Final = Table(
    "provider_books",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("shown", LargeBinary, nullable=False),
)

notices: Final = Table(
    "notices",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("incident_id", TEXT, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("pack", LargeBinary),
)
Index("notices_incident", notices.c.incident_id, notices.c.id)

announcements: Final = Table(
    "announcements",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("provider", TEXT, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
