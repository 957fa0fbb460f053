"""Chunk: some ten thousand households as columns: what they had, and what a formula makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.orm import Session

from gateway.registry import bulk, index, vector
from gateway.registry.batch import Batch, Flags, Scores, Whole, units
from gateway.registry.bulk import Bytes
from gateway.registry.crossings import Limit
from gateway.registry.formula import Formula
from gateway.registry.index import CannotCompute
from gateway.registry.registration import NOT_TAKING_PART, taking_part
from gateway.registry.score import CurrentScore, Measured, Snapshot

# Households whose facts are opened at a time.
PIECE = 1_000
# Each household whose index lies so near a threshold is computed one by one as well: 1E-7.
NEAR = 10**9
# No index is as large as this; such a one would not go into 64 bits.
TOO_LARGE = 900
FAR = -(2**63)
UNKNOWN = b"\xff" * vector.WIDTH

Places = NDArray[np.intp]
Opened = tuple[Mapping[str, Any], date]

FIELDS = np.dtype([("id", "V16"), ("snapshot", "V16"), ("score", "V16"), ("area", ">i2"), ("region", ">i2"),
                   ("counts", f"V{vector.WIDTH}"), ("value", ">i8")])
# Such records, made and joined by PostgreSQL. Told of one table only where to begin, it reads the other from its start.
QUERY = sql.SQL("""
    SELECT string_agg(record, ''::bytea ORDER BY id) FROM (
        SELECT c.id, uuid_send(c.id) || uuid_send(c.snapshot_id) || uuid_send(c.score_id)
            || int2send(m.area) || int2send(m.region)
            || CASE WHEN m.snapshot_id = c.snapshot_id THEN substr(m.counts || %(unknown)s, 1, %(width)s)
                    ELSE %(unknown)s END
            || int8send(CASE WHEN abs(c.value) < %(too_large)s THEN (c.value * 1e16)::int8 ELSE %(far)s END) AS record
        FROM current_score c JOIN measured m ON m.id = c.id
        WHERE c.id > %(after)s AND m.id > %(after)s AND NOT EXISTS (
            SELECT FROM registration r WHERE r.household_id = c.id AND r.state = ANY(%(out)s))
        ORDER BY c.id LIMIT %(rows)s) records""")


class Disagreement(Exception):
    """The batch and the one-by-one computation yield different indexes: one is wrong, and nothing may be stored."""


@dataclass(frozen=True)
class Chunk:
    """Households in the order of their ids: their snapshots, their scores, and the index that they have."""

    ids: Bytes
    snapshots: Bytes
    scores: Bytes
    area: NDArray[np.int16]
    region: NDArray[np.int16]
    counts: vector.Columns
    former: Whole

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def last(self) -> UUID:
        """Where the next one begins."""
        return UUID(bytes=self.ids[-1].tobytes())

    @classmethod
    def read(cls, session: Session, after: UUID | None, rows: int) -> Chunk:
        """The next `rows` households that have an index. Counts of another snapshot than the score's are unknown."""
        after = after or UUID(int=0)
        if session.get_bind().dialect.name == "postgresql":
            found = bulk.fetch(session, QUERY, {
                "unknown": UNKNOWN, "width": vector.WIDTH, "too_large": TOO_LARGE, "far": FAR, "after": after,
                "out": list(NOT_TAKING_PART), "rows": rows}, FIELDS)
        else:
            found = _one_by_one(session, after, rows)
        ids, snapshots, scores = (np.ascontiguousarray(found[name]).view(np.uint8).reshape(-1, 16)
                                  for name in ("id", "snapshot", "score"))
        return cls(ids, snapshots, scores, found["area"].astype(np.int16), found["region"].astype(np.int16),
                   vector.columns(found["counts"].tobytes()), found["value"].astype(np.int64))

    def facts(self, session: Session, places: Places) -> Iterator[tuple[int, Opened]]:
        """The facts of some households, and the day on which their ages are counted."""
        for start in range(0, len(places), PIECE):
            piece = places[start : start + PIECE]
            wanted = dict(zip(piece.tolist(), bulk.uuids(self.snapshots[piece]), strict=True))
            found = {
                row.id: (row.facts, row.taken_on)
                for row in session.execute(
                    sa.select(Snapshot.id, Snapshot.facts, Snapshot.taken_on).where(Snapshot.id.in_(wanted.values()))
                )
            }
            yield from ((place, found[snapshot_id]) for place, snapshot_id in wanted.items())


