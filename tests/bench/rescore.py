"""Rescore: the whole registry by another formula: in memory from columns, and in the database from row to row."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import psycopg
import sqlalchemy as sa

from gateway.migrations import upgrade
from gateway.registry import index, vector
from gateway.registry.batch import Batch
from gateway.registry.crossings import Limit
from gateway.registry.extract import Row, read
from gateway.registry.formula import AREAS, Formula
from gateway.registry.household import Household
from gateway.registry.measures import ARITHMETIC, MEASURES
from gateway.registry.programme import PASSES, Programme
from gateway.registry.recalculation import households, run
from gateway.registry.sample import write_sample
from gateway.registry.scoring import Scorer
from gateway.runtime import Runtime
from tests import servers
from tests.bench.figure import FULL, Figure, per_second, scaled
from tests.conftest import open_house
from tests.registry.masses import a_formula

MILLIONS = 5_000_000
# Scored at a time, by each of two threads: what a processor's cache holds of so many columns.
ROWS = 50_000
THREADS = 2
ONE_BY_ONE = 3_000
SEED = 580
# Every term weighs a little more or less: nearly every index moves, some by more than a tenth.
NEW = a_formula("bench-2030", U21="-0.0100", U30="0.0500", U35="0.0003", R1="0.1", R17="-0.15", R28="0.0006")


def scores() -> Figure:
    """Five million households from a columnar snapshot: exact, rounded as told, and counted against each threshold.

    Beside the same sums from the same counts in Decimal, one by one, as measured on some thousand of them.
    """
    formula, limits = Formula.load("rsu-2021"), Limit.all_of(Programme.load_all(), date.today())  # noqa: DTZ011
    with tempfile.TemporaryDirectory(prefix="columns-") as folder:
        _snapshot(Path(folder), formula, MILLIONS)
        columns = {file.stem: np.load(file, mmap_mode="r") for file in Path(folder).glob("*.npy")}
        began = time.perf_counter()
        below = _below(formula, limits, columns)
        seconds = time.perf_counter() - began
        part = {name: column[:ONE_BY_ONE] for name, column in columns.items()}
        assert _below(formula, limits, part) == _one_by_one(formula, part)
        rate = per_second(ONE_BY_ONE, lambda: _one_by_one(formula, part))
    assert all(0 < count < MILLIONS for count in below)
    return Figure("score_5m_seconds", seconds, "s", MILLIONS / rate, "<= 5")


def rescores() -> Figure:
    """Read, scored, compared, stored, decided and left to be told, on a PostgreSQL that waits for its disk.

    Beside the one path by which any other index comes to be, one household after the other.
    """
    count = scaled(200_000, MILLIONS)
    with tempfile.TemporaryDirectory(prefix="rescore-") as folder, servers.postgresql() as database:
        upgrade(database)
        with closing(open_house(database, "redis://127.0.0.1:1", Path(folder), lambda: datetime.now(UTC))) as runtime:
            _fill(runtime, database, count)
            rate = _rate_one_by_one(runtime)
            began = time.perf_counter()
            done = run(runtime.database, runtime.vault, NEW, Programme.load_all(), by="bench", now=runtime.clock())
            seconds = time.perf_counter() - began
            assert done.crossings.households >= count, done
            assert done.scores > 0.9 * count, done
    if FULL:
        return Figure("rescore_5m_seconds", seconds, "s", count / rate, "<= 300")
    return Figure("rescore_households_per_s", count / seconds, "households/s", rate)


# In memory


def _snapshot(folder: Path, formula: Formula, count: int) -> None:
    """A folder of columns: households of the sample over and over, with other spending, telephones and ages."""
    homes = _homes(2_000)
    counts = vector.columns(b"".join(vector.pack(facts, on) for facts, on in homes))
    chance = np.random.default_rng(SEED)
    drawn = chance.integers(0, len(homes), count)
    older = chance.integers(-3, 4, count)
    for name in {"size", "aged_15", *(term.measure for area in AREAS for term in formula.equations[area].terms)}:
        column = counts[name][drawn]
        if name == "head_age":
            column = column + older
        elif name == "head_age_squared":
            column = (counts["head_age"][drawn] + older) ** 2
        elif name == "mobile_phones":
            column = np.maximum(column + chance.integers(-1, 2, count), 0)
        elif name in MEASURES and MEASURES[name].per == "member_year":
            column = column * chance.integers(50, 151, count) // 100
        np.save(folder / f"{name}.npy", column.astype(np.int32))
    np.save(folder / "area.npy", np.array([AREAS.index(facts["area"]) for facts, _ in homes], np.int8)[drawn])
    np.save(folder / "region.npy", np.array([facts["region"] for facts, _ in homes], np.int8)[drawn])


def _below(formula: Formula, limits: Sequence[Limit], columns: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """How many lie below each threshold. All are settled by the batch, and each is rounded as it would be told."""
    batch = Batch(formula)

    def part(start: int) -> list[int]:
        rows = {name: column[start : start + ROWS] for name, column in columns.items()}
        scored = batch.score(rows, rows["area"], rows["region"])
        assert scored.settled.all()
        assert len(scored.displayed) == len(rows["area"])
        return [int(limit.below(scored.values).sum()) for limit in limits]

    with ThreadPoolExecutor(THREADS) as pool:
        return tuple(map(sum, zip(*pool.map(part, range(0, len(columns["area"]), ROWS)), strict=True)))


def _one_by_one(formula: Formula, columns: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    today = date.today()  # noqa: DTZ011
    limits = [(programme.comparator, limit.value) for programme in Programme.load_all()
              if (limit := programme.threshold_on(today))]
    below = [0] * len(limits)
    for place in range(len(columns["area"])):
        area = AREAS[int(columns["area"][place])]
        values = {term.name: _value(term.measure, columns, place) for term in formula.equations[area].terms}
        found = index.compute(formula, area, int(columns["region"][place]), values)
        formula.displayed(found.value)
        for number, (comparator, limit) in enumerate(limits):
            below[number] += PASSES[comparator](found.value, limit) != (comparator == "above")
    return tuple(below)


def _value(measure: str, columns: Mapping[str, np.ndarray], place: int) -> Decimal:
    count, per, size = int(columns[measure][place]), MEASURES[measure].per, int(columns["size"][place])
    if per == "one":
        return Decimal(count)
    return ARITHMETIC.divide(Decimal(count), Decimal(size)) if per == "share" else ARITHMETIC.divide(
        Decimal(12 * count), Decimal(100 * size))


# In the database


def _fill(runtime: Runtime, database: str, count: int) -> None:
    """So many households with counts, a score and decisions: those of the sample over and over, under other names.

    Their facts are those of the sample's own snapshots. Nothing of a run looks at more of a household.
    """
    rows = _rows(min(count // 100, 5_000))
    for start in range(0, len(rows), 500):
        with runtime.database.write() as session:
            runtime.intake.store(session, rows[start : start + 500], runtime.clock())
    with psycopg.connect(database, autocommit=True) as admin:
        for statement in _copied(admin, -(-count // len(rows)) - 1):
            admin.execute(statement)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM RESET {setting}")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute("VACUUM ANALYZE")
        admin.execute("CHECKPOINT")
    assert households(runtime.database) >= count


def _copied(admin: psycopg.Connection, times: int) -> Iterator[str]:
    yield f"""CREATE TEMP TABLE copied AS SELECT uuidv7() AS id, uuidv7() AS score_id, c.id AS home, c.score_id AS score
              FROM generate_series(1, {times}) JOIN current_score c ON true"""
    for table, own, join in (
            ("index_score", {"id": "copied.score_id", "household_id": "copied.id"}, "source.id = copied.score"),
            ("programme_decision", {"id": "uuidv7()", "household_id": "copied.id", "score_id": "copied.score_id"},
             "source.household_id = copied.home"),
            ("measured", {"id": "copied.id"}, "source.id = copied.home"),
            ("current_score", {"id": "copied.id", "score_id": "copied.score_id"}, "source.id = copied.home")):
        names = [row[0] for row in admin.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table])]
        fields = ", ".join(own.get(name, f"source.{name}") for name in names)
        yield f"INSERT INTO {table} ({', '.join(names)}) SELECT {fields} FROM copied JOIN {table} source ON {join}"


def _rate_one_by_one(runtime: Runtime) -> float:
    """In transactions of two hundred, as an import does; what they make is thrown away."""
    scorer = Scorer(NEW, Programme.load_all())
    with runtime.database.write() as session:
        homes = session.scalars(sa.select(Household).limit(scaled(400, 2_000))).all()
    began = time.perf_counter()
    for start in range(0, len(homes), 200):
        with runtime.database.write() as session:
            scorer.score(session, homes[start : start + 200], "formula_change", runtime.clock())
            session.flush()
            session.get_transaction().rollback()
    return len(homes) / (time.perf_counter() - began)


@cache
def _rows(count: int) -> list[Row]:
    out = io.BytesIO()
    today = datetime.now(UTC).date()
    write_sample(out, count, SEED, today)
    out.seek(0)
    return [row for row in read(out, today) if isinstance(row, Row)]


def _homes(count: int) -> list[tuple[Mapping, date]]:
    return [(row.household, date.fromisoformat(row.household["registered_on"])) for row in _rows(count)]
