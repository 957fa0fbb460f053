"""Unsure: sends of which nobody knows whether the provider has them are asked about, and ended by their policy."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.base import Accepted
from gateway.outbox.message import PUT_ASIDE, Attempt, Message, Settlement, move, opened, told
from gateway.outbox.sending import SILENT_AFTER, Claim, again
from gateway.vault import Vault


def unknowns(session: Session, vault: Vault, now: datetime, wait: timedelta,
             limit: int) -> list[tuple[Claim, datetime]]:
    """Messages whose last send nobody has been sure of for `wait`, with the moment that send began.

    Each is named once in `wait`, so that those which nobody can answer for do not stand before the others.
    """
    rows = session.execute(sa.select(Message, Attempt).join(Attempt, sa.and_(
        Attempt.message_id == Message.id, Attempt.fence == Message.fence)).where(
        Message.state == "unknown", Message.changed_at < now - wait,
        sa.or_(Message.alarm_until.is_(None), Message.alarm_until < now))
        .order_by(Message.changed_at).limit(limit).with_for_update(of=Message, skip_locked=True)).all()
    unsure = []
    for message, attempt in rows:
        message.alarm_until = now + wait
        text = opened(vault, message.id, message.to_sealed, message.body_sealed)
        if text is None:
            message.alarm_until = now + PUT_ASIDE
        else:
            unsure.append((Claim(message.id, message.fence, attempt.provider, now + wait, message.parts, *text),
                           attempt.started_at))
    return unsure


def resolve(session: Session, held: Claim, found: Accepted | None, now: datetime) -> Settlement | None:
    """The provider has answered for an unknown send: it has the message, or knows of none.

    A list may be late with what is still queued: a notice that goes at most once is not sent again on its word.
    """
    noted = sa.update(Attempt).where(Attempt.message_id == held.id, Attempt.fence == held.fence)
    if found is None:
        if session.get_one(Message, held.id).policy == "at_most_once":
            return None
        session.execute(noted.where(Attempt.provider_id.is_(None)).values(outcome="absent", ended_at=now))
        return told(again(session, held.id, held.fence, ("unknown",), now, timedelta()), now)
    session.execute(noted.values(outcome="accepted", provider_id=found.provider_id, ended_at=now))
    move(session, held.id, "sent", now, fence=held.fence, only_from=("unknown",))
    return None


def give_up(session: Session, unknown_before: datetime, now: datetime) -> list[Settlement]:
    """End the waiting: an unknown send by its policy, a sent text that no receipt ever followed as failed."""
    waited = session.scalars(sa.select(Message).where(sa.or_(
        sa.and_(Message.state == "unknown", Message.changed_at < unknown_before),
        sa.and_(Message.state == "sent", Message.medium == "sms", Message.changed_at < now - SILENT_AFTER),
    )).limit(1000).with_for_update(skip_locked=True)).all()
    ended = []
    for message in waited:
        if message.state == "unknown" and message.policy == "at_least_once":
            moved = again(session, message.id, message.fence, ("unknown",), now, timedelta())
        else:
            moved = move(session, message.id, "failed", now, only_from=(message.state,))
        ended.append(told(moved, now))
    return [settlement for settlement in ended if settlement]
