"""Scoring: households get the index that their evidence makes, and each programme's decision on it.

The one path by which an index comes to be, whatever moved it: a registration, a partner, an update, a review. What
does not change the index leaves its score, and the clock of its review, as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import Base, insert, insert_new, new_id
from gateway.registry import evidence, index, registration, score, vector
from gateway.registry.clock import day_of
from gateway.registry.events import DecisionChanged, Event, IndexAssigned, IndexChanged
from gateway.registry.evidence import Evidence
from gateway.registry.household import Household
from gateway.registry.index import CannotCompute, Contribution, Formula
from gateway.registry.programme import Decision, Programme, decide_all, in_texts
from gateway.registry.score import (
    CurrentScore,
    FormulaVersion,
    IndexScore,
    Measured,
    ProgrammeDecision,
    Snapshot,
)

AREAS = ("urban", "rural")
PAGE = 500


class EditedFormula(Exception):
    """The file of a formula that was computed with has been changed since. A new formula is a new file."""


@dataclass
class Scored:
    """What must be told, and how many households have no index because theirs cannot be computed."""

    events: list[Event]
    failed: int


class NotReproduced(Exception):
    """A score that its own snapshot and formula do not yield: something was changed that must never change."""


@dataclass(frozen=True)
class Scorer:
    """Scores with one formula and one set of programmes, in the caller's transaction."""

    formula: Formula
    programmes: tuple[Programme, ...]

    def score(self, session: Session, homes: Sequence[Household], cause: str, now: datetime,
              on: date | None = None) -> Scored:
        """Score these households again. `on` is the day on which ages are counted; without it, see `_day`.

        A yearly verification makes a new score even where nothing moved. Who was struck off or has withdrawn is
        passed over.
        """
        score.hold(session)
        remember(session, self.formula, now)
        ids = [home.id for home in homes]
        # As they are once they are held: what was read before may have been declared anew meanwhile.
        held = {home.id: home for home in session.scalars(
            sa.select(Household).where(Household.id.in_(ids)).order_by(Household.id).with_for_update(key_share=True)
            .execution_options(populate_existing=True))}
        out = registration.standing_out(session, ids)
        standing = {one: held[one] for one in ids if one not in out}
        before = _Before.of(session, ids)
        batch = _Batch(now)
        for home_id, found in evidence.effective(session, list(standing.values())).items():
            home = standing[home_id]
            day = on or _day(home, found, cause, before.taken_on(home_id))
            self._score(batch, home, found, day, cause, before)
        return Scored(batch.write(session), sum(row["value"] is None for row in batch.scores))

    def judge(self, session: Session, household_ids: Sequence[UUID], now: datetime) -> list[Event]:
        """Judge these households again by the limits and conditions of today, at the index that counts for each."""
        score.hold(session)
        session.execute(sa.select(Household.id).where(Household.id.in_(household_ids)).order_by(Household.id)
                        .with_for_update(key_share=True))
        before, batch = _Before.of(session, household_ids), _Batch(now)
        for home_id, taken in before.taken.items():
            counting = before.scores[home_id]
            if counting.value is None:
                continue
            decided = decide_all(self.programmes, counting.value, taken.facts, day_of(now))
            rows = batch.judged(home_id, counting.id, taken.id, [
                decision for decision in decided if before.differs(home_id, decision)])
            batch.tell(home_id, counting.id, [row for row in rows if before.judges_otherwise(row)])
        return batch.write(session)

    def _score(self, batch: _Batch, home: Household, found: Evidence, on: date, cause: str, before: _Before) -> None:
        previous = before.scores.get(home.id)
        try:
            result = index.score(self.formula, found.facts, on)
        except CannotCompute as error:
            batch.failed(home.id, found, on, cause, previous, self.formula, str(error))
            return
        decided = decide_all(self.programmes, result.value, found.facts, day_of(batch.now))
        moved = [decision for decision in decided if before.differs(home.id, decision)]
        if previous is not None and previous.value == result.value and cause != "yearly_verification":
            self._stands(batch, home.id, previous, found, on, moved, before)
            return
        snapshot_id = batch.measured_anew(home.id, found, on)
        score_id = batch.succeeded(home.id, snapshot_id, cause, previous, self.formula, result)
        rows = batch.judged(home.id, score_id, snapshot_id, moved)
        if previous is None:
            batch.events.append(IndexAssigned(home.id, score_id))
            return
        batch.events.append(IndexChanged(home.id, score_id, previous.id, cause))
        batch.tell(home.id, score_id, [row for row in rows if before.judges_otherwise(row, moved_index=True)])

    def _stands(self, batch: _Batch, household_id: UUID, previous: IndexScore, found: Evidence, on: date,
                moved: Sequence[Decision], before: _Before) -> None:
        """The index is what it was: its score and the clock of its review stand, whatever it is made of by now."""
        if not moved and before.taken[household_id].facts == found.facts:
            return
        snapshot_id = batch.measured_anew(household_id, found, on)
        batch.current(household_id, previous.id, snapshot_id, previous.value)
        rows = batch.judged(household_id, previous.id, snapshot_id, moved)
        batch.tell(household_id, previous.id, [row for row in rows if before.judges_otherwise(row)])


