"""
Jobs of a platform's own that writes were handed over to; tables for further source records.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """
    Add the jobs, and to each outbox row the job it rides in; a table for each new shape, and new columns of old ones.
    """
    op.create_table(
        "bulk_job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("polls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_job")),
        sa.UniqueConstraint("object", "sink", name=op.f("uq_bulk_job_object_sink")),
    )
    op.add_column("outbox", sa.Column("bulk_job_id", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_outbox_bulk_job_id"),
        "outbox",
        ["bulk_job_id"],
        unique=False,
        postgresql_where=sa.text("bulk_job_id IS NOT NULL"),
    )
    op.add_column("source_person", sa.Column("is_person_account", sa.Boolean(), nullable=True))
    op.add_column("source_account", sa.Column("is_person", sa.Boolean(), nullable=True))
    op.add_column("source_account", sa.Column("person_ref", sa.Text(), nullable=True))
    op.add_column("source_campaign", sa.Column("currency", sa.Text(), nullable=True))
    op.add_column("source_user", sa.Column("role_ref", sa.Text(), nullable=True))
    op.create_table(
        "source_field_change",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("record_ref", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("old_value", sa.Text(), nullable=True),
        sa.Column("new_value", sa.Text(), nullable=True),
        sa.Column("actor_ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_field_change")),
    )
    op.create_table(
        "source_member_status",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("campaign_ref", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("has_responded", sa.Boolean(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        sa.Column("sort_order", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_member_status")),
    )
    op.create_table(
        "source_label",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("api_name", sa.Text(), nullable=True),
        sa.Column("of_object", sa.Text(), nullable=True),
        sa.Column("parent_ref", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_label")),
    )
    op.create_table(
        "source_period",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("number", sa.Numeric(), nullable=True),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("end_on", sa.Date(), nullable=True),
        sa.Column("year_ref", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_period")),
    )
    op.create_table(
        "source_business_hours",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("hours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_business_hours")),
    )
    op.create_table(
        "source_currency_rate",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("rate", sa.Numeric(), nullable=True),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("is_corporate", sa.Boolean(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.Column("decimal_places", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_currency_rate")),
    )
    op.create_table(
        "source_organization",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stamp_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("fiscal_year_month", sa.Numeric(), nullable=True),
        sa.Column("is_sandbox", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "stream", name=op.f("pk_source_organization")),
    )
    op.create_index(
        op.f("ix_source_field_change_record_ref"),
        "source_field_change",
        ["record_ref"],
        unique=False,
        postgresql_where=sa.text("record_ref IS NOT NULL"),
    )


def downgrade() -> None:
    """
    Remove them. Rows in a job are on their way like any others: they are read before they are written again.
    """
    op.drop_index(op.f("ix_source_field_change_record_ref"), table_name="source_field_change")
    for shape in (
        "organization",
        "currency_rate",
        "business_hours",
        "period",
        "label",
        "member_status",
        "field_change",
    ):
        op.drop_table(f"source_{shape}")
    op.drop_column("source_user", "role_ref")
    op.drop_column("source_campaign", "currency")
    op.drop_column("source_account", "person_ref")
    op.drop_column("source_account", "is_person")
    op.drop_column("source_person", "is_person_account")
    op.drop_index(op.f("ix_outbox_bulk_job_id"), table_name="outbox")
    op.drop_column("outbox", "bulk_job_id")
    op.drop_table("bulk_job")
