"""Complaint clock: time ends a hold, warns, escalates and closes, each once; a hold's time does not count."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.db import Database
from gateway.registry import audit, complaint, complaint_clock, complaint_handling
from gateway.registry.clock import A_DAY, CASABLANCA, day_of, end_of_office, is_working_day, start_of
from gateway.registry.complaint import TRANSITIONS, Complaint, look_at
from gateway.registry.events import ComplaintClosed
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault
from tests.conftest import NOON
from tests.registry.test_complaint import FOCAL, at_desk, do, file, kept, story

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
A_MOMENT = timedelta(microseconds=1)


def at(text):
    """A moment as a watch in Casablanca shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=CASABLANCA)


def tick(runtime, now, **more):
    """What the clock does at this moment; and that it does it once."""
    with runtime.database.write() as session:
        told = complaint_clock.due(session, runtime.vault, now, **more)
    if not more:
        after = story(runtime)
        with runtime.database.write() as session:
            assert complaint_clock.due(session, runtime.vault, now) == []
        assert story(runtime) == after
    return told


def test_what_nobody_took_up_is_escalated_when_its_two_days_have_passed(runtime):
    filed = file(runtime)
    by = kept(runtime, filed).first_action_by
    tick(runtime, by - A_MOMENT)
    assert kept(runtime, filed).state == "acknowledged"
    assert tick(runtime, by) == []
    assert (kept(runtime, filed).state, kept(runtime, filed).escalated_at) == ("escalated", by)


@one_kind
def test_another_register_that_does_not_begin_is_escalated_as_well(runtime):
    filed = file(runtime, category="payment_not_received")
    tick(runtime, kept(runtime, filed).first_action_by)
    assert kept(runtime, filed).state == "escalated"


