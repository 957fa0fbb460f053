"""Outbox: messages that must reach a household, and the table by which they move.

A row is the promise. It is written in the transaction of the fact it tells, its text already rendered; the
queue is only the alarm clock. A status moves by `TRANSITIONS`, in one conditional UPDATE; what the table does
not list does not happen. Every send has a fence, so that a worker whose lease has run out settles nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.base import Accepted, Misconfigured, Receipt, Rejected, SendError, Throttled, Unknown
from gateway.db import JSON, Base, UtcDateTime, insert_new, new_id
from gateway.registry.numbers import new_number
from gateway.registry.steps import NotAllowed
from gateway.vault import CannotOpen, Vault

log = logging.getLogger(__name__)

# created: due, or waiting for its hour. sending: a worker holds it until its lease ends. unknown: the provider
# may have it; ask before anything else. cancelled: another medium told the household in the meantime. returned: a
# posted letter that the post has brought back, or a text that was delivered to a stranger.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "created": frozenset({"sending", "sent", "delivered", "failed", "cancelled"}),
    "sending": frozenset({"created", "sent", "delivered", "failed", "unknown"}),
    "unknown": frozenset({"created", "sent", "delivered", "failed"}),
    "sent": frozenset({"delivered", "failed"}),
    "failed": frozenset({"delivered"}),
    "delivered": frozenset({"returned"}),
    "returned": frozenset(),
    "cancelled": frozenset(),
}
FINAL = ("delivered", "failed", "cancelled", "returned")

# A route that refuses is left for another; after this many refusals by any route the household gets a letter.
# The waits between them grow fourfold to an hour. A provider that cannot be reached refuses nobody.
SENDS_AT_MOST = 8
LONGEST_WAIT = timedelta(hours=1)
# Operators keep a text for three days; without a receipt by then it has not arrived. Nor do we try for longer.
SILENT_AFTER = timedelta(hours=72)
# A receipt may still come long after, and must not be taken for that of a later send to the same telephone.
LATEST_RECEIPT = timedelta(days=30)
# A due row whose alarm was lost with Redis is put back in the queue after this time.
ALARM = timedelta(seconds=30)

# What a receipt says of the send it names, and the states in which that is news. A step on the way proves that
# the provider has the message; a delivery is a delivery, however late.
NEWS: Mapping[str, tuple[str, ...]] = {
    "sent": ("created", "sending", "unknown"),
    "failed": ("sending", "unknown", "sent"),
    "delivered": ("created", "sending", "unknown", "sent", "failed"),
}


class Message(Base):
    """A notice on its way by one medium. `to_sealed` is a number (E.164) or, for a letter, address lines."""

    __tablename__ = "message"
    __table_args__ = (
        sa.Index("ix_message_due", "medium", "not_before", postgresql_where=sa.text("state = 'created'"),
                 sqlite_where=sa.text("state = 'created'")),
        sa.Index("ix_message_open", "state", "changed_at",
                 postgresql_where=sa.text("state IN ('sending', 'unknown', 'sent')"),
                 sqlite_where=sa.text("state IN ('sending', 'unknown', 'sent')")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    token: Mapped[str] = mapped_column(sa.String(32), unique=True)
    once: Mapped[str] = mapped_column(sa.String(180), unique=True)
    household_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("household.id"), index=True)
    notice: Mapped[str] = mapped_column(sa.String(40))
    subject: Mapped[str] = mapped_column(sa.String(64))
    medium: Mapped[str] = mapped_column(sa.String(8))
    locale: Mapped[str] = mapped_column(sa.String(8))
    reference: Mapped[str] = mapped_column(sa.String(9), index=True)
    to_blind: Mapped[bytes] = mapped_column(index=True)
    to_sealed: Mapped[bytes]
    body_sealed: Mapped[bytes]
    policy: Mapped[str] = mapped_column(sa.String(16))
    state: Mapped[str] = mapped_column(sa.String(12), default="created")
    fence: Mapped[int] = mapped_column(default=0)
    avoid: Mapped[list[str]] = mapped_column(JSON, default=list)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    alarm_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    run: Mapped[str | None] = mapped_column(sa.String(40), index=True)


class Attempt(Base):
    """One send, written before it is made, so that a killed worker leaves word of which provider may have it."""

    __tablename__ = "attempt"
    __table_args__ = (sa.UniqueConstraint("message_id", "fence"),
                      sa.Index("ix_attempt_provider", "provider", "provider_id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[UUID] = mapped_column(sa.ForeignKey("message.id"))
    fence: Mapped[int]
    provider: Mapped[str] = mapped_column(sa.String(20))
    provider_id: Mapped[str | None] = mapped_column(sa.String(80))
    outcome: Mapped[str | None] = mapped_column(sa.String(16))
    code: Mapped[str | None] = mapped_column(sa.String(80))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReceiptRecord(Base):
    """A delivery receipt as it came. `message_id` stays empty until its message is found."""

    __tablename__ = "receipt"
    __table_args__ = (sa.UniqueConstraint("provider", "provider_id", "status"),
                      sa.Index("ix_receipt_unmatched", "received_at", postgresql_where=sa.text("message_id IS NULL"),
                               sqlite_where=sa.text("message_id IS NULL")))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    provider: Mapped[str] = mapped_column(sa.String(20))
    provider_id: Mapped[str] = mapped_column(sa.String(80))
    status: Mapped[str] = mapped_column(sa.String(40))
    outcome: Mapped[str | None] = mapped_column(sa.String(12))
    error: Mapped[str | None] = mapped_column(sa.String(80))
    to_blind: Mapped[bytes | None]
    message_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("message.id"), index=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Draft:
    """A message to be posted. `subject` is what it tells (a score, a review): once for each medium."""

    household_id: UUID | None
    notice: str
    subject: str
    medium: str
    locale: str
    reference: str
    to: str = field(repr=False)
    body: str = field(repr=False)
    policy: str = "at_least_once"


@dataclass(frozen=True)
class Claim:
    """A message in a worker's hands until its lease ends, and the provider that it will go by."""

    id: UUID
    fence: int
    token: str
    provider: str
    until: datetime
    msisdn: str = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True)
