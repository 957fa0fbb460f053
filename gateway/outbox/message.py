"""Message: a promise to a household, and the table by which it moves.

A row is the promise. It is written in the transaction of the fact it tells, its text already rendered; the
queue is only the alarm clock. A status moves by `TRANSITIONS`, in conditional UPDATEs; what the table does not
list does not happen. Every send has a fence, so that a worker whose lease has run out settles nothing.

The three large tables are parted by month on PostgreSQL, by the time that stands in a row's name (`months`). So no
key but the name can be unique in them: that a thing is told once is `Promise`, which is small and whole.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id
from gateway.vault import CannotOpen, Vault

log = logging.getLogger(__name__)

# In the order of service: who is awake and waits, what has a day by law, what may take its time, what is for all.
LANES = ("reply", "decision", "notice", "announcement")
REPLY, DECISION, NOTICE, ANNOUNCEMENT = range(len(LANES))

# held: of a campaign, and not let go yet. created: due, or waiting for its hour. sending: a worker holds it until its
# lease ends. unknown: the provider may have it; ask before anything else. cancelled: another medium told the household
# in the meantime, or the campaign was called off. A letter is sent when its sheet lies in the tray, handed when the
# print house or the post has taken it, and delivered on the day of its posting, which is the proof that the law knows.
# returned: a letter that the post has brought back, or a text that was delivered to a stranger. What was sent and did
# not arrive for a while may be made due again, and so may a letter whose sheet was spoilt before it was posted.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "held": frozenset({"created", "cancelled"}),
    "created": frozenset({"sending", "sent", "delivered", "failed", "cancelled"}),
    "sending": frozenset({"created", "sent", "delivered", "failed", "unknown"}),
    "unknown": frozenset({"created", "sent", "delivered", "failed"}),
    "sent": frozenset({"created", "handed", "delivered", "failed"}),
    "handed": frozenset({"created", "delivered", "returned"}),
    "failed": frozenset({"delivered"}),
    "delivered": frozenset({"returned"}),
    "returned": frozenset(),
    "cancelled": frozenset(),
}
FINAL = ("delivered", "failed", "cancelled", "returned")

# What a receipt says of the send it names, and the states in which that is news. A step on the way proves that
# the provider has the message; a delivery is a delivery, however late.
NEWS: Mapping[str, tuple[str, ...]] = {
    "sent": ("created", "sending", "unknown"),
    "failed": ("sending", "unknown", "sent"),
    "delivered": ("created", "sending", "unknown", "sent", "failed"),
}
# What no key opens is looked at again after this time.
PUT_ASIDE = timedelta(hours=1)

_DUE, _OPEN = sa.text("state = 'created'"), sa.text("state IN ('sending', 'unknown', 'sent', 'handed')")
_WAITS = sa.text("state = 'created' AND medium = 'sms'")
_HELD, _IN_A_RUN = sa.text("state = 'held'"), sa.text("run IS NOT NULL")


class Message(Base):
    """A notice on its way by one medium. `to_sealed` is a number (E.164) or, for a letter, address lines.

    `parts` are those of a text, `network` the code (MCC and MNC) that its number began with, `tell_by` the moment from
    which telling is too late. `resends` counts the new sends after one that was accepted and did not arrive.
    """

    __tablename__ = "message"
    __table_args__ = (
        sa.Index("ix_message_due", "medium", "lane", "tell_by", "id", postgresql_where=_DUE, sqlite_where=_DUE),
        sa.Index("ix_message_waits", "lane", "not_before", postgresql_where=_WAITS, sqlite_where=_WAITS),
        sa.Index("ix_message_open", "state", "changed_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        sa.Index("ix_message_held", "campaign_id", "id", postgresql_where=_HELD, sqlite_where=_HELD),
        sa.Index("ix_message_run", "run", postgresql_where=_IN_A_RUN, sqlite_where=_IN_A_RUN),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    household_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("household.id"), index=True)
    campaign_id: Mapped[UUID | None]
    notice: Mapped[str] = mapped_column(sa.String(40))
    subject: Mapped[str] = mapped_column(sa.String(64))
    medium: Mapped[str] = mapped_column(sa.String(8))
    lane: Mapped[int] = mapped_column(sa.SmallInteger)
    locale: Mapped[str] = mapped_column(sa.String(8))
    network: Mapped[str] = mapped_column(sa.String(8))
    parts: Mapped[int] = mapped_column(sa.SmallInteger)
    reference: Mapped[str] = mapped_column(sa.String(9), index=True)
    to_blind: Mapped[bytes] = mapped_column(index=True)
    to_sealed: Mapped[bytes]
    body_sealed: Mapped[bytes]
    policy: Mapped[str] = mapped_column(sa.String(16))
    state: Mapped[str] = mapped_column(sa.String(12), default="created")
    fence: Mapped[int] = mapped_column(default=0)
    resends: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    avoid: Mapped[list[str]] = mapped_column(JSON, default=list)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    tell_by: Mapped[datetime] = mapped_column(UtcDateTime)
    alarm_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    run: Mapped[str | None] = mapped_column(sa.String(40))

    @property
    def token(self) -> str:
        """Its name as it stands in a callback's address and in a manifest; 62 bits of it nobody can guess."""
        return self.id.hex