@one_kind
def test_at_four_fifths_of_its_time_it_is_at_risk_and_at_its_end_escalated(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    # Fifteen working days from Monday 23 November end on 14 December, the twelfth of them is the 9th.
    warned = end_of_office(date(2026, 12, 9))
    tick(runtime, warned - A_MOMENT)
    assert kept(runtime, filed).at_risk_at is None
    tick(runtime, warned)
    assert (kept(runtime, filed).at_risk_at, kept(runtime, filed).state) == (warned, "assigned")
    due = end_of_office(date(2026, 12, 14))
    tick(runtime, due - A_MOMENT)
    assert kept(runtime, filed).state == "assigned"
    tick(runtime, due)
    assert kept(runtime, filed).state == "escalated"
    do(runtime, "assign", filed, "Malika", now=due)
    tick(runtime, due + timedelta(days=30))
    assert kept(runtime, filed).state == "assigned", "escalated once for one time limit"


@one_kind
def test_one_escalated_for_its_first_days_is_escalated_again_at_its_end(runtime):
    filed = file(runtime)
    tick(runtime, kept(runtime, filed).first_action_by)
    do(runtime, "begin", filed, now=kept(runtime, filed).first_action_by)
    tick(runtime, kept(runtime, filed).due_at)
    assert kept(runtime, filed).state == "escalated"


@one_kind
def test_when_the_clock_stood_still_both_steps_are_made_up_for_at_once(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    tick(runtime, NOON + timedelta(days=60))
    late = kept(runtime, filed)
    assert (late.state, late.at_risk_at, late.escalated_at) == ("escalated", NOON + timedelta(days=60), late.at_risk_at)


def test_a_hold_ends_after_its_day_and_gives_the_time_back(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    do(runtime, "hold", filed, until=date(2026, 11, 27), reason="waits_for_household")
    tick(runtime, at("2026-11-27 23:59:59"))
    assert kept(runtime, filed).state == "on_hold"
    tick(runtime, at("2026-11-28 00:00"))
    resumed = kept(runtime, filed)
    assert (resumed.state, resumed.hold_until, resumed.hold_reason) == ("in_progress", None, None)
    assert resumed.due_at == end_of_office(date(2026, 12, 18)), "four working days later than the 14th"


@one_kind
def test_on_hold_nothing_is_at_risk_or_late(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim", now=NOON + timedelta(days=7))
    do(runtime, "hold", filed, until=date(2026, 12, 29), reason="waits_for_household", now=NOON + timedelta(days=7))
    tick(runtime, kept(runtime, filed).due_at + timedelta(days=1))
    held = kept(runtime, filed)
    assert (held.state, held.at_risk_at, held.escalated_at) == ("on_hold", None, None)


@one_kind
def test_one_on_hold_that_is_handed_to_a_supervisor_waits_no_more(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    do(runtime, "hold", filed, until=date(2026, 11, 27), reason="waits_for_household")
    do(runtime, "escalate", filed)
    handed = kept(runtime, filed)
    assert (handed.state, handed.hold_until, handed.hold_reason) == ("escalated", None, None)


@one_kind
def test_an_answer_that_nobody_contests_is_closed_after_fifteen_days(runtime):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    told, = do(runtime, "resolve", filed, resolution="upheld", answer="Done.")
    last_moment = start_of(told.reopen_until + A_DAY) - A_MOMENT
    assert tick(runtime, last_moment) == []
    with runtime.database.write() as session:
        assert complaint_clock.due(session, runtime.vault, last_moment + A_MOMENT) == [
            ComplaintClosed(told.household_id, told.complaint_id, told.number)]
    assert kept(runtime, filed).state == "closed"
    tick(runtime, last_moment + timedelta(days=900))


@one_kind
def test_a_sensitive_one_waits_a_day_for_its_focal_point_and_is_never_closed_by_time(runtime):
    friday = NOON - timedelta(days=3)
    filed = at_desk(runtime, "abuse", now=friday)
    tick(runtime, friday + timedelta(hours=24) - A_MOMENT)
    assert kept(runtime, filed).state == "acknowledged"
    tick(runtime, friday + timedelta(hours=24))
    assert kept(runtime, filed).state == "escalated", "on a Saturday"
    do(runtime, "assign", filed, "Amina", by="Amina", now=NOON, **FOCAL)
    do(runtime, "resolve", filed, resolution="upheld", answer="Done.", by="Amina", now=NOON)
    assert tick(runtime, NOON + timedelta(days=900)) == []
    assert kept(runtime, filed).state == "resolved"


@one_kind
def test_a_call_takes_so_many_and_the_next_takes_the_rest(runtime):
    for number in range(3):
        file(runtime, f"call {number}")
    late = NOON + timedelta(days=3)
    counts = []
    for _ in range(3):
        tick(runtime, late, at_most=2)
        with runtime.database.read() as session:
            counts.append(session.scalar(sa.select(sa.func.count()).where(Complaint.state == "escalated")))
    assert counts == [2, 3, 3]


# Any order of things that may happen to one complaint


@pytest.fixture
def life(sqlite_template, tmp_path):
    """The machine below, each run in a database of its own."""
    runs = iter(range(10_000))

    def fresh():
        file = tmp_path / f"{next(runs)}.db"
        shutil.copy(sqlite_template, file)
        return Database(f"sqlite:///{file}")

    class Bound(OneComplaint):
        database = staticmethod(fresh)

    return Bound


class OneComplaint(RuleBasedStateMachine):
    """Clerks, the household and the clock act on one complaint in any order; what may never happen does not."""

    @initialize(category=st.sampled_from(["other", "payment_not_received", "abuse"]))
    def filed(self, category):
        self.house, self.vault, self.now = self.database(), Vault([(1, b"k" * 32)]), NOON
        with self.house.write() as session:
            self.id = complaint.file(session, self.vault, household_id=None, category=category, channel="desk",
                                     msisdn_blind=None, asked_by="a call", now=self.now).complaint_id

    def teardown(self):
        if hasattr(self, "house"):
            assert audit.verify(self.house, self.vault) == []
            self.house.close()

    def row(self):
        with self.house.read() as session:
            return session.get_one(Complaint, self.id)

    def act(self, verb, *arguments, **named):
        """The verb, or its refusal, which must change nothing."""
        before = self.row()
        try:
            with self.house.write() as session:
                getattr(complaint_handling, verb)(session, self.vault, self.id, *arguments, by="Amina", now=self.now,
                                                  **named)
        except NotAllowed:
            assert self.row().state == before.state
            return
        after = self.row()
        if verb != "rate":
            assert after.state in TRANSITIONS[before.state]

    @rule(verb=st.sampled_from(["begin", "resume", "close", "escalate"]))
    def handle(self, verb):
        self.act(verb, **FOCAL)

    @rule()
    def assign(self):
        self.act("assign", "Amina", **FOCAL)

    @rule(days=st.integers(0, 40))
    def hold(self, days):
        self.act("hold", until=day_of(self.now) + A_DAY * days, reason="waits_for_visit", **FOCAL)

    @rule()
    def resolve(self):
        self.act("resolve", resolution="rejected", answer="No.", **FOCAL)

    @rule()
    def reopen(self):
        self.act("reopen")

    @rule(digit=st.integers(0, 6))
    def rate(self, digit):
        self.act("rate", digit)

    @rule(hours=st.integers(1, 24 * 20))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)
        with self.house.write() as session:
            complaint_clock.due(session, self.vault, self.now)
        with self.house.write() as session:
            assert complaint_clock.due(session, self.vault, self.now) == [], "once is enough"

    @invariant()
    def nothing_is_forgotten(self):
        row = self.row()
        assert row.look_at == look_at(row), "the clock looks at the right moment"
        open_and_unwatched = row.look_at is None and row.state not in ("closed", "escalated")
        assert not open_and_unwatched or row.sensitive or row.escalated_at >= row.due_at
        assert is_working_day(day_of(row.due_at))
        assert (row.state == "on_hold") == (row.hold_until is not None)
        assert row.satisfaction in (None, 1, 2, 3, 4, 5)
        if row.state in ("resolved", "closed"):
            assert row.answer_sealed
            assert row.first_action_at


def test_whatever_happens_to_a_complaint_it_is_never_lost(life):
    run_state_machine_as_test(life, settings=settings(
        max_examples=5, stateful_step_count=15, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]))
