"""Recalculation: every household's index by another formula, in one run; and what that would do, before it is done.

A household whose index comes out the same to the last digit keeps its score. So a run that was cut off is simply run
again: what it has done already stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import Database, Exact
from gateway.registry import audit, bulk, score, scoring
from gateway.registry.batch import Flags, shown
from gateway.registry.bulk import Binary, Bytes, Ids, Numbers, Same
from gateway.registry.chunk import Chunk, Disagreement, Outcome, rescore
from gateway.registry.clock import day_of
from gateway.registry.crossings import Crossings, Limit, Tally
from gateway.registry.events import DecisionChanged, Event, IndexChanged
from gateway.registry.formula import Formula
from gateway.registry.programme import Programme
from gateway.registry.registration import taking_part
from gateway.registry.rejudging import rejudge
from gateway.registry.score import CAUSES, CurrentScore, IndexScore, PendingEvent, ProgrammeDecision
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

__all__ = ["CHECKED", "ROWS", "Disagreement", "Lot", "Rescored", "dry_run", "households", "run", "take_untold"]

# Households in one transaction. Meanwhile nobody else's index is computed: some seconds.
ROWS = 100_000
# Of ten thousand households one, drawn by lot, is computed one by one as well.
CHECKED = 1e-4
# The lock of PostgreSQL that a run holds from its beginning to its end.
RUNNING = 72_18
# The scores that come to count, on their way into `current_score`.
MOVED = sa.Table("moved", sa.MetaData(), sa.Column("id", sa.Uuid), sa.Column("score_id", sa.Uuid),
                 sa.Column("value", Exact), prefixes=["TEMPORARY"])


@dataclass(frozen=True)
class Rescored:
    """What a run has done: scores stored, decisions of programmes that changed, and events that wait to be told."""

    crossings: Crossings
    scores: int
    decisions: int
    events: int


@dataclass(frozen=True)
class Lot:
    """So many events were `taken`; these of them are still worth telling."""

    taken: int
    events: list[Event]


def households(database: Database) -> int:
    """How many take part in a run: those that have an index."""
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CurrentScore)
                              .where(taking_part(CurrentScore.id))) or 0


def dry_run(database: Database, formula: Formula, programmes: Sequence[Programme], *, on: date,
            progress: Callable[[int], None] = lambda _: None, rows: int = ROWS,
            checked: float = CHECKED) -> Crossings:
    """What a run would do, by the thresholds of the day `on`. Nothing is written.

    `progress` hears of every `rows` households that are done. Raises `Disagreement`.
    """
    limits = Limit.all_of(programmes, on)
    tally, chunk = Tally(limits), None
    while chunk is None or len(chunk):
        with database.read() as session:
            chunk = Chunk.read(session, chunk.last if chunk else None, rows)
            _count(tally, chunk, rescore(session, chunk, formula, limits, checked))
        progress(len(chunk))
    return tally.total()


def run(database: Database, vault: Vault, formula: Formula, programmes: Sequence[Programme], *, by: str, now: datetime,
        cause: str = "formula_change", progress: Callable[[int], None] = lambda _: None, rows: int = ROWS,
        checked: float = CHECKED) -> Rescored:
    """Give every household its index by this formula, and its decisions, and leave an event for each that changed.

    In transactions of `rows` households. Raises `NotAllowed` while another run is under way, `EditedFormula`, and
    `Disagreement`: the transaction that found it stores nothing, those before it stand.
    """
    if cause not in CAUSES:
        raise ValueError(f"no score has the cause {cause}")
    with _alone(database):
        with database.write() as session:
            scoring.remember(session, formula, now)
            audit.record(session, vault, "registry.rescoring", by=by, now=now, subject=formula.id, cause=cause)
        work, chunk = _Run(formula, programmes, now, cause, checked), None
        while chunk is None or len(chunk):
            with database.write() as session:
                score.hold(session, alone=True)
                chunk = Chunk.read(session, chunk.last if chunk else None, rows)
                work.rescore(session, chunk)
            progress(len(chunk))
        done = work.done()
        with database.write() as session:
            audit.record(session, vault, "registry.rescored", by=by, now=now, subject=formula.id, cause=cause,
                         households=done.crossings.households, scores=done.scores, decisions=done.decisions,
                         events=done.events, failed=sum(done.crossings.failed.values()))
    return done


def take_untold(session: Session, now: datetime, limit: int) -> Lot:
    """Take at most `limit` events that nobody has told yet; with the caller's transaction they are told.

    Of a score that does not count any more nothing is said. Two who take at once take different ones.
    """
    pending = session.scalars(sa.select(PendingEvent).where(PendingEvent.told_at.is_(None)).order_by(PendingEvent.id)
                              .limit(limit).with_for_update(skip_locked=True)).all()
    session.execute(sa.update(PendingEvent).where(PendingEvent.id.in_([event.id for event in pending]))
                    .values(told_at=now))
    subjects = [event.subject_id for event in pending]
    counting = session.scalars(
        sa.select(IndexScore).join(CurrentScore, sa.and_(CurrentScore.id == IndexScore.household_id,
                                                         CurrentScore.score_id == IndexScore.id))
        .where(IndexScore.id.in_(subjects), taking_part(CurrentScore.id)))
    decided = session.scalars(sa.select(ProgrammeDecision).where(ProgrammeDecision.id.in_(subjects)))
    return Lot(len(pending), [
        *(IndexChanged(found.household_id, found.id, found.predecessor_id, found.cause)
          for found in counting if found.predecessor_id),
        *(DecisionChanged(found.household_id, found.score_id, (found.id,)) for found in decided)])


class _Run:
    """What all transactions of one run have in common, and what they have done so far."""

    def __init__(self, formula: Formula, programmes: Sequence[Programme], now: datetime, cause: str,
                 checked: float) -> None:
        self._formula, self._now, self._cause, self._checked = formula, now, cause, checked
        self._limits = Limit.all_of(programmes, day_of(now))
        self._tally = Tally(self._limits)
        self._scores = self._decisions = self._events = 0

    def done(self) -> Rescored:
        return Rescored(self._tally.total(), self._scores, self._decisions, self._events)

    def rescore(self, session: Session, chunk: Chunk) -> None:
        """One transaction's work. The totals are those of what was handed to it, committed or not."""
        outcome = rescore(session, chunk, self._formula, self._limits, self._checked)
        changed = outcome.settled & (outcome.values != chunk.former)
        score_ids = np.zeros_like(chunk.ids)
        score_ids[changed] = bulk.new_ids(int(changed.sum()))
        self._store(session, chunk, outcome, changed, score_ids)
        _move(session, chunk, outcome, changed, score_ids)
        judged = rejudge(session, chunk, outcome, changed, score_ids, self._limits, self._now)
        told = changed & (judged.decided | (outcome.displayed != shown(chunk.former, self._formula.decimals)))
        _leave(session, IndexChanged, chunk.ids[told], score_ids[told])
        for ids, places in judged.unnamed:
            _leave(session, DecisionChanged, chunk.ids[places], ids)
        _count(self._tally, chunk, outcome)
        self._scores += int(changed.sum())
        self._decisions += judged.made
        self._events += int(told.sum()) + sum(len(places) for _, places in judged.unnamed)

    def _store(self, session: Session, chunk: Chunk, outcome: Outcome, changed: Flags, score_ids: Bytes) -> None:
        for places, packed in outcome.contributions(changed):
            bulk.store(session, bulk.table(IndexScore), len(places), {
                "id": Ids(score_ids[places]), "household_id": Ids(chunk.ids[places]),
                "snapshot_id": Ids(chunk.snapshots[places]), "formula": Same(self._formula.id),
                "contributions": Binary(packed), "value": Numbers(outcome.values[places]),
                "displayed": Numbers(outcome.displayed[places], self._formula.decimals), "failure": Same(None),
                "cause": Same(self._cause), "predecessor_id": Ids(chunk.scores[places]),
                "computed_at": Same(self._now)})