class Promise(Base):
    """That a thing is told once by one medium: the digest of household, notice, subject and medium."""

    __tablename__ = "promise"

    id: Mapped[bytes] = mapped_column(sa.LargeBinary(16), primary_key=True)
    message_id: Mapped[UUID]


class Attempt(Base):
    """One send, written before it is made, so that a killed worker leaves word of which provider may have it.

    `parts` and `cost` are the provider's own figures, `cost` in its own words (`MAD 0.2500`). `outcome` is
    `undelivered` where it was accepted, did not arrive for now, and is made once more. A letter's printing is a send by
    the provider `post`: `outcome` is then the last that was reported of it (`spoilt` where it was
    printed again), and `code` why it came back.
    """

    __tablename__ = "attempt"
    __table_args__ = (sa.Index("ix_attempt_provider", "provider_id", "provider"),
                      sa.Index("ix_attempt_started", "provider", "started_at"),
                      {"postgresql_partition_by": "RANGE (message_id)"})

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    provider: Mapped[str] = mapped_column(sa.String(20))
    provider_id: Mapped[str | None] = mapped_column(sa.String(80))
    outcome: Mapped[str | None] = mapped_column(sa.String(16))
    code: Mapped[str | None] = mapped_column(sa.String(80))
    parts: Mapped[int | None] = mapped_column(sa.SmallInteger)
    cost: Mapped[str | None] = mapped_column(sa.String(24))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Settlement:
    """A message has reached a state that somebody must hear of. `opted_out`: for its number wants no texts."""

    message_id: UUID
    household_id: UUID | None
    notice: str
    subject: str
    medium: str
    state: str
    at: datetime
    opted_out: bool = False


# A thing is told at so many telephones of a household, one after the other.
TELEPHONES = 3


def placed(subject: str, place: int) -> str:
    """A subject as it is told at a further telephone: a message of its own."""
    return f"{subject}/{place}" if place else subject


def placed_all(subject: str) -> list[str]:
    """A subject as it is told at each of the telephones."""
    return [placed(subject, place) for place in range(TELEPHONES)]


def subject_of(placed_subject: str) -> str:
    """What a message tells, at whichever telephone."""
    return re.sub(r"/[0-9]{1,2}$", "", placed_subject)


def subject_in(column: InstrumentedAttribute[str]) -> sa.ColumnElement[str]:
    """The same, of a column."""
    further = [placed("", place) for place in range(1, TELEPHONES)]
    length = sa.func.length(column)
    return sa.case((sa.func.substr(column, length - 1).in_(further), sa.func.substr(column, 1, length - 2)),
                   else_=column)


def promise_of(household_id: UUID | str | None, notice: str, subject: str, medium: str) -> bytes:
    """What makes two messages the same."""
    return hashlib.blake2b(f"{household_id}/{notice}/{subject}/{medium}".encode(), digest_size=16).digest()


def move(session: Session, message_id: UUID, state: str, now: datetime, *, only_from: Iterable[str],
         fence: int | None = None) -> Message | None:
    """Only along `TRANSITIONS`, and only from where it stands."""
    allowed = [start for start in only_from if state in TRANSITIONS[start]]
    where = [Message.id == message_id, Message.state.in_(allowed)]
    if fence is not None:
        where.append(Message.fence == fence)
    moved = session.scalar(sa.update(Message).where(*where).values(state=state, changed_at=now).returning(Message.id))
    return session.get_one(Message, moved, populate_existing=True) if moved else None


def opened(vault: Vault, message_id: UUID, to_sealed: bytes, body_sealed: bytes) -> tuple[str, str] | None:
    """A message's address and its text; None where no key opens them: whoever asks puts it aside for `PUT_ASIDE`."""
    try:
        return (vault.open(to_sealed, "message.to", message_id),
                vault.open(body_sealed, "message.body", message_id))
    except CannotOpen as error:
        log.error("message %s cannot be opened: %s", message_id, error)
        return None


def told(message: Message | None, now: datetime) -> Settlement | None:
    """What somebody must hear of a message that was moved, if it has come to an end."""
    if message is None or message.state not in FINAL:
        return None
    return Settlement(message.id, message.household_id, message.notice, message.subject, message.medium,
                      message.state, now)
