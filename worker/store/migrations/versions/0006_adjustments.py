"""
Adjustments of settled credits, locked periods, and the rates by which deals were converted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("attribution", sa.Column("pipeline_rate_ref", sa.Text(), nullable=True))
    op.add_column("attribution", sa.Column("revenue_rate_ref", sa.Text(), nullable=True))
    op.create_table(
        "locked_period",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("locked_by", sa.Text(), nullable=True),
        sa.Column("locked_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_locked_period_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locked_period")),
    )
    op.create_table(
        "adjustment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("opportunity_id", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("touch_id", sa.Text(), nullable=True),
        sa.Column("share_before", sa.Text(), nullable=False),
        sa.Column("share_after", sa.Text(), nullable=False),
        sa.Column("units_delta", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("adjusted_on", sa.Date(), nullable=False),
        sa.Column("adjusted_at", AT, nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustment")),
    )
    op.create_index("ix_adjustment_opportunity", "adjustment", ["opportunity_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_adjustment_opportunity", table_name="adjustment")
    op.drop_table("adjustment")
    op.drop_table("locked_period")
    op.drop_column("attribution", "revenue_rate_ref")
    op.drop_column("attribution", "pipeline_rate_ref")
