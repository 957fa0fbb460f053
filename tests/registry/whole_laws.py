"""Laws: what must be true of a registry at any moment, whatever was done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox
from gateway.outbox import Message
from gateway.registry import complaint, evidence, index, registration, review, scoring, update
from gateway.registry.audit import PERSONAL, AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint
from gateway.registry.events import Event, NumberChanged
from gateway.registry.evidence import Correction
from gateway.registry.household import Contact, Household
from gateway.registry.index import CannotCompute, Formula
from gateway.registry.registration import OUT, UNSCORED, Registration
from gateway.registry.review import Review
from gateway.registry.score import CurrentScore, IndexScore, Notification, PendingEvent, Snapshot
from gateway.registry.steps import Transitions
from gateway.registry.update import DataUpdate
from gateway.tellings import OF_A_SCORE
from tests.registry.whole_house import PHONES

MOVING: tuple[tuple[Any, Transitions], ...] = (
    (Registration, registration.TRANSITIONS), (Review, review.TRANSITIONS), (Complaint, complaint.TRANSITIONS),
    (DataUpdate, update.TRANSITIONS), (Message, outbox.TRANSITIONS))
# Each of their moves is an act of somebody: it stands in the audit under the row's id.
AUDITED = (Review, Complaint, DataUpdate)
# What moves in one act without an audit of each step: received and verified, scored by a strike, claimed and sent.
AT_MOST = 2
DIGITS = tuple(phone[1:] for phone in PHONES)


# What is looked at after every act: of each row the columns that a law speaks of.
READ: dict[Any, tuple[Any, ...]] = {
    Registration: (Registration.id, Registration.household_id, Registration.state),
    Review: (Review.id, Review.state, Review.score_id, Review.asked_at, Review.outcome, Review.decided_by),
    Complaint: (Complaint.id, Complaint.state),
    DataUpdate: (DataUpdate.id, DataUpdate.household_id, DataUpdate.state),
    Message: (Message.id, Message.household_id, Message.notice, Message.subject, Message.medium, Message.state,
              Message.fence),
    CurrentScore: (CurrentScore.id, CurrentScore.score_id, CurrentScore.snapshot_id, CurrentScore.value),
    Snapshot: (Snapshot.id, Snapshot.household_id, Snapshot.taken_on, Snapshot.taken_at),
    Contact: (Contact.household_id, Contact.ended_by),
    Correction: (Correction.review_id, Correction.entered_by, Correction.in_force_at),
    Notification: (Notification.score_id, Notification.notified_on),
    PendingEvent: (PendingEvent.subject_id, PendingEvent.told_at),
}


class Laws:
    """Remembers what was, and compares."""

    def __init__(self) -> None:
        self.states: dict[UUID, str] = {}
        self.out: set[UUID] = set()
        self.scores: dict[UUID, IndexScore] = {}
        self.live: Counter[UUID] = Counter()
        self.entries = 0
        self.rows: dict[type, Sequence[Any]] = {}

    def check(self, session: Session, formula: Formula, told: Sequence[Event], *, declared: bool) -> None:
        """Everything, after one act. `told` are its events; with `declared` the household declared its telephones."""
        self.rows = {model: session.execute(sa.select(*columns)).all() for model, columns in READ.items()}
        texts, acts = self._audit(session)
        self._moves(acts)
        self._scores(session)
        self._indexes(session, formula)
        self._reviews()
        self._notices()
        self._telephones(told, declared=declared)
        self._says_nothing([*texts, *map(str, told)])

    def end(self, session: Session) -> None:
        """No score was changed or lost."""
        found = {row.id: _written(row) for row in session.scalars(sa.select(IndexScore))}
        assert found == {row.id: _written(row) for row in self.scores.values()}, "a score was changed or lost"

    def _audit(self, session: Session) -> tuple[list[str], Counter[str]]:
        """What the new entries say, and how many there are about each row."""
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id).offset(self.entries)).all()
        self.entries += len(entries)
        texts = [f"{entry.by} {entry.act} {entry.why} {entry.detail}" for entry in entries]
        assert not any(map(PERSONAL.search, texts)), "a number stands in the audit"
        return texts, Counter(entry.subject for entry in entries if entry.subject)

    def _moves(self, acts: Counter[str]) -> None:
        """Only along the tables, and each is somebody's act."""
        for model, table in MOVING:
            for row in self.rows[model]:
                assert row.state in table, f"{model.__tablename__}: {row.state} is no state"
                former = self.states.get(row.id, row.state)
                steps = acts[str(row.id)] if model in AUDITED else AT_MOST
                assert row.state in _reached(table, former, steps), f"{model.__tablename__}: {former} -> {row.state}"
                self.states[row.id] = row.state
        self.out |= {row.household_id for row in self.rows[Registration] if row.state in OUT}

    def _scores(self, session: Session) -> None:
        """Each comes out again, and the last that succeeded counts."""
        for new in session.scalars(sa.select(IndexScore).where(IndexScore.id.not_in(self.scores))):
            scoring.reproduce(session, new.id)
            self.scores[new.id] = new
        rows = sorted(self.scores.values(), key=lambda row: (row.household_id, row.computed_at, row.id))
        currents = {row.id: row for row in self.rows[CurrentScore]}
        failed = {row.snapshot_id for row in rows if row.value is None}
        snapshots = {row.household_id: row.id for row in sorted(
            self.rows[Snapshot], key=lambda row: (row.taken_at, row.id)) if row.id not in failed}
        for home, made in groupby((row for row in rows if row.value is not None), lambda row: row.household_id):
            chain, current = list(made), currents.pop(home)
            assert (current.score_id, current.value) == (chain[-1].id, chain[-1].value), "another score counts"
            assert current.snapshot_id == snapshots[home], "another snapshot counts"
            assert [row.predecessor_id for row in chain] == [None, *(row.id for row in chain[:-1])], "a broken chain"
        assert not currents, "a score counts that was never made"

    def _indexes(self, session: Session, formula: Formula) -> None:
        """Who is scored has the index that the evidence makes."""
        counts, taken = _by_id(self.rows[CurrentScore]), _by_id(self.rows[Snapshot])
        found = evidence.effective(session, session.scalars(sa.select(Household)).all())
        for row in self.rows[Registration]:
            home = row.household_id
            if row.state in (*UNSCORED, *OUT):
                assert home not in counts or home in self.out, f"{row.state}, and has an index"
                continue
            try:
                value = index.score(formula, found[home].facts, taken[counts[home].snapshot_id].taken_on).value
            except CannotCompute:
                continue
            assert value == counts[home].value, f"the index of one that is {row.state} is not that of its evidence"

    def _reviews(self) -> None:
        told = {row.score_id: row.notified_on for row in self.rows[Notification]}
        contested = Counter(row.score_id for row in self.rows[Review] if row.state != "withdrawn")
        assert _single(contested), "two reviews of one score"
        for row in self.rows[Review]:
            last = review.last_day(told.get(row.score_id, day_of(row.asked_at)))
            assert day_of(row.asked_at) <= last, "asked after the sixty days"
            assert (row.outcome is None) == (row.decided_by is None) == (row.state not in ("decided", "notified"))
            for proposed in self.rows[Correction]:
                if proposed.review_id == row.id:
                    assert proposed.entered_by.casefold() != (row.decided_by or "").casefold(), "decided by one alone"
                    assert (proposed.in_force_at is not None) == (row.outcome == "accepted"), "a correction counts"

    def _notices(self) -> None:
        """An index that counts is told, or being told; one that does not is not told any more."""
        assert _single(Counter((one.household_id, one.notice, one.subject, one.medium) for one in self.rows[Message]))
        known = {row.score_id for row in self.rows[Notification]}
        untold = {row.subject_id for row in self.rows[PendingEvent] if row.told_at is None}
        states = {row.household_id: row.state for row in self.rows[Registration]}
        for current in self.rows[CurrentScore]:
            mine = [one for one in self.rows[Message] if one.household_id == current.id and one.notice in OF_A_SCORE]
            # One that a worker has held once may be halfway to its telephone.
            waits = {one.subject for one in mine if (one.state, one.fence) == ("created", 0)}
            told = known | {UUID(one.subject) for one in mine if one.state not in ("cancelled", "failed")}
            assert current.score_id not in told or waits <= {str(current.score_id)}, "a former index waits to be told"
            if states[current.id] in OUT:
                assert not waits, "who left is still to be told an index"
            elif states[current.id] not in UNSCORED and current.score_id not in untold:
                assert told & self._alike(current), "an index is not told"

    def _alike(self, current: Any) -> set[UUID]:
        """The scores of the household that look as its present one: who was told one of them was told this one."""
        now = self.scores[current.score_id]
        return {row.id for row in self.scores.values() if (row.household_id, row.displayed) == (
            current.id, now.displayed)}

    def _telephones(self, told: Sequence[Event], *, declared: bool) -> None:
        """No number waits beside another, and the last one never goes without a word of it."""
        assert _single(Counter(row.household_id for row in self.rows[DataUpdate] if row.state == "waiting"))
        live = Counter(row.household_id for row in self.rows[Contact] if row.ended_by is None)
        heard = {event.household_id for event in told if isinstance(event, NumberChanged)}
        assert declared or self.live.keys() - live.keys() <= heard, "its last telephone is gone, and nobody is told"
        self.live = live

    def _says_nothing(self, texts: Iterable[str]) -> None:
        """No telephone, and no index."""
        values = {f"{value:f}" for row in self.scores.values() for value in (row.value, row.displayed)
                  if value is not None}
        for text in texts:
            assert not any(word in text for word in (*DIGITS, *values)), "a telephone or an index is told"


def _by_id(rows: Sequence[Any]) -> dict[UUID, Any]:
    return {row.id: row for row in rows}


def _single(counted: Counter[Any]) -> bool:
    return all(count == 1 for count in counted.values())


def _written(row: IndexScore) -> tuple[object, ...]:
    return (row.household_id, row.snapshot_id, row.formula, bytes(row.contributions), row.value, row.displayed,
            row.failure, row.predecessor_id, row.computed_at, row.cause)


def _reached(table: Transitions, start: str, steps: int) -> set[str]:
    """Where so many steps, or fewer, may lead."""
    reached = {start}
    for _ in range(steps):
        reached |= {end for stand in reached for end in table[stand]}
    return reached
