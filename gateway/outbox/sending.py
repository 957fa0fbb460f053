"""Sending: due texts are woken, claimed, sent by whoever claimed them, and settled; hundreds in one statement."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.base import Accepted, Misconfigured, Rejected, SendError, Throttled, Unknown
from gateway.db import among, update_each
from gateway.outbox.message import (
    LANES,
    NEWS,
    PUT_ASIDE,
    REPLY,
    TRANSITIONS,
    Attempt,
    Message,
    Settlement,
    move,
    opened,
    told,
)
from gateway.outbox.parts import keep_parts
from gateway.registry.suppression import is_suppressed
from gateway.vault import Vault

# A route that refuses is left for another; after this many refusals by any route the household gets a letter.
# A provider that cannot be reached refuses nobody.
SENDS_AT_MOST = 8
# By how much the longest wait grows at each send, and to what. A wait is drawn from nothing to that ("full jitter"), or
# all that failed together would come again together. Who asks for patience is given it, and up to as much again.
WAITS = {"refused": (4, timedelta(hours=1)), "unavailable": (2, timedelta(minutes=5)),
         "misconfigured": (1, timedelta(seconds=1))}
MOST_PATIENCE = timedelta(minutes=15)
Jitter = Callable[[], float]
# Operators keep a text for three days; without a receipt by then it has not arrived. Nor do we try for longer.
SILENT_AFTER = timedelta(hours=72)
# A due row whose alarm was lost with Redis is put back in the queue after this time.
ALARM = timedelta(seconds=30)
# A provider's code is a number, SMPP's in hexadecimal.
THEIRS = re.compile(r"[0-9]+|0x[0-9a-fA-F]+")
EVERY_LANE = tuple(range(len(LANES)))

Result = Accepted | SendError


@dataclass(frozen=True)
class Due:
    """A text that waits to be sent, as far as a route is chosen by it."""

    id: UUID
    lane: int
    locale: str
    network: str
    parts: int
    avoid: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """A message in a worker's hands until its lease ends, and the provider that it will go by."""

    id: UUID
    fence: int
    provider: str
    until: datetime
    parts: int
    msisdn: str = field(repr=False)
    body: str = field(repr=False)

    @property
    def token(self) -> str:
        return self.id.hex


def due(session: Session, now: datetime, limit: int, lanes: Collection[int] = EVERY_LANE) -> list[Due]:
    """Wake the texts of these lanes that are due and whose alarm has not rung lately; their alarm is set again.

    First by lane, then by the day until which they must be told.
    """
    waiting = (sa.select(Message.id, Message.lane, Message.locale, Message.network, Message.parts, Message.avoid).where(
        Message.medium == "sms", Message.lane.in_(lanes), Message.state == "created", Message.not_before <= now,
        sa.or_(Message.alarm_until.is_(None), Message.alarm_until < now),
    ).order_by(Message.lane, Message.tell_by, Message.id).limit(limit).with_for_update(skip_locked=True))
    found = [Due(*row[:-1], tuple(row.avoid)) for row in session.execute(waiting)]
    if found:
        session.execute(sa.update(Message).where(among(session, Message.id, [one.id for one in found])).values(
            alarm_until=now + ALARM).execution_options(synchronize_session=False))
    return found


def rest(session: Session, ids: Sequence[UUID], until: datetime | None = None) -> None:
    """Nobody took these after all: they may be woken again, at once or from `until` on."""
    if not ids:
        return
    session.execute(sa.update(Message).where(among(session, Message.id, ids), Message.state == "created").values(
        alarm_until=until).execution_options(synchronize_session=False))


