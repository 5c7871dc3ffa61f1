"""Provider ids that webhooks name before the books know them, and references that may not be used
twice. An addition: old replicas may run on, and write webhooks without the new column.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("inbound_events", sa.Column("charge_id", TEXT, nullable=True))
    unmatched = sa.text("fate = 'unmatched'")
    op.create_index(
        "inbound_events_unmatched",
        "inbound_events",
        ["charge_id"],
        sqlite_where=unmatched,
        postgresql_where=unmatched,
    )
    op.create_table(
        "charge_hints",
        sa.Column("payment_id", TEXT, primary_key=True),
        sa.Column("charge_id", TEXT, nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held_references",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("reference", TEXT, primary_key=True),
        sa.Column("payment_id", TEXT, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("held_references")
    op.drop_table("charge_hints")
    op.drop_index("inbound_events_unmatched", "inbound_events")
    op.drop_column("inbound_events", "charge_id")
