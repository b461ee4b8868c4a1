"""
What was learnt: fit and in-market, where accounts stand by it, which target lists they are in, and what sales said.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("engagement", sa.Column("alerted_at", AT, nullable=True))
    op.add_column(
        "engagement_change", sa.Column("alert", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "account_standing",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("in_profile", sa.Boolean(), nullable=False),
        sa.Column("fit", sa.Integer(), nullable=True),
        sa.Column("fit_band", sa.Text(), nullable=True),
        sa.Column("intent_milli", sa.BigInteger(), nullable=False),
        sa.Column("spiked_at", AT, nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("in_market", sa.Float(), nullable=True),
        sa.Column("group_engaged", sa.Integer(), nullable=False),
        sa.Column("group_needed", sa.Integer(), nullable=False),
        sa.Column("group_gap", sa.Text(), nullable=True),
        sa.Column("qualified", sa.Boolean(), nullable=False),
        sa.Column("qualified_since_at", AT, nullable=True),
        sa.Column("detail", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("decided_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_standing")),
    )
    op.create_table(
        "standing_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_change")),
    )
    op.create_index(op.f("ix_standing_change_account_id"), "standing_change", ["account_id"], unique=False)
    op.create_table(
        "list_membership",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", AT, nullable=False),
        sa.Column("left_at", AT, nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_membership")),
    )
    op.create_index("ix_list_membership_account", "list_membership", ["account_id"], unique=False)
    op.create_index(
        "uq_list_membership_open",
        "list_membership",
        ["list", "account_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "learnt",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", postgresql.JSONB(), nullable=True),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("learnt_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_learnt")),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    op.create_index(op.f("ix_verdict_account_id"), "verdict", ["account_id"], unique=False)
    op.create_index(
        op.f("ix_source_account_parent_ref"),
        "source_account",
        ["parent_ref"],
        unique=False,
        postgresql_where=sa.text("parent_ref IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_source_account_parent_ref"), table_name="source_account")
    for name in ("verdict", "learnt", "list_membership", "standing_change", "account_standing"):
        op.drop_table(name)
    op.drop_column("engagement_change", "alert")
    op.drop_column("engagement", "alerted_at")
