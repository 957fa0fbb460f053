"""Laws: what must be true of a registry at any moment, whatever was done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
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
from gateway.registry.events import Event
from gateway.registry.evidence import Correction
from gateway.registry.household import Contact, Household
from gateway.registry.index import CannotCompute, Formula
from gateway.registry.registration import OUT, UNSCORED, Registration
from gateway.registry.review import Review
from gateway.registry.score import CurrentScore, IndexScore, Notification, PendingEvent, Snapshot
from gateway.registry.steps import Transitions
from gateway.registry.update import DataUpdate
from gateway.tellings import OF_A_SCORE
from tests.registry.whole_acts import PHONES

MOVING: tuple[tuple[Any, Mapping[str, frozenset[str]]], ...] = (
    (Registration, registration.TRANSITIONS), (Review, review.TRANSITIONS), (Complaint, complaint.TRANSITIONS),
    (DataUpdate, update.TRANSITIONS), (Message, outbox.TRANSITIONS))
# Each of their moves is an act of somebody: it stands in the audit under the row's id.
AUDITED = (Review, Complaint, DataUpdate)
# What moves in one act without an audit of each step: received and verified, scored by a strike, claimed and sent.
AT_MOST = 2
DIGITS = tuple(phone[1:] for phone in PHONES)


class Laws:
    """Remembers what was, and compares."""

    def __init__(self) -> None:
        self.states: dict[UUID, str] = {}
        self.scores: dict[UUID, tuple[object, ...]] = {}
        self.out: set[UUID | None] = set()
        self.live: dict[UUID, int] = {}
        self.read = 0

    def check(self, session: Session, formula: Formula, told: Sequence[Event], *, declared: bool) -> None:
        """Everything, after one act. `told` are its events; with `declared` the household declared its telephones."""
        texts, acts = self._audit(session)
        self._moves(session, acts)
        self._scores(session)
        self._indexes(session, formula)
        self._reviews(session)
        self._notices(session)
        self._telephones(session, told, declared=declared)
        self._says_nothing([*texts, *map(str, told)])

    def _audit(self, session: Session) -> tuple[list[str], Counter[str]]:
        """What the new entries say, and how many there are about each row."""
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id).offset(self.read)).all()
        self.read += len(entries)
        texts = [f"{entry.by} {entry.act} {entry.why} {entry.detail}" for entry in entries]
        assert not any(map(PERSONAL.search, texts)), "a number stands in the audit"
        return texts, Counter(entry.subject for entry in entries if entry.subject)

    def _says_nothing(self, texts: Iterable[str]) -> None:
        """No telephone, and no index."""
        values = {f"{value:f}" for written in self.scores.values() for value in written if isinstance(value, Decimal)}
        for text in texts:
            assert not any(word in text for word in (*DIGITS, *values)), "a telephone or an index is told"

    def _moves(self, session: Session, acts: Counter[str]) -> None:
        for model, table in MOVING:
            for row_id, state in session.execute(sa.select(model.id, model.state)):
                assert state in table, f"{model.__tablename__}: {state} is no state"
                former = self.states.get(row_id)
                if former not in (None, state):
                    steps = acts[str(row_id)] if model in AUDITED else AT_MOST
                    assert steps, f"{model.__tablename__}: {former} -> {state} is not in the audit"
                    assert state in _reached(table, former, steps), f"{model.__tablename__}: {former} -> {state}"
                self.states[row_id] = state
        self.out |= set(session.scalars(sa.select(Registration.household_id).where(Registration.state.in_(OUT))))

    def _scores(self, session: Session) -> None:
        """None is changed or lost, each comes out again, and the last that succeeded counts."""
        rows = session.scalars(sa.select(IndexScore).order_by(IndexScore.household_id, IndexScore.computed_at,
                                                              IndexScore.id)).all()
        found = {row.id: _written(row) for row in rows}
        assert {key: found.get(key) for key in self.scores} == self.scores, "a score was changed or lost"
        for score_id in found.keys() - self.scores.keys():
            scoring.reproduce(session, score_id)
        self.scores = found
        currents = {row.id: row for row in session.scalars(sa.select(CurrentScore))}
        failed = {row.snapshot_id for row in rows if row.value is None}
        snapshots = {row.household_id: row.id for row in session.scalars(
            sa.select(Snapshot).order_by(Snapshot.taken_at, Snapshot.id)) if row.id not in failed}
        for home, made in groupby((row for row in rows if row.value is not None), lambda row: row.household_id):
            chain, current = list(made), currents.pop(home)
            assert (current.score_id, current.value) == (chain[-1].id, chain[-1].value), "another score counts"
            assert current.snapshot_id == snapshots[home], "another snapshot counts"
            assert [row.predecessor_id for row in chain] == [None, *(row.id for row in chain[:-1])], "a broken chain"
        assert not currents, "a score counts that was never made"

    def _indexes(self, session: Session, formula: Formula) -> None:
        """Who is scored has the index that the evidence makes."""
        counts = {row.id: row for row in session.scalars(sa.select(CurrentScore))}
        taken = {row.id: row for row in session.scalars(sa.select(Snapshot))}
        homes = session.execute(sa.select(Household, Registration).join(
            Registration, Registration.household_id == Household.id)).all()
        found = evidence.effective(session, [home for home, _ in homes])
        for home, row in homes:
            if row.state in (*UNSCORED, *OUT):
                assert home.id not in counts or home.id in self.out, f"{row.state}, and has an index"
                continue
            current = counts[home.id]
            try:
                value = index.score(formula, found[home.id].facts, taken[current.snapshot_id].taken_on).value
            except CannotCompute:
                continue
            assert value == current.value, f"the index of one that is {row.state} is not that of its evidence"

    def _reviews(self, session: Session) -> None:
        told = {row.score_id: row.notified_on for row in session.scalars(sa.select(Notification))}
        entered: dict[UUID | None, list[Correction]] = {}
        for correction in session.scalars(sa.select(Correction)):
            entered.setdefault(correction.review_id, []).append(correction)
        contested = Counter[UUID]()
        for row in session.scalars(sa.select(Review)):
            contested[row.score_id] += row.state != "withdrawn"
            if row.score_id in told:
                assert day_of(row.asked_at) <= review.last_day(told[row.score_id]), "asked after the sixty days"
            proposed = entered.get(row.id, [])
            assert (row.outcome is None) == (row.state not in ("decided", "notified"))
            assert not row.decided_by or row.decided_by.casefold() not in {
                one.entered_by.casefold() for one in proposed}, "decided by who proposed"
            for one in proposed:
                assert (one.in_force_at is not None) == (row.outcome == "accepted"), "a correction that must not count"
        assert all(count <= 1 for count in contested.values()), "two reviews of one score"

    def _notices(self, session: Session) -> None:
        """A score that counts is told, or being told; one that does not is not told any more."""
        messages = session.scalars(sa.select(Message)).all()
        once = Counter((one.household_id, one.notice, one.subject, one.medium) for one in messages)
        assert all(count == 1 for count in once.values()), "told twice"
        told = {row.score_id for row in session.scalars(sa.select(Notification))}
        untold = set(session.scalars(sa.select(PendingEvent.subject_id).where(PendingEvent.told_at.is_(None))))
        counts = {row.id: row.score_id for row in session.scalars(sa.select(CurrentScore))}
        states = {row.household_id: row.state for row in session.scalars(sa.select(Registration))}
        for home, score_id in counts.items():
            mine = [one for one in messages if one.household_id == home and one.notice in OF_A_SCORE]
            self._is_told(states[home], mine, score_id, known=score_id in told, untold=score_id in untold)

    def _is_told(self, state: str, mine: Sequence[Message], score_id: UUID, *, known: bool, untold: bool) -> None:
        now = [one for one in mine if one.subject == str(score_id)]
        waits = [one for one in mine if one.state == "created"]
        if now:
            assert all(one.subject == str(score_id) for one in waits), "a former index is still to be told"
        if state in OUT:
            assert not waits, "who left is still to be told an index"
        elif state not in UNSCORED and not untold and not self.quiet(score_id):
            assert known or any(one.state not in ("cancelled", "failed") for one in now), "an index is not told"

    def quiet(self, score_id: UUID) -> bool:
        """A run makes no event of an index that is shown as before."""
        return self.scores[score_id][-1] == "formula_change"

    def _telephones(self, session: Session, told: Sequence[Event], *, declared: bool) -> None:
        """None waits beside another, and the last one never goes without a word of it."""
        waiting = Counter(session.scalars(sa.select(DataUpdate.household_id).where(DataUpdate.state == "waiting")))
        assert all(count == 1 for count in waiting.values()), "two numbers wait"
        live = Counter(session.scalars(sa.select(Contact.household_id).where(Contact.ended_by.is_(None))))
        lost = {home for home, count in self.live.items() if count and not live[home]}
        heard = {event.household_id for event in told if type(event).__name__ == "NumberChanged"}
        assert declared or lost <= heard, "the telephones of a household are gone, and nobody is told"
        self.live = dict(live)


def _written(row: IndexScore) -> tuple[object, ...]:
    return (row.household_id, row.snapshot_id, row.formula, bytes(row.contributions), row.value, row.displayed,
            row.failure, row.predecessor_id, row.computed_at, row.cause)


def _reached(table: Transitions | Mapping[str, frozenset[str]], start: str | None, steps: int) -> set[str]:
    """Where so many steps, or fewer, may lead."""
    reached = {start} if start else set()
    for _ in range(steps):
        reached |= {end for stand in reached for end in table[stand]}
    return reached
