"""Voice message: what a caller said of a complaint. It is fetched from the provider, kept sealed, and deleted there.

The provider tells of a recording while the call goes on (`announce`); the complaint comes to be a few keys later
(`attach`). One that no complaint followed is nobody's: it is deleted unheard. When its time is over the sound is
deleted here too; what a clerk wrote down of it stays with the complaint.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column, undefer

from gateway.db import Base, UtcDateTime, insert_new, new_id
from gateway.registry.complaint import LONGEST_TEXT, Complaint, record
from gateway.registry.complaint_reading import need_for_words
from gateway.registry.steps import NotAllowed
from gateway.vault import CannotOpen, Vault

log = logging.getLogger(__name__)

# Whoever is asked what the complaint is about, and does not say, has left by then.
ATTACHED_WITHIN = timedelta(hours=2)
# A recording may not be ready when we are told of it, and a provider may be away for a while: from two minutes the
# waits double, so that the tenth attempt is made 17 hours after the first.
ATTEMPTS_AT_MOST = 10
FIRST_WAIT = timedelta(minutes=2)

# What is said to a clerk of a message that cannot be heard, by its state.
UNHEARD: Mapping[str, str] = {
    "announced": "What was said has not arrived from the provider yet; try again later.",
    "gone": "What was said could not be had from the provider; ask the household to say it again.",
    "expired": "What was said was deleted after its time; read what was written down of it.",
}


class VoiceMessage(Base):
    """A message that a caller spoke.

    announced: with the provider. fetched: with us. gone: the provider has none, or it is no sound. dropped: no
    complaint followed. expired: its time is over. `not_before` is when the provider must be asked next, for the
    sound or to delete it; None when it need not be asked any more. `conversation` is a fingerprint, and the address
    is forgotten with the recording: neither leads from a complaint to a call.
    """

    __tablename__ = "voice_message"
    __table_args__ = (sa.UniqueConstraint("provider", "url_blind"),
                      sa.Index("ix_voice_message_kept", "state", "announced_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    provider: Mapped[str] = mapped_column(sa.String(20))
    url_blind: Mapped[bytes]
    url_sealed: Mapped[bytes | None]
    conversation: Mapped[str] = mapped_column(sa.String(64))
    complaint_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("complaint.id"), index=True)
    state: Mapped[str] = mapped_column(sa.String(12), default="announced")
    seconds: Mapped[int | None]
    audio_sealed: Mapped[bytes | None] = mapped_column(deferred=True)
    sha256: Mapped[bytes | None]
    deleted_at_provider: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    transcript_sealed: Mapped[bytes | None]
    announced_at: Mapped[datetime] = mapped_column(UtcDateTime)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Held:
    """A message in a worker's hands: to be fetched first (`wanted`), or only to be deleted there."""

    id: UUID
    provider: str
    url: str = field(repr=False)
    seconds: int | None
    wanted: bool


# In a call


def announce(session: Session, vault: Vault, *, provider: str, url: str, seconds: int | None, conversation: str,
             now: datetime) -> UUID:
    """Keep the word of a recording at its provider. The same one again has the same id."""
    known = sa.select(VoiceMessage.id).where(
        VoiceMessage.provider == provider, VoiceMessage.url_blind.in_(vault.blinds(url, "voice_message.url")))
    # What cannot be inserted was announced at the same moment: look again.
    while (found := session.scalar(known)) is None:
        row_id = new_id()
        insert_new(session, VoiceMessage, [{
            "id": row_id, "provider": provider, "url_blind": vault.blind(url, "voice_message.url"),
            "url_sealed": vault.seal(url, "voice_message.url", row_id), "seconds": seconds,
            "conversation": _fingerprints(vault, conversation)[0], "announced_at": now,
            "not_before": now + ATTACHED_WITHIN}])
    return found


