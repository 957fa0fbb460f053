"""Registration: where a household stands, the promise of ten days, leaving the register and coming back."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from threading import Barrier

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway.cli import main
from gateway.importing import Imported, import_extract
from gateway.outbox import Message
from gateway.registry import promise, registration
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import CASABLANCA
from gateway.registry.events import IndexChanged, RegistrationLate, RegistrationReceived
from gateway.registry.extract import Refusal, Waiting, read
from gateway.registry.household import Contact, Household
from gateway.registry.inquiry import PARTNERS, Inquiry
from gateway.registry.numbers import kind_of, spaced
from gateway.registry.promise import InTime
from gateway.registry.registration import STRUCK_OFF_FOR, TRANSITIONS, Newcomer, Registration
from gateway.registry.sample import write_answers, write_sample
from gateway.registry.score import IndexScore
from gateway.registry.standing import NEXT_STEPS, standing
from gateway.registry.steps import NotAllowed
from gateway.whereabouts import whereabouts
from gateway.words import LOCALES, all_words
from tests.conftest import EXAMPLE, NOON, SETTINGS, a_row, register
from tests.registry.asking import HOUSE, TODAY, all_answers, an_answer, answer, declare
from tests.web.desk import contents, homes, rows, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = timedelta(days=1)
REGISTERED = date(2026, 11, 20)
WARN = timedelta(days=8)


def the(runtime) -> Registration:
    one, = rows(runtime, Registration)
    return one


def where(runtime, typed=HOUSE, at=None):
    with runtime.database.read() as session:
        return standing(session, runtime.vault, typed, at or runtime.clock())


def notify(runtime, on):
    """The proof has come."""
    told(runtime, on)
    with runtime.database.write() as session:
        return registration.notified(session, homes(runtime)[0].id, on, runtime.clock())


def act(runtime, verb, **more):
    with runtime.database.write() as session:
        verb(session, runtime.vault, the(runtime).id, why="decided", by="a clerk", now=runtime.clock(), **more)


def strike_off(runtime):
    act(runtime, registration.strike_off, reason="fraud_confirmed")


def without_identifiers(*positions, number=HOUSE, **changes):
    """A line whose members at these positions are not in the population register yet."""
    row = {**json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0]), "household_number": number,
           "registered_on": str(REGISTERED), **changes}
    for position in positions:
        row["members"][position - 1]["idcs"] = None
    return json.dumps(row).encode() + b"\n"


def load(runtime, tmp_path, *lines, verified=False) -> Imported:
    return import_extract(runtime, io.BytesIO(b"".join(lines)), tmp_path / "report.jsonl", lambda position: None,
                          verified=verified)


# Coming in


def test_a_fresh_registration_gets_a_slip_number_and_no_index_yet(runtime):
    stored = declare(runtime, a_row(), a_row("2900000002"))
    assert (stored.new, stored.asked, stored.unscored) == (2, 2, 0)
    kept = rows(runtime, Registration)
    assert {(event.registration_id, event.number) for event in stored.events
            if isinstance(event, RegistrationReceived)} == {(row.id, row.number) for row in kept}
    assert {kind_of(row.number) for row in kept} == {"registration"}
    assert {row.state for row in kept} == {"verifying"}
    assert (len(rows(runtime, Inquiry)), rows(runtime, IndexScore)) == (2 * len(PARTNERS), [])


@one_kind
def test_an_import_of_verified_data_asks_nobody_and_is_scored_at_once(runtime):
    register(runtime, a_row())
    assert (the(runtime).state, rows(runtime, Inquiry), len(rows(runtime, IndexScore))) == ("scored", [], 1)


def test_the_same_registrations_again_change_nothing(runtime, clock):
    declare(runtime, a_row())
    before = contents(runtime)
    clock.forward(days=1)
    assert declare(runtime, a_row()).unchanged == 1
    assert contents(runtime) == before


@one_kind
def test_a_number_that_is_taken_is_drawn_again(runtime):
    numbers = set()
    for household in ("2900000001", "2900000002"):
        with runtime.database.write() as session:
            registration.pre_register(session, runtime.vault, [Newcomer(household, TODAY, missing=(1,))],
                                      runtime.clock(), Random(1))
        numbers = {row.number for row in rows(runtime, Registration)}
    assert len(numbers) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pre_registered_by_two_at_once_a_household_has_one_number(runtime):
    together = Barrier(2)

    def at_once(_):
        together.wait()
        with runtime.database.write() as session:
            registration.pre_register(session, runtime.vault, [Newcomer(HOUSE, TODAY, missing=(1,))], runtime.clock())

    with ThreadPoolExecutor(2) as clerks:
        list(clerks.map(at_once, range(2)))
    assert len(rows(runtime, Registration)) == 1


@one_kind
def test_a_changed_registration_of_a_household_that_has_its_index_is_a_data_update(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=1)
    event, = declare(runtime, a_row(equipment={**a_row().household["equipment"], "cars": 1})).events
    assert isinstance(event, IndexChanged)
    assert (event.cause, the(runtime).state) == ("data_update", "scored")


@one_kind
def test_a_declaration_that_still_names_a_number_given_up_does_not_bring_it_back(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        contact = session.get_one(Contact, rows(runtime, Contact)[0].id)
        contact.ended_by = contact.id
    register(runtime, a_row(language="fr-MA"))
    assert [contact.ended_by is None for contact in rows(runtime, Contact)] == [False]
    register(runtime, a_row(phone="0712345678"))
    assert sorted(contact.ended_by is None for contact in rows(runtime, Contact)) == [False, True]


# Pre-registration


def test_who_lacks_an_identifier_is_pre_registered_and_registered_under_the_same_number_later(runtime, tmp_path):
    done = load(runtime, tmp_path, without_identifiers(1, 2))
    assert (done.refused, done.waiting, done.new) == (1, 1, 0)
    report = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [(entry["field"], entry["code"]) for entry in report] == [
        ("/members/1/idcs", "identifier_missing"), ("/members/2/idcs", "identifier_missing")]
    assert report[1]["reason"].startswith("Member 2: There is no identifier")
    waiting, here = the(runtime), where(runtime)
    assert (here.state, here.next_step, here.missing, here.since) == (
        "pre_registered", "identify_members", (1, 2), TODAY)
    assert load(runtime, tmp_path, without_identifiers(2)).waiting == 1
    assert where(runtime, waiting.number).missing == (2,)
    assert load(runtime, tmp_path, without_identifiers()).new == 1
    row = the(runtime)
    assert (row.id, row.number, row.state, row.missing) == (waiting.id, waiting.number, "verifying", [])
    assert load(runtime, tmp_path, without_identifiers(2)).waiting == 0
    assert the(runtime).missing == [], "a registered household is not pre-registered again"


@one_kind
def test_a_row_with_anything_else_wrong_is_refused_and_not_pre_registered(runtime, tmp_path):
    assert load(runtime, tmp_path, without_identifiers(2, region=13)).waiting == 0
    assert load(runtime, tmp_path, without_identifiers(2, household_number="29")).waiting == 0
    assert rows(runtime, Registration) == []


def test_only_a_missing_identifier_lets_a_row_wait():
    refused, = read(io.BytesIO(without_identifiers(2)), TODAY)
    assert isinstance(refused, Refusal)
    assert refused.waiting == Waiting(HOUSE, REGISTERED, (2,))
    assert HOUSE not in repr(refused)
    malformed, = read(io.BytesIO(without_identifiers().replace(b"2345678906", b"234567890")), TODAY)
    assert isinstance(malformed, Refusal)
    assert malformed.waiting is None


@one_kind
def test_a_pre_registered_household_that_withdrew_may_come_again(runtime, tmp_path):
    load(runtime, tmp_path, without_identifiers(2))
    act(runtime, registration.withdraw)
    with pytest.raises(NotAllowed, match="never complete"):
        act(runtime, registration.reinstate)
    load(runtime, tmp_path, without_identifiers(1))
    assert (the(runtime).state, the(runtime).missing) == ("pre_registered", [1])
    act(runtime, registration.withdraw)
    load(runtime, tmp_path, without_identifiers())
    assert the(runtime).state == "verifying"


# Where it stands


@one_kind
def test_at_every_moment_there_is_a_state_a_day_and_a_next_step(runtime, clock):
    declare(runtime, a_row())
    due = REGISTERED + 10 * DAY
    here = where(runtime)
    assert (here.state, here.since, here.next_step, here.by, here.late) == (
        "verifying", REGISTERED, "partners_answer", due, False)
    assert here.waits_for == tuple(sorted(PARTNERS))
    clock.forward(days=1)
    answer(runtime, *all_answers(on=clock.now.date()))
    here = where(runtime, the(runtime).number)
    assert (here.state, here.since, here.next_step, here.by, here.waits_for) == (
        "scored", TODAY + DAY, "notice", due, ())
    clock.forward(days=1)
    assert notify(runtime, clock.now.date())
    here = where(runtime, homes(runtime)[0].id)
    assert (here.state, here.since, here.next_step, here.by, here.late) == (
        "notified", TODAY + 2 * DAY, "review", TODAY + 62 * DAY, False)
    assert where(runtime, at=clock.now + 61 * DAY).next_step == "keep_current"
    answer(runtime, an_answer("equipment.cars", 1, on=clock.now.date(), reference="2"))
    assert (where(runtime).state, where(runtime).next_step) == ("notified", "notice")
    act(runtime, registration.withdraw)
    assert (where(runtime).state, where(runtime).next_step) == ("withdrawn", "register_again")


@one_kind
def test_one_that_cannot_be_computed_is_looked_at_and_one_struck_off_learns_the_cause_at_the_centre(runtime):
    row = a_row()
    declare(runtime, replace(row, household={**row.household, "region": 13}))
    answer(runtime, *all_answers())
    assert (where(runtime).state, where(runtime).next_step) == ("verifying", "data_check")
    strike_off(runtime)
    assert (where(runtime).state, where(runtime).next_step) == ("struck_off", "ask_centre")


@one_kind
def test_a_number_is_found_however_it_is_typed_and_a_wrong_one_is_nobody(runtime):
    declare(runtime, a_row())
    eastern = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    for typed in (spaced(the(runtime).number), the(runtime).number.translate(eastern), "29 0000 0001",
                  HOUSE.translate(eastern)):
        assert where(runtime, typed), typed
    for typed in ("", "2900000002", "123", the(runtime).number[:-1] + str((int(the(runtime).number[-1]) + 1) % 10)):
        assert where(runtime, typed) is None, typed


@pytest.mark.parametrize("locale", LOCALES)
def test_every_state_and_every_next_step_has_words(locale):
    words = all_words()
    assert {f"standing.state.{state}" for state in TRANSITIONS} <= words.names(locale)
    assert {f"standing.next.{step}" for step in NEXT_STEPS} <= words.names(locale)
    assert {f"source.{partner}" for partner in PARTNERS} <= words.names(locale)


@one_kind
def test_where_it_stands_is_said_with_its_bodies_and_its_days(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *(one for one in all_answers() if one.partner in ("cnss", "telecom", "road_safety")))
    state, following = whereabouts(runtime.words, "fr-MA", where(runtime))
    assert "20/11/2026" in state
    assert "30/11/2026" in following
    assert all(runtime.words.say("fr-MA", f"source.{body}") in following
               for body in ("land_registry", "population_register", "water_electricity"))
    clock.forward(days=20)
    for locale in LOCALES:
        state, sorry, following = whereabouts(runtime.words, locale, where(runtime))
        assert sorry == runtime.words.say(locale, "standing.late")
        assert "30/11/2026" not in following, "a promise that was broken is not made again"


# The promise of ten days


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CASABLANCA).astimezone(UTC)


@one_kind
@pytest.mark.parametrize("registered", [REGISTERED, date(2027, 2, 1), date(2028, 2, 20), date(2026, 12, 25)])
def test_the_tenth_day_is_in_time_to_its_last_minute_in_casablanca(runtime, clock, registered):
    """Ramadan begins on 8 February 2027 and takes an hour off the clock; 2028 is a leap year."""
    clock.now = midnight(registered)
    declare(runtime, replace(a_row(), household={**a_row().household, "registered_on": str(registered)}))
    last, after = (midnight(registered + 11 * DAY) - timedelta(minutes=1)), midnight(registered + 11 * DAY)
    assert [where(runtime, at=at).late for at in (last, after)] == [False, True]
    with runtime.database.read() as session:
        assert [len(promise.late(session, at)) for at in (last, after)] == [0, 1]


def test_who_will_be_late_is_told_once_before_the_tenth_day_with_the_body_that_has_not_answered(runtime, clock):
    declare(runtime, a_row(), a_row("2900000002"))
    answer(runtime, *all_answers(without="telecom"), *all_answers("2900000002"))
    home = homes(runtime)[0]

    def ring(at):
        with runtime.database.write() as session:
            return promise.due(session, runtime.vault, at, WARN)

    assert ring(midnight(REGISTERED + WARN) - timedelta(minutes=1)) == []
    event, = ring(midnight(REGISTERED + WARN))
    assert isinstance(event, RegistrationLate)
    assert (event.household_id, event.waits_for) == (home.id, ("telecom",))
    assert ring(midnight(REGISTERED + WARN + DAY)) == []
    assert where(runtime).late, "the clock shows that it will be"
    answer(runtime, *(one for one in all_answers() if one.partner == "telecom"))
    assert not where(runtime).late, "it may still be told in time"
    entry, = [entry for entry in rows(runtime, AuditEntry) if entry.act == "registration.late"]
    assert entry.detail == {"waits_for": ["telecom"]}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_clocks_at_once_tell_a_late_household_once(runtime):
    declare(runtime, a_row())
    together = Barrier(2)

    def ring(_):
        together.wait()
        with runtime.database.write() as session:
            return promise.due(session, runtime.vault, NOON + 10 * DAY, WARN)

    with ThreadPoolExecutor(2) as clocks:
        assert sum(len(events) for events in clocks.map(ring, range(2))) == 1


def test_the_list_of_the_late_has_the_longest_waiting_first_and_only_those_not_told(runtime, clock):
    declare(runtime, a_row(registered_on=TODAY - 2 * DAY), a_row("2900000002", registered_on=TODAY - 5 * DAY),
            a_row("2900000003"))
    answer(runtime, *all_answers("2900000002"))
    with runtime.database.write() as session:
        registration.withdraw(session, runtime.vault, registration.find(session, runtime.vault, "2900000003").id,
                              why="moved", by="a clerk", now=clock.now)
    with runtime.database.read() as session:
        first, second = promise.late(session, NOON + 15 * DAY)
    assert (first.state, first.days, first.waits_for) == ("scored", 20, ())
    assert (second.state, second.days, second.waits_for) == ("verifying", 17, tuple(sorted(PARTNERS)))


def test_the_share_in_time_counts_those_whose_tenth_day_has_passed(runtime, clock):
    numbers = [f"290000000{last}" for last in range(1, 7)]
    register(runtime, *(a_row(number, None, registered_on=TODAY - 3 * DAY) for number in numbers[:5]),
             a_row(numbers[5], None, registered_on=TODAY))
    in_time, late, withdrawn, left_after, *_ = homes(runtime)
    with runtime.database.write() as session:
        for home, days in ((in_time, 7), (late, 8), (left_after, 1)):
            registration.notified(session, home.id, TODAY + days * DAY, clock.now)
        for number in (numbers[2], numbers[3]):
            registration.withdraw(session, runtime.vault, registration.find(session, runtime.vault, number).id,
                                  why="moved", by="a clerk", now=clock.now)
    assert withdrawn

    def share(first, last, days):
        with runtime.database.read() as session:
            return promise.share_in_time(session, first, last, NOON + days * DAY)

    everything = (TODAY - 30 * DAY, TODAY + 30 * DAY)
    assert share(*everything, 7) == InTime(0, 0), "their tenth day has not passed"
    assert share(*everything, 8) == InTime(2, 4)
    assert share(*everything, 11) == InTime(2, 5)
    assert share(TODAY, TODAY, 11) == InTime(0, 1)


@one_kind
def test_the_first_proof_counts_and_a_late_one_moves_nothing(runtime):
    declare(runtime, a_row())
    assert not notify_early(runtime), "there is nothing to be told yet"
    answer(runtime, *all_answers())
    assert notify(runtime, TODAY + DAY)
    assert not notify(runtime, TODAY + 2 * DAY)
    assert the(runtime).notified_on == TODAY + DAY


def notify_early(runtime):
    with runtime.database.write() as session:
        return registration.notified(session, homes(runtime)[0].id, TODAY, runtime.clock())


# Leaving and coming back


def test_a_struck_off_household_is_asked_about_scored_and_told_no_more(runtime, clock):
    declare(runtime, a_row())
    strike_off(runtime)
    assert (the(runtime).state, the(runtime).reason, rows(runtime, Inquiry)) == ("struck_off", "fraud_confirmed", [])
    messages = len(rows(runtime, Message))
    for load_rows in (register, declare):
        load_rows(runtime, a_row(language="fr-MA" if load_rows is register else "ar-MA"))
    answer(runtime, an_answer("equipment.cars", 3))
    assert (rows(runtime, IndexScore), rows(runtime, Inquiry), len(rows(runtime, Message))) == ([], [], messages)
    with runtime.database.write() as session:
        assert promise.due(session, runtime.vault, NOON + 20 * DAY, WARN) == []
    entry = next(entry for entry in rows(runtime, AuditEntry) if entry.act == "registration.struck_off")
    assert (entry.by, entry.why, entry.detail) == ("a clerk", "decided", {"reason": "fraud_confirmed"})


@one_kind
def test_whatever_calls_for_a_score_passes_over_who_left_the_register(runtime, clock):
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    with runtime.database.write() as session:
        left = registration.find(session, runtime.vault, HOUSE)
        registration.withdraw(session, runtime.vault, left.id, why="moved", by="a clerk", now=clock.now)
        both = session.scalars(sa.select(Household)).all()
        scored = runtime.scorer.score(session, both, "yearly_verification", clock.now)
    assert [event.household_id for event in scored.events] == [homes(runtime)[1].id]


def test_who_is_reinstated_is_verified_anew_and_told_even_if_the_index_is_the_same(runtime, clock):
    register(runtime, a_row())
    notify(runtime, TODAY)
    strike_off(runtime)
    clock.forward(days=30)
    act(runtime, registration.reinstate)
    today = clock.now.date()
    here = where(runtime)
    assert (here.state, here.since, here.by, here.late) == ("verifying", today, today + 10 * DAY, False)
    event, = answer(runtime, *all_answers(on=today)).events
    assert (event.cause, the(runtime).state, the(runtime).notified_on) == ("yearly_verification", "scored", None)
    first, second = sorted(rows(runtime, IndexScore), key=lambda score: score.computed_at)
    assert second.predecessor_id == first.id


@one_kind
def test_who_withdrew_is_back_by_registering_again_and_who_was_struck_off_is_not(runtime, clock):
    declare(runtime, a_row())
    act(runtime, registration.withdraw)
    register(runtime, a_row())
    assert the(runtime).state == "withdrawn", "an import of data registers nobody"
    clock.forward(days=3)
    assert declare(runtime, a_row()).asked == 1
    assert (the(runtime).state, the(runtime).registered_on) == ("verifying", clock.now.date())
    strike_off(runtime)
    assert declare(runtime, a_row(language="fr-MA")).out == 1
    assert the(runtime).state == "struck_off"


@one_kind
def test_what_the_table_does_not_list_is_refused_with_what_is_allowed(runtime):
    declare(runtime, a_row())
    with pytest.raises(NotAllowed, match="only one that is withdrawn or struck off"):
        act(runtime, registration.reinstate)
    with pytest.raises(NotAllowed, match=", ".join(STRUCK_OFF_FOR)):
        act(runtime, registration.strike_off, reason="a hunch")
    act(runtime, registration.withdraw)
    for verb, more in ((registration.withdraw, {}), (registration.strike_off, {"reason": "fraud_confirmed"})):
        with pytest.raises(NotAllowed, match="it can be pre registered or registered"):
            act(runtime, verb, **more)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_of_two_clerks_at_once_one_strikes_off(runtime):
    declare(runtime, a_row())
    together = Barrier(2)

    def at_once(_):
        together.wait()
        try:
            strike_off(runtime)
        except NotAllowed:
            return 0
        return 1

    with ThreadPoolExecutor(2) as clerks:
        assert sum(clerks.map(at_once, range(2))) == 1


# The command line, and invented answers


@pytest.fixture
def mouachir(runtime, monkeypatch):
    """The command line on this house."""
    names = {"DATABASE_URL": runtime.settings.database_url, "REDIS_URL": runtime.settings.redis_url,
             "VAR_DIR": str(runtime.settings.var)}
    for name, value in {**SETTINGS, **names}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, [str(one) for one in arguments])
        assert done.exit_code == code, done.output
        return done.output

    return run


@one_kind
def test_a_clerk_goes_the_whole_way_on_the_command_line(runtime, mouachir, tmp_path):
    extract, replies = tmp_path / "extract.jsonl", tmp_path / "answers.jsonl"
    with extract.open("wb") as out:
        write_sample(out, 8, 7, date.today())  # noqa: DTZ011
    assert "8 new, 0 changed" in mouachir("register", extract)
    with extract.open("rb") as file, replies.open("wb") as out:
        answers = write_answers(out, file, 7, date.today(), 0.1)  # noqa: DTZ011
    assert f"{answers} new, 0 known before, 0 refused" in mouachir("answers", replies)
    assert f"0 new, {answers} known before, 0 refused, 0 households changed" in mouachir("answers", replies)
    assert {row.state for row in rows(runtime, Registration)} == {"scored"}
    one = rows(runtime, Registration)[0]
    assert "state      scored" in mouachir("where", one.number)
    assert len(mouachir("where", one.number, "--language", "ar-MA").splitlines()) == 2
    late = mouachir("late").splitlines()
    assert (late[0], late[-1]) == ("0 late", "told in time in the last 90 days: 0 of 0")
    assert [line.split()[:2] for line in late[1:-1]] == [[partner, "0"] for partner in PARTNERS]
    corrected = next(line for line in map(json.loads, replies.read_text().splitlines())
                     if line["outcome"] == "corrected" and "idcs" not in line)
    asked = mouachir("contest", corrected["household_number"], corrected["item"])
    assert f"{corrected['partner']} is asked again" in asked
    assert "already" in mouachir("contest", corrected["household_number"], corrected["item"], code=1)
    mouachir("registration", "strike-off", one.number, "--reason", "fraud_confirmed", "--why", "decided")
    assert "is struck_off" in mouachir("registration", "score-anyway", one.number, "--why", "late", code=1)
    mouachir("registration", "reinstate", one.number, "--why", "a mistake")
    assert "verifying" in mouachir("where", one.number)
    assert "scored" in mouachir("registration", "score-anyway", one.number, "--why", "late")
    mouachir("registration", "withdraw", one.number, "--why", "they asked")
    assert "No registration has this number" in mouachir("where", "2999999998", code=1)


def test_invented_answers_are_the_same_for_the_same_seed():
    def written(seed):
        extract, out = io.BytesIO(), io.BytesIO()
        write_sample(extract, 20, 1, TODAY)
        extract.seek(0)
        write_answers(out, extract, seed, TODAY, 0.2)
        return out.getvalue()

    assert written(1) == written(1) != written(2)
