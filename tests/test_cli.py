"""The command line: what each command prints, and the one line that says what is wrong."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from click import ClickException
from click.testing import CliRunner

from channels.sandbox import Config
from gateway import embedded
from gateway.cli import main
from gateway.cli.opening import opened
from gateway.outbox import Message
from gateway.registry.index import Formula
from gateway.settings import Settings
from tests.conftest import EXAMPLE, SETTINGS, open_house
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
URBAN = ("index", "--area", "urban", "--region", "6")
# The households that were worked by hand for the formula's own tests (tests/registry/test_index.py).
WORKED = [
    ("urban", 6, "9.6087075", "U3=1 U4=1 U5=1 U12=1 U21=45 U22=2025 U24=2 U30=2 U19=4 U20=16 U25=0.5 U27=0.25 "
                              "U33=150 U34=600 U35=150"),
    ("rural", 7, "9.2221700", "R2=1 R3=1 R5=1 R9=1 R17=5 R18=25 R20=2 R22=0.2 R25=1 R26=144 R27=192 R28=96"),
]


@pytest.fixture
def run():
    """Run a command in this process; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    for handler in handlers:
        root.removeHandler(handler)

    def command(*arguments, **environment):
        done = CliRunner(env={"DATABASE_URL": None, **environment}).invoke(main, [str(one) for one in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@pytest.fixture
def house(database_url, redis_url, tmp_path):
    """The environment of a house that is not running."""
    return {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "23505"])
def test_who_meets_another_command_is_told_to_run_it_again(house, monkeypatch, sqlstate):
    for name, value in house.items():
        monkeypatch.setenv(name, value)
    with (pytest.raises(ClickException, match="another command was at work"), opened(prepare=False) as runtime,
          runtime.database.write() as session):
        session.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{sqlstate}'; END $$"))


# index


@pytest.mark.parametrize(("area", "region", "value", "terms"), WORKED)
def test_a_worked_household_has_its_index_with_seven_decimals(run, area, region, value, terms):
    done = run("index", "--area", area, "--region", region, *terms.split())
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{value}\n", "")


@pytest.mark.parametrize("area", ["urban", "rural"])
def test_without_terms_an_index_is_its_two_constants(run, area):
    equation = Formula.load("rsu-2021").equations[area]
    for region, constant in equation.regions.items():
        done = run("index", "--area", area, "--region", region)
        assert done.stdout == f"{equation.constant + constant:.7f}\n"


def test_json_adds_every_contribution_and_they_add_up(run):
    told = json.loads(run(*URBAN, "--json", "U19=4", "U20=16").stdout)
    assert told["formula"] == "rsu-2021"
    assert len(told["contributions"]) == 2 + 35
    assert sum(Decimal(line["amount"]) for line in told["contributions"]) == Decimal(told["exact"])
    assert Decimal(told["index"]) == Decimal(told["exact"]).quantize(Decimal("1E-7"))
    assert told["index"] == run(*URBAN, "U19=4", "U20=16").stdout.strip()


@pytest.mark.parametrize(("arguments", "says"), [
    ((*URBAN, "U99=1"), "U99"), ((*URBAN, "R1=1"), "R1"), ((*URBAN, "U19"), "NAME=VALUE"), ((*URBAN, "U19=x"), "U19"),
    ((*URBAN, "U19=NaN"), "U19"), ((*URBAN, "U19=-1"), "U19"), ((*URBAN, "U19=1e99"), "U19"),
    ((*URBAN, "U19=1", "U19=2"), "twice"), ((*URBAN, "--formula", "rsu-1900"), "no formula"),
    (("index", "--area", "suburban", "--region", "6"), "suburban"), (("index", "--area", "urban"), "--region"),
    (("index", "--area", "urban", "--region", "13"), "13"),
])
def test_a_wrong_index_command_says_what_is_wrong(run, arguments, says):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


# sample and import


def test_a_sample_is_the_same_for_the_same_seed(run, tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        done = run("sample", "--households", 20, "--seed", seed, "--out", tmp_path / name)
        assert done.exit_code == 0
        assert "20 households" in done.stdout
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three
    assert len(one.splitlines()) >= 20


def test_a_sample_that_cannot_be_written_is_one_line(run, tmp_path):
    done = run("sample", "--households", 1, "--seed", 1, "--out", tmp_path / "nowhere" / "file")
    assert done.exit_code != 0
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_import_loads_reports_and_the_second_time_changes_nothing(run, house, tmp_path):
    file, report = tmp_path / "extract.jsonl", tmp_path / "report.jsonl"
    file.write_bytes(EXAMPLE.read_bytes() + b"{broken\n")
    done = run("import", file, "--report", report, **house)
    assert done.exit_code == 0, done.stderr
    assert "1 refused" in done.stdout
    refused, = [json.loads(line) for line in report.read_text().splitlines()]
    assert (refused["line"], refused["level"], refused["code"]) == (
        len(EXAMPLE.read_bytes().splitlines()) + 1, "refused", "not_json")
    again = run("import", file, **house)
    assert "0 new, 0 changed" in again.stdout
    assert "0 notices posted" in again.stdout
    assert (tmp_path / "extract.report.jsonl").exists()


@one_kind
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"not json at all\n" * 3, b"[]\nnull\n1\n"])
def test_a_file_that_is_no_extract_is_refused_line_by_line(run, house, tmp_path, content):
    file = tmp_path / "extract.jsonl"
    file.write_bytes(content)
    done = run("import", file, **house)
    assert (done.exit_code, "is this an extract?" in done.stderr) == ((1, True) if content else (0, False))
    assert f"0 new, 0 changed, 0 as before, {len(content.splitlines())} refused" in done.stdout