def attach(session: Session, vault: Vault, message_id: UUID, complaint_id: UUID, *, conversation: str,
           now: datetime) -> bool:
    """Make it part of a complaint, once; from now on it is fetched. Audited.

    False for one of another conversation, of another complaint, or that was dropped in the meantime.
    """
    of_this_call = (VoiceMessage.id == message_id,
                    VoiceMessage.conversation.in_(_fingerprints(vault, conversation)))
    attached = session.scalar(sa.update(VoiceMessage).where(
        *of_this_call, VoiceMessage.state == "announced", VoiceMessage.complaint_id.is_(None))
        .values(complaint_id=complaint_id, attempts=0, not_before=now).returning(VoiceMessage.id))
    if attached is None:
        return session.scalar(sa.select(VoiceMessage.id).where(
            *of_this_call, VoiceMessage.complaint_id == complaint_id)) is not None
    record(session, vault, session.get_one(Complaint, complaint_id), "spoken", by="household", now=now)
    return True


# At a desk


def of(session: Session, complaint_id: UUID) -> VoiceMessage | None:
    """What was said of this complaint: the last, where somebody began anew."""
    return session.scalar(sa.select(VoiceMessage).where(VoiceMessage.complaint_id == complaint_id)
                          .order_by(VoiceMessage.announced_at.desc(), VoiceMessage.id.desc()).limit(1))


def listen(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
           focal_points: Collection[str] = ()) -> bytes:
    """The sound, for whoever handles the complaint; audited. Raises `NotAllowed`, also where there is none."""
    found, message = _for_handling(session, complaint_id, by, focal_points)
    if message.state != "fetched":
        raise NotAllowed(UNHEARD[message.state])
    record(session, vault, found, "listened", by=by, now=now)
    return sound(session, vault, message.id)


def transcribe(session: Session, vault: Vault, complaint_id: UUID, text: str, *, by: str, now: datetime,
               focal_points: Collection[str] = ()) -> None:
    """Keep in words what was said, sealed; audited. Another text takes its place. Raises `NotAllowed`."""
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise NotAllowed(f"Write down what was said, in {LONGEST_TEXT} characters at most.")
    found, message = _for_handling(session, complaint_id, by, focal_points)
    message.transcript_sealed = vault.seal(text, "voice_message.transcript", message.id)
    session.flush()
    record(session, vault, found, "transcribed", by=by, now=now)


def read_transcript(session: Session, vault: Vault, complaint_id: UUID, *, by: str, now: datetime,
                    focal_points: Collection[str] = ()) -> str | None:
    """What was written down of it, None where nobody has; audited. Raises `NotAllowed`."""
    found, message = _for_handling(session, complaint_id, by, focal_points)
    if message.transcript_sealed is None:
        return None
    record(session, vault, found, "transcript_read", by=by, now=now)
    return vault.open(message.transcript_sealed, "voice_message.transcript", message.id)


# By the hour


def claim(session: Session, vault: Vault, providers: Collection[str], now: datetime, limit: int) -> list[Held]:
    """Take messages of these providers that are due. They are due again after a while, whatever becomes of this.

    One that no complaint has followed is dropped here, before it is deleted there.
    """
    due = session.scalars(sa.select(VoiceMessage).where(
        VoiceMessage.not_before <= now, VoiceMessage.attempts < ATTEMPTS_AT_MOST, VoiceMessage.provider.in_(providers),
    ).order_by(VoiceMessage.not_before).limit(limit).with_for_update(skip_locked=True)).all()
    held = []
    for message in due:
        if message.state == "announced" and message.complaint_id is None:
            message.state = "dropped"
        message.attempts += 1
        doubled = 2 ** (message.attempts - 1) if message.attempts < ATTEMPTS_AT_MOST else 1
        message.not_before = now + FIRST_WAIT * doubled
        url = _address(vault, message)
        if url:
            held.append(Held(message.id, message.provider, url, message.seconds, message.state == "announced"))
    return held


