"""What callers say is kept, whom we call back is known, and a language of calls alone has a long name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import UtcDateTime

revision = "0004"
down_revision = "0003"

OPEN = sa.text("state IN ('due', 'calling')")


def upgrade() -> None:
    op.create_table(
        "call_back",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("msisdn_blind", sa.LargeBinary(), nullable=False),
        sa.Column("msisdn_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=True),
        sa.Column("provider_id", sa.String(length=80), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_back")),
    )
    op.create_index("ix_call_back_due", "call_back", ["due_at"], unique=False, postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index(op.f("ix_call_back_msisdn_blind"), "call_back", ["msisdn_blind"], unique=False)
    op.create_index(
        "ix_call_back_open", "call_back", ["msisdn_blind"], unique=True, postgresql_where=OPEN, sqlite_where=OPEN
    )
    op.create_table(
        "voice_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("url_blind", sa.LargeBinary(), nullable=False),
        sa.Column("url_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("conversation", sa.String(length=64), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=True),
        sa.Column("audio_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("deleted_at_provider", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("transcript_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("announced_at", UtcDateTime(), nullable=False),
        sa.Column("fetched_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaint.id"], name=op.f("fk_voice_message_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voice_message")),
        sa.UniqueConstraint("provider", "url_blind", name=op.f("uq_voice_message_provider")),
    )
    op.create_index(op.f("ix_voice_message_complaint_id"), "voice_message", ["complaint_id"], unique=False)
    op.create_index("ix_voice_message_kept", "voice_message", ["state", "announced_at"], unique=False)
    op.create_index(op.f("ix_voice_message_not_before"), "voice_message", ["not_before"], unique=False)
    with op.batch_alter_table("telephone") as telephone:
        telephone.alter_column(
            "locale", existing_type=sa.String(length=8), type_=sa.String(length=12), existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("telephone") as telephone:
        telephone.alter_column(
            "locale", existing_type=sa.String(length=12), type_=sa.String(length=8), existing_nullable=False
        )
    op.drop_index(op.f("ix_voice_message_not_before"), table_name="voice_message")
    op.drop_index("ix_voice_message_kept", table_name="voice_message")
    op.drop_index(op.f("ix_voice_message_complaint_id"), table_name="voice_message")
    op.drop_table("voice_message")
    op.drop_index("ix_call_back_open", table_name="call_back", postgresql_where=OPEN, sqlite_where=OPEN)
    op.drop_index(op.f("ix_call_back_msisdn_blind"), table_name="call_back")
    op.drop_index("ix_call_back_due", table_name="call_back", postgresql_where=OPEN, sqlite_where=OPEN)
    op.drop_table("call_back")
