"""Routes have weights that move, stops and a history; sends are found by provider and time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import JSON, UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "route_weight",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("told", sa.SmallInteger(), nullable=False),
        sa.Column("base", sa.SmallInteger(), nullable=False),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_weight")),
    )
    op.create_table(
        "route_stop",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=False),
        sa.Column("probes", sa.SmallInteger(), nullable=False),
        sa.Column("probe_at", UtcDateTime(), nullable=True),
        sa.Column("probed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_stop")),
    )
    op.create_table(
        "route_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("was", sa.SmallInteger(), nullable=True),
        sa.Column("became", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_change")),
    )
    op.create_index(op.f("ix_route_change_at"), "route_change", ["at"])
    op.create_index("ix_attempt_started", "attempt", ["provider", "started_at"])


def downgrade() -> None:
    op.drop_index("ix_attempt_started", "attempt")
    for table in ("route_change", "route_stop", "route_weight"):
        op.drop_table(table)
