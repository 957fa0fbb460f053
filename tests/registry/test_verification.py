"""Verification: bodies are asked and answer, in any order and as often as they like; the index follows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from threading import Barrier

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.answering import take_answers
from gateway.outbox import Message
from gateway.registry import answers as reading
from gateway.registry import inquiry, registration, update, verification
from gateway.registry.answers import Answer, Remark, check, read
from gateway.registry.audit import AuditEntry
from gateway.registry.events import IndexAssigned, IndexChanged
from gateway.registry.evidence import Correction, Finding
from gateway.registry.extract import Refusal
from gateway.registry.inquiry import PARTNERS, Inquiry
from gateway.registry.registration import Registration
from gateway.registry.score import IndexScore
from gateway.registry.scoring import reproduce
from gateway.registry.steps import NotAllowed
from tests.conftest import EXAMPLE, a_row, register
from tests.registry.asking import HOUSE, IDCS, TODAY, all_answers, an_answer, answer, declare
from tests.web.desk import contents, homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CARS = "equipment.cars"
PAGE = reading.SCHEMA.with_name("answers.md").read_text(encoding="utf-8")
GOOD = {"partner": "road_safety", "household_number": HOUSE, "item": CARS, "outcome": "corrected", "value": 1,
        "answered_on": str(TODAY), "reference": "RS-1"}
MEMBER = {**GOOD, "partner": "cnss", "item": "members.health_cover", "idcs": IDCS[0], "value": "other"}


def a_line(**changes):
    """A line of the file; None takes a field away."""
    given = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return json.dumps(given).encode() + b"\n"


def read_all(data):
    return list(read(BytesIO(data), TODAY))


def states(runtime):
    return [row.state for row in rows(runtime, Registration)]


def scores(runtime):
    return sorted(rows(runtime, IndexScore), key=lambda score: score.computed_at)


def open_items(runtime):
    with runtime.database.read() as session:
        return {partner: row.items for (_, partner), row in inquiry.opened(session, [homes(runtime)[0].id]).items()}


def contest(runtime, item=CARS):
    with runtime.database.write() as session:
        home = homes(runtime)[0].id
        found = verification.counting(session, home, item)
        assert found, "no body's correction counts"
        verification.contest(session, runtime.vault, home, found.id, by="a clerk", now=runtime.clock())


# From registering to the first index


def test_a_household_that_registers_is_asked_about_and_scored_when_every_body_has_answered(runtime):
    declare(runtime, a_row())
    assert (states(runtime), scores(runtime)) == (["verifying"], [])
    assert open_items(runtime)["cnss"] == ["members.1.health_cover", "members.2.health_cover",
                                           "members.1.activity", "members.2.activity"]
    assert open_items(runtime)["road_safety"] == ["equipment.cars", "equipment.motorcycles"]
    assert not answer(runtime, *all_answers(without="telecom")).events
    assert (states(runtime), set(open_items(runtime))) == (["verifying"], {"telecom"})
    first, *rest = [one for one in all_answers() if one.partner == "telecom"]
    assert not answer(runtime, first).events
    event, = answer(runtime, *rest).events
    assert isinstance(event, IndexAssigned)
    assert (states(runtime), open_items(runtime)) == (["scored"], {})
    score, = scores(runtime)
    assert (score.id, score.cause) == (event.score_id, "registration")


@one_kind
def test_unknown_is_an_answer_too(runtime):
    declare(runtime, a_row())
    answer(runtime, *(replace(one, outcome="unknown") for one in all_answers()))
    assert states(runtime) == ["scored"]


@one_kind
def test_the_first_index_counts_what_the_bodies_corrected(runtime):
    register(runtime, a_row("2900000002", equipment={**a_row().household["equipment"], "cars": 2}))
    declare(runtime, a_row())
    given = [one for one in all_answers() if one.item != CARS]
    answer(runtime, *given, an_answer(CARS, 2))
    one, other = scores(runtime)
    assert one.value == other.value
    with runtime.database.read() as session:
        assert reproduce(session, other.id) == other.value


@one_kind
def test_a_household_that_cannot_be_computed_waits_for_a_clerk_and_is_asked_anew_when_corrected(runtime):
    row = a_row()
    declare(runtime, replace(row, household={**row.household, "region": 13}, content_digest="0" * 64))
    assert not answer(runtime, *all_answers()).events
    assert (states(runtime), scores(runtime)[0].value, open_items(runtime)) == (["verifying"], None, {})
    declare(runtime, row)
    answer(runtime, *all_answers(on=TODAY))
    assert open_items(runtime), "the old references answer nothing new"
    answer(runtime, *(replace(one, reference="2") for one in all_answers()))
    assert states(runtime) == ["scored"]


def test_a_clerk_has_a_household_scored_that_waits_too_long_and_a_late_answer_still_counts(runtime):
    declare(runtime, a_row())
    answer(runtime, *all_answers(without="road_safety"))
    home, = homes(runtime)
    with runtime.database.write() as session:
        event, = verification.score_anyway(session, runtime.vault, runtime.scorer, home.id, why="ten days are over",
                                           by="a clerk", now=runtime.clock())
    assert (states(runtime), set(open_items(runtime))) == (["scored"], {"road_safety"})
    with runtime.database.write() as session, pytest.raises(NotAllowed, match="is scored: only one"):
        verification.score_anyway(session, runtime.vault, runtime.scorer, home.id, why="again", by="a clerk",
                                  now=runtime.clock())
    later, = answer(runtime, an_answer(CARS, 1)).events
    assert (later.predecessor_id, later.cause) == (event.score_id, "partner_correction")
    entry = next(entry for entry in rows(runtime, AuditEntry) if entry.act == "registration.scored_anyway")
    assert (entry.by, entry.why, entry.detail) == ("a clerk", "ten days are over", {"waits_for": ["road_safety"]})


# What an answer moves later


def test_a_correction_of_what_counts_brings_a_new_index_and_its_withdrawal_the_old_one(runtime, clock):
    register(runtime, a_row())
    changed, = answer(runtime, an_answer(CARS, 1)).events
    assert isinstance(changed, IndexChanged)
    clock.forward(days=1)
    back, = answer(runtime, an_answer(CARS, on=clock.now.date())).events
    first, second, third = scores(runtime)
    assert (second.id, second.predecessor_id, second.cause) == (changed.score_id, first.id, "partner_correction")
    assert (third.id, third.value, third.predecessor_id) == (back.score_id, first.value, second.id)
    assert second.value > first.value


@one_kind
def test_a_correction_that_does_not_count_in_the_index_brings_no_news(runtime):
    register(runtime, a_row())
    answered = answer(runtime, an_answer("property.irrigated_land", value=True))
    assert (len(answered.received.changed), answered.events, len(scores(runtime))) == (1, [], 1)


def test_the_same_answers_again_change_nothing_at_all(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *all_answers(), an_answer(CARS, 2, reference="2"))
    before = contents(runtime)
    clock.forward(days=1)
    again = answer(runtime, an_answer(CARS, 2, reference="2"), *all_answers())
    assert (again.events, again.received.stored) == ([], 0)
    assert contents(runtime) == before


@one_kind
def test_an_answer_older_than_its_question_is_kept_and_does_not_answer_it(runtime):
    declare(runtime, a_row())
    old = answer(runtime, an_answer(CARS, 1, on=TODAY - timedelta(days=1))).received
    assert (old.stored, CARS in open_items(runtime)["road_safety"]) == (1, True)
    remark = old.outcomes[1]
    assert isinstance(remark, Remark)
    assert [(entry["level"], entry["code"]) for entry in remark.report()] == [("warning", "answered_before_asked")]


@one_kind
def test_a_struck_off_household_is_not_scored_by_an_answer(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        registration.strike_off(session, runtime.vault, rows(runtime, Registration)[0].id, reason="fraud_confirmed",
                                why="decided", by="a clerk", now=runtime.clock())
    answered = answer(runtime, an_answer(CARS, 3))
    assert (answered.received.stored, answered.events, len(scores(runtime))) == (1, [], 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_files_at_once_that_complete_a_household_score_it_once(runtime):
    declare(runtime, a_row())
    given = all_answers()
    together = Barrier(2)

    def at_once(answers):
        together.wait()
        return answer(runtime, *answers).events

    with ThreadPoolExecutor(2) as files:
        told = [event for events in files.map(at_once, (given[::2], given[1::2])) for event in events]
    assert [type(event) for event in told] == [IndexAssigned]
    assert (states(runtime), len(scores(runtime))) == (["scored"], 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hold", ["update", "withdrawal", "contest", "answers", "scoring", "intake"])
def test_whoever_holds_a_household_lets_others_write_rows_that_name_it(runtime, hold):
    """Else a receipt and an answer, each with what the other needs, would wait for one another for ever."""
    register(runtime, a_row())
    answer(runtime, an_answer("equipment.motorcycles", 3))
    [home], [there], [finding] = homes(runtime), rows(runtime, Registration), rows(runtime, Finding)
    now = runtime.clock()
    with runtime.database.write() as holding, runtime.database.write() as naming:
        {"update": lambda: update.hold(holding, [home.id]),
         "withdrawal": lambda: registration.withdraw(holding, runtime.vault, there.id, why="asked to", by="amina",
                                                     now=now),
         "contest": lambda: verification.contest(holding, runtime.vault, home.id, finding.id, by="amina", now=now),
         "answers": lambda: verification.receive(holding, runtime.vault, [an_answer(CARS, 2)], now),
         "scoring": lambda: runtime.scorer.score(holding, [home], "review", now),
         "intake": lambda: runtime.intake.store(holding, [a_row()], now)}[hold]()
        naming.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
        naming.add(Correction(household_id=home.id, item=CARS, member_blind=b"", value=1, entered_by="amina",
                              reason="seen", in_force_at=None, entered_at=now))
        naming.flush()


# A new declaration


@one_kind
def test_while_it_is_verified_a_new_declaration_takes_the_place_of_the_old_and_is_asked_about_anew(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *all_answers(without="telecom"))
    clock.forward(days=1)
    mother, _ = a_row().household["members"]
    for load in (declare, register):
        load(runtime, a_row(members=[mother], language="fr-MA" if load is register else "ar-MA"))
        assert (states(runtime), scores(runtime), set(open_items(runtime))) == (["verifying"], [], set(PARTNERS))
        assert open_items(runtime)["cnss"] == ["members.1.health_cover", "members.1.activity"]
    answer(runtime, *(replace(one, reference="2") for one in all_answers(on=clock.now.date(), idcs=IDCS[:1])))
    assert states(runtime) == ["scored"]


@one_kind
def test_a_question_about_a_member_follows_the_member(runtime):
    register(runtime, a_row())
    answer(runtime, an_answer("members.health_cover", "other", idcs=IDCS[1]))
    contest(runtime, "members.2.health_cover")
    mother, son = a_row().household["members"]
    register(runtime, a_row(members=[son, mother], declarant=2))
    assert open_items(runtime) == {"cnss": ["members.1.health_cover"]}
    register(runtime, a_row(members=[mother]))
    assert open_items(runtime) == {}


# Contesting


def test_a_contested_finding_counts_until_the_body_answers_again(runtime, clock):
    register(runtime, a_row())
    answer(runtime, an_answer(CARS, 1))
    clock.forward(days=2)
    contest(runtime)
    assert open_items(runtime) == {"road_safety": [CARS]}
    assert [finding.contested_at for finding in rows(runtime, Finding)] == [clock.now]
    assert len(scores(runtime)) == 2, "contesting alone changes nothing"
    answer(runtime, an_answer(CARS, 1))
    assert open_items(runtime), "a repeat of the old answer is no answer"
    clock.forward(days=1)
    event, = answer(runtime, an_answer(CARS, on=clock.now.date(), reference="2")).events
    assert (event.cause, open_items(runtime)) == ("partner_correction", {})
    assert scores(runtime)[-1].value == scores(runtime)[0].value


def test_what_waits_for_an_answer_is_not_contested_again_but_a_new_answer_may_be(runtime, clock):
    register(runtime, a_row())
    answer(runtime, an_answer(CARS, 1))
    contest(runtime)
    with pytest.raises(NotAllowed, match="has been asked about this item already"):
        contest(runtime)
    clock.forward(days=1)
    answer(runtime, an_answer(CARS, 2, on=clock.now.date()))
    contest(runtime)
    assert open_items(runtime) == {"road_safety": [CARS]}


@one_kind
def test_only_a_correction_that_counts_for_this_household_is_contested(runtime, clock):
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    answer(runtime, an_answer(CARS, 1), an_answer(CARS, 1, number="2900000002"),
           an_answer("equipment.motorcycles", outcome="confirmed"))
    clock.forward(days=1)
    answer(runtime, an_answer(CARS, 2, on=clock.now.date()))
    mine, _ = homes(runtime)
    for finding in rows(runtime, Finding):
        if (finding.household_id, finding.value) == (mine.id, 2):
            continue
        with runtime.database.write() as session, pytest.raises(NotAllowed):
            verification.contest(session, runtime.vault, mine.id, finding.id, by="a clerk", now=clock.now)
    with runtime.database.read() as session:
        assert verification.counting(session, mine.id, "equipment.motorcycles") is None
        with pytest.raises(NotAllowed, match="no such item"):
            verification.counting(session, mine.id, "equipment.ships")
    contest(runtime)


# How long they take


@one_kind
def test_waiting_times_are_those_of_all_answers_and_not_an_average_of_averages(runtime, clock):
    numbers = [f"29000000{position:02}" for position in range(10)]
    declare(runtime, *(a_row(number, None) for number in numbers))
    for days, answering in ((1, numbers[:6]), (2, numbers[6:8]), (20, numbers[8:9])):
        clock.now += timedelta(days=days)
        answer(runtime, *(one for number in answering for one in all_answers(number, on=clock.now.date())
                          if one.partner == "road_safety"))
    with runtime.database.read() as session:
        times = {one.partner: one for one in inquiry.waiting_times(session, TODAY, clock.now.date())}
        before = {one.partner: one for one in inquiry.waiting_times(session, TODAY, TODAY)}
    assert times["road_safety"] == inquiry.Waiting("road_safety", 9, 1, 23, 1)
    assert times["cnss"] == inquiry.Waiting("cnss", 0, None, None, 10)
    assert before["road_safety"] == inquiry.Waiting("road_safety", 0, None, None, 1)
    assert len(rows(runtime, Inquiry)) == 60


# Reading a file


def test_a_good_line_is_read_as_it_is_written():
    assert read_all(a_line()) == [Answer(1, "road_safety", HOUSE, CARS, None, "corrected", 1, TODAY, "RS-1")]
    assert read_all(a_line(**MEMBER))[0].idcs == IDCS[0]


BAD = [
    ("line_too_long", "", a_line(reference="x" * 5000)), ("not_utf8", "", b"\xff\n"), ("not_json", "", b"{cut\n"),
    ("not_json", "", b'{"value": NaN}\n'), ("too_large", "", b"[" * 4000 + b"]" * 90 + b"\n"),
    ("repeated_key", "", a_line().replace(b'"item"', b'"reference": "a", "item"')),
    ("wrong_type", "", b"[1]\n"), ("missing", "/reference", a_line(reference=None)),
    ("missing", "/reference", a_line(reference="")), ("unexpected", "", a_line(name="Fatima")),
    ("not_listed", "/partner", a_line(partner="a_bank")),
    ("malformed", "/household_number", a_line(household_number="29")),
    ("not_a_date", "/answered_on", a_line(answered_on="2026-02-30")),
    ("answered_in_future", "/answered_on", a_line(answered_on=str(TODAY + timedelta(days=1)))),
    ("unprintable", "/reference", a_line(reference="a\u2028b")),
    ("not_this_partner", "/item", a_line(item="equipment.computers")),
    ("not_this_partner", "/item", a_line(partner="telecom")),
    ("member_missing", "/idcs", a_line(**{**MEMBER, "idcs": None})),
    ("member_unexpected", "/idcs", a_line(idcs=IDCS[0])), ("malformed", "/idcs", a_line(idcs="12")),
    ("value_missing", "/value", a_line(value=None)), ("value_unexpected", "/value", a_line(outcome="confirmed")),
    ("wrong_type", "/value", a_line(value="1")), ("out_of_range", "/value", a_line(value=51)),
    ("out_of_range", "/value", a_line(value=10 ** 40)), ("decimal_number", "/value", a_line(value=1.0)),
    ("decimal_number", "/value", a_line().replace(b'"value": 1', b'"value": 1e999')),
    ("not_listed", "/value", a_line(**{**MEMBER, "value": "gold"})),
    ("not_listed", "/outcome", a_line(outcome="perhaps")),
]


@pytest.mark.parametrize(("code", "field", "line"), BAD)
def test_a_bad_line_is_refused_with_its_field_and_its_code_and_stops_no_other(code, field, line):
    refused, good = read_all(line + a_line())
    assert isinstance(refused, Refusal)
    assert (code, field) in [(problem.code, problem.field) for problem in refused.problems]
    assert isinstance(good, Answer)


def test_amounts_are_text_and_days_are_days():
    spending = {"partner": "telecom", "item": "spending.phone_internet"}
    assert isinstance(read_all(a_line(**spending, value="120.50"))[0], Answer)
    assert read_all(a_line(**spending, value="a lot"))[0].problems[0].code == "malformed"
    assert read_all(a_line(**spending, value=120))[0].problems[0].code == "wrong_type"
    birth = {"partner": "population_register", "item": "members.birth_date", "idcs": IDCS[0]}
    assert read_all(a_line(**birth, value="1980-02-30"))[0].problems[0].code == "not_a_date"


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner:
                    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "idcs"]), inner, max_size=8)))
def test_whatever_stands_on_a_line_it_is_read_or_refused(document):
    outcome = check(1, document, TODAY)
    assert isinstance(outcome, Answer) or outcome.problems


@one_kind
def test_what_no_household_here_has_is_refused(runtime):
    register(runtime, a_row())
    for one, code in ((an_answer(CARS, 1, number="2999999999"), "unknown_household"),
                      (an_answer("members.activity", idcs="9999999999"), "unknown_member"),
                      (an_answer("members.birth_date", "2026-11-24", idcs=IDCS[1]), "birth_in_future"),
                      (an_answer("members.birth_date", "1402-01-01", idcs=IDCS[1]), "birth_too_long_ago")):
        refused = answer(runtime, one).received.outcomes[1]
        assert isinstance(refused, Refusal)
        assert [problem.code for problem in refused.problems] == [code]
    assert rows(runtime, Finding) == []


def test_a_file_is_kept_told_and_reported_without_a_value_of_it(runtime, tmp_path):
    register(runtime, a_row())
    data = (a_line(household_number="2999999999", reference="SECRET-1") + a_line(value=2) + b"{broken\n"
            + a_line(value=51, reference="SECRET-2") + a_line(value=2) + a_line(**{**MEMBER, "idcs": "9999999999"}))
    seen = []
    done = take_answers(runtime, BytesIO(data), tmp_path / "report.jsonl", seen.append, by="amina")
    assert (done.stored, done.repeated, done.refused, done.changed, done.posted) == (1, 1, 4, 1, 1)
    report = (tmp_path / "report.jsonl").read_text(encoding="utf-8")
    assert [(entry["line"], entry["code"]) for entry in map(json.loads, report.splitlines())] == [
        (1, "unknown_household"), (3, "not_json"), (4, "out_of_range"), (6, "unknown_member")]
    for secret in ("SECRET", "29999", "9999", "51"):
        assert secret not in report.replace('"line": 51', "")
    assert seen == [len(data)]
    entry, = [entry for entry in rows(runtime, AuditEntry) if entry.act == "answers.received"]
    assert (entry.by, entry.detail) == ("amina", {"new": 1, "repeated": 1, "changed": 1})
    assert [message.notice for message in rows(runtime, Message)] == ["index_assigned", "index_assigned"]


def test_no_answer_shows_its_value_or_its_household():
    shown = repr(read_all(a_line(**{**MEMBER, "value": "other"}))[0])
    assert not any(secret in shown for secret in (HOUSE, IDCS[0], "other"))


# The page


def test_the_page_names_every_code_every_partner_and_every_item():
    assert set(reading.schema()["properties"]["partner"]["enum"]) == set(PARTNERS)
    for name in (*reading.SENTENCES, *PARTNERS, *(item for items in PARTNERS.values() for item in items),
                 *reading.schema()["properties"], *(code for code, *_ in BAD)):
        assert f"`{name}`" in PAGE, name


def test_the_examples_of_the_page_are_answers():
    shown = PAGE.partition("```json\n")[2].partition("```")[0].encode()
    assert all(isinstance(one, Answer) for one in read_all(shown))
    assert json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])["household_number"] in shown.decode()
