"""Receipts: kept as they came, at once; settled a moment later, whatever their order.

A receipt may come twice, late, out of order, or before our own send is written down. At the door it costs one row.
`settle_receipts` finds its message, by the name that rode in its address or by the provider's name for it, and looks
again, ever more rarely, where there is none yet.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.base import Receipt
from gateway.db import Base, UtcDateTime, insert, new_id
from gateway.outbox.message import NEWS, Attempt, Message, Settlement, move, told
from gateway.vault import Vault

log = logging.getLogger(__name__)

# A receipt may still come long after, and must not be taken for that of a later send to the same telephone.
LATEST_RECEIPT = timedelta(days=30)
# What has no message yet is looked at again after as long as it has waited, and at least so long.
LOOK_AGAIN = timedelta(seconds=2)
BLIND = 32

_WAITING = sa.text("look_at IS NOT NULL")


class ReceiptRecord(Base):
    """A delivery receipt as it came. `names` is the message that its address named, `message_id` the one it is of.

    `to_blinds` are the fingerprints of its number under each key, one behind the other. It is looked at from
    `look_at` on; None when that is done with.
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
    to_blinds: Mapped[bytes]
    message_id: Mapped[UUID | None] = mapped_column(index=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# A send that may have been accepted, and whose name at the provider is not known.
UNNAMED = (Attempt.provider_id.is_(None), sa.or_(Attempt.outcome.is_(None), Attempt.outcome == "unknown"))


def receive(session: Session, vault: Vault, receipt: Receipt, now: datetime) -> None:
    """Keep a receipt. Nothing is looked up: whoever reported it is not kept waiting."""
    blinds = vault.blinds(receipt.msisdn, "message.to") if receipt.msisdn else []
    insert(session, ReceiptRecord, [{
        "id": new_id(), "provider": receipt.provider, "provider_id": receipt.provider_id, "names": _uuid(receipt.token),
        "status": receipt.status[:40], "outcome": receipt.outcome, "error": (receipt.error or None) and
        str(receipt.error)[:80], "permanent": receipt.permanent, "to_blinds": b"".join(blinds), "message_id": None,
        "received_at": now, "look_at": now}])


def settle_receipts(session: Session, now: datetime, limit: int = 500) -> list[Settlement]:
    """Settle those that wait to be looked at, the oldest first. Two who settle at once take different ones."""
    records = session.scalars(sa.select(ReceiptRecord).where(ReceiptRecord.look_at <= now)
                              .order_by(ReceiptRecord.look_at, ReceiptRecord.id).limit(limit)
                              .with_for_update(skip_locked=True)).all()
    settled = []
    for record in records:
        message_id = _owner(session, record) or _lost_send(session, record)
        if message_id is None:
            waited = now - record.received_at
            record.look_at = now + max(waited, LOOK_AGAIN) if waited < LATEST_RECEIPT else None
            continue
        record.look_at = None
        settled.append(_apply(session, record, message_id, now))
    return [settlement for settlement in settled if settlement]


def _owner(session: Session, record: ReceiptRecord) -> UUID | None:
    """The message that a provider names."""
    if record.names:
        return session.scalar(sa.select(Message.id).where(Message.id == record.names, Message.fence > 0))
    return session.scalar(sa.select(Attempt.message_id).where(
        Attempt.provider == record.provider, Attempt.provider_id == record.provider_id).limit(1))


def _lost_send(session: Session, record: ReceiptRecord) -> UUID | None:
    """The send that nobody was sure of and that this receipt must be of: Africa's Talking carries no name of ours.

    A telephone may be shared by households: where more sends to it wait for a name than there are strange
    receipts, nobody can tell which one was delivered, and those in flight will still be named by their answer.
    """
    if record.names or not record.to_blinds:
        return None
    waiting = session.execute(sa.select(Attempt, Message.state, Message.fence).join(
        Message, Message.id == Attempt.message_id).where(
        Message.to_blind.in_(_blinds(record)), Attempt.provider == record.provider, *UNNAMED,
        Attempt.started_at <= record.received_at, Attempt.started_at > record.received_at - LATEST_RECEIPT)
        .order_by(Attempt.started_at)).all()
    unsure = [attempt for attempt, state, fence in waiting if not (state == "sending" and attempt.fence == fence)]
    strangers = session.scalar(sa.select(sa.func.count(ReceiptRecord.provider_id.distinct())).where(
        ReceiptRecord.provider == record.provider, ReceiptRecord.to_blinds == record.to_blinds,
        ReceiptRecord.message_id.is_(None), ReceiptRecord.received_at >= waiting[0][0].started_at)) if unsure else 0
    if not strangers or strangers < len(waiting):
        return None
    unsure[0].provider_id, unsure[0].outcome = record.provider_id, "accepted"
    return unsure[0].message_id


def _apply(session: Session, record: ReceiptRecord, message_id: UUID, now: datetime) -> Settlement | None:
    """Move the message. One that names our message and another number, or no number and no name, is nobody's."""
    message = session.get_one(Message, message_id)
    if message.to_blind not in _blinds(record) and (record.to_blinds or not record.names):
        log.warning("a receipt by %s names another number than its message's: refused", record.provider)
        return None
    record.message_id = message_id
    outcome = record.outcome or "sent"
    if not _concerns_last_send(session, message, record) and outcome != "delivered":
        return None
    return told(move(session, message_id, outcome, now, only_from=NEWS[outcome]), now)


def _concerns_last_send(session: Session, message: Message, record: ReceiptRecord) -> bool:
    """What became of an earlier send says nothing of the present one. A strange name is that of the only send by
    this provider that has none."""
    sends = sa.select(Attempt).where(Attempt.message_id == message.id, Attempt.provider == record.provider)
    named = session.scalars(sends.where(Attempt.provider_id == record.provider_id)).all()
    unnamed = session.scalars(sends.where(*UNNAMED)).all()
    if not named and len(unnamed) == 1:
        unnamed[0].provider_id, unnamed[0].outcome = record.provider_id, "accepted"
        named = unnamed
    return any(send.fence == message.fence for send in named)


def _blinds(record: ReceiptRecord) -> list[bytes]:
    return [record.to_blinds[start:start + BLIND] for start in range(0, len(record.to_blinds), BLIND)]


def _uuid(token: str | None) -> UUID | None:
    """The message that an address names. What is no name of ours names nobody, and no message has this one."""
    try:
        return UUID(hex=token) if token else None
    except ValueError:
        return UUID(int=0)
