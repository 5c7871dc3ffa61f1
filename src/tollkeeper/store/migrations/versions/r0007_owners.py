"""Rollouts are found by the account that their condition names, and due jobs by their kind. An
addition, so old replicas may run on; a rollout that one of them starts is listed to the platform
alone.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("rollouts", sa.Column("account", TEXT, nullable=True))
    if op.get_context().dialect.name == "sqlite":
        named = "json_extract(CAST(body AS TEXT), '$.condition.account')"
    else:
        named = "convert_from(body, 'UTF8')::jsonb -> 'condition' ->> 'account'"
    op.execute(f"UPDATE rollouts SET account = {named}")
    op.create_index("rollouts_account_id", "rollouts", ["account", "id"])
    op.create_index("jobs_kind_run_at", "jobs", ["kind", "run_at_ms"])


def downgrade() -> None:
    op.drop_index("jobs_kind_run_at", "jobs")
    op.drop_index("rollouts_account_id", "rollouts")
    op.drop_column("rollouts", "account")