def claim(session: Session, vault: Vault, ids: Sequence[UUID], provider: str, now: datetime, lease: timedelta,
          lanes: Collection[int] = EVERY_LANE) -> list[Claim]:
    """Take those of `ids` that are still due and whose lane is awake, to be sent by `provider`.

    A suppressed number is only answered: what else is for it is left to `close_suppressed`. The attempts are written
    here, before the sends: commit before you speak.
    """
    columns = (Message.id, Message.fence, Message.parts, Message.to_sealed, Message.body_sealed)
    rows = session.execute(sa.select(*columns).where(
        among(session, Message.id, ids), Message.medium == "sms", Message.state == "created",
        Message.not_before <= now, Message.lane.in_(lanes), _may_be_texted()).with_for_update(skip_locked=True)).all()
    readable = {row.id: opened(vault, row.id, row.to_sealed, row.body_sealed) for row in rows}
    claims = [Claim(row.id, row.fence + 1, provider, now + lease, row.parts, *text)
              for row in rows if (text := readable[row.id])]
    _update(session, [key for key, text in readable.items() if text is None], not_before=now + PUT_ASIDE)
    held = [one.id for one in claims]
    _update(session, held, state="sending", fence=Message.fence + 1, changed_at=now, lease_until=now + lease)
    if held:
        session.execute(sa.insert(Attempt).from_select(
            ["message_id", "fence", "provider", "started_at"],
            sa.select(Message.id, Message.fence, sa.literal(provider), sa.literal(now, Attempt.started_at.type)).where(
                among(session, Message.id, held))))
    return claims


def close_suppressed(session: Session, ids: Sequence[UUID], now: datetime) -> list[Settlement]:
    """End those of `ids` whose number gets no texts by now, which `claim` has passed over: paper takes their place."""
    ended = session.execute(sa.update(Message).where(
        among(session, Message.id, ids), Message.medium == "sms", Message.state == "created", ~_may_be_texted())
        .values(state="failed", changed_at=now)
        .returning(Message.id, Message.household_id, Message.notice, Message.subject)
        .execution_options(synchronize_session=False)).all()
    return [Settlement(*row, "sms", "failed", now) for row in ended]


def settle(session: Session, results: Iterable[tuple[Claim, Result]], now: datetime,
           jitter: Jitter = random.random) -> list[Settlement]:
    """Write down how these sends ended. Returns what somebody must hear of. `jitter` draws from 0 to 1.

    What is certain counts even after the lease, as long as nobody has sent again. A receipt that has come in the
    meantime knows better than a send that did not hear its answer.
    """
    results = list(results)
    accepted: list[tuple[Claim, Accepted]] = []
    settlements = []
    _lock(session, [held.id for held, _ in results])
    for held, result in results:
        if isinstance(result, Accepted):
            accepted.append((held, result))
        else:
            settlements.append(told(_fail(session, held, result, now, jitter), now))
    _accept(session, accepted, now)
    keep_parts(session, ((held.id, held.fence, held.provider, names) for held, result in results
                         if (names := _names(result))))
    return [settlement for settlement in settlements if settlement]


def expire(session: Session, now: datetime) -> int:
    """A lease that ran out means a worker died in the middle: a text may have been sent, a letter was not laid."""
    stranded = session.scalars(sa.select(Message).where(
        Message.state == "sending", Message.lease_until < now).limit(1000).with_for_update(skip_locked=True)).all()
    for message in stranded:
        message.state, message.changed_at = "created" if message.medium == "letter" else "unknown", now
        message.run, message.alarm_until = None, None
    return len(stranded)


def again(session: Session, message_id: UUID, fence: int, starts: Iterable[str], now: datetime,
          wait: timedelta) -> Message | None:
    """Due once more after `wait`; or failed, for paper is surer."""
    refused, began = session.execute(sa.select(
        sa.func.count().filter(Attempt.outcome.in_(("refused", "unknown", "absent"))),
        sa.func.min(Attempt.started_at)).where(Attempt.message_id == message_id)).one()
    hopeless = refused >= SENDS_AT_MOST or began < now - SILENT_AFTER
    message = move(session, message_id, "failed" if hopeless else "created", now, only_from=starts, fence=fence)
    if message is not None and not hopeless:
        message.not_before, message.alarm_until = now + wait, None
    return message