def _day(home: Household, found: Evidence, cause: str, former: date | None) -> date:
    """The day on which ages are counted: that of the former snapshot, or at first the day of registration.

    What is declared anew counts on the day of its declaration, and so does a child born since: nobody is counted
    on a day before birth.
    """
    day = former or home.registered_on
    youngest = max((date.fromisoformat(member["birth_date"]) for member in found.facts["members"]), default=day)
    return max(day, home.declared_on, youngest) if cause == "data_update" or youngest > day else day


def remember(session: Session, formula: Formula, now: datetime) -> None:
    """Keep a formula's content from its first use on. Raises `EditedFormula` when another one bore its name."""
    insert_new(session, FormulaVersion, [{"id": formula.id, "digest": formula.digest, "content": formula.content,
                                          "first_used_at": now}])
    kept = session.scalar(sa.select(FormulaVersion.digest).where(FormulaVersion.id == formula.id))
    if kept != formula.digest:
        raise EditedFormula(f"formula {formula.id}: its file has been edited since it was first used; "
                            "undo that, and put the new coefficients into a file of another name")


def reproduce(session: Session, score_id: UUID) -> Decimal | None:
    """Compute a score once more from its snapshot and from the formula as it was. Raises `NotReproduced`.

    None when the score was a failure, and fails again.
    """
    found = session.get(IndexScore, score_id)
    kept = session.get(FormulaVersion, found.formula) if found else None
    taken = session.get(Snapshot, found.snapshot_id) if found else None
    if found is None or kept is None or taken is None:
        raise NotReproduced("there is no such score, or its formula or its snapshot is gone")
    formula = Formula.parse(kept.content)
    if formula.digest != kept.digest:
        raise NotReproduced("the formula that was kept is not the one that was used")
    try:
        result = index.score(formula, taken.facts, taken.taken_on)
    except CannotCompute:
        result = None
    if (result.value if result else None) != found.value:
        raise NotReproduced("the snapshot and the formula yield another index")
    if result and (index.pack(result.contributions) != found.contributions
                   or formula.displayed(result.value) != found.displayed):
        raise NotReproduced("the snapshot and the formula yield other contributions")
    return found.value


def reproduce_each(session: Session, score_ids: Iterable[UUID]) -> Iterator[tuple[UUID, NotReproduced | None]]:
    """As `reproduce`, for many, fetched a page at a time: each score, and why it is not reproduced if it is not."""
    left = iter(score_ids)
    while page := list(islice(left, PAGE)):
        made = session.scalars(sa.select(IndexScore).where(IndexScore.id.in_(page))).all()
        # A session forgets what nobody holds: these are looked up by `reproduce`.
        held = (made, session.scalars(sa.select(FormulaVersion)).all(), session.scalars(
            sa.select(Snapshot).where(Snapshot.id.in_([one.snapshot_id for one in made]))).all())
        for score_id in page:
            try:
                reproduce(session, score_id)
                yield score_id, None
            except NotReproduced as error:
                yield score_id, error
        del held
        session.expunge_all()


@dataclass(frozen=True)
class _Before:
    """What counted for some households before."""

    scores: dict[UUID, IndexScore]
    taken: dict[UUID, Snapshot]
    decisions: dict[UUID, dict[str, ProgrammeDecision]]

    @classmethod
    def of(cls, session: Session, ids: Iterable[UUID]) -> _Before:
        scores = score.currents(session, ids)
        taken = {found.household_id: found for found in session.scalars(sa.select(Snapshot).join(
            CurrentScore, CurrentScore.snapshot_id == Snapshot.id).where(CurrentScore.id.in_(list(scores))))}
        judged = score.decisions(session, list(scores))
        return cls(scores, taken, {home: {row.programme: row for row in rows} for home, rows in judged.items()})

    def taken_on(self, household_id: UUID) -> date | None:
        return self.taken[household_id].taken_on if household_id in self.taken else None

    def differs(self, household_id: UUID, decision: Decision) -> bool:
        return differs(self.decisions.get(household_id, {}).get(decision.programme), decision)

    def judges_otherwise(self, row: Mapping[str, Any], *, moved_index: bool = False) -> bool:
        """Whether the household has to hear of it. Where the index moved, its notice tells the side of the limits that
        it names."""
        former = self.decisions.get(row["household_id"], {}).get(row["programme"])
        if former is None or former.eligible == row["eligible"]:
            return False
        return not moved_index or former.below == row["below"] or row["programme"] not in in_texts()


