"""What the holder of a telephone number said of texts outlives the households that it is a contact of.

Contacts that were suspended before keep their mark, as they did: a number is not read without its key.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "suppression",
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("number_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
    )
    op.create_index(op.f("ix_suppression_number_id"), "suppression", ["number_id"])


def downgrade() -> None:
    op.drop_table("suppression")