def _accept(session: Session, accepted: Sequence[tuple[Claim, Accepted]], now: datetime) -> None:
    """A receipt that came before the provider's name for its message was written down finds it later by itself."""
    if not accepted:
        return
    update_each(session, Attempt, ("message_id", "fence"), [
        {"message_id": held.id, "fence": held.fence, "provider_id": result.provider_id, "parts": result.parts,
         "cost": result.cost[:24] or None} for held, result in accepted], outcome="accepted", ended_at=now)
    # Not `in_`: a statement for many rows at once takes no list, and all would be settled one by one.
    starts = sa.or_(*(Message.state == start for start in NEWS["sent"] if "sent" in TRANSITIONS[start]))
    update_each(session, Message, ("id", "fence"), [{"id": held.id, "fence": held.fence} for held, _ in accepted],
                starts, state="sent", changed_at=now)


def _fail(session: Session, held: Claim, error: SendError, now: datetime, jitter: Jitter) -> Message | None:
    outcome, state = _reading(error)
    session.execute(sa.update(Attempt).where(
        Attempt.message_id == held.id, Attempt.fence == held.fence, Attempt.provider_id.is_(None))
        .values(outcome=outcome, ended_at=now, code=error.code[:80]))
    if state != "created":
        starts = ("sending",) if state == "unknown" else ("sending", "unknown")
        message = move(session, held.id, state, now, fence=held.fence, only_from=starts)
        if message is not None:
            message.alarm_until = None
        return message
    message = again(session, held.id, held.fence, ("sending", "unknown"), now,
                    _wait(outcome, held.fence, error, jitter))
    if message is not None:
        message.avoid = [] if outcome == "throttled" else sorted({*message.avoid, held.provider})
    return message


def _names(result: Result) -> tuple[str, ...]:
    """What a provider calls the parts of a text, where it takes each by itself."""
    match result:
        case Accepted(more=(_, *_)):
            return result.provider_id, *result.more
        case Unknown():
            return result.accepted
        case _:
            return ()


def _reading(error: SendError) -> tuple[str, str]:
    """What a send that was not accepted means: the attempt's outcome, and the message's next state."""
    match error:
        case Rejected():
            return "rejected", "failed"
        case Unknown():
            return "unknown", "unknown"
        case Throttled():
            return "throttled", "created"
        case Misconfigured():
            return "misconfigured", "created"
        case _:
            # A provider's own code is a refusal; a word of ours, that nobody was reached.
            return "refused" if THEIRS.fullmatch(error.code) else "unavailable", "created"


def _wait(outcome: str, tries: int, error: SendError, jitter: Jitter) -> timedelta:
    """How long a text waits that has been claimed so often. Of a route that refused us, only until another is drawn."""
    if isinstance(error, Throttled):
        wish = min(timedelta(seconds=max(error.retry_after_s, 1)), MOST_PATIENCE)
        return wish * (1 + jitter())
    growth, longest = WAITS[outcome]
    return min(timedelta(seconds=growth ** min(tries - 1, 9)), longest) * jitter()


def _may_be_texted() -> sa.ColumnElement[bool]:
    """Whoever writes to us is answered, whatever was said of texts before."""
    return sa.or_(Message.lane == REPLY, ~is_suppressed(Message.to_blind))


def _lock(session: Session, ids: Sequence[UUID]) -> None:
    """Messages first and by their names, as receipts are settled: two who lock them otherwise wait for each other."""
    session.execute(sa.select(Message.id).where(among(session, Message.id, ids)).order_by(Message.id).with_for_update())


def _update(session: Session, ids: Sequence[UUID], **values: object) -> None:
    if ids:
        session.execute(sa.update(Message).where(among(session, Message.id, ids)).values(**values).execution_options(
            synchronize_session=False))