@dataclass(frozen=True)
class Outcome:
    """A chunk by another formula. Where `settled` is false `failed` says why, and the numbers mean nothing.

    `values` and `displayed` are those of `batch.Scores`.
    """

    values: Whole
    displayed: Whole
    settled: Flags
    failed: Mapping[int, str]
    _batched: Scores
    _exact: Mapping[int, bytes]

    def contributions(self, wanted: Flags) -> Iterator[tuple[Places, Bytes]]:
        """Of the wanted ones, packed as `index.pack` does: some places, and a row for each."""
        for places, amounts in self._batched.amounts.values():
            chosen = wanted[places] & self._batched.settled[places]
            yield places[chosen], np.ascontiguousarray(amounts[chosen], ">i8").view(np.uint8)
        for width in {len(packed) for packed in self._exact.values()}:
            same = [place for place, packed in self._exact.items() if len(packed) == width and wanted[place]]
            yield (np.array(same, np.intp),
                   np.frombuffer(b"".join(self._exact[place] for place in same), np.uint8).reshape(-1, width))


def rescore(session: Session, chunk: Chunk, formula: Formula, limits: Sequence[Limit], checked: float) -> Outcome:
    """The chunk's indexes by this formula: at once, and one by one where the batch cannot settle them.

    The share `checked`, drawn by lot, is computed in both ways, and so is who is near a limit. Raises `Disagreement`.
    """
    scores = Batch(formula).score(chunk.counts, chunk.area, chunk.region)
    _check(session, chunk, formula, scores, limits, checked)
    failed: dict[int, str] = {}
    exact: dict[int, bytes] = {}
    outcome = Outcome(scores.values, scores.displayed, scores.settled.copy(), failed, scores, exact)
    for place, (facts, on) in chunk.facts(session, np.flatnonzero(~scores.settled)):
        try:
            outcome.values[place], outcome.displayed[place], exact[place] = _exactly(formula, facts, on)
            outcome.settled[place] = True
        except CannotCompute as error:
            failed[place] = error.reason
    for place in np.flatnonzero(chunk.former == FAR).tolist():
        outcome.settled[place], failed[place] = False, "the former index is far too large"
    return outcome


def _check(session: Session, chunk: Chunk, formula: Formula, scores: Scores, limits: Sequence[Limit],
           checked: float) -> None:
    doubted = np.random.default_rng().random(len(chunk)) < checked
    for limit in limits:
        doubted |= limit.near(scores.values, NEAR)
    lines: dict[int, NDArray[np.int64]] = {}
    for places, amounts in scores.amounts.values():
        chosen = doubted[places] & scores.settled[places]
        lines.update(zip(places[chosen].tolist(), amounts[chosen].astype(">i8"), strict=True))
    for place, (facts, on) in chunk.facts(session, np.array(list(lines), np.intp)):
        batched = int(scores.values[place]), int(scores.displayed[place]), lines[place].tobytes()
        try:
            agreed = batched == _exactly(formula, facts, on)
        except CannotCompute:
            agreed = False
        if not agreed:
            raise Disagreement(f"{formula.id}: computed one by one, a household has another index: nothing was stored")


def _exactly(formula: Formula, facts: Mapping[str, Any], on: date) -> tuple[int, int, bytes]:
    """Value, displayed value and packed contributions, computed one by one."""
    found = index.score(formula, facts, on)
    packed = index.pack(found.contributions)
    if abs(found.value) >= TOO_LARGE:
        raise CannotCompute("the index is far too large")
    return units(found.value), int(formula.displayed(found.value).scaleb(formula.decimals)), packed


def _one_by_one(session: Session, after: UUID, rows: int) -> NDArray[Any]:
    """The same from ordinary rows."""
    found = session.execute(
        sa.select(CurrentScore.id, CurrentScore.snapshot_id, CurrentScore.score_id, Measured.area, Measured.region,
                  Measured.counts, Measured.snapshot_id.label("measured"), CurrentScore.value)
        .join(Measured, Measured.id == CurrentScore.id).where(CurrentScore.id > after, taking_part(CurrentScore.id))
        .order_by(CurrentScore.id).limit(rows))
    return np.array([
        (row.id.bytes, row.snapshot_id.bytes, row.score_id.bytes, row.area, row.region,
         vector.full_width(row.counts) if row.measured == row.snapshot_id else UNKNOWN,
         units(row.value) if abs(row.value) < TOO_LARGE else FAR) for row in found], FIELDS)