def keep(session: Session, vault: Vault, message_id: UUID, audio: bytes, now: datetime) -> None:
    """The sound is here. One that another worker has kept already stays as it is."""
    session.execute(sa.update(VoiceMessage).where(
        VoiceMessage.id == message_id, VoiceMessage.state.in_(("announced", "gone"))).values(
        state="fetched", audio_sealed=vault.seal_bytes(audio, "voice_message.audio", message_id),
        sha256=hashlib.sha256(audio).digest(), fetched_at=now, attempts=1, not_before=now + FIRST_WAIT))


def lose(session: Session, message_id: UUID, now: datetime) -> None:
    """The provider has no sound for us, and never will."""
    session.execute(sa.update(VoiceMessage).where(VoiceMessage.id == message_id, VoiceMessage.state == "announced")
                    .values(state="gone", attempts=1, not_before=now + FIRST_WAIT))


def check(session: Session, vault: Vault, message_id: UUID) -> None:
    """Make sure that what was fetched can be heard here, before it is deleted there. Raises `CannotOpen`."""
    if session.get_one(VoiceMessage, message_id, populate_existing=True).state == "fetched":
        sound(session, vault, message_id)


def sound(session: Session, vault: Vault, message_id: UUID) -> bytes:
    """The sound as it was fetched. Raises `CannotOpen` where it is another."""
    message = session.get_one(VoiceMessage, message_id, options=[undefer(VoiceMessage.audio_sealed)],
                              populate_existing=True)
    audio = vault.open_bytes(message.audio_sealed or b"", "voice_message.audio", message_id)
    if hashlib.sha256(audio).digest() != message.sha256:
        raise CannotOpen("voice_message.audio: not what was fetched")
    return audio


def close(session: Session, message_id: UUID, deleted_at: datetime | None) -> None:
    """The provider need not be asked any more. Once it has nothing, its address is forgotten."""
    values: dict[str, object] = {"not_before": None}
    if deleted_at:
        values |= {"deleted_at_provider": deleted_at, "url_sealed": None}
    session.execute(sa.update(VoiceMessage).where(VoiceMessage.id == message_id).values(**values))


def give_up(session: Session, now: datetime) -> list[tuple[str, str]]:
    """End the asking after so many attempts. Returns the provider of each such message, and its state.

    What could not be fetched is left with the provider: an operator may still save it there.
    """
    ended = session.scalars(sa.select(VoiceMessage).where(
        VoiceMessage.not_before <= now, VoiceMessage.attempts >= ATTEMPTS_AT_MOST).with_for_update(
        skip_locked=True)).all()
    for message in ended:
        message.not_before = None
        if message.state == "announced":
            message.state = "gone"
    return [(message.provider, message.state) for message in ended]


def expire(session: Session, now: datetime, keep_days: int) -> int:
    """Delete the sound of messages older than so many days. Returns how many."""
    return len(session.scalars(sa.update(VoiceMessage).where(
        VoiceMessage.state == "fetched", VoiceMessage.announced_at < now - timedelta(days=keep_days))
        .values(state="expired", audio_sealed=None, sha256=None).returning(VoiceMessage.id)).all())


def _for_handling(session: Session, complaint_id: UUID, by: str,
                  focal_points: Collection[str]) -> tuple[Complaint, VoiceMessage]:
    found = session.get_one(Complaint, complaint_id)
    need_for_words(found, by, focal_points)
    message = of(session, complaint_id)
    if message is None:
        raise NotAllowed("Nothing was said of this complaint; what was written is its text.")
    return found, message


def _address(vault: Vault, message: VoiceMessage) -> str | None:
    """Where the provider has it; None, with an alarm, where nobody can read that any more."""
    try:
        return vault.open(message.url_sealed or b"", "voice_message.url", message.id)
    except CannotOpen as error:
        log.error("a voice message cannot be asked for: %s", error)
        return None


def _fingerprints(vault: Vault, conversation: str) -> list[str]:
    """Under every key, the present one first."""
    return [blind.hex() for blind in vault.blinds(conversation, "voice_message.conversation")]
