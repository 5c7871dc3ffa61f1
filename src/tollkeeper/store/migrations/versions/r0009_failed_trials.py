"""Whether a trial of failover was of a payment that failed. Rows of before count as failed, as they
did; old replicas may run on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "failover_trials",
        sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.true()),
    )


def downgrade() -> None:
    op.drop_column("failover_trials", "failed")
