"""Proof: what shows that a household was told, so that its days begin to run; and what takes that proof away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox, untold
from gateway.outbox import Message, Settlement, placed_all, subject_of
from gateway.registry import number_change, registration, review_desk, score
from gateway.registry.clock import day_of
from gateway.registry.review import Review
from gateway.tellings import OF_A_SCORE, Telling, alike, all_heard_last
from gateway.vault import Vault

# A letter is in the box so long after the post took it; only then can a new telephone number be refused.
LETTER_TAKES = number_change.WAIT_BY_LETTER - number_change.WAIT
# What proves it, by the medium: the operator's word, the post's record, the clerk who handed the letter over.
PROOFS = {"sms": "receipt", "letter": "posting", "centre": "handed_over"}


def keep(session: Session, vault: Vault, arrived: Iterable[Settlement], now: datetime) -> None:
    """Messages have arrived: what they told is told. However many tell of an index, it takes the same statements."""
    scores: dict[UUID, Settlement] = {}
    for told in arrived:
        if told.notice == "review_decided":
            _answered(session, vault, UUID(told.subject), day_of(told.at), now)
        elif told.notice == "number_change_asked":
            warned_at = told.at + (LETTER_TAKES if told.medium == "letter" else timedelta())
            number_change.note_warning(session, UUID(told.subject.partition("/")[0]), warned_at)
        elif told.notice in OF_A_SCORE and told.household_id:
            scores.setdefault(UUID(subject_of(told.subject)), told)
    if scores:
        _keep_scores(session, scores, now)


def stands_in(session: Session, household_ids: Iterable[UUID], now: datetime) -> None:
    """The index that counts is the one that the household heard of last: it was told by that proof, on that day."""
    homes = score.unnotified(session, household_ids)
    current = score.currents(session, homes) if homes else {}
    heard = all_heard_last(session, current.values())
    proofs = score.all_notified(session, {former.id for former in heard.values()})
    told = [score.Told(one.household_id, one.id, proof.medium, proof.notified_on, proof.proof, proof.message_id)
            for one in current.values() if (former := heard.get(one.id)) and (proof := proofs.get(former.id))
            and alike(former, one)]
    _record(session, told, now)


def _keep_scores(session: Session, arrived: Mapping[UUID, Settlement], now: datetime) -> None:
    days = {at: day_of(at) for at in {one.at for one in arrived.values()}}
    told = [score.Told(one.household_id, score_id, one.medium, days[one.at], PROOFS[one.medium], one.message_id)
            for score_id, one in arrived.items() if one.household_id]
    _record(session, told, now)
    stands_in(session, {one.household_id for one in told}, now)
    texts = [one for one in arrived.values() if one.medium == "sms"]
    if texts:
        outbox.cancel_told(session, texts, now)
        untold.drop(session, [one.household_id for one in told], list(map(str, arrived)))


def _record(session: Session, told: Sequence[score.Told], now: datetime) -> None:
    """Each household was notified on the first of its days."""
    score.record_notifications(session, told, now)
    by_day: dict[date, list[UUID]] = defaultdict(list)
    for one in told:
        by_day[one.notified_on].append(one.household_id)
    for day in sorted(by_day):
        registration.all_notified(session, by_day[day], day, now)


def take_back(session: Session, vault: Vault, message: Message, now: datetime) -> None:
    """What this message told was not told after all. Another one that arrived proves it as well as before."""
    if message.household_id is None or not score.forget_notifications(session, message.id):
        return
    other = session.scalars(sa.select(Message).where(
        Message.household_id == message.household_id, Message.notice.in_(OF_A_SCORE),
        Message.subject.in_(placed_all(subject_of(message.subject))),
        Message.state == "delivered", Message.id != message.id)
        .order_by(Message.changed_at)).first()
    if other:
        keep(session, vault, [Settlement(other.id, other.household_id, other.notice, other.subject, other.medium,
                                         "delivered", other.changed_at)], now)
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
