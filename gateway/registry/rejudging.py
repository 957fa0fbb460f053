"""Rejudging: in a whole-registry run, who has crossed a programme's threshold is judged by it anew.

Those whom a programme judged alike before, and who crossed the same way, are judged alike now: one of them is judged,
and the rows of all are laid down at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import bulk
from gateway.registry.batch import Flags
from gateway.registry.bulk import Bytes, Ids, Same
from gateway.registry.chunk import PIECE, Chunk, Outcome, Places
from gateway.registry.clock import day_of
from gateway.registry.crossings import Limit
from gateway.registry.programme import Decision, Programme, Reason, decide, in_texts, judge
from gateway.registry.score import ProgrammeDecision
from gateway.registry.scoring import decision_row, differs


def rejudge(session: Session, chunk: Chunk, outcome: Outcome, changed: Flags, score_ids: Bytes,
            limits: Sequence[Limit], now: datetime) -> Rejudged:
    """Store the decisions that are other than before.

    Of the households with a `changed` index, those that may have crossed one of these limits.
    """
    done = Rejudged(0, np.zeros(len(chunk), np.bool_), [])
    for limit in limits:
        crossing = np.flatnonzero(changed & limit.moved(chunk.former, outcome.values))
        for start in range(0, len(crossing), PIECE):
            for before, decision, places in _judged(session, chunk, outcome, limit, crossing[start : start + PIECE],
                                                    now):
                ids = _store(session, chunk, score_ids, decision, places, now)
                done.decided[places] = True
                done.made += len(places)
                # The notice of the index names the side of the limits in texts; of any other it says nothing.
                if before and before.eligible != decision.eligible and decision.programme not in in_texts():
                    done.unnamed.append((ids, places))
    return done


@dataclass
class Rejudged:
    """How many decisions were `made`, on whom (`decided`), and those to be told by themselves: their ids and places."""

    made: int
    decided: Flags
    unnamed: list[tuple[Bytes, Places]]


@dataclass(frozen=True)
class _Former:
    """How a programme judged a household before. Whoever was judged alike is equal."""

    digest: str
    below: bool | None
    eligible: bool | None
    threshold: Decimal | None
    written: str

    @cached_property
    def reasons(self) -> list[dict[str, Any]]:
        """The first is that of the threshold, the others are the conditions."""
        reasons: list[dict[str, Any]] = json.loads(self.written)
        return reasons


def _judged(session: Session, chunk: Chunk, outcome: Outcome, limit: Limit, places: Places,
            now: datetime) -> Iterator[tuple[_Former | None, Decision, Places]]:
    """Each decision that is other than before, with that one, and whose it is."""
    homes = bulk.uuids(chunk.ids[places])
    former = _former(session, homes, limit.programme)
    alike = defaultdict[tuple[_Former | None, bool], list[int]](list)
    for place, home, below in zip(places.tolist(), homes, limit.below(outcome.values[places]).tolist(), strict=True):
        alike[former.get(home), below].append(place)
    for (before, _), group in alike.items():
        for decision, whose in _judge(session, chunk, outcome, limit.programme, before, np.array(group), now):
            if differs(before, decision):
                yield before, decision, whose


def _former(session: Session, homes: Sequence[UUID], programme: Programme) -> dict[UUID, _Former]:
    last = sa.select(
        ProgrammeDecision.household_id, ProgrammeDecision.programme_digest, ProgrammeDecision.below,
        ProgrammeDecision.eligible, ProgrammeDecision.threshold, sa.cast(ProgrammeDecision.reasons, sa.Text),
    ).where(ProgrammeDecision.household_id.in_(homes), ProgrammeDecision.programme == programme.key).order_by(
        ProgrammeDecision.id)
    return {home: _Former(digest, below, eligible, threshold, written)
            for home, digest, below, eligible, threshold, written in session.execute(last)}


def _judge(session: Session, chunk: Chunk, outcome: Outcome, programme: Programme, before: _Former | None,
           places: Places, now: datetime) -> Iterator[tuple[Decision, Places]]:
    """The facts are those of the decision before, and so are the conditions that are met, unless the programme is
    another by now or asks for ages: then each household's facts are opened.
    """
    ageless = not any("age" in condition.names for condition in programme.conditions)
    if before is not None and before.digest == programme.digest and ageless:
        conditions = [Reason(reason["code"], reason["met"]) for reason in before.reasons[1:]]
        yield judge(programme, _value(outcome, places[0]), conditions, day_of(now)), places
        return
    anew = defaultdict[Decision, list[int]](list)
    for place, (facts, _) in chunk.facts(session, places):
        anew[decide(programme, _value(outcome, place), facts, day_of(now))].append(place)
    yield from ((decision, np.array(group)) for decision, group in anew.items())


def _value(outcome: Outcome, place: int) -> Decimal:
    return bulk.decimal(int(outcome.values[place]))


def _store(session: Session, chunk: Chunk, score_ids: Bytes, decision: Decision, places: Places,
           now: datetime) -> Bytes:
    """Returns the ids of the decisions."""
    own = {"id": bulk.new_ids(len(places)), "household_id": chunk.ids[places], "score_id": score_ids[places],
           "snapshot_id": chunk.snapshots[places]}
    # What is not a household's own is written as it is one by one.
    nobody = UUID(int=0)
    row = decision_row(nobody, nobody, nobody, decision, now)
    bulk.store(session, bulk.table(ProgrammeDecision), len(places), {
        name: Ids(own[name]) if name in own else Same(value) for name, value in row.items()})
    return own["id"]
