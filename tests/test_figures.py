"""Figures: small cases counted by hand; a whole that its groups add up to; and no figure that is made up."""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations, count
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.db import Database, UtcDateTime, new_id
from gateway.figures import GROUPS, figures
from gateway.figures.figure import Change, Count, Delay, Share, percentile
from gateway.outbox import Message
from gateway.registry.complaint import Complaint
from gateway.registry.evidence import Finding
from gateway.registry.household import Contact, Household
from gateway.registry.inquiry import Inquiry
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.score import IndexScore
from gateway.registry.update import DataUpdate
from tests.conftest import SETTINGS, a_row, register

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FIRST, LAST, TODAY = date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 5)
DOCUMENT = Path(__file__).parent.parent / "docs" / "figures.md"
PROCESS = ["ACC-01", "INS-01", "INS-02", "INS-03", "FSC-01", "MAJ-01", "MAJ-02", "MAJ-03", "MAJ-04", "NOT-01", "NOT-02",
           "REC-01", "REC-02", "REC-03", "REC-04", "REC-05", "CQD-01", "CQD-02"]
OURS = ["SMS-01", "GRM-01", "GRM-02", "GRM-03", "GRM-04"]
numbers = count(100_000_000)


def nov(day: int, hour: int = 12, minute: int = 0) -> datetime:
    """A moment counted from the first of November 2026, at noon in Greenwich if nothing is said."""
    return datetime(2026, 11, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def session(database):
    with database.write() as session:
        yield session


def put(session, model, **values) -> UUID:
    """A row with these values; what is not said and must be there says nothing."""
    kept = {"id": new_id(), **values}
    for column in sa.inspect(model).local_table.columns:
        if column.name not in kept and not column.nullable:
            kept[column.name] = next(numbers) if column.name == "number" else _nothing(column)
    if "number" in kept:
        kept["number"] = str(kept["number"])
    session.execute(sa.insert(model.__table__), kept)
    return kept["id"]


def _nothing(column):
    """What says nothing in a column of this kind; what must be the only one of its kind is."""
    unique = new_id()
    match column.type:
        case sa.JSON():
            return []
        case sa.LargeBinary():
            return unique.bytes
        case sa.Uuid():
            return unique
        case UtcDateTime():
            return nov(1)
        case sa.Date():
            return FIRST
        case sa.String() as text:
            return unique.hex[-text.length:] if column.unique else ""
        case sa.Boolean():
            return False
        case _:
            return 0


def a_home(session, region=6, area="urban", sex="female") -> UUID:
    """A household whose head is of this sex, and whose other member is of the other."""
    other = "male" if sex == "female" else "female"
    members = [{"relation": "spouse", "sex": other}, {"relation": "head", "sex": sex}]
    return put(session, Household, region=region, area=area, facts={"members": members})


def registered(session, on, told=None, state=None, **more) -> UUID:
    """A household registered on a November day, and told on another."""
    home = more.pop("home", None) or a_home(session)
    put(session, Registration, household_id=home, state=state or ("notified" if told else "verifying"),
        registered_on=nov(on).date(), notified_on=nov(told).date() if told else None, **more)
    return home


def scored(session, home, at) -> UUID:
    return put(session, IndexScore, household_id=home, value=Decimal(9), computed_at=at, contributions=b"")


def count_up(session, code, by=(), first=FIRST, last=LAST, today=TODAY):
    """The lines of one figure, by measure and group."""
    found, = (one for one in figures(session, first, last, by, today=today) if one.code == code)
    return {(line.measure, *(value for _, value in line.group)): line.value for line in found.lines}


# registrations


def test_a_pre_registration_counts_once_its_days_have_passed(session):
    for day, came in ((1, 2), (1, 30), (1, 31), (2, None), (20, 21)):
        home = a_home(session) if came else None
        put(session, Registration, household_id=home, state="registered" if came else "pre_registered",
            pre_registered_at=nov(day), received_at=nov(came) if came else None)
    put(session, Registration, household_id=a_home(session), state="registered", received_at=nov(3))
    assert count_up(session, "ACC-01") == {
        ("registered within 30 days",): Share(2, 4), ("registered within 90 days",): Share(0, 0)}
    later = count_up(session, "ACC-01", today=date(2027, 3, 1), by=("region",))
    assert later == {("registered within 30 days",): Share(3, 5), ("registered within 90 days",): Share(4, 5)}


def test_a_registration_is_told_within_so_many_days_of_its_own(session):
    registered(session, 1, told=11)
    registered(session, 1, told=12)
    registered(session, 2)
    registered(session, 3, state="withdrawn")
    registered(session, 3, told=5, state="struck_off")
    registered(session, 25, told=26)
    registered(session, 1, state="pre_registered")
    registered(session, 0, told=1)
    assert count_up(session, "INS-01") == {
        ("told within 10 days",): Share(2, 4), ("told within 30 days",): Share(3, 4),
        ("told within 60 days",): Share(0, 0), ("told within 90 days",): Share(0, 0)}
    assert count_up(session, "INS-01", today=date(2027, 6, 1))["told within 90 days",] == Share(4, 5)


def test_the_time_of_a_registration_is_counted_in_the_period_in_which_it_ended(session):
    for on, told in ((1, 5), (1, 6), (1, 30), (-30, 3), (20, 33)):
        registered(session, on, told)
    assert count_up(session, "INS-02") == {
        ("registered to told",): Delay(4, Decimal("17.8"), median=5, p75=29, p90=33)}


def test_a_member_whom_the_register_corrects_counts_once_whatever_the_fields(session):
    home, other = a_home(session), a_home(session, area="rural")
    for of, member, item, outcome in (
            (home, b"1", "birth_date", "corrected"), (home, b"1", "marital_status", "corrected"),
            (home, b"2", "birth_date", "confirmed"), (home, b"2", "marital_status", "unknown"),
            (other, b"1", "birth_date", "confirmed"), (other, b"3", "marital_status", "unknown")):
        put(session, Finding, household_id=of, partner="population_register", item=f"members.{item}",
            member_blind=member, outcome=outcome, received_at=nov(4), value=None)
    put(session, Finding, household_id=home, partner="cnss", item="members.activity", outcome="corrected",
        received_at=nov(4), value=None)
    put(session, Finding, household_id=home, partner="population_register", item="members.birth_date",
        outcome="corrected", received_at=nov(31), value=None)
    assert count_up(session, "INS-03", by=("area",)) == {
        ("any field",): Share(1, 3), ("any field", "urban"): Share(1, 2), ("any field", "rural"): Share(0, 1),
        ("birth_date",): Share(1, 3), ("birth_date", "urban"): Share(1, 2), ("birth_date", "rural"): Share(0, 1),
        ("marital_status",): Share(1, 1), ("marital_status", "urban"): Share(1, 1)}


def test_each_body_has_the_time_of_its_own_answers_and_what_still_waits(session):
    for partner, asked, answered in (("cnss", 1, 3), ("cnss", 1, 11), ("cnss", -5, 1), ("cnss", -5, None),
                                     ("cnss", 30, 35), ("telecom", 2, None)):
        put(session, Inquiry, household_id=a_home(session), partner=partner, asked_at=nov(asked),
            answered_at=nov(answered) if answered else None)
    assert count_up(session, "FSC-01") == {
        ("cnss: asked to answered",): Delay(3, Decimal("6.0"), 6, 10, 10),
        ("cnss: waiting at the end",): Change(2, 2),
        ("telecom: asked to answered",): Delay(0), ("telecom: waiting at the end",): Change(0, 1)}


def test_a_day_of_waiting_is_twenty_four_hours(session):
    for until in (nov(2, 11, 59), nov(2, 12, 0), nov(3, 11, 59)):
        put(session, Inquiry, household_id=a_home(session), partner="cnss", asked_at=nov(1), answered_at=until)
    assert count_up(session, "FSC-01")["cnss: asked to answered",] == Delay(3, Decimal("0.7"), 1, 1, 1)


# renewals


def test_an_update_that_led_to_a_new_index_took_until_that_index(session):
    for register_, asked, computed in (("rsu", 1, 3), ("rsu", 1, 8), ("cnss", -20, 10), ("rsu", 20, 40)):
        home = a_home(session)
        put(session, DataUpdate, household_id=home, register=register_, asked_at=nov(asked),
            score_id=scored(session, home, nov(computed)))
    put(session, DataUpdate, household_id=home, register="rsu", asked_at=nov(1), ended_at=nov(2))
    assert count_up(session, "MAJ-01") == {
        ("all",): Delay(3, Decimal("13.0"), 7, 30, 30),
        ("standard: data of this register",): Delay(2, Decimal("4.5"), 2, 7, 7),
        ("other: data of another register",): Delay(1, Decimal("30.0"), 30, 30, 30)}


def test_a_stock_is_counted_at_two_moments_and_a_flow_over_two_periods(session):
    for asked, ended in ((-40, None), (-20, 1), (-20, 0), (5, 9), (5, 31), (5, None), (31, None)):
        put(session, DataUpdate, household_id=a_home(session), asked_at=nov(asked),
            ended_at=nov(ended) if ended is not None else None)
    assert count_up(session, "MAJ-02") == {("open at the end, and before the first day",): Change(2, 3)}
    assert count_up(session, "MAJ-03") == {("begun, and in as many days before",): Change(2, 3)}


def test_a_household_grows_old_a_year_after_its_last_index(session):
    for on, at in ((-500, [-500, 3]), (-500, [-335]), (-500, [-334]), (-500, []), (2, []), (-500, [31])):
        home = registered(session, on)
        for day in at:
            scored(session, home, nov(day))
    failed = registered(session, -500)
    put(session, IndexScore, household_id=failed, failure="no area", computed_at=nov(3), contributions=b"")
    registered(session, -500, state="withdrawn", since=nov(3))
    registered(session, -500, state="struck_off", since=nov(31))
    registered(session, 31)
    assert count_up(session, "MAJ-04") == {("not computed in 365 days",): Share(5, 8)}


# notifications


def test_who_received_a_text_and_used_the_pin_counts_once(session):
    homes = [a_home(session, sex=sex) for sex in ("female", "female", "male", "male", "male")]
    for home in (*homes[:4], homes[0]):
        put(session, Contact, household_id=home)
    for home, state, at in ((homes[0], "delivered", 3), (homes[0], "delivered", 4), (homes[1], "failed", 3),
                            (homes[2], "delivered", 31), (homes[4], "delivered", 3), (None, "delivered", 3)):
        put(session, Message, household_id=home, medium="sms", state=state, changed_at=nov(at))
    put(session, Message, household_id=homes[3], medium="letter", state="delivered", changed_at=nov(3))
    put(session, Review, household_id=homes[0], channel="ussd", asked_at=nov(3))
    put(session, DataUpdate, household_id=homes[1], channel="ussd", asked_at=nov(3))
    put(session, DataUpdate, household_id=homes[3], channel="centre", asked_at=nov(3))
    assert count_up(session, "NOT-01", by=("sex",)) == {
        ("a text received, or a request with the PIN",): Share(2, 4),
        ("a text received, or a request with the PIN", "female"): Share(2, 2),
        ("a text received, or a request with the PIN", "male"): Share(0, 2),
        ("a text received",): Share(1, 4), ("a text received", "female"): Share(1, 2),
        ("a text received", "male"): Share(0, 2),
        ("a request with the PIN",): Share(2, 4), ("a request with the PIN", "female"): Share(2, 2),
        ("a request with the PIN", "male"): Share(0, 2)}


def test_what_is_under_way_is_neither_delivered_nor_lost(session):
    for medium in ("sms", "letter"):
        for state in ("delivered", "delivered", "failed", "sent", "unknown", "created", "cancelled"):
            put(session, Message, household_id=a_home(session), medium=medium, state=state, created_at=nov(3),
                changed_at=nov(3))
    put(session, Message, medium="sms", state="delivered", created_at=nov(31))
    assert count_up(session, "SMS-01") == {("delivered",): Share(2, 3), ("still under way",): Count(3)}


def test_a_letter_has_arrived_when_it_did_not_come_back_within_a_month(session):
    for state, days_ago in (("delivered", 31), ("delivered", 40), ("delivered", 29), ("returned", 40),
                            ("returned", 2), ("sent", 2), ("failed", 2)):
        put(session, Message, household_id=a_home(session), medium="letter", state=state, created_at=nov(3),
            changed_at=datetime.combine(TODAY, time(12), UTC) - timedelta(days=days_ago))
    assert count_up(session, "NOT-02") == {
        ("did not come back",): Share(2, 4), ("posted lately, may come back",): Count(1),
        ("under way to the post",): Count(1), ("could not be printed",): Count(1)}


# contests


def test_a_review_is_counted_where_it_was_decided(session):
    for asked, decided, outcome in ((1, 4, "accepted"), (1, 8, "refused"), (-20, 2, "refused"), (-20, 0, "accepted"),
                                    (2, 31, "accepted"), (2, None, None)):
        put(session, Review, household_id=a_home(session), asked_at=nov(asked), outcome=outcome,
            decided_at=nov(decided) if decided is not None else None, state="decided" if outcome else "assigned")
    put(session, Review, household_id=a_home(session), asked_at=nov(2), state="withdrawn", since=nov(9))
    put(session, Review, household_id=a_home(session), asked_at=nov(-2), state="withdrawn", since=nov(31))
    assert count_up(session, "REC-01") == {("asked to decided",): Delay(3, Decimal("10.7"), 7, 22, 22)}
    assert count_up(session, "REC-02") == {("open at the end, and before the first day",): Change(2, 3)}
    assert count_up(session, "REC-03") == {("accepted",): Share(1, 3)}


def test_a_complaint_takes_until_the_answer_that_stands(session):
    a_complaint(session, "ussd", 1, 3, state="resolved")
    a_complaint(session, "ussd", -9, 3, state="closed", closed_at=nov(20))
    a_complaint(session, "centre", 1, 11, state="closed", closed_at=nov(31), reopened_at=nov(5))
    a_complaint(session, "centre", 1, 4, state="reopened", reopened_at=nov(5))
    a_complaint(session, "centre", 1, 31, state="resolved")
    a_complaint(session, "centre", 2, None)
    assert count_up(session, "REC-04") == {
        ("all",): Delay(3, Decimal("8.0"), 10, 12, 12), ("centre",): Delay(1, Decimal("10.0"), 10, 10, 10),
        ("ussd",): Delay(2, Decimal("7.0"), 2, 12, 12),
        ("open at the end, and before the first day",): Change(1, 3)}


def test_complaints_stand_beside_the_work_of_the_same_days(session):
    home, other = a_home(session, region=1), a_home(session, region=2)
    for of in (home, home, None):
        a_complaint(session, "ussd", 3, None, household_id=of)
    registered(session, 3, home=home)
    registered(session, 40, home=other, pre_registered_at=nov(4))
    put(session, DataUpdate, household_id=home, asked_at=nov(5))
    put(session, DataUpdate, household_id=home, asked_at=nov(31))
    assert count_up(session, "REC-05", by=("region",)) == {
        ("complaints",): Share(3, 3), ("complaints", "1"): Share(2, 2), ("complaints", "2"): Share(0, 1),
        ("complaints", "unknown"): Share(1, 0)}
    assert Share(1, 0).percent is None


def test_complaints_keep_their_time_limits_or_not(session):
    a_complaint(session, "ussd", 1, 3, state="resolved", due_at=nov(3), acknowledged_at=nov(1, 13))
    a_complaint(session, "ussd", 1, 4, state="closed", due_at=nov(3), acknowledged_at=nov(2, 12, 1),
                reopened_at=nov(3), closed_at=nov(9), satisfaction=3)
    a_complaint(session, "ussd", 1, None, due_at=nov(30, 22))
    a_complaint(session, "ussd", 1, None, due_at=nov(31), acknowledged_at=nov(1))
    a_complaint(session, "ussd", -9, -5, state="closed", closed_at=nov(10), satisfaction=4)
    a_complaint(session, "ussd", -9, -5, state="closed", closed_at=nov(10))
    assert count_up(session, "GRM-01") == {("within 24 hours",): Share(2, 4)}
    assert count_up(session, "GRM-01", last=date(2026, 11, 1), today=date(2026, 11, 1)) == {
        ("within 24 hours",): Share(0, 0)}
    assert count_up(session, "GRM-02") == {("in time",): Share(1, 2), ("open and late at the end",): Count(1)}
    assert count_up(session, "GRM-03") == {("reopened",): Share(1, 2)}
    assert count_up(session, "GRM-04") == {("rated",): Share(2, 3), ("rated 4 or 5",): Share(1, 2)}


def a_complaint(session, channel, received, resolved, **more) -> None:
    put(session, Complaint, **{
        "channel": channel, "received_at": nov(received), "resolved_at": nov(resolved) if resolved else None,
        "state": "assigned", "due_at": nov(60), "asked_by": str(new_id()), **more})


# what is not held


def test_what_the_register_does_not_hold_is_said_and_not_made_up(session):
    registered(session, -9, state="struck_off", reason="fraud_confirmed", since=nov(3))
    registered(session, -9, state="struck_off", reason="individual_procedure", since=nov(3))
    found = {figure.code: figure for figure in figures(session, FIRST, LAST, today=TODAY)}
    assert sorted(found) == sorted(PROCESS + OURS)
    assert sorted(code for code, figure in found.items() if figure.missing) == ["CQD-01", "CQD-02"]
    assert [line.value for line in found["CQD-01"].lines] == [Count(1)]
    assert found["CQD-02"].lines == ()


@on_sqlite
def test_every_figure_is_defined_in_the_document(session):
    written = DOCUMENT.read_text(encoding="utf-8")
    for figure in figures(session, FIRST, LAST, today=TODAY):
        assert f"### {figure.code} · {figure.name}\n" in written


@on_sqlite
def test_a_period_or_a_group_that_there_is_not_is_refused(session):
    for first, last in ((LAST, FIRST), (FIRST, TODAY + timedelta(days=1))):
        with pytest.raises(ValueError, match=r"begins before it ends|still to come"):
            figures(session, first, last, today=TODAY)
    for by in (["age"], ["sex", "sex"]):
        with pytest.raises(ValueError, match="grouped by region, area, sex, each once; not by"):
            figures(session, FIRST, LAST, by, today=TODAY)


# days


def test_a_day_begins_at_midnight_in_casablanca(session):
    for moment in (nov(0, 22, 59), nov(0, 23, 0), nov(30, 22, 59), nov(30, 23, 0)):
        put(session, Review, household_id=a_home(session), asked_at=nov(0), decided_at=moment, outcome="accepted")
    assert count_up(session, "REC-03") == {("accepted",): Share(2, 2)}
    ramadan = date(2027, 2, 20)
    for moment in (datetime(2027, 2, 19, 23, 59, tzinfo=UTC), datetime(2027, 2, 20, tzinfo=UTC)):
        put(session, Review, household_id=a_home(session), asked_at=nov(0), decided_at=moment, outcome="refused")
    assert count_up(session, "REC-03", first=ramadan, last=ramadan, today=ramadan) == {("accepted",): Share(0, 1)}


# wholes, groups, percentiles


def test_the_groups_of_counts_add_up_to_the_whole_and_no_percentile_is_made_of_others(session):
    took = a_busy_month(session, Random(7))
    whole = figures(session, FIRST, LAST, today=TODAY)
    for size in range(1, 1 + len(GROUPS)):
        for by in combinations(GROUPS, size):
            grouped = figures(session, FIRST, LAST, by, today=TODAY)
            for plain, figure in zip(whole, grouped, strict=True):
                assert [line for line in figure.lines if not line.group] == list(plain.lines)
                _adds_up(figure)
    reviews, = (figure for figure in whole if figure.code == "REC-01")
    assert reviews.lines[0].value == Delay(
        len(took), (Decimal(sum(took)) / len(took)).quantize(Decimal("0.1")), statistics.median_low(took),
        *(sorted(took)[math.ceil(len(took) * p / 100) - 1] for p in (75, 90)))


def _adds_up(figure) -> None:
    for line in figure.lines:
        parts = [one.value for one in figure.lines if one.measure == line.measure and one.group]
        match line.value:
            case _ if line.group or figure.code == "ACC-01":
                continue
            case Share(of, among):
                assert (sum(one.of for one in parts), sum(one.among for one in parts)) == (of, among)
            case Change(before, now):
                assert (sum(one.before for one in parts), sum(one.now for one in parts)) == (before, now)
            case Count(total):
                assert sum(one.count for one in parts) == total
            case Delay(cases):
                assert sum(one.cases for one in parts) == cases


def a_busy_month(session, rng) -> list[int]:
    """Rows of every kind, of households of every group; the days that its decided reviews took."""
    took = []
    for _ in range(60):
        home = a_home(session, rng.randint(1, 12), rng.choice(["urban", "rural"]), rng.choice(["female", "male"]))
        day = rng.randint(1, 15)
        registered(session, day, told=rng.choice([None, day + rng.randint(1, 20)]), home=home)
        put(session, Contact, household_id=home)
        put(session, Message, household_id=home, medium=rng.choice(["sms", "letter"]),
            state=rng.choice(["delivered", "failed", "sent"]), changed_at=nov(day), created_at=nov(day))
        put(session, Finding, household_id=home, partner="population_register", item="members.birth_date",
            outcome=rng.choice(["confirmed", "corrected"]), received_at=nov(day), value=None)
        put(session, Inquiry, household_id=home, partner=rng.choice(["cnss", "telecom"]), asked_at=nov(day),
            answered_at=rng.choice([None, nov(day + 3)]))
        days = rng.choice([None, rng.randint(0, 15)])
        put(session, Review, household_id=home, asked_at=nov(day), outcome=rng.choice(["accepted", "refused"]),
            decided_at=None if days is None else nov(day + days), channel="ussd")
        took += [] if days is None else [days]
        put(session, DataUpdate, household_id=home, asked_at=nov(day), register=rng.choice(["rsu", "cnss"]),
            score_id=scored(session, home, nov(day + 2)))
        a_complaint(session, rng.choice(["ussd", "centre"]), day, day + 4, household_id=rng.choice([home, None]),
                    state="closed", closed_at=nov(day + 9), satisfaction=rng.choice([None, 1, 5]))
    return took


@given(st.lists(st.integers(0, 400), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, p):
    found = percentile(Counter(values), p)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= p * len(values)
    assert 100 * sum(value < found for value in values) < p * len(values)
    assert percentile(Counter(values), 50) == statistics.median_low(values)


# the command line


@pytest.fixture
def run(runtime, database_url, redis_url, tmp_path):
    """A command on the house of the test; logs stay as they were."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions

    def command(*arguments):
        environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}
        return CliRunner(env=environment).invoke(main, ["figures", *arguments])

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@on_sqlite
def test_figures_are_read_as_lines_or_as_json(run, runtime):
    register(runtime, a_row("2900000001", registered_on=date(2026, 1, 1)), a_row("2900000002", None))
    period = ("--from", "2026-01-01", "--to", "2026-01-31")
    lines = run(*period).stdout.splitlines()
    assert "MAJ-04  Households not scored anew for a year (% of active households)" in lines
    assert "not computable: suspicions of fraud are raised and followed outside this register" in "\n".join(lines)
    answer = json.loads(run(*period, "--by", "area, sex", "--json").stdout)
    assert answer["by"] == ["area", "sex"]
    told, = (figure for figure in answer["figures"] if figure["code"] == "INS-01")
    assert told["lines"][:2] == [
        {"measure": "told within 10 days", "group": {}, "of": 0, "among": 1, "percent": "0.0"},
        {"measure": "told within 10 days", "group": {"area": "urban", "sex": "female"}, "of": 0, "among": 1,
         "percent": "0.0"}]
    refused = run(*period, "--by", "age")
    assert refused.exit_code == 2
    assert "figures are grouped by region, area, sex, each once; not by age" in refused.stderr
