"""
Which rules were in force from when, and when what is dated came to the store.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
DATED = ("activity", "member", "role", "stage_change")


def upgrade() -> None:
    op.create_table(
        "rules_in_force",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules_in_force")),
    )
    # Rules took effect when they were first used; those of today may have come back later.
    op.execute(
        "INSERT INTO rules_in_force (number, since_at) SELECT number, first_used_at FROM rule_version"
        " ORDER BY first_used_at, number"
    )
    op.execute(
        """
        INSERT INTO rules_in_force (number, since_at)
        SELECT s.value::int, s.updated_at FROM setting s
        WHERE s.key = 'rules_in_force'
            AND s.value::int IS DISTINCT FROM (SELECT number FROM rules_in_force ORDER BY since_at DESC, id DESC LIMIT 1)
        """
    )
    for shape in DATED:
        # Two steps: rows that are there already keep null, for nobody noted when they came.
        op.add_column(f"source_{shape}", sa.Column("seen_at", AT, nullable=True))
        op.alter_column(f"source_{shape}", "seen_at", server_default=sa.text("now()"))
    op.create_index(
        "ix_source_activity_account_ref",
        "source_activity",
        ["account_ref"],
        unique=False,
        postgresql_where=sa.text("account_ref IS NOT NULL AND person_ref IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_source_activity_account_ref", table_name="source_activity")
    for shape in DATED:
        op.drop_column(f"source_{shape}", "seen_at")
    op.drop_table("rules_in_force")
