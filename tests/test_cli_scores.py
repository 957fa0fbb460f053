"""The command line on scores: explained, compared, reproduced; and the formulas."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.scores import STREAMED
from gateway.db import new_id
from gateway.registry.audit import AuditEntry
from gateway.registry.registration import Registration
from gateway.registry.score import FormulaVersion, IndexScore
from tests.conftest import NOON, SETTINGS, a_row, register
from tests.web.desk import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOUSEHOLD = "2900000001"
EQUIPMENT = a_row().household["equipment"]


@pytest.fixture
def run(runtime, database_url, redis_url, tmp_path):
    """`mouachir ...` in this process; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    for handler in handlers:
        root.removeHandler(handler)
    house = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def command(*arguments):
        done = CliRunner(env=house).invoke(main, [str(one) for one in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@pytest.fixture
def moved(runtime, clock):
    """A household that bought a car."""
    register(runtime, a_row())
    clock.forward(days=1)
    register(runtime, a_row(equipment=EQUIPMENT | {"cars": 1}))
    return runtime


def seen(runtime):
    return [entry for entry in rows(runtime, AuditEntry) if entry.act == "score.seen"]


def test_an_index_is_explained_in_words_and_who_looked_is_written_down(run, moved):
    done = run("score", "explain", HOUSEHOLD, "--by", "Amina")
    lines = done.stdout.splitlines()
    assert lines[0] == "index 10.4485375 by rsu-2021, computed 2026-11-24, data_update"
    assert any(line.split() == ["+0.2260000", "U31", "Voitures:", "1"] for line in lines)
    (entry,) = seen(moved)
    newest = max(rows(moved, IndexScore), key=lambda score: score.computed_at)
    assert (entry.by, entry.subject, entry.detail) == ("Amina", str(newest.id), {"how": "explained"})


def test_a_household_is_found_by_the_number_of_its_slip_too(run, moved):
    (slip,) = rows(moved, Registration)
    assert run("score", "explain", slip.number).stdout == run("score", "explain", HOUSEHOLD).stdout
    assert "السيارات: 1" in run("score", "explain", slip.number, "--language", "ar-MA").stdout


def test_two_indexes_are_compared(run, moved):
    lines = run("score", "compare", HOUSEHOLD).stdout.splitlines()
    before, after = (score.displayed for score in sorted(rows(moved, IndexScore), key=lambda one: one.computed_at))
    assert lines[0] == f"index {before} -> {after}, data_update"
    assert [line.split() for line in lines[1:]] == [["+0.2260000", "U31", "Voitures:", "1", "au", "lieu", "de", "0"]]
    assert [entry.detail for entry in seen(moved)] == [{"how": "compared"}]


def test_what_cannot_be_told_is_one_sentence_and_nobody_has_looked(run, runtime):
    register(runtime, a_row(), a_row("2900000002", spending={
        "butane": "999999", "water_electricity": "0", "phone_internet": "0"}))
    for arguments, complaint in ((("compare", HOUSEHOLD), "first index"), (("explain", "2900000002"), "no index yet"),
                                 (("explain", "2900000009"), "No household has this number"),
                                 (("explain", "5811 11112"), "do not fit each other")):
        done = run("score", *arguments)
        assert (done.exit_code, done.stdout) == (1, "")
        assert complaint in done.stderr
    assert seen(runtime) == []


def test_every_score_is_reproduced(run, moved):
    register(moved, a_row("2900000002", spending={"butane": "999999", "water_electricity": "0", "phone_internet": "0"}))
    done = run("score", "reproduce", "--all")
    assert (done.exit_code, done.stdout) == (0, "3 agree to the last digit, 0 do not\n")
    first = rows(moved, IndexScore)[0]
    assert run("score", "reproduce", first.id).stdout == "1 agree to the last digit, 0 do not\n"


def test_as_many_scores_as_there_are_are_reproduced_some_at_a_time(run, runtime):
    register(runtime, a_row())
    (true,) = rows(runtime, IndexScore)
    fields = {column.key: getattr(true, column.key) for column in sa.inspect(IndexScore).column_attrs}
    with runtime.database.write() as session:
        session.execute(sa.insert(IndexScore), [fields | {"id": new_id()} for _ in range(STREAMED)])
    assert run("score", "reproduce", "--all").stdout == f"{STREAMED + 1} agree to the last digit, 0 do not\n"


def test_a_score_that_is_not_reproduced_is_named_and_the_command_fails(run, moved):
    true = rows(moved, IndexScore)[0]
    fields = {column.key: getattr(true, column.key) for column in sa.inspect(IndexScore).column_attrs}
    forged = new_id()
    with moved.database.write() as session:
        session.execute(sa.insert(IndexScore), [fields | {"id": forged, "value": true.value + 1}])
    for arguments in (("--all",), (forged,)):
        done = run("score", "reproduce", *arguments)
        assert done.exit_code == 1
        assert str(forged) in done.stdout
        assert str(true.id) not in done.stdout
        assert done.stdout.endswith(" agree to the last digit, 1 do not\n")
    for arguments in ((), ("--all", forged)):
        assert run("score", "reproduce", *arguments).exit_code == 2


def test_formulas_are_listed_with_their_approver_and_use(run, moved):
    text = run("formulas").stdout
    ppi, rsu = text.index("ppi-morocco-2013"), text.index("rsu-2021 ")
    assert "59cd4ec48dec" in text[ppi:rsu]
    assert "not used" in text[ppi:rsu]
    assert "in force" not in text[ppi:rsu]
    assert "1b000480e907  2021-08-09 to no end  used since 2026-11-23, in force, not checked" in text[rsu:]
    assert "HCP" in text[rsu:]


def test_an_edited_and_a_lost_formula_show_in_the_list(run, runtime):
    with runtime.database.write() as session:
        session.execute(sa.insert(FormulaVersion), [
            {"id": "rsu-2021", "digest": "0" * 64, "content": {}, "first_used_at": NOON},
            {"id": "rsu-1999", "digest": "9" * 64, "content": {}, "first_used_at": NOON}])
    text = run("formulas").stdout
    assert "EDITED after use" in text
    assert "rsu-1999             999999999999  used; its file is gone" in text


def test_the_second_formula_is_computed_from_its_terms_with_its_own_decimals(run):
    done = run("index", "--area", "rural", "--region", "3", "--formula", "ppi-morocco-2013", "P1=4", "P2=1", "P5=1")
    assert (done.exit_code, done.stdout) == (0, "33\n")