class Settlement:
    """A message has reached a state that somebody must hear of."""

    message_id: UUID
    household_id: UUID | None
    notice: str
    subject: str
    medium: str
    state: str
    at: datetime


def new_reference() -> str:
    """The code by which a person can check that a message is ours: nine digits with a check digit."""
    return new_number("message", secrets.SystemRandom())


def post(session: Session, vault: Vault, drafts: Sequence[Draft], now: datetime,
         not_before: datetime | None = None) -> int:
    """Write the promises. What was promised before is not promised again. Returns how many are new."""
    rows = []
    for draft in drafts:
        row = new_id()
        rows.append({
            "id": row, "token": secrets.token_hex(16),
            "once": _once(draft.household_id, draft.notice, draft.subject, draft.medium),
            "household_id": draft.household_id, "notice": draft.notice,
            "subject": draft.subject, "medium": draft.medium, "locale": draft.locale, "reference": draft.reference,
            "to_blind": vault.blind(draft.to, "message.to"), "to_sealed": vault.seal(draft.to, "message.to", row),
            "body_sealed": vault.seal(draft.body, "message.body", row), "policy": draft.policy, "state": "created",
            "fence": 0, "avoid": [], "not_before": not_before or now, "created_at": now, "changed_at": now,
        })
    return len(insert_new(session, Message, rows))


def due(session: Session, medium: str, now: datetime, limit: int) -> list[UUID]:
    """Wake the rows that are due and whose alarm has not rung lately; their alarm is set again."""
    waiting = (sa.select(Message.id).where(
        Message.medium == medium, Message.state == "created", Message.not_before <= now,
        sa.or_(Message.alarm_until.is_(None), Message.alarm_until < now),
    ).order_by(Message.not_before, Message.id).limit(limit).with_for_update(skip_locked=True))
    ids = list(session.scalars(waiting))
    if ids:
        session.execute(sa.update(Message).where(Message.id.in_(ids)).values(alarm_until=now + ALARM))
    return ids


