"""Proof: what shows that a household was told, so that its days begin to run; and what takes that proof away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox, untold
from gateway.outbox import Message, Settlement
from gateway.registry import number_change, registration, review_desk, score
from gateway.registry.clock import day_of
from gateway.registry.review import Review
from gateway.tellings import OF_A_SCORE, Telling, alike, heard_last
from gateway.vault import Vault

# A letter is in the box so long after the post took it; only then can a new telephone number be refused.
LETTER_TAKES = number_change.WAIT_BY_LETTER - number_change.WAIT
# What proves it, by the medium: the operator's word, the post's record, the clerk who handed the letter over.
PROOFS = {"sms": "receipt", "letter": "posting", "centre": "handed_over"}


def keep(session: Session, vault: Vault, told: Settlement, household_id: UUID, now: datetime) -> None:
    """A message has arrived: what it told is told."""
    day = day_of(told.at)
    if told.notice == "review_decided":
        _answered(session, vault, UUID(told.subject), day, now)
    elif told.notice == "number_change_asked":
        warned_at = told.at + (LETTER_TAKES if told.medium == "letter" else timedelta())
        number_change.note_warning(session, UUID(told.subject.partition("/")[0]), warned_at)
    elif told.notice in OF_A_SCORE:
        score.record_notification(
            session, household_id=household_id, score_id=UUID(told.subject), medium=told.medium, notified_on=day,
            message_id=told.message_id, now=now, proof=PROOFS[told.medium])
        registration.notified(session, household_id, on=day, now=now)
        stands_in(session, household_id, now)
        if told.medium == "sms":
            outbox.cancel(session, household_id, told.notice, told.subject, "letter", now)
            untold.drop(session, household_id, told.subject)


def stands_in(session: Session, household_id: UUID, now: datetime) -> None:
    """The index that counts is the one that the household heard of last: it was told by that proof, on that day."""
    current = score.latest(session, household_id)
    heard = heard_last(session, current) if current and current.predecessor_id else None
    proof = score.notified(session, heard.id) if heard else None
    if current and heard and proof and alike(heard, current):
        score.record_notification(
            session, household_id=household_id, score_id=current.id, medium=proof.medium,
            notified_on=proof.notified_on, proof=proof.proof, message_id=proof.message_id, now=now)
        registration.notified(session, household_id, on=proof.notified_on, now=now)


def take_back(session: Session, vault: Vault, message: Message, now: datetime) -> None:
    """What this message told was not told after all. Another one that arrived proves it as well as before."""
    if message.household_id is None or not score.forget_notifications(session, message.id):
        return
    other = session.scalars(sa.select(Message).where(
        Message.household_id == message.household_id, Message.notice.in_(OF_A_SCORE),
        Message.subject == message.subject, Message.state == "delivered", Message.id != message.id)
        .order_by(Message.changed_at)).first()
    if other:
        keep(session, vault, Settlement(other.id, other.household_id, other.notice, other.subject, other.medium,
                                        "delivered", other.changed_at), message.household_id, now)
    current = score.latest(session, message.household_id)
    if current is None or score.notified(session, current.id) is None:
        registration.not_notified(session, message.household_id, now)


def disowned(session: Session, vault: Vault, msisdn: str, household_ids: Iterable[UUID],
             now: datetime) -> Iterator[Telling]:
    """Whoever has this number (E.164) is none of these households: their index was told to a stranger. Untold again."""
    blinds = vault.blinds(msisdn, "message.to")
    for household_id in household_ids:
        current = score.latest(session, household_id)
        proof = score.notified(session, current.id) if current else None
        message = session.get(Message, proof.message_id) if proof and proof.medium == "sms" else None
        if current and message and message.to_blind in blinds:
            outbox.told_a_stranger(session, message.id, now)
            take_back(session, vault, message, now)
            yield Telling(message.notice, household_id, str(current.id))


def _answered(session: Session, vault: Vault, review_id: UUID, day: date, now: datetime) -> None:
    """The answer to a review has arrived, be it for the first time or on paper as well."""
    if session.scalar(sa.select(Review.state).where(Review.id == review_id)) == "decided":
        review_desk.notified(session, vault, review_id, day, now=now)