def _leave(session: Session, kind: type, homes: Bytes, subjects: Bytes) -> None:
    """Leave so many events to be told."""
    bulk.store(session, bulk.table(PendingEvent), len(homes), {
        "id": Ids(bulk.new_ids(len(homes))), "kind": Same(kind.__name__), "household_id": Ids(homes),
        "subject_id": Ids(subjects), "told_at": Same(None)})


def _move(session: Session, chunk: Chunk, outcome: Outcome, changed: Flags, score_ids: Bytes) -> None:
    """The new scores count from now on."""
    if not changed.any():
        return
    MOVED.create(session.connection())
    bulk.store(session, MOVED, int(changed.sum()), {
        "id": Ids(chunk.ids[changed]), "score_id": Ids(score_ids[changed]), "value": Numbers(outcome.values[changed])})
    first, *_, last = bulk.uuids(chunk.ids[[0, -1]])
    # Between the two PostgreSQL reads a part of the table, and not all five million for each part.
    session.execute(sa.update(CurrentScore).where(CurrentScore.id == MOVED.c.id, CurrentScore.id.between(first, last))
                    .values(score_id=MOVED.c.score_id, value=MOVED.c.value).execution_options(
                        synchronize_session=False))
    MOVED.drop(session.connection())


def _count(tally: Tally, chunk: Chunk, outcome: Outcome) -> None:
    settled = outcome.settled
    tally.add(chunk.former[settled], outcome.values[settled], chunk.area[settled], chunk.region[settled])
    for reason in outcome.failed.values():
        tally.fail(reason)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One run at a time. Raises `NotAllowed`. On SQLite two do no harm: the second finds what the first has done."""
    if database.engine.dialect.name != "postgresql":
        yield
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(RUNNING))):
            raise NotAllowed("The whole registry is being rescored already. Wait until that run has ended.")
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(RUNNING)))