def put_off(session: Session, notices: Sequence[str], until: datetime) -> None:
    """Hold back the texts of these notices that would be sent before `until`."""
    session.execute(sa.update(Message).where(
        Message.medium == "sms", Message.state == "created", Message.notice.in_(notices),
        Message.not_before < until).values(not_before=until, alarm_until=None))


def close(session: Session, vault: Vault, msisdn: str, notices: Sequence[str], now: datetime,
          household_id: UUID | None = None) -> list[Settlement]:
    """End the texts of these notices to a number that wants none, as far as none has been sent yet; all, or those to
    one household."""
    waiting = session.scalars(sa.select(Message.id).where(
        Message.to_blind.in_(vault.blinds(msisdn, "message.to")), Message.medium == "sms",
        Message.state == "created", Message.notice.in_(notices),
        Message.household_id == household_id if household_id else sa.true())).all()
    moved = [_move(session, message_id, "failed", now, only_from=("created",)) for message_id in waiting]
    return [told for told in (_told(message, now) for message in moved) if told]


def claim(session: Session, vault: Vault, ids: Iterable[UUID], choose: Callable[[list[str]], str | None],
          now: datetime, lease: timedelta) -> list[Claim]:
    """Take those of `ids` that are still due. `choose(avoid) -> provider | None` picks the route of each.

    The attempt is written here, before the send: commit before you speak.
    """
    due_rows = session.scalars(sa.select(Message).where(
        Message.id.in_(list(ids)), Message.medium == "sms", Message.state == "created", Message.not_before <= now,
    ).with_for_update(skip_locked=True)).all()
    claims = []
    for message in due_rows:
        opened, provider = _opened(vault, message, now), choose(message.avoid)
        if opened is None or provider is None:
            continue
        message.state, message.fence, message.changed_at = "sending", message.fence + 1, now
        message.lease_until = now + lease
        session.add(Attempt(message_id=message.id, fence=message.fence, provider=provider, started_at=now))
        claims.append(Claim(message.id, message.fence, message.token, provider, now + lease, *opened))
    return claims


def settle(session: Session, held: Claim, result: Accepted | SendError, now: datetime) -> Settlement | None:
    """Write down how a send ended. Returns a settlement when somebody must hear of it.

    What is certain counts even after the lease, as long as nobody has sent again. A receipt that has come in the
    meantime knows better than a send that did not hear its answer.
    """
    outcome, state, wait = _reading(result)
    noted = sa.update(Attempt).where(Attempt.message_id == held.id, Attempt.fence == held.fence)
    if isinstance(result, Accepted):
        session.execute(noted.values(outcome=outcome, ended_at=now, provider_id=result.provider_id))
        message = _move(session, held.id, "sent", now, fence=held.fence, only_from=NEWS["sent"])
        return _heard_already(session, held, result, now) or _told(message, now)
    session.execute(noted.where(Attempt.provider_id.is_(None))
                    .values(outcome=outcome, ended_at=now, code=result.code[:80]))
    if state != "created":
        starts = ("sending",) if state == "unknown" else ("sending", "unknown")
        message = _move(session, held.id, state, now, fence=held.fence, only_from=starts)
        if message is not None:
            message.alarm_until = None
        return _told(message, now)
    message = _again(session, held.id, held.fence, ("sending", "unknown"), now, wait)
    if message is not None:
        message.avoid = [] if outcome == "throttled" else sorted({*message.avoid, held.provider})
    return _told(message, now)


