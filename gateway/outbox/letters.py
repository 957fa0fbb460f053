"""Letters of the outbox: taken into a printing run, printed, posted, brought back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.outbox.message import PUT_ASIDE, Message, Settlement, move, opened, told
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault


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
        readable = opened(vault, message.id, message.to_sealed, message.body_sealed)
        if readable is None:
            message.not_before = now + PUT_ASIDE
        elif message.household_id and message.reference not in papers:
            message.state, message.fence, message.changed_at = "sending", message.fence + 1, now
            message.lease_until, message.run = now + lease, run
            papers[message.reference] = Paper(message.id, message.household_id, message.token, message.notice,
                                              message.reference, message.locale, *readable)
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
    moved = [move(session, row, "delivered", now, only_from=("sent",)) for row in rows]
    return [settled for settled in (told(message, now) for message in moved) if settled]


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
    return move(session, found[0].id, "returned", now, only_from=("delivered",)) if found else None


def told_a_stranger(session: Session, message_id: UUID, now: datetime) -> None:
    """This text was delivered, to somebody else: like a letter that came back, it told the household nothing."""
    move(session, message_id, "returned", now, only_from=("delivered",))
