"""Rules of a whole-registry run: every score as if computed one by one, once, and told; and what it would do."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from gateway.registry import index, recalculation, scoring, vector
from gateway.registry.audit import AuditEntry
from gateway.registry.events import IndexChanged
from gateway.registry.formula import Formula
from gateway.registry.household import Household
from gateway.registry.programme import Programme, Threshold, decide
from gateway.registry.recalculation import Disagreement, dry_run, run, take_untold
from gateway.registry.registration import Registration
from gateway.registry.score import (
    CurrentScore,
    FormulaVersion,
    IndexScore,
    Measured,
    PendingEvent,
    ProgrammeDecision,
)
from gateway.registry.scoring import EditedFormula, Scorer
from gateway.registry.steps import NotAllowed
from tests.conftest import NOON, a_row
from tests.registry.masses import a_formula, sampled
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
service = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
PROGRAMMES = Programme.load_all()
LATER = NOON + timedelta(days=1)
# Telephone and internet weigh less, a cow more, and the rural constant: indexes move in both areas and both ways.
NEW = a_formula(U35="0.0002", R28="0.0009", rural="8.75")


def stored(runtime, *given):
    with runtime.database.write() as session:
        runtime.intake.store(session, given, NOON)


def rescored(runtime, formula=NEW, **choices):
    return run(runtime.database, runtime.vault, formula, choices.pop("programmes", PROGRAMMES), by="clerk",
               now=choices.pop("now", LATER), **choices)


def expected(runtime, formula=NEW):
    """By household: its index by this formula, one by one."""
    return {home.id: index.score(formula, home.facts, home.registered_on).value for home in rows(runtime, Household)}


def current(runtime):
    return {row.id: row for row in rows(runtime, CurrentScore)}


@pytest.fixture
def population(runtime):
    stored(runtime, *sampled(120))
    return runtime


def test_a_run_gives_every_household_the_index_that_it_has_one_by_one(population):
    before = current(population)
    done = rescored(population, rows=50)
    now, wanted = current(population), expected(population)
    assert {home: row.value for home, row in now.items()} == wanted
    changed = {home for home, row in before.items() if row.value != wanted[home]}
    assert done.scores == len(changed) > 60
    for row in rows(population, IndexScore):
        if row.cause == "formula_change":
            former = before[row.household_id]
            assert (row.predecessor_id, row.snapshot_id) == (former.score_id, former.snapshot_id)
            assert (row.formula, row.computed_at, row.failure) == (NEW.id, LATER, None)
            assert now[row.household_id].score_id == row.id
    with population.database.read() as session:
        for home in changed:
            found = session.get(IndexScore, now[home].score_id)
            assert scoring.reproduce(session, found.id) == found.value == wanted[home]
            assert str(found.displayed) == str(NEW.displayed(found.value))
            assert sum(line.amount for line in scoring.contributions(session, found)) == found.value


def test_decisions_are_those_that_one_by_one_would_be_made(population):
    before = {row.id for row in rows(population, ProgrammeDecision)}
    done = rescored(population)
    made = [row for row in rows(population, ProgrammeDecision) if row.id not in before]
    assert done.decisions == len(made) > 5
    assert {row.score_id for row in made} <= {row.score_id for row in rows(population, CurrentScore)}
    with population.database.write() as session:
        scored = Scorer(NEW, PROGRAMMES).score(session, rows(population, Household), "data_update", LATER)
    assert scored.events == []


def a_programme(expression, key="a-test", limit="9.5"):
    [programme] = Programme.parse_all({"programmes": [{
        "key": key, "comparator": "below", "in_texts": False, "where_to_apply": "a_place", "documents": [],
        "thresholds": [{"value": limit, "from": "2020-01-01", "source": "a test"}],
        "conditions": [{"name": "a_condition", "expression": expression, "source": "a test"}]}]})
    return programme


PUPILS = a_programme("members.exists(m, m.age >= 6 && m.age <= 15)")
OWNERS = a_programme("equipment.mobile_phones > 1")


@pytest.mark.parametrize(("before", "now"), [
    (OWNERS, OWNERS),  # nothing has changed but the index
    (PUPILS, PUPILS),  # children have grown ten years older
    (PUPILS, OWNERS),  # the programme asks for something else by now
    (None, OWNERS),  # the programme is new
])
def test_who_crosses_is_judged_by_the_programme_and_the_facts_of_the_day(population, before, now):
    if before:
        with population.database.write() as session:
            Scorer(Formula.load("rsu-2021"), (before,)).score(session, rows(population, Household), "data_update", NOON)
    day = NOON + timedelta(days=3652)
    done = rescored(population, a_formula(urban="10.1", rural="8.4"), programmes=(now,), now=day)
    homes, current_scores = {home.id: home for home in rows(population, Household)}, current(population)
    made = [row for row in rows(population, ProgrammeDecision) if row.decided_at == day]
    assert done.decisions == len(made) > 3
    assert {row.reasons[1]["met"] for row in made} == {True, False}
    for row in made:
        counting = current_scores[row.household_id]
        judged = decide(now, counting.value, homes[row.household_id].facts, day.date())
        wanted = scoring.decision_row(row.household_id, counting.score_id, counting.snapshot_id, judged, day)
        assert {name: getattr(row, name) for name in wanted} == wanted | {"id": row.id}


def test_a_limit_of_former_years_makes_no_new_decision_of_the_same_judgement(population):
    """Who lay below the limit of last year and above this year's has crossed nothing by going up."""
    limits = tuple(Threshold(Decimal(limit), date.fromisoformat(since), "a test")
                   for limit, since in (("9.9", "2024-01-01"), ("9.3", "2026-01-01")))
    programme = replace(OWNERS, thresholds=limits)
    with population.database.write() as session:
        Scorer(Formula.load("rsu-2021"), (programme,)).score(session, rows(population, Household), "data_update", NOON)
    done = rescored(population, programmes=(programme,))
    before, after = {}, {}
    for row in sorted(rows(population, ProgrammeDecision), key=lambda row: row.decided_at):
        if row.programme == programme.key:
            (after if row.decided_at == LATER else before)[row.household_id] = row
    assert done.decisions == len(after) > 0
    assert all(before[home].below != row.below for home, row in after.items())


