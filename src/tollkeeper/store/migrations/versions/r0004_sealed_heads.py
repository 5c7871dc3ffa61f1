"""What each seal covers; an addition. Seals so far did not say it and cannot be verified: they go,
and the next one begins anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "sealed_heads",
        sa.Column("payment_id", TEXT, nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.BigInteger(), nullable=False),
        sa.Column("head", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "audit_seq"),
        sqlite_with_rowid=False,
    )
    op.execute("DELETE FROM audit_seals")


def downgrade() -> None:
    op.drop_table("sealed_heads")