def differs(former: Any, decision: Decision) -> bool:
    """Whether the judgement or its limit is another than before."""
    return former is None or (former.below, former.eligible, former.threshold, former.reasons) != (
        decision.below, decision.eligible, decision.threshold, decision.as_codes())


class _Batch:
    """Rows to be written together, and what must be told of them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.snapshots: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.currents: list[dict[str, Any]] = []
        self.measured: list[dict[str, Any]] = []
        self.events: list[Event] = []

    def failed(self, household_id: UUID, found: Evidence, on: date, cause: str, previous: IndexScore | None,
               formula: Formula, why: str) -> None:
        """The former score, if any, goes on counting."""
        self._score(household_id, self._snapshot(household_id, found, on), cause, previous, formula,
                    contributions=b"", value=None, displayed=None, failure=why[:200])

    def measured_anew(self, household_id: UUID, found: Evidence, on: date) -> UUID:
        """A snapshot that counts from now on. Returns its id."""
        snapshot_id = self._snapshot(household_id, found, on)
        self.measured.append({"id": household_id, "snapshot_id": snapshot_id,
                              "area": AREAS.index(found.facts["area"]), "region": found.facts["region"],
                              "counts": vector.pack(found.facts, on)})
        return snapshot_id

    def succeeded(self, household_id: UUID, snapshot_id: UUID, cause: str, previous: IndexScore | None,
                  formula: Formula, result: index.Index) -> UUID:
        """Returns the score's id."""
        score_id = self._score(household_id, snapshot_id, cause, previous, formula, value=result.value,
                               contributions=index.pack(result.contributions),
                               displayed=formula.displayed(result.value), failure=None)
        self.current(household_id, score_id, snapshot_id, result.value)
        return score_id

    def current(self, household_id: UUID, score_id: UUID, snapshot_id: UUID, value: Decimal | None) -> None:
        """From now on this score counts, and this snapshot."""
        self.currents.append({"id": household_id, "score_id": score_id, "snapshot_id": snapshot_id, "value": value})

    def judged(self, household_id: UUID, score_id: UUID, snapshot_id: UUID, decided: Sequence[Decision]
               ) -> list[dict[str, Any]]:
        """Returns the rows of these decisions."""
        rows = [decision_row(household_id, score_id, snapshot_id, decision, self.now) for decision in decided]
        self.decisions += rows
        return rows

    def tell(self, household_id: UUID, score_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self.events.append(DecisionChanged(household_id, score_id, tuple(row["id"] for row in rows)))

    def write(self, session: Session) -> list[Event]:
        for moving in (CurrentScore, Measured):
            session.execute(sa.delete(moving).where(moving.__table__.c.id.in_([row["id"] for row in self.currents])))
        tables: Sequence[tuple[type[Base], list[dict[str, Any]]]] = (
            (Snapshot, self.snapshots), (IndexScore, self.scores), (ProgrammeDecision, self.decisions),
            (CurrentScore, self.currents), (Measured, self.measured))
        for model, rows in tables:
            insert(session, model, rows)
        return self.events

    def _snapshot(self, household_id: UUID, found: Evidence, on: date) -> UUID:
        snapshot_id = new_id()
        self.snapshots.append({"id": snapshot_id, "household_id": household_id, "taken_on": on, "facts": found.facts,
                               "sources": found.sources, "taken_at": self.now})
        return snapshot_id

    def _score(self, household_id: UUID, snapshot_id: UUID, cause: str, previous: IndexScore | None,
               formula: Formula, **outcome: Any) -> UUID:
        score_id = new_id()
        self.scores.append({"id": score_id, "household_id": household_id, "snapshot_id": snapshot_id,
                            "formula": formula.id, "cause": cause, "computed_at": self.now,
                            "predecessor_id": previous.id if previous else None, **outcome})
        return score_id


def decision_row(household_id: UUID, score_id: UUID, snapshot_id: UUID, decision: Decision, now: datetime
                 ) -> dict[str, Any]:
    """A decision as a row of `programme_decision`."""
    return {"id": new_id(), "household_id": household_id, "score_id": score_id, "snapshot_id": snapshot_id,
            "programme": decision.programme,
            "programme_digest": decision.digest, "threshold": decision.threshold,
            "threshold_since": decision.since, "comparator": decision.comparator, "below": decision.below,
            "eligible": decision.eligible, "reasons": decision.as_codes(), "decided_on": day_of(now),
            "decided_at": now}


def contributions(session: Session, found: IndexScore) -> tuple[Contribution, ...]:
    """What a score is the sum of, as it was stored."""
    kept, taken = session.get_one(FormulaVersion, found.formula), session.get_one(Snapshot, found.snapshot_id)
    return index.unpack(Formula.parse(kept.content), taken.facts, taken.taken_on, found.contributions)
