"""Letters that came back or could not be printed wait for their household at its centre."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import UtcDateTime

revision = "0008"
down_revision = "0007"

OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "unreached",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("call", sa.String(length=64), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_unreached_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unreached")),
    )
    op.create_index(op.f("ix_unreached_household_id"), "unreached", ["household_id"])
    op.create_index("ix_unreached_open", "unreached", ["since"], postgresql_where=OPEN, sqlite_where=OPEN)
    # Those that had come back or could not be printed before: nobody was shown them.
    op.execute("INSERT INTO unreached (id, household_id, reason, call, since) "
               "SELECT id, household_id, CASE state WHEN 'failed' THEN 'unprintable' ELSE 'other' END, '', changed_at "
               "FROM message WHERE medium = 'letter' AND state IN ('failed', 'returned') AND household_id IS NOT NULL")


def downgrade() -> None:
    op.drop_table("unreached")
