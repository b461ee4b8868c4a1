"""
Records beneath a deal for its touches, as the organisation holds them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "source_touch_record",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", AT, nullable=True),
        sa.Column("created_at", AT, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("opportunity_ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_touch_record")),
    )
    for column in ("key", "opportunity_ref"):
        op.create_index(
            op.f(f"ix_source_touch_record_{column}"),
            "source_touch_record",
            [column],
            unique=False,
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )


def downgrade() -> None:
    op.drop_table("source_touch_record")
