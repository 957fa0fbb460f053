"""Receipts: kept as they came, at once; they wait to be settled.

A receipt may come twice, late, out of order, or before our own send is written down. At the door it costs one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.base import Receipt
from gateway.db import Base, UtcDateTime, insert_plainly, new_id
from gateway.vault import Vault

_WAITING = sa.text("look_at IS NOT NULL")

Row = dict[str, Any]


class ReceiptRecord(Base):
    """A delivery receipt as it came. `names` is the message that its address named, `message_id` the one it is of.

    `to_blinds` are the fingerprints of its number under each key, one behind the other, and `also` the other spellings
    of `provider_id`, a line each. It is looked at from `look_at` on; None when that is done with.
    """

    __tablename__ = "receipt"
    __table_args__ = (
        sa.Index("ix_receipt_waiting", "look_at", postgresql_where=_WAITING, sqlite_where=_WAITING),
        sa.Index("ix_receipt_provider", "provider_id", "provider"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    provider: Mapped[str] = mapped_column(sa.String(20))
    provider_id: Mapped[str] = mapped_column(sa.String(80))
    names: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(sa.String(40))
    outcome: Mapped[str | None] = mapped_column(sa.String(12))
    error: Mapped[str | None] = mapped_column(sa.String(80))
    permanent: Mapped[bool]
    temporary: Mapped[bool]
    opted_out: Mapped[bool]
    to_blinds: Mapped[bytes]
    also: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    message_id: Mapped[UUID | None] = mapped_column(index=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def receive(session: Session, vault: Vault, receipt: Receipt, now: datetime) -> None:
    """Keep a receipt. Nothing is looked up: whoever reported it is not kept waiting."""
    receive_all(session, vault, [receipt], now)


def receive_all(session: Session, vault: Vault, receipts: Iterable[Receipt], now: datetime) -> None:
    """Keep those that came together."""
    keep(session, [row(vault, receipt, now) for receipt in receipts])


def row(vault: Vault, receipt: Receipt, now: datetime) -> Row:
    """A receipt as it is kept."""
    blinds = vault.blinds(receipt.msisdn, "message.to") if receipt.msisdn else ()
    return {"id": new_id(), "provider": receipt.provider, "provider_id": receipt.provider_id,
            "names": _uuid(receipt.token), "status": receipt.status[:40], "outcome": receipt.outcome,
            "error": receipt.error[:80] if receipt.error else None, "permanent": receipt.permanent,
            "temporary": receipt.temporary, "opted_out": receipt.opted_out, "to_blinds": b"".join(blinds),
            "also": "\n".join(receipt.also), "message_id": None, "received_at": now, "look_at": now}


def keep(session: Session, rows: Sequence[Row]) -> None:
    """Keep receipts."""
    insert_plainly(session, ReceiptRecord, rows)


def receipts_due(session: Session, now: datetime, limit: int) -> list[UUID]:
    """Receipts that wait to be looked at, the oldest first."""
    return list(session.scalars(sa.select(ReceiptRecord.id).where(ReceiptRecord.look_at <= now)
                                .order_by(ReceiptRecord.look_at, ReceiptRecord.id).limit(limit)))


def settled_until(session: Session, now: datetime) -> datetime:
    """All receipts that came before this moment have been looked at."""
    first = sa.select(ReceiptRecord.received_at).where(ReceiptRecord.look_at <= now).order_by(ReceiptRecord.look_at)
    return min(session.scalar(first.limit(1)) or now, now)


def put_off(session: Session, receipt_id: UUID, until: datetime) -> None:
    """This one cannot be settled now, by a fault of ours: it hinders no other until then."""
    session.execute(sa.update(ReceiptRecord).where(ReceiptRecord.id == receipt_id).values(look_at=until))


def _uuid(token: str | None) -> UUID | None:
    """The message that an address names. What is no name of ours names nobody, and no message has this one."""
    try:
        return UUID(hex=token) if token else None
    except ValueError:
        return UUID(int=0)
