"""Bind: which process holds the one connection to an operator's SMSC, and until when.

An SMSC refuses a second bind of an account, or ends the first. So whoever binds holds a row, and says in it whether it
is bound: texts are routed to a provider like that only while somebody is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, UtcDateTime, insert_new

# Those that one process speaks to by a connection it keeps. It alone sends by them.
BOUND = frozenset({"smpp"})


class Bind(Base):
    """A provider's one connection: in whose hands until when, and whether it stands."""

    __tablename__ = "bind"

    id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    holder: Mapped[UUID]
    bound: Mapped[bool]
    until: Mapped[datetime] = mapped_column(UtcDateTime)


def hold(session: Session, provider: str, holder: UUID, now: datetime, lease: timedelta, *, bound: bool) -> bool:
    """Take the bind where nobody has it, or keep it, for as long as the lease. False where it is another's."""
    free = sa.or_(Bind.holder == holder, Bind.until < now)
    kept = session.scalar(sa.update(Bind).where(Bind.id == provider, free).values(
        holder=holder, bound=bound, until=now + lease).returning(Bind.id))
    return bool(kept or insert_new(session, Bind, [
        {"id": provider, "holder": holder, "bound": bound, "until": now + lease}]))


def let_go(session: Session, provider: str, holder: UUID) -> None:
    """Give it back, if it is ours: whoever waits may have it at once."""
    session.execute(sa.delete(Bind).where(Bind.id == provider, Bind.holder == holder))


def unbound(session: Session, now: datetime) -> frozenset[str]:
    """The providers to which nobody is bound at this moment."""
    return BOUND - set(session.scalars(sa.select(Bind.id).where(Bind.bound, Bind.until > now)))
