"""Rollouts: routing, records, assignments; an addition, so old replicas may run on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "routing",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("rules", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rollout_records",
        sa.Column("rollout_id", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "seq"),
    )
    op.create_table(
        "assignments",
        sa.Column("rollout_id", TEXT, nullable=False),
        sa.Column("unit", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("canary", sa.Boolean(), nullable=False),
        sa.Column("share_ppm", sa.Integer(), nullable=False),
        sa.Column("assigned_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=True),
        sa.Column("unreadable", sa.Boolean(), nullable=True),
        sa.Column("declined", sa.Boolean(), nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("cross_read", TEXT, nullable=True),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("rollout_id", "unit"),
        sqlite_with_rowid=False,
    )
    uncounted = sa.text("counted IS NULL")
    op.create_index(
        "assignments_uncounted",
        "assignments",
        ["rollout_id", "assigned_ms"],
        sqlite_where=uncounted,
        postgresql_where=uncounted,
    )
    crossed = sa.text("cross_read IS NOT NULL")
    op.create_index(
        "assignments_cross_read",
        "assignments",
        ["rollout_id", "cross_read"],
        sqlite_where=crossed,
        postgresql_where=crossed,
    )
    op.create_table(
        "shadow_readings",
        sa.Column("rollout_id", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("differs", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "payment_id"),
    )


def downgrade() -> None:
    for name in ("shadow_readings", "assignments", "rollout_records", "rollouts", "routing"):
        op.drop_table(name)
