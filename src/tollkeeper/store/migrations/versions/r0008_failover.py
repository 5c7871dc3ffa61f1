"""Failover: watches with their records, trials, and counts by second. Additions alone, so old
replicas may run on: they toss no coin and note no trials.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "failover_watches",
        sa.Column("provider", TEXT, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "failover_records",
        sa.Column("provider", TEXT, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "failover_trials",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("failover_trials_in_order", "failover_trials", ["provider", "at_ms", "id"])
    op.create_index("failover_trials_of_version", "failover_trials", ["version", "at_ms"])
    op.create_table(
        "version_counts",
        sa.Column("version", TEXT, primary_key=True),
        sa.Column("second", sa.BigInteger, primary_key=True),
        sa.Column("unfailed", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("version_counts")
    op.drop_table("failover_trials")
    op.drop_table("failover_records")
    op.drop_table("failover_watches")
