"""Incidents: their timelines, the news that made them, notifications, the on-call plan, covers.
Additions alone, so old replicas may run on: they open no incident and page nobody.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
OPEN = sa.text("ended_ms IS NULL")


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "incidents_open",
        "incidents",
        ["fingerprint"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index("incidents_ended", "incidents", ["fingerprint", "ended_ms"])
    op.create_table(
        "incident_entries",
        sa.Column("incident_id", TEXT, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incident_news",
        sa.Column("event_id", TEXT, primary_key=True),
        sa.Column("incident_id", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    _notifications()
    op.create_table(
        "on_call_plans",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "covers",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("schedule", TEXT, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("covers_until", "covers", ["until_ms"])
    op.create_table(
        "status_overrides",
        sa.Column("component", TEXT, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("incident_id", TEXT, nullable=False),
        sa.Column("receiver", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("sent_ms", sa.BigInteger),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("notifications_key", "notifications", ["key"], unique=True)
    op.create_index("notifications_incident", "notifications", ["incident_id", "id"])
    op.create_index("notifications_receiver", "notifications", ["receiver", "status"])


def downgrade() -> None:
    op.drop_table("status_overrides")
    op.drop_table("covers")
    op.drop_table("on_call_plans")
    op.drop_table("notifications")
    op.drop_table("incident_news")
    op.drop_table("incident_entries")
    op.drop_table("incidents")
