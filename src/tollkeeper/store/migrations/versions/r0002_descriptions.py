"""Providers' descriptions that the watch has seen; an addition, so old replicas may run on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "descriptions",
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.Column("etag", TEXT, nullable=True),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("verdicts", sa.LargeBinary(), nullable=False),
        sa.Column("notes", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "digest"),
    )
    op.create_index("descriptions_provider_seen", "descriptions", ["provider", "seen_ms"])


def downgrade() -> None:
    op.drop_index("descriptions_provider_seen", "descriptions")
    op.drop_table("descriptions")