@one_kind
def test_a_report_is_not_written_over_the_extract(run, house, tmp_path):
    file = tmp_path / "extract.jsonl"
    file.write_bytes(EXAMPLE.read_bytes())
    assert run("import", file, "--report", file, **house).exit_code == 2
    assert file.read_bytes() == EXAMPLE.read_bytes()


def test_a_file_that_is_not_there_is_one_line(run, tmp_path):
    for file in (tmp_path / "nothing", tmp_path):
        done = run("import", file)
        assert (done.exit_code, "Traceback" in done.stderr) == (2, False)
        assert str(file) in done.stderr


# messages and letters


@one_kind
def test_messages_are_listed_without_the_people(run, house, tmp_path, clock):
    run("import", EXAMPLE, "--report", tmp_path / "report", **house)
    opened = open_house(house["DATABASE_URL"], house["REDIS_URL"], tmp_path, clock)
    stored = rows(opened, Message)
    shown = run("messages", **house).stdout
    assert shown.count("index_assigned") == len(stored) > 1
    assert all(f"{one.reference[:3]} {one.reference[3:6]} {one.reference[6:]}" in shown for one in stored)
    for one in stored:
        body = opened.vault.open(one.body_sealed, "message.body", one.id)
        to = opened.vault.open(one.to_sealed, "message.to", one.id)
        assert body not in shown
        assert to not in shown
    assert len(run("messages", "--state", "created", "--limit", 1, **house).stdout.splitlines()) == 1 + len(
        {one.medium for one in stored})
    assert "index_assigned" not in run("messages", "--state", "failed", **house).stdout
    opened.close()


@one_kind
def test_a_message_of_ours_is_found_by_its_code_and_no_other_is(run, house, tmp_path, clock):
    run("import", EXAMPLE, "--report", tmp_path / "report", **house)
    opened = open_house(house["DATABASE_URL"], house["REDIS_URL"], tmp_path, clock)
    ours = rows(opened, Message)[0]
    opened.close()
    line, = run("messages", "--reference", ours.reference, **house).stdout.splitlines()
    assert ours.notice in line
    mistyped = ours.reference[:-1] + str((int(ours.reference[-1]) + 1) % 10)
    done = run("messages", "--reference", mistyped, **house)
    assert (done.exit_code, done.stdout, "nine digits" in done.stderr) == (2, "", True)


@one_kind
def test_letters_say_how_many_wait_and_a_run_that_is_not_there_is_one_line(run, house, tmp_path):
    run("import", EXAMPLE, "--report", tmp_path / "report", **house)
    assert "2 letters wait to be printed" in run("letters", **house).stdout
    done = run("letters", "--post", "20260101T000000000000", **house)
    assert (done.exit_code, "there is no run" in done.stderr) == (1, True)


