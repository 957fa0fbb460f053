"""The command line on suppressed telephones: counted, found, and lifted with a word for the record."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.registry import household as households
from gateway.registry.audit import AuditEntry
from gateway.registry.suppression import Suppression
from tests.conftest import SETTINGS, a_row, register
from tests.web.desk import PHONE, homes, rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def run(runtime, database_url, redis_url, tmp_path):
    """`mouachir suppressions ...` in this process; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    for handler in handlers:
        root.removeHandler(handler)
    house = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def command(*arguments):
        done = CliRunner(env=house).invoke(main, ["suppressions", *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@pytest.fixture
def stopped(runtime):
    """Two households' telephones were stopped, for two reasons."""
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    with runtime.database.write() as session:
        runtime.teller.stop(session, PHONE, runtime.clock())
        runtime.teller.stop(session, "+212712345678", runtime.clock(), "provider", "twilio")
    return runtime


def test_they_are_counted_by_month_and_reason_and_none_is_shown(run, stopped):
    assert run().stdout.splitlines() == ["2026-11 provider         1", "2026-11 stop             1", "2 suppressed"]


def test_a_telephone_is_found_as_people_write_it(run, stopped):
    assert run("find", "06 12 34 56 78").stdout == "suppressed since 2026-11-23 12:00: stop, by telephone\n"
    for typed, code in (("0612345679", 1), ("12", 2)):
        refused = run("find", typed)
        assert (refused.exit_code, refused.stdout) == (code, "")


def test_it_is_lifted_once_and_who_did_it_is_written_down(run, stopped):
    assert run("lift", "0612345678", "--why", "asked at the centre", "--by", "Amina").exit_code == 0
    assert run("lift", "0612345678", "--why", "asked at the centre", "--by", "Amina").exit_code == 1
    [lifted] = [entry for entry in rows(stopped, AuditEntry) if entry.act == "suppression.lifted"]
    assert (lifted.by, lifted.why) == ("Amina", "asked at the centre")
    assert [one.why for one in rows(stopped, Suppression)] == ["provider"]
    with stopped.database.read() as session:
        ids = [home.id for home in homes(stopped)]
        assert set(households.texted_at(session, stopped.vault, ids).values()) == {PHONE}


def test_it_is_not_lifted_for_no_reason(run, stopped):
    assert run("lift", "0612345678").exit_code == 2
    assert len(rows(stopped, Suppression)) == 2
