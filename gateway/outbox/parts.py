"""Parts: where a provider takes each part of a text by itself, each has a name there, and receipts of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base, among, insert_missing

PARTED = frozenset({"smpp"})


class Part(Base):
    """A part of one send, by its name at the provider. `outcome` is `delivered` or `failed`, once that is told.

    A text of one part has none: it goes by the name of its send.
    """

    __tablename__ = "part"
    __table_args__ = (sa.Index("ix_part_name", "name", "provider"), {"postgresql_partition_by": "RANGE (message_id)"})

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    outcome: Mapped[str | None] = mapped_column(sa.String(12))


def keep_parts(session: Session, sends: Iterable[tuple[UUID, int, str, Collection[str]]]) -> None:
    """Write down the names that the provider gave to parts of these sends: message, fence, provider and names."""
    insert_missing(session, Part, [
        {"message_id": message_id, "fence": fence, "name": name, "provider": provider, "outcome": None}
        for message_id, fence, provider, names in sends for name in dict.fromkeys(names)])


def parts_of(session: Session, message_ids: Collection[UUID]) -> Sequence[Part]:
    """The parts of these messages that have a name."""
    return session.scalars(sa.select(Part).where(among(session, Part.message_id, list(message_ids)))
                           .execution_options(populate_existing=True)).all()