@one_kind
def test_a_run_posted_before_it_was_printed_is_one_line(run, house, tmp_path):
    run("import", EXAMPLE, "--report", tmp_path / "report", **house)
    printed, laid, *_ = run("letters", "--print", **house).stdout.splitlines()
    assert printed == "2 letters printed"
    done = run("letters", "--post", laid.split()[0], "--on", "2026-01-01", **house)
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert run("letters", **house).stdout.splitlines()[0] == laid, "as it was"


# Settings, and a house that is not there


def test_missing_settings_are_named_all_at_once(run, database_url, tmp_path):
    done = run("messages", DATABASE_URL=database_url, VAR_DIR=str(tmp_path),
               **{name: None for name in SETTINGS if name != "DATABASE_URL"})
    assert done.exit_code == 1
    for name in ("REDIS_URL", "SECRET_KEYS", "PUBLIC_URL", "SERVICE_CODE", "CALLBACK_TOKENS", "SMS_PROVIDERS"):
        assert f"{name}: is missing" in done.stderr
    assert "mouachir up" in done.stderr


def test_a_service_that_lacks_a_setting_gets_no_embedded_house(tmp_path):
    """In a process of its own: where the data lies is decided when the process starts."""
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path / "var"), "SERVICE_CODE": "*580#"}
    done = subprocess.run([Path(sys.executable).with_name("mouachir"), "messages"], env=environment, cwd=tmp_path,
                          text=True, capture_output=True, check=False)
    assert (done.returncode, "DATABASE_URL: is missing" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_house_on_one_machine_has_telephone_calls_by_its_own_operator(tmp_path):
    embedded.prepare(tmp_path)
    written = dict(line.split("=", 1) for line in (tmp_path / "mouachir.env").read_text().splitlines())
    settings, operator = Settings.from_env(written), Config.read(tmp_path / "operator.json")
    assert (settings.voice_provider, settings.voice_number) == (operator.voice_provider, operator.voice_number)
    assert settings.africastalking_voice_url == f"http://127.0.0.1:{operator.port}"


def test_two_houses_do_not_share_a_folder(tmp_path):
    embedded.prepare(tmp_path)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(embedded.AlreadyRunning), embedded.house(tmp_path):
            pass
    assert not (tmp_path / "logs").exists(), "nothing was started"


@one_kind
def test_a_call_to_a_house_that_is_not_running_is_one_line(run, house):
    done = run("dial", "*580#", "--from", "0612345678", **house)
    assert (done.exit_code, "does not answer" in done.stderr) == (1, True)
    done = run("dial", "*580#", "--from", "12", **house)
    assert (done.exit_code, "not a telephone" in done.stderr) == (1, True)


def test_a_command_that_reads_makes_no_house_and_says_where_to_look(tmp_path):
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path / "var")}
    done = subprocess.run([Path(sys.executable).with_name("mouachir"), "where", "2900000001"],
                          env=environment, cwd=tmp_path, text=True, capture_output=True)
    assert (done.returncode, "there is no house in" in done.stderr) == (1, True)
    assert not (tmp_path / "var").exists()


def test_with_nothing_set_a_command_makes_its_own_database_and_private_settings(tmp_path):
    """In a process of its own: where the data lies is decided when the process starts."""
    var = tmp_path / "var"
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(var)}
    done = subprocess.run([Path(sys.executable).with_name("mouachir"), "import", EXAMPLE, "--report", tmp_path / "r"],
                          env=environment, cwd=tmp_path, text=True, capture_output=True, check=True)
    assert "3 new" in done.stdout
    assert "0 refused" in done.stdout
    assert {file.name for file in var.iterdir()} >= {"mouachir.env", "mouachir.db", "operator.json"}
    assert var.stat().st_mode & 0o077 == 0
    assert (var / "mouachir.env").stat().st_mode & 0o077 == 0
    assert (var / "operator.json").stat().st_mode & 0o077 == 0


def test_a_house_with_a_bad_setting_is_not_started_and_names_it(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main(['up'])"], check=False, capture_output=True,
        text=True, env={**os.environ, "VAR_DIR": str(tmp_path / "var"), "USSD_BUDGETS": "nonsense"})
    assert told.returncode == 1
    assert told.stderr.startswith("Error: USSD_BUDGETS:")
    assert not list((tmp_path / "var" / "logs").glob("*.log"))
