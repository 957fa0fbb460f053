"""Programmes have households told something through the gateway: their errands, and the keys they were asked under."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "errand",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client", sa.String(length=40), nullable=False),
        sa.Column("reference_blind", sa.LargeBinary(length=32), nullable=True),
        sa.Column("body_blind", sa.LargeBinary(length=32), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("notice", sa.String(length=40), nullable=False),
        sa.Column("tell_by", sa.Date(), nullable=True),
        sa.Column("accepted_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_errand_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errand")),
        sa.UniqueConstraint("reference_blind", name=op.f("uq_errand_reference_blind")),
    )
    op.create_index(op.f("ix_errand_household_id"), "errand", ["household_id"])
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("errand_id", sa.Uuid(), nullable=False),
        sa.Column("body_blind", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kept_until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_kept_until"), "idempotency_key", ["kept_until"])


def downgrade() -> None:
    op.drop_table("idempotency_key")
    op.drop_table("errand")