def test_whoever_is_shown_another_index_or_crosses_a_limit_is_to_be_told(population):
    before = current(population)
    done = rescored(population)
    with population.database.write() as session:
        events = take_untold(session, LATER, 1000).events
    shown = {home for home, row in current(population).items()
             if NEW.displayed(row.value) != NEW.displayed(before[home].value)}
    assert {event.household_id for event in events} == shown
    assert len(events) == done.events
    for event in (one for one in events if isinstance(one, IndexChanged)):
        assert event == IndexChanged(event.household_id, current(population)[event.household_id].score_id,
                                     before[event.household_id].score_id, "formula_change")


def test_a_change_that_no_digit_shows_is_stored_and_told_to_nobody(population):
    tiny = a_formula(urban="9.82500000001", rural="8.69500000001")
    done = rescored(population, tiny)
    assert done.scores == len(current(population))
    assert done.events <= 2 * done.crossings.households // 100


@one_kind
def test_a_limit_crossed_by_a_digit_that_nobody_sees_is_told(runtime):
    """The old index is a hair below the limit, the new one a hair above; both are shown alike."""
    stored(runtime, a_row())
    [home] = rows(runtime, CurrentScore)
    programme = replace(PROGRAMMES[0], thresholds=(Threshold(home.value + Decimal("1E-12"), NOON.date(), "a test"),))
    with runtime.database.write() as session:
        Scorer(Formula.load("rsu-2021"), (programme,)).score(session, rows(runtime, Household), "data_update", NOON)
    [before] = [row for row in rows(runtime, ProgrammeDecision) if row.threshold == programme.thresholds[0].value]
    assert before.below is True
    done = rescored(runtime, a_formula(urban="9.825000000002", rural="8.695000000002"), programmes=(programme,))
    assert (done.decisions, done.events) == (1, 1)
    [after] = [row for row in rows(runtime, ProgrammeDecision) if row.decided_at == LATER]
    assert (after.below, after.reasons[0]["met"], after.score_id) == (
        False, False, rows(runtime, CurrentScore)[0].score_id)
    assert after.reasons[1:] == before.reasons[1:]


