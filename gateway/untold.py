"""Untold: tellings that could not be worded or posted. They wait and are tried again; nobody else waits for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.tellings import Telling

AGAIN_AFTER = timedelta(hours=1)
AT_ONCE = 100


class Untold(Base):
    """A telling that failed by a fault of ours: a text too long, a fact that is missing. An operator is alarmed."""

    __tablename__ = "untold"
    __table_args__ = (sa.UniqueConstraint("notice", "household_id", "subject", "by_post"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    notice: Mapped[str] = mapped_column(sa.String(40))
    household_id: Mapped[UUID]
    subject: Mapped[str] = mapped_column(sa.String(80))
    by_post: Mapped[bool]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    again_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


def keep(session: Session, telling: Telling, now: datetime, *, by_post: bool) -> None:
    """Let it wait; one that waits already goes on waiting."""
    insert_new(session, Untold, [{
        "id": new_id(), "notice": telling.notice, "household_id": telling.household_id, "subject": telling.subject,
        "by_post": by_post, "since": now, "again_at": now + AGAIN_AFTER}])


def due(session: Session, now: datetime) -> list[Untold]:
    """Some whose hour has come. Who is to try again has an hour for it; two who ask at once get different ones."""
    found = list(session.scalars(sa.select(Untold).where(Untold.again_at <= now).order_by(Untold.again_at)
                                 .limit(AT_ONCE).with_for_update(skip_locked=True)))
    for one in found:
        one.again_at = now + AGAIN_AFTER
    return found
