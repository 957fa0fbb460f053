"""Untold: tellings that could not be worded. They wait and are tried again; nobody else waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, among, insert_new, new_id
from gateway.tellings import Telling

AGAIN_AFTER = timedelta(hours=1)
AT_ONCE = 100


class Untold(Base):
    """A telling that failed by a fault of ours: a text too long, a fact that is missing. An operator is alarmed."""

    __tablename__ = "untold"
    __table_args__ = (sa.UniqueConstraint("notice", "household_id", "subject", "by_post"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    notice: Mapped[str] = mapped_column(sa.String(40))
    household_id: Mapped[UUID] = mapped_column(index=True)
    subject: Mapped[str] = mapped_column(sa.String(80))
    by_post: Mapped[bool]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    again_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @property
    def telling(self) -> Telling:
        """What is to be told."""
        return Telling(self.notice, self.household_id, self.subject)


def keep(session: Session, told: Iterable[Telling], now: datetime, *, by_post: bool) -> None:
    """Let them wait; one that waits already goes on waiting, since when it did."""
    insert_new(session, Untold, [{
        "id": new_id(), "notice": one.notice, "household_id": one.household_id, "subject": one.subject,
        "by_post": by_post, "since": now, "again_at": now + AGAIN_AFTER} for one in told])


def due(session: Session, now: datetime) -> list[Untold]:
    """Some whose hour has come, AT_ONCE at most. Two who ask at the same time get different ones."""
    found = list(session.scalars(sa.select(Untold).where(Untold.again_at <= now).order_by(Untold.again_at)
                                 .limit(AT_ONCE).with_for_update(skip_locked=True)))
    for one in found:
        one.again_at = now + AGAIN_AFTER
    return found


def drop(session: Session, household_ids: Sequence[UUID], subjects: Sequence[str]) -> None:
    """What these households were to be told of these subjects they have been told otherwise."""
    session.execute(sa.delete(Untold).where(
        among(session, Untold.household_id, household_ids), among(session, Untold.subject, subjects))
        .execution_options(synchronize_session=False))
