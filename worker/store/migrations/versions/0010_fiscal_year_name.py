"""
Whether the organisation names a fiscal year by the calendar year it begins in, or by that it ends in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """
    A column that the next reading of the organisation fills.
    """
    op.add_column("source_organization", sa.Column("year_named_by_start", sa.Boolean))


def downgrade() -> None:
    """
    Without it, as before.
    """
    op.drop_column("source_organization", "year_named_by_start")
