"""Making: a campaign's messages, all held, in one pass over its telephones; cut off, it is simply done once more."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox
from gateway.campaign import audience as audiences
from gateway.campaign.audience import Audience, Recipient
from gateway.campaign.row import Campaign
from gateway.db import Database
from gateway.outbox import ANNOUNCEMENT, Draft, Message
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

# Messages in one transaction.
LOT = 10_000
# While the database writes one lot the next is sealed. SQLite has one writer at a time.
HANDS = {"postgresql": 2}
# A campaign is no use long after its window, but nothing of it is lost when it runs late.
USEFUL_FOR = timedelta(days=1)


def make(database: Database, vault: Vault, campaign_id: UUID, policy: str, now: datetime,
         heard: Callable[[int], None] = lambda _: None, lot: int = LOT) -> int:
    """Write a held message for each telephone that has none of this campaign. Returns how many are new.

    `heard` is told how many more telephones are done. Raises `NotAllowed` once the campaign is approved no more.
    """
    hands = HANDS.get(database.engine.dialect.name, 1)
    waiting: deque[tuple[int, Future[int]]] = deque()
    made = 0
    with database.read() as session:
        row = session.get_one(Campaign, campaign_id)
        everybody = audiences.recipients(session, vault, Audience.parse(row.audience))
        with _uncollected(), closing(everybody), ThreadPoolExecutor(hands) as pool:
            drafts = _drafts(row, policy, everybody)
            while some := list(islice(drafts, lot)):
                waiting.append((len(some), pool.submit(_write, database, vault, campaign_id, some, now)))
                if len(waiting) > hands:
                    made += _done(waiting, heard)
            while waiting:
                made += _done(waiting, heard)
    return made


def made(session: Session, campaign_id: UUID) -> tuple[int, UUID | None, UUID | None]:
    """How many messages of a campaign are held, and the first and the last of them."""
    held = [Message.campaign_id == campaign_id, Message.state == sa.literal_column("'held'")]
    ids = sa.select(Message.id).where(*held).limit(1)
    return (session.scalar(sa.select(sa.func.count()).where(*held)) or 0,
            session.scalar(ids.order_by(Message.id)), session.scalar(ids.order_by(Message.id.desc())))


def _done(waiting: deque[tuple[int, Future[int]]], heard: Callable[[int], None]) -> int:
    number, future = waiting.popleft()
    new = future.result()
    gc.collect(0)
    heard(number)
    return new


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python looks for circles after every few hundred new objects, and here there are none: a quarter of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _drafts(row: Campaign, policy: str, everybody: Iterable[Recipient]) -> Iterator[Draft]:
    notice, subject, until, wordings = row.notice, str(row.id), row.ends_at + USEFUL_FOR, row.wordings
    for home, locale, network, msisdn, once in everybody:
        wording = wordings[locale]
        yield Draft(home, notice, subject, "sms", locale, wording.reference, msisdn, wording.body, policy, ANNOUNCEMENT,
                    until, network, once)


def _write(database: Database, vault: Vault, campaign_id: UUID, drafts: list[Draft], now: datetime) -> int:
    """One lot. Who calls the campaign off waits for it, and finds all that was made."""
    with database.write() as session:
        state = session.scalar(sa.select(Campaign.state).where(Campaign.id == campaign_id)
                               .with_for_update(read=True))
        if state != "approved":
            raise NotAllowed(f"The campaign is {state}: no more messages of it are made.")
        return outbox.post_all(session, vault, drafts, now, campaign_id)
