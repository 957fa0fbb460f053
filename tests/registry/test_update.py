"""Update: what has changed goes to the register that owns it, and over a telephone it is a report alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from click.testing import CliRunner

from channels.text import encoding
from gateway.cli import main
from gateway.registry import update
from gateway.registry.audit import AuditEntry
from gateway.registry.household import Contact
from gateway.registry.numbers import kind_of, spaced
from gateway.registry.registration import Registration
from gateway.registry.steps import NotAllowed
from gateway.registry.update import BY_TELEPHONE, CENTRE, GO_TO, NEXT_STEP, REGISTER_OF, TRANSITIONS, DataUpdate
from gateway.words import LOCALES, all_words
from tests.conftest import NOON, SETTINGS, a_row, register
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def file(runtime, kind="spending", channel="ussd", asked_by="a call"):
    with runtime.database.write() as session:
        return update.file(session, runtime.vault, homes(runtime)[0].id, kind, channel=channel, asked_by=asked_by,
                           by="household", now=runtime.clock())


def act(runtime, verb, number, *more):
    with runtime.database.write() as session:
        verb(session, runtime.vault, number, *more, by="amina", now=runtime.clock())


def state(runtime, number):
    with runtime.database.read() as session:
        return update.state_of(session, number)


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    return runtime


@one_kind
@pytest.mark.parametrize(("kind", "by_telephone", "at_the_centre", "held_by"), [
    ("spending", "received", "received", "rsu"),
    ("equipment", "received", "received", "rsu"),
    ("dwelling", "received", "received", "rsu"),
    ("address", "in_person", "received", "rsu"),
    ("declarant", "in_person", "received", "rsu"),
    ("members", "in_person", "forwarded", "population_register"),
    ("schooling", "forwarded", "forwarded", "aid_agency"),
    ("disability", "forwarded", "forwarded", "aid_agency"),
    ("health_cover", "forwarded", "forwarded", "cnss"),
])
def test_each_change_goes_to_the_register_that_owns_it(house, kind, by_telephone, at_the_centre, held_by):
    for channel in BY_TELEPHONE:
        filed = file(house, kind, channel)
        standing = state(house, filed.number)
        assert (kind_of(filed.number), standing.state, standing.register, standing.since) == (
            "update", by_telephone, held_by, NOON.date())
    if by_telephone != "forwarded":
        act(house, update.withdraw, filed.number)
        assert state(house, file(house, kind, CENTRE).number).state == at_the_centre


def test_while_it_is_open_the_same_change_is_the_same_update(house):
    first = file(house)
    assert file(house, asked_by="another call") == first
    assert file(house, "equipment") != first
    act(house, update.withdraw, first.number)
    assert file(house) != first
    assert len(rows(house, DataUpdate)) == 3


@for_real
def test_filed_by_many_at_once_it_is_one_update(house):
    together = Barrier(6)

    def at_once(_):
        together.wait()
        return file(house)

    with ThreadPoolExecutor(6) as callers:
        assert len(set(callers.map(at_once, range(6)))) == 1
    assert len(rows(house, DataUpdate)) == 1


def test_members_reported_by_telephone_go_to_the_population_register_once_the_household_has_come(house):
    filed = file(house, "members")
    assert state(house, filed.number).next_step == "go_to_population_register"
    with pytest.raises(NotAllowed, match="in_person; only one that was forwarded"):
        act(house, update.answered, filed.number, "applied")
    assert file(house, "members", CENTRE).number == filed.number
    assert state(house, filed.number).state == "forwarded"
    act(house, update.answered, filed.number, "applied")
    assert (state(house, filed.number).state, state(house, filed.number).next_step) == ("applied", "nothing")


@one_kind
def test_what_another_register_has_only_that_register_ends(house):
    filed = file(house, "schooling")
    for verb in (update.refuse, update.withdraw):
        with pytest.raises(NotAllowed):
            act(house, verb, filed.number)
    act(house, update.answered, filed.number, "refused")
    assert state(house, filed.number).state == "refused"
    with pytest.raises(NotAllowed, match="refused; only one that was forwarded"):
        act(house, update.answered, filed.number, "applied")


@one_kind
@pytest.mark.parametrize("end", [update.refuse, update.withdraw])
def test_an_update_that_has_ended_stays_as_it_is(house, end):
    filed = file(house)
    act(house, end, filed.number)
    ended = state(house, filed.number)
    for verb in (update.refuse, update.withdraw):
        with pytest.raises(NotAllowed, match="nothing else any more"):
            act(house, verb, filed.number)
    assert state(house, filed.number) == ended


@one_kind
def test_what_cannot_be_filed_is_refused_with_a_sentence(house):
    with pytest.raises(NotAllowed, match="with the number itself"):
        file(house, "phone")
    with pytest.raises(NotAllowed, match="it is one of address, declarant"):
        file(house, "wealth")
    with pytest.raises(ValueError, match="brought to the centre"):
        file(house, channel="carrier pigeon")
    with house.database.write() as session, pytest.raises(NotAllowed, match="no such household"):
        update.file(session, house.vault, UUID(int=1), "spending", channel="ussd", asked_by="a call", by="household",
                    now=NOON)
    for verb in (update.refuse, update.withdraw):
        with pytest.raises(NotAllowed, match="no such data_update"):
            act(house, verb, "612345678")
    assert state(house, "612345678") is None
    assert rows(house, DataUpdate) == []


@one_kind
def test_every_step_is_in_the_audit(house):
    number = file(house).number
    act(house, update.refuse, number)
    file(house)
    assert [(entry.act, entry.by, entry.detail["state"]) for entry in sorted(
        rows(house, AuditEntry), key=lambda entry: entry.id) if entry.act.startswith("update.")] == [
        ("update.filed", "household", "received"), ("update.refused", "amina", "refused"),
        ("update.filed", "household", "received")]


@pytest.mark.parametrize("locale", LOCALES)
def test_every_state_register_and_next_step_has_words(locale):
    words = all_words()
    said = [words.say(locale, f"update_kind.{kind}") for kind in REGISTER_OF]
    said += [words.say(locale, f"update_state.{state}", since=NOON.date()) for state in TRANSITIONS]
    said += [words.say(locale, f"update_next.{step}", by=NOON.date())
             for step in sorted({*NEXT_STEP.values(), *GO_TO.values()})]
    for one in sorted(set(REGISTER_OF.values())):
        said += [words.say(locale, f"register.{one}"), words.say(locale, f"register_where.{one}")]
    assert all(said)
    if locale != "ar-MA":
        assert {encoding(text) for text in said} == {"gsm7"}


# The command line


@pytest.fixture
def run(house, database_url, redis_url, tmp_path):
    environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def command(*arguments, fails=False):
        done = CliRunner(env=environment).invoke(main, [*arguments])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    return command


@one_kind
def test_a_clerk_files_applies_and_follows_an_update(run, house):
    shown = run("update", "file", "2900000001", "spending", "--item", "spending.phone_internet=300.00", "--by", "amina")
    assert ("applied" in shown, "next      nothing" in shown) == (True, True)
    assert homes(house)[0].facts["spending"]["phone_internet"] == "300.00"
    number, = (one.number for one in rows(house, DataUpdate))
    assert "spending" in run("update", "where", number)
    assert number[:3] in run("update", "list", "--state", "applied")
    assert run("update", "list") == ""
    assert "spending.butane: Write dirhams" in run("update", "file", number, "spending", "--item", "spending.butane=-3",
                                                  fails=True)
    assert len(rows(house, DataUpdate)) == 1


@one_kind
def test_a_clerk_changes_a_number_and_refuses_one(run, house):
    run("update", "number", "2900000001", "0777123456", "--channel", "ussd")
    number, = (one.number for one in rows(house, DataUpdate))
    assert f"{number[:3]} {number[3:6]} {number[6:]}" in run("update", "list")
    assert "state     refused" in run("update", "refuse", number)
    assert "at the centre" in run("update", "number", "2900000001", "0777123456", "--channel", "ussd", fails=True)
    shown = run("update", "number", "2900000001", "0777123456")
    assert "applied" in shown
    assert "777" not in shown.replace(number, "")
    assert "taken off 1 households" in run("update", "not-mine", "0777123456")
    assert all(contact.ended_by for contact in rows(house, Contact))


@one_kind
def test_a_new_number_waits_as_long_as_the_setting_says(run, house, monkeypatch):
    monkeypatch.setenv("NUMBER_WAIT_HOURS", "100")
    run("update", "number", "2900000001", "0777123456", "--channel", "ussd")
    waits, = rows(house, DataUpdate)
    assert waits.effective_at - waits.asked_at == timedelta(hours=100)


@one_kind
def test_the_list_of_those_not_scored_for_a_year_gives_their_numbers(run, house, clock):
    assert run("stale", "--list") == ""
    before = {one.id for one in rows(house, Registration)}
    clock.now = NOON - timedelta(days=1000)
    register(house, a_row("2900000002", "0712345678"))
    old, = (one for one in rows(house, Registration) if one.id not in before)
    line, = run("stale", "--list").splitlines()
    assert line.startswith(spaced(old.number))
    assert run("stale").splitlines()[-1].split() == ["all", "1"]


@one_kind
def test_a_clerk_notes_an_answer_and_takes_an_update_back(run, house):
    run("update", "file", "2900000001", "schooling")
    run("update", "file", "2900000001", "dwelling", "--channel", "voice")
    numbers = {one.kind: one.number for one in rows(house, DataUpdate)}
    assert "applied" in run("update", "answer", numbers["schooling"], "applied")
    assert "withdrawn" in run("update", "withdraw", numbers["dwelling"])
    assert "nothing else any more" in run("update", "refuse", numbers["dwelling"], fails=True)
    assert "has not been asked yet" in run("update", "round", "2900000001", "right", fails=True)


@one_kind
def test_bad_input_at_the_command_line_gets_a_sentence(run):
    assert "No household has this number" in run("update", "file", "2900000009", "spending", fails=True)
    assert "begins with 6" in run("update", "where", "123", fails=True)
    assert "for the centre" in run("update", "file", "2900000001", "spending", "--channel", "ussd", "--item",
                                   "spending.butane=1.00", fails=True)
    assert "file it without --item" in run("update", "file", "2900000001", "schooling", "--item", "x=1", fails=True)
