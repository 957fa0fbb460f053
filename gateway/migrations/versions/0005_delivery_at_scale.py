"""Messages lie in a part for each month, have a lane, a day by which they must be told, parts and a campaign."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from gateway.db import JSON, UtcDateTime
from gateway.outbox import months
from gateway.outbox.message import promise_of

revision = "0005"
down_revision = "0004"

DUE, HELD = sa.text("state = 'created'"), sa.text("state = 'held'")
WAITS = sa.text("state = 'created' AND medium = 'sms'")
OPEN = sa.text("state IN ('sending', 'unknown', 'sent', 'handed')")
WAITING, IN_A_RUN = sa.text("look_at IS NOT NULL"), sa.text("run IS NOT NULL")
OF_OLD = ("message", "attempt", "receipt")


def upgrade() -> None:
    for table in OF_OLD:
        op.rename_table(table, f"{table}_of_old")
    _free_the_names()
    _create()
    today = datetime.now(UTC).date()
    oldest = op.get_bind().scalar(sa.text("SELECT min(created_at) FROM message_of_old")) if _is_postgresql() else None
    since = (today if oldest is None else oldest.date()).replace(day=1)
    ahead = months.AHEAD + (today.year - since.year) * 12 + today.month - since.month
    months.prepare(op.get_bind(), since, ahead, OF_OLD)
    _take_over()
    for table in reversed(OF_OLD):
        op.drop_table(f"{table}_of_old")


def downgrade() -> None:
    raise NotImplementedError("the parts of a month are not put together again: restore the backup from before")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _free_the_names() -> None:
    """An index and, on PostgreSQL, a key keeps its name when its table gets another."""
    for index in ("ix_receipt_unmatched", "ix_receipt_message_id", "ix_attempt_provider", "ix_message_to_blind",
                  "ix_message_run", "ix_message_reference", "ix_message_open", "ix_message_household_id",
                  "ix_message_due"):
        op.drop_index(index)
    if _is_postgresql():
        for table in OF_OLD:
            op.execute(f"ALTER TABLE {table}_of_old RENAME CONSTRAINT pk_{table} TO pk_{table}_of_old")
        op.execute("ALTER TABLE message_of_old RENAME CONSTRAINT fk_message_household_id TO fk_message_of_old")


def _create() -> None:
    op.create_table(
        "promise",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promise")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("notice", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("medium", sa.String(length=8), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("network", sa.String(length=8), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("reference", sa.String(length=9), nullable=False),
        sa.Column("to_blind", sa.LargeBinary(), nullable=False),
        sa.Column("to_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("resends", sa.SmallInteger(), nullable=False),
        sa.Column("avoid", JSON, nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("tell_by", UtcDateTime(), nullable=False),
        sa.Column("alarm_until", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_message_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_message_due", "message", ["medium", "lane", "tell_by", "id"], postgresql_where=DUE,
                    sqlite_where=DUE)
    op.create_index("ix_message_waits", "message", ["lane", "not_before"], postgresql_where=WAITS, sqlite_where=WAITS)
    op.create_index("ix_message_held", "message", ["campaign_id", "id"], postgresql_where=HELD, sqlite_where=HELD)
    op.create_index("ix_message_open", "message", ["state", "changed_at"], postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index("ix_message_run", "message", ["run"], postgresql_where=IN_A_RUN, sqlite_where=IN_A_RUN)
    for column in ("household_id", "reference", "to_blind"):
        op.create_index(op.f(f"ix_message_{column}"), "message", [column])
    op.create_table(
        "attempt",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("parts", sa.SmallInteger(), nullable=True),
        sa.Column("cost", sa.String(length=24), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "fence", name=op.f("pk_attempt")),
        postgresql_partition_by="RANGE (message_id)",
    )
    op.create_index("ix_attempt_provider", "attempt", ["provider_id", "provider"])
    op.create_table(
        "receipt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=False),
        sa.Column("names", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("error", sa.String(length=80), nullable=True),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("to_blinds", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("look_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_receipt_waiting", "receipt", ["look_at"], postgresql_where=WAITING, sqlite_where=WAITING)
    op.create_index("ix_receipt_provider", "receipt", ["provider_id", "provider"])
    op.create_index(op.f("ix_receipt_message_id"), "receipt", ["message_id"])


def _take_over() -> None:
    """What was promised stays promised. A receipt that is still to come names its message by the provider's name."""
    same = ("id, household_id, notice, subject, medium, locale, reference, to_blind, to_sealed, body_sealed, policy, "
            "state, fence, avoid, not_before, alarm_until, lease_until, created_at, changed_at, run")
    month = ("created_at + interval '30 days'" if _is_postgresql()
             else "datetime(created_at, '+30 days') || '.000000'")
    op.execute(f"INSERT INTO message ({same}, lane, network, parts, resends, tell_by) "  # noqa: S608
               f"SELECT {same}, CASE WHEN household_id IS NULL THEN 0 ELSE 2 END, '', 1, 0, {month} "
               "FROM message_of_old")
    op.execute("INSERT INTO attempt (message_id, fence, provider, provider_id, outcome, code, started_at, ended_at) "
               "SELECT message_id, fence, provider, provider_id, outcome, code, started_at, ended_at "
               "FROM attempt_of_old")
    empty = "''::bytea" if _is_postgresql() else "x''"
    op.execute("INSERT INTO receipt (id, provider, provider_id, status, outcome, error, permanent, temporary, "  # noqa: S608
               "opted_out, to_blinds, message_id, received_at) SELECT id, provider, provider_id, status, outcome, "
               f"error, false, false, false, coalesce(to_blind, {empty}), message_id, received_at FROM receipt_of_old")
    bind = op.get_bind()
    promised = sa.table("promise", sa.column("id", sa.LargeBinary()), sa.column("message_id", sa.Uuid()))
    once = sa.table("message_of_old", sa.column("id", sa.Uuid()), sa.column("once", sa.String()))
    for row, key in bind.execute(sa.select(once.c.id, once.c.once)).all():
        household, notice, *subject, medium = key.split("/")
        digest = promise_of(None if household == "None" else UUID(household), notice, "/".join(subject), medium)
        bind.execute(sa.insert(promised).values(id=digest, message_id=row))