def test_the_same_formula_once_more_changes_nothing(population):
    rescored(population)
    before = rows(population, IndexScore)
    done = rescored(population, now=LATER + timedelta(days=1))
    assert (done.scores, done.decisions, done.events) == (0, 0, 0)
    assert done.crossings.staying == done.crossings.households
    assert {row.id for row in rows(population, IndexScore)} == {row.id for row in before}


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(population):
    def cut(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rescored(population, rows=50, progress=cut)
    first = [row for row in rows(population, IndexScore) if row.formula == NEW.id]
    assert 0 < len(first) <= 50
    rescored(population, rows=50)
    assert {home: row.value for home, row in current(population).items()} == expected(population)
    again = Counter(row.household_id for row in rows(population, IndexScore) if row.formula == NEW.id)
    assert set(again.values()) == {1}


def test_a_dry_run_counts_what_a_run_does_and_writes_nothing(population):
    tables = (IndexScore, CurrentScore, ProgrammeDecision, PendingEvent, FormulaVersion)
    before = [{row.id for row in rows(population, table)} for table in tables]
    values = {row.value for row in rows(population, CurrentScore)}
    seen = []
    dry = dry_run(population.database, NEW, PROGRAMMES, on=LATER.date(), progress=seen.append, rows=50)
    assert [{row.id for row in rows(population, table)} for table in tables] == before
    assert {row.value for row in rows(population, CurrentScore)} == values
    assert sum(seen) == recalculation.households(population.database) == dry.households
    assert rescored(population).crossings == dry


def test_crossings_are_counted_by_programme_area_and_region(population):
    before, after = {home: row.value for home, row in current(population).items()}, expected(population)
    homes = {home.id: home for home in rows(population, Household)}
    wanted = Counter()
    for programme in PROGRAMMES:
        for home, old in before.items() if programme.thresholds else ():
            limit = programme.thresholds[-1].value
            was, now = old < limit, after[home] < limit
            if was != now:
                wanted[programme.key, homes[home].area, homes[home].region, now] += 1
    dry = dry_run(population.database, NEW, PROGRAMMES, on=LATER.date())
    found = Counter()
    for each in dry.crossed:
        found[each.programme, each.area, each.region, True] += each.newly_below
        found[each.programme, each.area, each.region, False] += each.newly_above
    assert +found == wanted
    assert {now for *_, now in wanted} == {True, False}
    assert (dry.rising, dry.falling) == (sum(after[home] > old for home, old in before.items()),
                                         sum(after[home] < old for home, old in before.items()))
    assert sum(dry.bands) == dry.rising + dry.falling + dry.staying == len(before)
    assert dry.bands[0] == sum(abs(after[home] - old) < Decimal("0.01") for home, old in before.items())


# What the batch cannot do


def test_who_was_struck_off_is_neither_scored_nor_told(population):
    out, gone, *_ = rows(population, Household)
    _strike_off(population, out)
    before = current(population)
    done = rescored(population)
    assert current(population)[out.id].score_id == before[out.id].score_id
    assert done.crossings.households == recalculation.households(population.database) == len(before) - 1
    _strike_off(population, gone)
    with population.database.write() as session:
        lot = take_untold(session, LATER, 1000)
    assert lot.taken == done.events
    assert {out.id, gone.id}.isdisjoint(event.household_id for event in lot.events)


def _strike_off(runtime, home):
    with runtime.database.write() as session:
        session.execute(sa.update(Registration).where(Registration.household_id == home.id).values(state="struck_off"))


@pytest.mark.parametrize("packed", [b"", b"\xff" * 12])
def test_households_whose_counts_are_not_known_are_scored_from_their_facts(population, packed):
    with population.database.write() as session:
        session.execute(sa.update(Measured).values(counts=packed))
    rescored(population)
    assert {home: row.value for home, row in current(population).items()} == expected(population)
    with population.database.read() as session:
        for row in rows(population, CurrentScore):
            assert scoring.reproduce(session, row.score_id) == row.value


def test_counts_of_another_snapshot_are_not_believed(population):
    strange = rows(population, IndexScore)[0].id
    with population.database.write() as session:
        session.execute(sa.update(Measured).values(snapshot_id=strange, counts=bytes(vector.WIDTH)))
    rescored(population)
    assert {home: row.value for home, row in current(population).items()} == expected(population)


def test_who_has_no_index_by_the_new_formula_keeps_the_old_one_and_is_counted(population):
    """The poverty scorecard asks for things that the extract need not have."""
    before = {home: row.score_id for home, row in current(population).items()}
    done = rescored(population, Formula.load("ppi-morocco-2013"))
    assert {home: row.score_id for home, row in current(population).items()} == before
    assert sum(done.crossings.failed.values()) == done.crossings.households == len(before)
    assert all("cannot be read" in reason for reason in done.crossings.failed)


def test_a_disagreement_stops_the_run_with_nothing_stored(population):
    wrong = rows(population, Measured)[7]
    counts = bytearray(wrong.counts)
    counts[0] += 1
    with population.database.write() as session:
        session.execute(sa.update(Measured).where(Measured.id == wrong.id).values(counts=bytes(counts)))
    before = {row.id for row in rows(population, IndexScore)}
    with pytest.raises(Disagreement):
        rescored(population, checked=1.0)
    with pytest.raises(Disagreement):
        dry_run(population.database, NEW, PROGRAMMES, on=LATER.date(), checked=1.0)
    assert {row.id for row in rows(population, IndexScore)} == before
    assert rows(population, PendingEvent) == []


@one_kind
def test_whoever_is_near_a_limit_is_always_checked(runtime):
    """A count that is wrong in the table: no lot falls on it, and yet it must not decide by a hair."""
    row = a_row()
    stored(runtime, row)
    with runtime.database.write() as session:
        facts = rows(runtime, Household)[0].facts
        facts["equipment"]["mobile_phones"] += 1
        session.execute(sa.update(Measured).values(counts=vector.pack(facts, date(2026, 11, 20))))
    wrong = index.score(NEW, facts, date(2026, 11, 20)).value

    def dry(limit):
        programme = replace(PROGRAMMES[0], thresholds=(Threshold(limit, NOON.date(), "a test"),))
        return dry_run(runtime.database, NEW, (programme,), on=LATER.date(), checked=0)

    assert dry(wrong + Decimal("1.1E-7")).households == 1
    for limit in (wrong + Decimal("1E-7"), wrong, wrong - Decimal("1E-7")):
        with pytest.raises(Disagreement):
            dry(limit)


# Who runs


@one_kind
def test_a_run_is_in_the_audit_with_counts_only(population):
    done = rescored(population)
    begun, ended = sorted(rows(population, AuditEntry), key=lambda entry: entry.id)[-2:]
    assert (begun.act, ended.act) == ("registry.rescoring", "registry.rescored")
    assert begun.by == ended.by == "clerk"
    assert ended.subject == NEW.id
    assert ended.detail == {"cause": "formula_change", "households": done.crossings.households, "failed": 0,
                            "scores": done.scores, "decisions": done.decisions, "events": done.events}


@one_kind
def test_a_formula_that_was_edited_after_use_is_refused(population):
    rescored(population)
    with pytest.raises(EditedFormula):
        rescored(population, a_formula(NEW.id, U35="0.0003"))


@service
def test_two_runs_at_once_are_refused(population):
    def second(count):
        with pytest.raises(NotAllowed, match="already"):
            rescored(population)

    rescored(population, progress=second)
    rescored(population)


@service
def test_a_household_that_is_being_scored_is_waited_for(population):
    """A clerk's correction and a run at once: each score follows the one before it."""
    [home, *_] = rows(population, Household)
    begun, done = threading.Event(), []

    def all_households():
        begun.set()
        done.append(rescored(population))

    other = threading.Thread(target=all_households)
    with population.database.write() as session:
        scored = Scorer(a_formula("rsu-2029", urban="9.9", rural="8.9"), PROGRAMMES).score(
            session, [home], "review", LATER)
        other.start()
        begun.wait()
        other.join(0.3)
        assert done == []
    other.join()
    [event] = scored.events
    with population.database.read() as session:
        last = session.get(IndexScore, current(population)[home.id].score_id)
    assert (last.formula, last.predecessor_id) == (NEW.id, event.score_id)


# Told


def test_an_event_is_taken_once(population):
    done = rescored(population)
    with population.database.write() as session:
        first = take_untold(session, LATER, 10).events
    with population.database.write() as session:
        rest = take_untold(session, LATER, 1000).events
    assert len(first) == 10
    assert len({(type(event), event.score_id) for event in first + rest}) == done.events
    with population.database.write() as session:
        assert take_untold(session, LATER, 1000).taken == 0


def test_a_score_that_does_not_count_any_more_is_not_told(population):
    rescored(population)
    rescored(population, a_formula("rsu-2031", urban="9.9", rural="8.9"))
    with population.database.write() as session:
        events = [one for one in take_untold(session, LATER, 1000).events if isinstance(one, IndexChanged)]
    assert {event.score_id for event in events} == {row.score_id for row in rows(population, CurrentScore)}
    assert len(events) == len(current(population))
