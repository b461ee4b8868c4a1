"""
What was written is found by the record first: with old statistics the planner takes an index that begins with the object
for a good way in, and reads everything that was ever written to it.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """
    The new index before the old one goes.
    """
    op.create_index("ix_written_record_id", "written", ["record_id", "object"])
    op.drop_index("ix_written_record", table_name="written")


def downgrade() -> None:
    """
    The old one again.
    """
    op.create_index("ix_written_record", "written", ["object", "record_id"])
    op.drop_index("ix_written_record_id", table_name="written")
