"""The provider desk: contact cards, notices with their packs, announcements. Additions alone, so
old replicas may run on: they draft no notice.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "provider_books",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("shown", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("incident_id", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("pack", sa.LargeBinary),
    )
    op.create_index("notices_incident", "notices", ["incident_id", "id"])
    op.create_table(
        "announcements",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("announcements")
    op.drop_table("notices")
    op.drop_table("provider_books")
