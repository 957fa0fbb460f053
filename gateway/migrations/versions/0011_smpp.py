"""One process holds the bind to an SMSC; each part of a text has a name there, which may be spelt in several ways."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import UtcDateTime
from gateway.outbox import months

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("receipt", sa.Column("also", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "part",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "fence", "name", name=op.f("pk_part")),
        postgresql_partition_by="RANGE (message_id)",
    )
    op.create_index("ix_part_name", "part", ["name", "provider"])
    # A part lies beside its message, whose month may be long over.
    for month in [part.first for part in months.parts(op.get_bind()) if part.table == "message"]:
        months.prepare(op.get_bind(), month, 0, ("part",))
    op.create_table(
        "bind",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("bound", sa.Boolean(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bind")),
    )


def downgrade() -> None:
    op.drop_table("bind")
    op.drop_table("part")
    op.drop_column("receipt", "also")
