"""`mouachir rescore`: first what would happen, then the question, then it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click import ClickException

from gateway.cli import rescore
from gateway.registry import recalculation
from gateway.registry.index import Formula
from gateway.registry.programme import Programme
from gateway.registry.score import CurrentScore, IndexScore, PendingEvent
from tests.conftest import NOON
from tests.registry.masses import a_formula, sampled
from tests.test_cli import house, run  # noqa: F401 - fixtures
from tests.web.desk import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def population(runtime):
    """Sixty households with an index by a formula that is not the published one."""
    with runtime.database.write() as session:
        runtime.intake.store(session, sampled(60), NOON)
    recalculation.run(runtime.database, runtime.vault, a_formula(rural="8.4", urban="10.1"), Programme.load_all(),
                      by="clerk", now=NOON + timedelta(days=1))
    return runtime


def values(runtime):
    return {row.id: row.value for row in rows(runtime, CurrentScore)}


def test_a_dry_run_says_who_would_cross_and_changes_nothing(run, house, population):  # noqa: F811
    before = values(population)
    done = run("rescore", "--formula", "rsu-2021", "--dry-run", **house)
    assert done.exit_code == 0, done.output
    assert "60 households with an index: " in done.stdout
    assert "Nothing was changed." in done.stdout
    dry = recalculation.dry_run(population.database, Formula.load("rsu-2021"), Programme.load_all(), on=NOON.date())
    for crossing in dry.crossed:
        assert [crossing.programme, crossing.area, str(crossing.region), str(crossing.newly_below),
                str(crossing.newly_above)] in [line.split() for line in done.stdout.splitlines()]
    below = sum(crossing.newly_below for crossing in dry.crossed if crossing.programme == "asd")
    above = sum(crossing.newly_above for crossing in dry.crossed if crossing.programme == "asd")
    assert ["asd", "all", "all", str(below), str(above)] in [line.split() for line in done.stdout.splitlines()]
    assert below > 0
    assert values(population) == before


def test_it_is_done_only_after_a_yes(run, house, population):  # noqa: F811
    before = values(population)
    done = run("rescore", "--formula", "rsu-2021", **house)
    assert done.exit_code == 1
    assert values(population) == before
    done = run("rescore", "--formula", "rsu-2021", "--yes", "--by", "a.clerk", **house)
    assert done.exit_code == 0, done.output
    assert "new indexes" in done.stdout
    assert values(population) != before
    scores = {row.id: row for row in rows(population, IndexScore)}
    assert {scores[row.score_id].formula for row in rows(population, CurrentScore)} == {"rsu-2021"}
    assert len([one for one in rows(population, PendingEvent) if one.kind == "IndexChanged"]) == 2 * 60
    done = run("rescore", "--formula", "rsu-2021", **house)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "Nothing was changed.")


def test_a_formula_that_there_is_not_is_named_so(run, house):  # noqa: F811
    done = run("rescore", "--formula", "rsu-1999", **house)
    assert (done.exit_code, done.stderr) == (
        1, "Error: there is no formula of this id, but ppi-morocco-2013, rsu-2021\n")


def test_no_household_gets_its_index_by_a_formula_that_is_not_law_yet(population):
    before = values(population)
    coming = a_formula("rsu-2030", U35="0.0009", effective_from="2030-01-01")
    with pytest.raises(ClickException, match="in effect from 2030-01-01"):
        rescore._rescore(population, coming, dry_run=False, yes=True, by="a.clerk")
    rescore._rescore(population, coming, dry_run=True, yes=True, by="a.clerk")
    assert values(population) == before


def test_whoever_cannot_be_computed_is_listed_by_reason(run, house, population):  # noqa: F811
    done = run("rescore", "--formula", "ppi-morocco-2013", "--dry-run", **house)
    assert "60 cannot be computed" in done.stdout
    assert "cannot be read from the facts" in done.stdout


def test_no_formula_is_stored_beside_the_one_that_imports_are_scored_by(run, house, population):  # noqa: F811
    before = values(population)
    done = run("rescore", "--formula", "ppi-morocco-2013", "--yes", **house)
    assert (done.exit_code, "set FORMULA to ppi-morocco-2013" in done.stderr) == (1, True)
    done = run("rescore", "--formula", "ppi-morocco-2013", "--yes", **house, FORMULA="ppi-morocco-2013")
    assert (done.exit_code, "60 of 60 cannot be computed" in done.stderr) == (1, True)
    assert values(population) == before
