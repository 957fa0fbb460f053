"""Posting: a promise is written, or taken back while nobody has touched it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.text import parts
from gateway.db import among, insert, insert_new, new_id
from gateway.outbox.message import (
    NOTICE,
    Message,
    Promise,
    Settlement,
    move,
    opened,
    placed_all,
    promise_of,
    subject_of,
    told,
)
from gateway.registry.numbers import new_number
from gateway.vault import Vault

# What nothing and nobody gives a day by which it must be told has so long.
PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Draft:
    """A message to be posted. `subject` is what it tells (a score, a review): to a household once for each medium.

    Where it is not the household that is told once (but a telephone), `once` names what is.
    """

    household_id: UUID | None
    notice: str
    subject: str
    medium: str
    locale: str
    reference: str
    to: str = field(repr=False)
    body: str = field(repr=False)
    policy: str = "at_least_once"
    lane: int = NOTICE
    tell_by: datetime | None = None
    network: str = ""
    once: str = ""

    @property
    def promise(self) -> bytes:
        """What makes it the same as another."""
        return promise_of(self.once or self.household_id, self.notice, self.subject, self.medium)


class Texted(NamedTuple):
    """A number's fingerprint, and until when the text to it was of use."""

    to_blind: bytes
    tell_by: datetime


# Whom, by which notice, of what.
Thing = tuple[UUID, str, str]


def new_reference() -> str:
    """The code by which a person can check that a message is ours: nine digits with a check digit."""
    return new_number("message", secrets.SystemRandom())


def post(session: Session, vault: Vault, drafts: Sequence[Draft], now: datetime) -> int:
    """Write the promises. What was promised before is not promised again. Returns how many are new."""
    named = {draft.promise: draft for draft in reversed(drafts)}
    ids = {key: new_id() for key in reversed(named)}
    new = insert_new(session, Promise, [{"id": key, "message_id": row} for key, row in ids.items()])
    insert(session, Message, [own(vault, ids[key], named[key]) | shared(named[key], now) for key in ids if key in new])
    return len(new)


def own(vault: Vault, row: UUID, draft: Draft) -> dict[str, Any]:
    """The columns that are a message's own."""
    return {
        "id": row, "household_id": draft.household_id, "subject": draft.subject, "reference": draft.reference,
        "parts": parts(draft.body) if draft.medium == "sms" else 0, "to_blind": vault.blind(draft.to, "message.to"),
        "to_sealed": vault.seal(draft.to, "message.to", row),
        "body_sealed": vault.seal(draft.body, "message.body", row),
    }


def shared(draft: Draft, now: datetime) -> dict[str, Any]:
    """The columns that many messages have in common."""
    return {
        "campaign_id": None, "notice": draft.notice, "medium": draft.medium, "lane": draft.lane,
        "locale": draft.locale, "network": draft.network, "policy": draft.policy, "state": "created", "fence": 0,
        "resends": 0, "avoid": [], "not_before": now, "tell_by": draft.tell_by or now + PATIENCE, "alarm_until": None,
        "lease_until": None, "created_at": now, "changed_at": now, "run": None,
    }


def close(session: Session, vault: Vault, msisdn: str, notices: Sequence[str], now: datetime,
          household_id: UUID | None = None) -> list[Settlement]:
    """End the texts of these notices to a number that wants none, as far as none has been sent yet; all, or those to
    one household. What a campaign still holds for it is called off."""
    session.execute(sa.update(Message).where(
        Message.to_blind.in_(vault.blinds(msisdn, "message.to")), Message.state == "held")
        .values(state="cancelled", changed_at=now))
    waiting = session.scalars(sa.select(Message.id).where(
        Message.to_blind.in_(vault.blinds(msisdn, "message.to")), Message.medium == "sms",
        Message.state == "created", Message.notice.in_(notices),
        Message.household_id == household_id if household_id else sa.true())).all()
    moved = [move(session, message_id, "failed", now, only_from=("created",)) for message_id in waiting]
    return [settled for settled in (told(message, now) for message in moved) if settled]


def promised(session: Session, things: Iterable[tuple[UUID | None, str, str]]) -> bool:
    """Whether one of these has been promised by text."""
    keys = [promise_of(*thing, "sms") for thing in things]
    return session.scalar(sa.select(Promise.id).where(Promise.id.in_(keys)).limit(1)) is not None


def texted(session: Session, things: Iterable[Thing]) -> dict[Thing, list[Texted]]:
    """Where each of these was texted, one telephone after the other."""
    keys = {promise_of(*thing[:2], subject, "sms"): thing for thing in things for subject in placed_all(thing[2])}
    named = {message_id: keys[key] for key, message_id in session.execute(
        sa.select(Promise.id, Promise.message_id).where(among(session, Promise.id, list(keys))))}
    found: dict[Thing, list[Texted]] = {}
    for message_id, to_blind, tell_by in session.execute(sa.select(
            Message.id, Message.to_blind, Message.tell_by).where(
            among(session, Message.id, list(named))).order_by(Message.id)):
        found.setdefault(named[message_id], []).append(Texted(to_blind, tell_by))
    return found


def number_of(session: Session, vault: Vault, message_id: UUID) -> str | None:
    """The number (E.164) that a text went to; None where no key opens it."""
    message = session.get_one(Message, message_id)
    text = opened(vault, message_id, message.to_sealed, message.body_sealed)
    return text[0] if text else None


def cancel(session: Session, household_id: UUID, notice: str, subject: str, medium: str, now: datetime) -> bool:
    """Take back a message that nobody has touched yet, because the household has been told otherwise."""
    found = session.get(Promise, promise_of(household_id, notice, subject, medium))
    return found is not None and move(session, found.message_id, "cancelled", now, only_from=("created",)) is not None


def cancel_told(session: Session, told: Iterable[Settlement], now: datetime) -> None:
    """Take back what nobody has touched yet about what these texts have told: by letter, or at other telephones."""
    same = []
    for one in told:
        home, subject = str(one.household_id), subject_of(one.subject)
        same += [promise_of(home, one.notice, subject, "letter"),
                 *(promise_of(home, one.notice, placed_, "sms") for placed_ in placed_all(subject))]
    waiting = session.scalars(sa.select(Promise.message_id).where(among(session, Promise.id, same))).all()
    if waiting:
        session.execute(sa.update(Message).where(
            among(session, Message.id, waiting), Message.state == "created").values(state="cancelled", changed_at=now)
            .execution_options(synchronize_session=False))


def cancel_others(session: Session, notices: Sequence[str], subjects: Mapping[UUID, str], now: datetime) -> None:
    """Take back these notices that nobody has touched yet, except those about each household's subject."""
    waiting = session.execute(sa.select(Message.id, Message.household_id, Message.subject).where(
        Message.household_id.in_(list(subjects)), Message.notice.in_(notices), Message.state == "created"))
    for message_id, household_id, subject in waiting.all():
        if household_id is not None and subjects[household_id] != subject_of(subject):
            move(session, message_id, "cancelled", now, only_from=("created",))


def cancel_all(session: Session, household_id: UUID, now: datetime) -> None:
    """Take back every message to a household that nobody has touched yet."""
    for message_id in session.scalars(sa.select(Message.id).where(
            Message.household_id == household_id, Message.state.in_(("held", "created")))).all():
        move(session, message_id, "cancelled", now, only_from=("held", "created"))