def receive(session: Session, vault: Vault, receipt: Receipt, now: datetime) -> Settlement | None:
    """Keep a receipt and settle its message. A repeated one, or one for nobody, changes nothing.

    One that names our message and another number is not kept either: it would stand in the true one's place.
    """
    blinds = vault.blinds(receipt.msisdn, "message.to") if receipt.msisdn else []
    message_id, to_blind = _owner(session, receipt.provider, receipt.provider_id, receipt.token)
    to_blind = to_blind if blinds else None
    if message_id and to_blind not in blinds and (blinds or not receipt.token):
        log.warning("a receipt by %s names another number than its message's: refused", receipt.provider)
        return None
    row = new_id()
    new = insert_new(session, ReceiptRecord, [{
        "id": row, "provider": receipt.provider, "provider_id": receipt.provider_id, "status": receipt.status[:40],
        "outcome": receipt.outcome, "error": (receipt.error or None) and str(receipt.error)[:80],
        "to_blind": to_blind or next(iter(blinds), None), "message_id": None, "received_at": now}])
    return _apply(session, session.get_one(ReceiptRecord, row), message_id, now) if new and message_id else None


def expire(session: Session, now: datetime) -> int:
    """A lease that ran out means a worker died in the middle: a text may have been sent, a letter was not laid."""
    stranded = session.scalars(sa.select(Message).where(
        Message.state == "sending", Message.lease_until < now).limit(1000).with_for_update(skip_locked=True)).all()
    for message in stranded:
        message.state, message.changed_at = "created" if message.medium == "letter" else "unknown", now
        message.run, message.alarm_until = None, None
    return len(stranded)


