"""What could not be told waits; a new number waits for its warning; what a clerk changed stays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import JSON, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "untold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice", sa.String(length=40), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("by_post", sa.Boolean(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("again_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_untold")),
        sa.UniqueConstraint("notice", "household_id", "subject", "by_post", name=op.f("uq_untold_notice")),
    )
    op.create_index(op.f("ix_untold_again_at"), "untold", ["again_at"], unique=False)
    op.create_index(op.f("ix_untold_household_id"), "untold", ["household_id"], unique=False)
    op.add_column("household", sa.Column("changed_here", JSON, nullable=False, server_default="{}"))
    op.add_column("data_update", sa.Column("warned_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("data_update", "warned_at")
    op.drop_column("household", "changed_here")
    op.drop_index(op.f("ix_untold_household_id"), table_name="untold")
    op.drop_index(op.f("ix_untold_again_at"), table_name="untold")
    op.drop_table("untold")
