"""
What administrators say of a deal's sourcing team, and what channels' weights were learnt, when and from what.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sourcing_override",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sourcing_override")),
    )
    op.create_index("ix_sourcing_override_record_id", "sourcing_override", ["record_id", "source"])
    op.add_column("attribution", sa.Column("overridden", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table(
        "learning",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("learner", sa.Text(), nullable=False),
        sa.Column("over_months", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("since_at", AT, nullable=False),
        sa.Column("until_at", AT, nullable=False),
        sa.Column("conversions", sa.Integer(), nullable=False),
        sa.Column("nulls", sa.Integer(), nullable=False),
        sa.Column("weights", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("learnt_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learning")),
    )


def downgrade() -> None:
    op.drop_table("learning")
    op.drop_column("attribution", "overridden")
    op.drop_table("sourcing_override")
