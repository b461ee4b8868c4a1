"""
When an account was decided again though nobody had done anything there: what looking back cannot tell from the acts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recheck",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "at", name=op.f("pk_recheck")),
    )


def downgrade() -> None:
    op.drop_table("recheck")
