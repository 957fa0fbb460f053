"""Unreached: letters that came back or could not be printed, and wait for their household at its centre.

A household that nobody can reach must be visible to somebody. It is texted to come, if it has a telephone; whether that
text arrived stands beside the letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from gateway.db import Base, UtcDateTime, insert_new
from gateway.outbox import Message, subject_in
from gateway.registry.household import Household

# The text that asks a household to come, and what became of it: it arrived, it may arrive yet, or nobody heard of it.
CALLS = "letter_returned"
CALLED = ("arrived", "under_way", "nobody")

_OPEN = sa.text("ended_at IS NULL")


class Unreached(Base):
    """A letter, by its message's name. `reason` is one of `outbox.RETURNED_FOR`, or `unprintable`.

    `call` is the subject of the text that asks its household to come: one text calls for all letters of a day.
    """

    __tablename__ = "unreached"
    __table_args__ = (sa.Index("ix_unreached_open", "since", postgresql_where=_OPEN, sqlite_where=_OPEN),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(sa.ForeignKey("household.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(16))
    call: Mapped[str] = mapped_column(sa.String(64))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Waiting:
    """A letter to be handed over: its code, its commune, and whether its household was called (`CALLED`)."""

    reference: str
    notice: str
    reason: str
    commune: str
    since: datetime
    called: str


def keep(session: Session, letters: Mapping[UUID, UUID], reason: str, call: str, now: datetime) -> None:
    """These letters, each with its household, reach nobody."""
    insert_new(session, Unreached, [{"id": letter, "household_id": household, "reason": reason, "call": call,
                                     "since": now, "ended_at": None} for letter, household in letters.items()])


def end(session: Session, letter: UUID, now: datetime) -> bool:
    """It was handed over. False when it does not wait."""
    return session.scalar(sa.update(Unreached).where(Unreached.id == letter, Unreached.ended_at.is_(None))
                          .values(ended_at=now).returning(Unreached.id)) is not None


def forget(session: Session, household_id: UUID, now: datetime) -> None:
    """The household has left the register."""
    session.execute(sa.update(Unreached).where(Unreached.household_id == household_id, Unreached.ended_at.is_(None))
                    .values(ended_at=now))


def waiting(session: Session, limit: int) -> list[Waiting]:
    """The letters to be handed over, the longest waiting first."""
    rows = session.execute(_open(Message.reference, Message.notice, Unreached.reason, Household.commune,
                                 Unreached.since).order_by(Unreached.since, Unreached.id).limit(limit))
    return [Waiting(*row) for row in rows]


def count(session: Session) -> Counter[str]:
    """How many wait, by what became of the text that called their household."""
    letters = _open(Unreached.id).subquery()
    found = session.execute(sa.select(letters.c.called, sa.func.count()).group_by(letters.c.called))
    return Counter({name: 0 for name in CALLED} | {called: number for called, number in found})


def _open(*columns: Any) -> sa.Select[Any]:
    """Letters that wait, with `called`. What another message has told since needs no handing over."""
    other = aliased(Message)
    told = sa.exists().where(other.household_id == Message.household_id, other.notice == Message.notice,
                             subject_in(other.subject) == Message.subject, other.state == "delivered")
    called = sa.case((_call("delivered"), "arrived"),
                     (_call("created", "sending", "unknown", "sent"), "under_way"), else_="nobody").label("called")
    return (sa.select(*columns, called).join(Message, Message.id == Unreached.id)
            .join(Household, Household.id == Unreached.household_id).where(Unreached.ended_at.is_(None), ~told))


def _call(*states: str) -> sa.ColumnElement[bool]:
    text = aliased(Message)
    return sa.exists().where(text.household_id == Unreached.household_id, text.notice == CALLS,
                             subject_in(text.subject) == Unreached.call, text.state.in_(states))
