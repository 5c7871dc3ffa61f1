"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("label", TEXT, nullable=False),
        sa.Column("api_version", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "attempts",
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("integration", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_seals",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("heads", sa.BigInteger(), nullable=False),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "deliveries",
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "endpoint_id"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index("deliveries_endpoint", ["endpoint_id", "event_id"], unique=False)

    op.create_table(
        "disputes",
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("provider_id", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("events_account_id", ["account", "id"], unique=False)

    op.create_table(
        "exchanges",
        sa.Column("attempt_id", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("reply", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("refund_id", TEXT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account", "key"),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(
            "idempotency_keys_expires",
            ["expires_ms"],
            unique=False,
            sqlite_where=sa.text("body IS NOT NULL"),
            postgresql_where=sa.text("body IS NOT NULL"),
        )

    op.create_table(
        "inbound_events",
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("integration", TEXT, nullable=False),
        sa.Column("word", TEXT, nullable=False),
        sa.Column("fate", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=True),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "event_id"),
    )
    with op.batch_alter_table("inbound_events", schema=None) as batch_op:
        batch_op.create_index("inbound_events_received", ["received_ms"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("run_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("jobs_run_at", ["run_at_ms"], unique=False)

    op.create_table(
        "payments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("outcome_known", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("captured_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("integration", TEXT, nullable=False),
        sa.Column("provider_id", TEXT, nullable=True),
        sa.Column("customer", TEXT, nullable=True),
        sa.Column("reference", TEXT, nullable=True),
        sa.Column("attention", TEXT, nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_head", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.create_index(
            "payments_account_customer_id",
            ["account", "customer", "id"],
            unique=False,
            sqlite_where=sa.text("customer IS NOT NULL"),
            postgresql_where=sa.text("customer IS NOT NULL"),
        )
        batch_op.create_index("payments_account_id", ["account", "id"], unique=False)
        batch_op.create_index(
            "payments_account_reference_id",
            ["account", "reference", "id"],
            unique=False,
            sqlite_where=sa.text("reference IS NOT NULL"),
            postgresql_where=sa.text("reference IS NOT NULL"),
        )
        batch_op.create_index(
            "payments_account_status_id", ["account", "status", "id"], unique=False
        )
        batch_op.create_index(
            "payments_attention",
            ["id"],
            unique=False,
            sqlite_where=sa.text("attention IS NOT NULL"),
            postgresql_where=sa.text("attention IS NOT NULL"),
        )
        batch_op.create_index(
            "payments_provider_id",
            ["provider_id", "id"],
            unique=False,
            sqlite_where=sa.text("provider_id IS NOT NULL"),
            postgresql_where=sa.text("provider_id IS NOT NULL"),
        )

    op.create_table(
        "refunds",
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("provider_id", TEXT, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("webhook_endpoints", schema=None) as batch_op:
        batch_op.create_index("webhook_endpoints_account", ["account", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("webhook_endpoints", schema=None) as batch_op:
        batch_op.drop_index("webhook_endpoints_account")

    op.drop_table("webhook_endpoints")
    op.drop_table("refunds")
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.drop_index(
            "payments_provider_id",
            sqlite_where=sa.text("provider_id IS NOT NULL"),
            postgresql_where=sa.text("provider_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "payments_attention",
            sqlite_where=sa.text("attention IS NOT NULL"),
            postgresql_where=sa.text("attention IS NOT NULL"),
        )
        batch_op.drop_index("payments_account_status_id")
        batch_op.drop_index(
            "payments_account_reference_id",
            sqlite_where=sa.text("reference IS NOT NULL"),
            postgresql_where=sa.text("reference IS NOT NULL"),
        )
        batch_op.drop_index("payments_account_id")
        batch_op.drop_index(
            "payments_account_customer_id",
            sqlite_where=sa.text("customer IS NOT NULL"),
            postgresql_where=sa.text("customer IS NOT NULL"),
        )

    op.drop_table("payments")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("jobs_run_at")

    op.drop_table("jobs")
    with op.batch_alter_table("inbound_events", schema=None) as batch_op:
        batch_op.drop_index("inbound_events_received")

    op.drop_table("inbound_events")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "idempotency_keys_expires",
            sqlite_where=sa.text("body IS NOT NULL"),
            postgresql_where=sa.text("body IS NOT NULL"),
        )

    op.drop_table("idempotency_keys")
    op.drop_table("exchanges")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("events_account_id")

    op.drop_table("events")
    op.drop_table("disputes")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("deliveries_endpoint")

    op.drop_table("deliveries")
    op.drop_table("audit_seals")
    op.drop_table("audit")
    op.drop_table("attempts")
    op.drop_table("api_keys")
