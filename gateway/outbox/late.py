"""Late: texts that will not tell in time make way for a letter, while the post can still bring it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from gateway.outbox.letters import POST
from gateway.outbox.message import DECISION, Attempt, Message, Settlement, subject_in, told
from gateway.post import LastChance

# A text that has not gone since so long before the printing hour, or of which no receipt came since, is waited for in
# vain: it had these hours of the day, and most receipts come within the minute. One of the evening has its morning yet.
PATIENCE = timedelta(hours=3)
# What is told too late in any case, as the index of a household that was scored late, has a day and a night.
AT_LEAST = timedelta(days=1)
# What the attempt says that stands for the text which made way.
WHY = {"created": "waited_in_vain", "sent": "no_receipt"}


def make_way(session: Session, notices: Collection[str], last_chance: LastChance | None, now: datetime,
             limit: int = 500) -> list[Settlement]:
    """Give up texts of these notices for paper, where that keeps the promise or can harm it no more.

    A letter that is printed on the evening of `last_chance` is the last one in time. A text that is too near its day
    for the post is left to be sent, which may still be in time, until the day is over; then it makes way too, since
    nothing else would end it. An unknown send is soon none: `unsure.give_up` makes it due again, or failed.

    A text that was sent and has no receipt makes way on that evening as well, so that the household may get both. It
    must be told by a day; the post's record proves that it was, and nothing proves that of a silent text. The letter
    says the same under a code of its own: a second copy on paper costs some dirhams and harms nobody. "At most once"
    forbids a second text, which looks like fraud; paper always followed a silent one, only days later
    (`unsure.give_up`). If the receipt comes after all, the text counts as delivered, and the letter is taken back as
    long as it is not printed.
    """
    found = list(_texts(session, notices, limit, Message.state == "created", Message.tell_by <= now,
                        Message.created_at <= now - AT_LEAST))
    if last_chance:
        since = last_chance.evening - PATIENCE
        tonight = sa.and_(Message.tell_by >= last_chance.first, Message.tell_by < last_chance.after)
        found += _texts(session, notices, limit, Message.state == "created", tonight, Message.created_at <= since)
        found += _texts(session, notices, limit, Message.state == "sent", tonight, Message.changed_at <= since)
    for message in found:
        message.fence += 1
        session.add(Attempt(message_id=message.id, fence=message.fence, provider=POST, outcome="instead",
                            code=WHY[message.state], started_at=now, ended_at=now))
        message.state, message.changed_at = "failed", now
    session.flush()
    return [settlement for message in found if (settlement := told(message, now))]


def _texts(session: Session, notices: Collection[str], limit: int,
           *where: sa.ColumnElement[bool]) -> sa.ScalarResult[Message]:
    """Texts with a day by law, but for those of which the household was told by another message meanwhile."""
    other = aliased(Message)
    told_otherwise = sa.exists().where(
        other.household_id == Message.household_id, other.notice == Message.notice,
        subject_in(other.subject) == subject_in(Message.subject), other.state == "delivered")
    return session.scalars(sa.select(Message).where(
        Message.medium == "sms", Message.lane == DECISION, Message.household_id.is_not(None),
        Message.notice.in_(notices), *where, ~told_otherwise).order_by(Message.tell_by, Message.id).limit(limit)
        .with_for_update(of=Message, skip_locked=True))