def adopt(session: Session, now: datetime) -> list[Settlement]:
    """Find messages for receipts that had none: by the provider's name, else by number and time.

    Africa's Talking carries no token of ours and has no list to ask; a receipt to the same number, since the
    send began, that nothing else claims, is the answer to an unknown send.
    """
    same_number = Message.to_blind == ReceiptRecord.to_blind
    named = sa.exists().where(
        Attempt.message_id == Message.id, Attempt.provider == ReceiptRecord.provider,
        Attempt.provider_id == ReceiptRecord.provider_id, sa.or_(same_number, ReceiptRecord.to_blind.is_(None)))
    unnamed = sa.exists().where(
        Attempt.message_id == Message.id, Attempt.provider == ReceiptRecord.provider, *UNNAMED, same_number,
        Attempt.started_at <= ReceiptRecord.received_at)
    told: list[Settlement | None] = []
    for record in session.scalars(sa.select(ReceiptRecord).where(
            ReceiptRecord.message_id.is_(None), sa.or_(named, unnamed)).order_by(ReceiptRecord.received_at).limit(500)):
        message_id, _ = _owner(session, record.provider, record.provider_id, None)
        message_id = message_id or _lost_send(session, record)
        if message_id:
            told.append(_apply(session, record, message_id, now))
    return [settlement for settlement in told if settlement]


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
        opened = _opened(vault, message, now)
        if opened:
            unsure.append((Claim(message.id, message.fence, message.token, attempt.provider, now + wait, *opened),
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
        return _told(_again(session, held.id, held.fence, ("unknown",), now, timedelta()), now)
    session.execute(noted.values(outcome="accepted", provider_id=found.provider_id, ended_at=now))
    _move(session, held.id, "sent", now, fence=held.fence, only_from=("unknown",))
    return _heard_already(session, held, found, now)


def give_up(session: Session, unknown_before: datetime, now: datetime) -> list[Settlement]:
    """End the waiting: an unknown send by its policy, a sent text that no receipt ever followed as failed."""
    waited = session.scalars(sa.select(Message).where(sa.or_(
        sa.and_(Message.state == "unknown", Message.changed_at < unknown_before),
        sa.and_(Message.state == "sent", Message.medium == "sms", Message.changed_at < now - SILENT_AFTER),
    )).limit(1000).with_for_update(skip_locked=True)).all()
    told = []
    for message in waited:
        if message.state == "unknown" and message.policy == "at_least_once":
            moved = _again(session, message.id, message.fence, ("unknown",), now, timedelta())
        else:
            moved = _move(session, message.id, "failed", now, only_from=(message.state,))
        told.append(_told(moved, now))
    return [settlement for settlement in told if settlement]


@dataclass(frozen=True)
class Paper:
    """A letter to be printed: `lines` for the window, `body` the notice's documents by locale, as JSON."""

    id: UUID
    household_id: UUID
    token: str
    notice: str
    reference: str
    locale: str
    lines: str = field(repr=False)
    body: str = field(repr=False)


def claim_letters(session: Session, vault: Vault, run: str, now: datetime, lease: timedelta,
                  limit: int) -> list[Paper]:
    """Take the letters that are due into a printing run. Of two that bear the same number one waits for the next."""
    rows = session.scalars(sa.select(Message).where(
        Message.medium == "letter", Message.household_id.is_not(None), Message.state == "created",
        Message.not_before <= now).order_by(Message.created_at, Message.id).limit(limit)
        .with_for_update(skip_locked=True)).all()
    papers: dict[str, Paper] = {}
    for message in rows:
        opened = _opened(vault, message, now)
        if opened and message.household_id and message.reference not in papers:
            message.state, message.fence, message.changed_at = "sending", message.fence + 1, now
            message.lease_until, message.run = now + lease, run
            papers[message.reference] = Paper(message.id, message.household_id, message.token, message.notice,
                                              message.reference, message.locale, *opened)
    return list(papers.values())


def printed(session: Session, run: str, now: datetime, unprintable: Iterable[UUID] = ()) -> bool:
    """The sheets of this run lie in the tray; those that cannot be printed have failed.

    False when the run's lease ran out and its letters are another run's now.
    """
    held = [Message.run == run, Message.state == "sending"]
    failed = session.scalars(sa.update(Message).where(*held, Message.id.in_(list(unprintable)))
                             .values(state="failed", changed_at=now).returning(Message.id)).all()
    sent = session.scalars(sa.update(Message).where(*held).values(state="sent", changed_at=now)
                           .returning(Message.id)).all()
    return bool(failed or sent)


def run_state(session: Session, run: str) -> Literal["printed", "held", "lost"]:
    """Whether a run was printed and written down, is being printed, or was lost: `expire` has made it due again."""
    states = set(session.scalars(sa.select(Message.state).where(Message.run == run).distinct()))
    if states & {"sent", "delivered"}:
        return "printed"
    return "held" if "sending" in states else "lost"


def posted(session: Session, run: str, now: datetime) -> list[Settlement]:
    """The post has taken this run; its record is the proof of notification."""
    rows = session.scalars(sa.select(Message.id).where(Message.run == run, Message.state == "sent")).all()
    moved = [_move(session, row, "delivered", now, only_from=("sent",)) for row in rows]
    return [told for told in (_told(message, now) for message in moved) if told]


def returned(session: Session, reference: str, now: datetime, run: str | None = None) -> Message | None:
    """The post has brought this letter back; None when no posted letter bears this reference.

    Raises `NotAllowed` when several do: nine digits are few for a country's letters. Then `run` says which.
    """
    found = session.execute(sa.select(Message.id, Message.run).where(
        Message.reference == reference, Message.medium == "letter", Message.state == "delivered",
        Message.run == run if run else sa.true())).all()
    if len(found) > 1:
        raise NotAllowed("Several letters bear this number. Look which of these runs this one was in, and give it: "
                         + ", ".join(sorted(str(one.run) for one in found)))
    return _move(session, found[0].id, "returned", now, only_from=("delivered",)) if found else None


def told_a_stranger(session: Session, message_id: UUID, now: datetime) -> None:
    """This text was delivered, to somebody else: like a letter that came back, it told the household nothing."""
    _move(session, message_id, "returned", now, only_from=("delivered",))


def cancel(session: Session, household_id: UUID, notice: str, subject: str, medium: str, now: datetime) -> bool:
    """Take back a message that nobody has touched yet, because the household has been told otherwise."""
    found = session.scalar(sa.select(Message.id).where(
        Message.once == _once(household_id, notice, subject, medium)))
    return found is not None and _move(session, found, "cancelled", now, only_from=("created",)) is not None


def cancel_others(session: Session, notices: Sequence[str], subjects: Mapping[UUID, str], now: datetime) -> None:
    """Take back these notices that nobody has touched yet, except those about each household's subject."""
    waiting = session.execute(sa.select(Message.id, Message.household_id, Message.subject).where(
        Message.household_id.in_(list(subjects)), Message.notice.in_(notices), Message.state == "created"))
    for message_id, household_id, subject in waiting.all():
        if household_id is not None and subjects[household_id] != subject:
            _move(session, message_id, "cancelled", now, only_from=("created",))


def cancel_all(session: Session, household_id: UUID, now: datetime) -> None:
    """Take back every message to a household that nobody has touched yet."""
    for message_id in session.scalars(sa.select(Message.id).where(
            Message.household_id == household_id, Message.state == "created")).all():
        _move(session, message_id, "cancelled", now, only_from=("created",))


# A send that may have been accepted, and whose name at the provider is not known.
UNNAMED = (Attempt.provider_id.is_(None), sa.or_(Attempt.outcome.is_(None), Attempt.outcome == "unknown"))


def _reading(result: Accepted | SendError) -> tuple[str, str, timedelta | None]:
    """What an answer to a send means: the attempt's outcome, the message's next state, and the wait before it."""
    match result:
        case Accepted():
            return "accepted", "sent", None
        case Rejected():
            return "rejected", "failed", None
        case Unknown():
            return "unknown", "unknown", None
        case Throttled():
            return "throttled", "created", timedelta(seconds=min(max(result.retry_after_s, 1), 900))
        case Misconfigured():
            return "misconfigured", "created", timedelta(seconds=1)
        case _:
            # A provider's own code is a refusal; a word of ours, that nobody was reached.
            return "refused" if result.code.isdigit() else "unavailable", "created", None


def _again(session: Session, message_id: UUID, fence: int, starts: Iterable[str], now: datetime,
           wait: timedelta | None) -> Message | None:
    """Due once more after `wait` (None: the longer the more often it was tried); or failed, for paper is surer."""
    refused, tries, began = session.execute(sa.select(
        sa.func.count().filter(Attempt.outcome.in_(("refused", "unknown", "absent"))),
        sa.func.count(), sa.func.min(Attempt.started_at)).where(Attempt.message_id == message_id)).one()
    hopeless = refused >= SENDS_AT_MOST or began < now - SILENT_AFTER
    message = _move(session, message_id, "failed" if hopeless else "created", now, only_from=starts, fence=fence)
    if message is not None and not hopeless:
        wait = min(timedelta(seconds=4 ** min(tries - 1, 9)), LONGEST_WAIT) if wait is None else wait
        message.not_before, message.alarm_until = now + wait, None
    return message


def _move(session: Session, message_id: UUID, state: str, now: datetime, *, only_from: Iterable[str],
          fence: int | None = None) -> Message | None:
    """Only along `TRANSITIONS`, and only from where it stands."""
    allowed = [start for start in only_from if state in TRANSITIONS[start]]
    where = [Message.id == message_id, Message.state.in_(allowed)]
    if fence is not None:
        where.append(Message.fence == fence)
    moved = session.scalar(sa.update(Message).where(*where).values(state=state, changed_at=now).returning(Message.id))
    return session.get_one(Message, moved, populate_existing=True) if moved else None


def _opened(vault: Vault, message: Message, now: datetime) -> tuple[str, str] | None:
    """Its address and its text. One that no key opens is put aside for an hour, and holds up no other."""
    try:
        return (vault.open(message.to_sealed, "message.to", message.id),
                vault.open(message.body_sealed, "message.body", message.id))
    except CannotOpen as error:
        log.error("message %s cannot be opened: %s", message.id, error)
        message.not_before = now + LONGEST_WAIT
        return None


def _once(household_id: UUID | None, notice: str, subject: str, medium: str) -> str:
    """What makes two messages the same."""
    return f"{household_id}/{notice}/{subject}/{medium}"


def _owner(session: Session, provider: str, provider_id: str, token: str | None) -> tuple[UUID | None, bytes | None]:
    """The message that a provider names, and whom it goes to."""
    named = sa.select(Message.id, Message.to_blind)
    if token:
        named = named.where(Message.token == token, Message.fence > 0)
    else:
        named = named.join(Attempt, Attempt.message_id == Message.id).where(
            Attempt.provider == provider, Attempt.provider_id == provider_id).limit(1)
    found = session.execute(named).first()
    return (found[0], found[1]) if found else (None, None)


def _heard_already(session: Session, held: Claim, accepted: Accepted, now: datetime) -> Settlement | None:
    """Honour the receipts that came before we had written down the provider's name for the message."""
    told = None
    for record in session.scalars(sa.select(ReceiptRecord).where(
            ReceiptRecord.provider == held.provider, ReceiptRecord.provider_id == accepted.provider_id,
            sa.or_(ReceiptRecord.message_id.is_(None), ReceiptRecord.message_id == held.id))
            .order_by(ReceiptRecord.received_at)):
        told = _apply(session, record, held.id, now) or told
    return told


def _lost_send(session: Session, record: ReceiptRecord) -> UUID | None:
    """The send that nobody was sure of and that this receipt must be of.

    A telephone may be shared by households: where more sends to it wait for a name than there are strange
    receipts, nobody can tell which one was delivered, and those in flight will still be named by their answer.
    """
    waiting = session.execute(sa.select(Attempt, Message.state, Message.fence).join(Message).where(
        Message.to_blind == record.to_blind, Attempt.provider == record.provider, *UNNAMED,
        Attempt.started_at <= record.received_at, Attempt.started_at > record.received_at - LATEST_RECEIPT)
        .order_by(Attempt.started_at)).all()
    unsure = [attempt for attempt, state, fence in waiting if not (state == "sending" and attempt.fence == fence)]
    strangers = session.scalar(sa.select(sa.func.count(ReceiptRecord.provider_id.distinct())).where(
        ReceiptRecord.provider == record.provider, ReceiptRecord.to_blind == record.to_blind,
        ReceiptRecord.message_id.is_(None), ReceiptRecord.received_at >= waiting[0][0].started_at)) if unsure else 0
    if not strangers or strangers < len(waiting):
        return None
    unsure[0].provider_id, unsure[0].outcome = record.provider_id, "accepted"
    return unsure[0].message_id


def _apply(session: Session, record: ReceiptRecord, message_id: UUID, now: datetime) -> Settlement | None:
    message = session.get_one(Message, message_id)
    if record.to_blind is not None and record.to_blind != message.to_blind:
        return None
    record.message_id = message_id
    outcome = record.outcome or "sent"
    if not _concerns_last_send(session, message, record) and outcome != "delivered":
        return None
    return _told(_move(session, message_id, outcome, now, only_from=NEWS[outcome]), now)


def _concerns_last_send(session: Session, message: Message, record: ReceiptRecord) -> bool:
    """What became of an earlier send says nothing of the present one. A strange name is that of the only send by
    this provider that has none."""
    sends = sa.select(Attempt).where(Attempt.message_id == message.id, Attempt.provider == record.provider)
    named = session.scalars(sends.where(Attempt.provider_id == record.provider_id)).all()
    unnamed = session.scalars(sends.where(*UNNAMED)).all()
    if not named and len(unnamed) == 1:
        unnamed[0].provider_id, unnamed[0].outcome = record.provider_id, "accepted"
        named = unnamed
    return any(send.fence == message.fence for send in named)


def _told(message: Message | None, now: datetime) -> Settlement | None:
    if message is None or message.state not in FINAL:
        return None
    return Settlement(message.id, message.household_id, message.notice, message.subject, message.medium,
                      message.state, now)
