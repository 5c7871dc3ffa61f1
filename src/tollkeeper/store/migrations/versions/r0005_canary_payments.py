"""Every payment that a candidate took has a row of its own, beside the one that counts for its
customer; cross-reads are of payments. First follow-ups are counted as well. An addition, so old
replicas may run on; what they were cross-reading is asked anew.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "canary_payments",
        sa.Column("rollout_id", TEXT, nullable=False),
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("assigned_ms", sa.BigInteger(), nullable=False),
        sa.Column("cross_read", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("rollout_id", "payment_id"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO canary_payments (rollout_id, payment_id, assigned_ms, cross_read) "
        "SELECT rollout_id, payment_id, assigned_ms, "
        "CASE WHEN cross_read = 'asked' THEN 'due' ELSE cross_read END "
        "FROM assignments WHERE canary"
    )
    op.execute("DELETE FROM jobs WHERE kind = 'cross_read'")
    op.create_index(
        "canary_payments_cross_read", "canary_payments", ["rollout_id", "cross_read", "payment_id"]
    )
    op.drop_index("assignments_cross_read", "assignments")
    op.add_column("assignments", sa.Column("followed_failed", sa.Boolean(), nullable=True))
    op.add_column("assignments", sa.Column("follow_counted", sa.BigInteger(), nullable=True))
    waiting = sa.text("followed_failed IS NOT NULL AND follow_counted IS NULL")
    op.create_index(
        "assignments_followed",
        "assignments",
        ["rollout_id", "follow_counted", "unit", "share_ppm", "canary", "followed_failed"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def downgrade() -> None:
    op.drop_index("assignments_followed", "assignments")
    op.drop_column("assignments", "follow_counted")
    op.drop_column("assignments", "followed_failed")
    op.execute(
        "UPDATE assignments SET cross_read = (SELECT c.cross_read FROM canary_payments c "
        "WHERE c.rollout_id = assignments.rollout_id AND c.payment_id = assignments.payment_id "
        "AND c.cross_read NOT IN ('due', 'asked', 'nothing')) WHERE canary"
    )
    op.execute("DELETE FROM jobs WHERE kind = 'cross_read'")
    crossed = sa.text("cross_read IS NOT NULL")
    op.create_index(
        "assignments_cross_read",
        "assignments",
        ["rollout_id", "cross_read"],
        sqlite_where=crossed,
        postgresql_where=crossed,
    )
    op.drop_table("canary_payments")
