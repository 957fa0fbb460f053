"""The review desk: taken, asked for more, corrected, decided by another; all of it in the audit, none of it twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.registry import items, review, review_clock, review_desk, score
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.events import IndexChanged, ReviewAsked, ReviewDecided, ReviewNeedsInformation
from gateway.registry.evidence import Correction, Finding
from gateway.registry.household import Household
from gateway.registry.items import Item
from gateway.registry.registration import Registration
from gateway.registry.review import TRANSITIONS, Review
from gateway.registry.score import IndexScore
from gateway.registry.steps import NotAllowed
from gateway.words import LOCALES
from tests.conftest import NOON, Clock, a_row, register
from tests.web.desk import rows, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SECRET = "The road safety agency confirmed that the car was sold in 2024."
WHY = "certificate of sale"


class Desk:
    """One review of one household, and clerks who act on it, each act in a transaction of its own."""

    def __init__(self, runtime, number="2900000001", phone="0612345678"):
        self.runtime, self.number = runtime, number
        self.blinds = runtime.vault.blinds(number, "household.number")

    @property
    def home(self) -> Household:
        with self.runtime.database.read() as session:
            return session.scalars(sa.select(Household).where(Household.number_blind.in_(self.blinds))).one()

    @property
    def row(self) -> Review:
        """The last one asked."""
        with self.runtime.database.read() as session:
            return session.scalars(sa.select(Review).join(Household, Household.id == Review.household_id).where(
                Household.number_blind.in_(self.blinds)).order_by(Review.id.desc()).limit(1)).one()

    def ask(self, *contested, **more):
        with self.runtime.database.write() as session:
            return review.ask(session, self.runtime.vault, self.home.id, **{
                "channel": "ussd", "asked_by": uuid4().hex, "answer_within": timedelta(days=30),
                "contested": contested, "now": self.runtime.clock(), **more})

    def do(self, verb, *arguments, by="Amina", **more):
        """A verb of the desk, by name."""
        with self.runtime.database.write() as session:
            return getattr(review_desk, verb)(session, self.runtime.vault, self.row.id, *arguments, by=by,
                                              now=self.runtime.clock(), **more)

    def correct(self, item="equipment.mobile_phones", value=1, by="Amina", why=WHY):
        self.do("enter_correction", item, value, why=why, by=by)

    def accept(self, by="Brahim", text="", review_id=None):
        with self.runtime.database.write() as session:
            return review_desk.accept(session, self.runtime.vault, self.runtime.scorer, review_id or self.row.id,
                                      by=by, now=self.runtime.clock(), text=text)

    def withdraw(self):
        with self.runtime.database.write() as session:
            review.withdraw(session, self.runtime.vault, self.row.id, now=self.runtime.clock())

    def standing(self):
        with self.runtime.database.read() as session:
            return review.state_of(session, self.row.number, self.runtime.clock())

    def value(self) -> Decimal:
        with self.runtime.database.read() as session:
            return score.latest(session, self.home.id).value

    def audited(self) -> list[str]:
        with self.runtime.database.read() as session:
            return list(session.scalars(sa.select(AuditEntry.act).where(
                AuditEntry.subject == str(self.row.id)).order_by(AuditEntry.id)))


@pytest.fixture
def desk(runtime):
    """A household that was told its index, and contests it."""
    register(runtime, a_row())
    told(runtime, NOON.date())
    return Desk(runtime)


@pytest.fixture
def assigned(desk):
    desk.ask()
    desk.do("assign", "Amina")
    return desk


def out_of_the_register(runtime, state):
    with runtime.database.write() as session:
        session.execute(sa.update(Registration).values(state=state))


def refused(verb, *arguments, **more) -> str:
    with pytest.raises(NotAllowed) as why:
        verb(*arguments, **more)
    return str(why.value)


# Asking


def test_a_review_is_acknowledged_at_once_and_both_steps_are_in_the_audit(desk):
    asked = desk.ask()
    assert (desk.row.state, desk.row.number) == ("acknowledged", asked.number)
    assert desk.audited() == ["review.asked", "review.acknowledged"]


def test_what_is_contested_is_kept_with_the_source_it_came_from(desk):
    with desk.runtime.database.write() as session:
        session.add(Finding(household_id=desk.home.id, partner="telecom", item="equipment.mobile_phones",
                            member_blind=b"", outcome="corrected", value=3, answered_on=date(2026, 11, 1),
                            reference="T-1", said="a digest", received_at=NOON))
    desk.ask("equipment.mobile_phones", "members.2.schooling", "equipment.mobile_phones")
    with desk.runtime.database.read() as session:
        assert items.kept(session, desk.home.id, desk.row.items) == (
            Item("equipment.mobile_phones", "telecom"), Item("members.2.schooling", "declaration"))


@one_kind
def test_an_item_of_a_member_is_found_again_when_positions_change(desk):
    desk.ask("members.2.schooling")
    first, second = (dict(member) for member in a_row().household["members"])
    register(desk.runtime, a_row(members=[second, first], declarant=2))
    with desk.runtime.database.read() as session:
        assert items.kept(session, desk.home.id, desk.row.items) == (Item("members.1.schooling", "declaration"),)
    register(desk.runtime, a_row(members=[first]))
    with desk.runtime.database.read() as session:
        assert items.kept(session, desk.home.id, desk.row.items) == ()


@one_kind
@pytest.mark.parametrize("item", ["equipment", "equipment.boats", "members.3.schooling", "members.0.schooling",
                                  "members.-1.schooling", "members.2", "members.2.idcs", "", "members.2.name_ar"])
def test_what_is_no_item_of_the_household_cannot_be_contested(desk, item):
    assert "no such item" in refused(desk.ask, item)
    assert rows(desk.runtime, Review) == []


def test_a_withdrawn_review_may_be_asked_again_within_the_window_only(desk, clock):
    first = desk.ask()
    desk.withdraw()
    assert (desk.standing().state, desk.standing().next_step) == ("withdrawn", "ask_again")
    second = desk.ask()
    assert (first.number != second.number, desk.row.state) == (True, "acknowledged")
    desk.withdraw()
    clock.forward(days=61)
    assert desk.standing().next_step == "closed"
    assert desk.ask().state == "late"


# Deciding


def test_an_accepted_review_puts_its_correction_in_force_and_gives_a_new_index(assigned):
    before = assigned.value()
    assigned.correct()
    assert assigned.value() == before
    changed, decided = assigned.accept(text=SECRET)
    assert isinstance(changed, IndexChanged)
    assert (changed.cause, decided) == ("review", ReviewDecided(assigned.home.id, assigned.row.id))
    row, (entered,) = assigned.row, rows(assigned.runtime, Correction)
    assert (row.state, row.outcome, row.reason, row.decided_by) == ("decided", "accepted", "new_index", "Brahim")
    assert (row.new_score_id, entered.in_force_at) == (changed.score_id, NOON)
    # Term U30: a mobile telephone counts 0.0516.
    assert before - assigned.value() == Decimal("0.0516")
    assert assigned.audited()[2:] == ["review.assigned", "review.correction_entered", "review.accepted"]


@one_kind
@pytest.mark.parametrize("state", ["withdrawn", "struck_off"])
def test_the_review_of_a_household_out_of_the_register_is_refused_or_withdrawn_but_not_accepted(assigned, state):
    assigned.correct()
    out_of_the_register(assigned.runtime, state)
    assert "out of the register" in refused(assigned.accept)
    assert (assigned.row.state, rows(assigned.runtime, Correction)[0].in_force_at) == ("assigned", None)
    assert not isinstance(assigned.ask(), ReviewAsked)
    if state == "withdrawn":
        assigned.withdraw()
        assert assigned.ask().state == "none"
    else:
        assigned.do("refuse", reason="other", text="Why.", by="Brahim")


@one_kind
def test_a_correction_that_moves_nothing_is_accepted_with_an_explanation(assigned):
    assigned.correct("property.cows", 3)
    assert [type(event) for event in assigned.accept()] == [ReviewDecided]
    assert (assigned.row.reason, assigned.row.new_score_id) == ("same_index", None)


@one_kind
def test_of_two_values_for_one_item_the_last_one_counts(assigned):
    before = assigned.value()
    for value in (9, 1):
        assigned.correct(value=value)
    assigned.accept()
    assert before - assigned.value() == Decimal("0.0516")


@one_kind
def test_a_refused_review_leaves_the_index_and_its_corrections_never_count(assigned):
    before = assigned.value()
    assigned.correct()
    decided = assigned.do("refuse", reason="proof_not_sufficient", text=SECRET, by="Brahim")
    assert (decided, assigned.row.state, assigned.row.outcome) == (
        ReviewDecided(assigned.home.id, assigned.row.id), "decided", "refused")
    # A change that the urban formula does not count: scored again, the refused value still does not count.
    register(assigned.runtime, a_row(property={**a_row().household["property"], "cows": 4}))
    assert rows(assigned.runtime, Correction)[0].in_force_at is None
    assert assigned.value() == before
    assert assigned.audited()[-1] == "review.refused"


def test_a_text_is_sealed_and_stands_in_no_audit(assigned):
    assigned.do("refuse", reason="other", text=f"  {SECRET}\n", by="Brahim")
    row = assigned.row
    assert SECRET.encode() not in row.text_sealed
    assert review_desk.text_of(assigned.runtime.vault, row) == SECRET
    assert SECRET not in repr([vars(entry) for entry in rows(assigned.runtime, AuditEntry)])


@one_kind
def test_an_acceptance_without_correction_and_a_refusal_without_reason_are_refused(assigned):
    assert "no correction yet" in refused(assigned.accept)
    assert "one of these reasons" in refused(assigned.do, "refuse", reason="because", text=SECRET, by="Brahim")
    assert "a text that explains" in refused(assigned.do, "refuse", reason="other", text=" \n", by="Brahim")
    assert "too long" in refused(assigned.do, "refuse", reason="other", text="a" * 2001, by="Brahim")
    assert assigned.row.state == "assigned"


@one_kind
@pytest.mark.parametrize("by", ["Amina", "amina", "  AMINA ", "Ａｍｉｎａ"])
def test_who_entered_a_correction_does_not_decide(assigned, by):
    assigned.correct(by="Amina")
    assigned.correct("property.cows", 2, by="Brahim")
    for decide in (lambda: assigned.accept(by=by),
                   lambda: assigned.do("refuse", reason="other", text=SECRET, by=by)):
        assert "any other clerk may" in refused(decide)
    assigned.accept(by="Chaimae")
    assert assigned.row.decided_by == "Chaimae"


@one_kind
@pytest.mark.parametrize("by", ["", "  ", "System", "household", "a" * 81])
def test_nobody_acts_as_nobody(assigned, by):
    assert "which clerk" in refused(assigned.do, "assign", "Amina", by=by)
    assert "which clerk" in refused(assigned.do, "assign", by)


@one_kind
@pytest.mark.parametrize(("item", "value", "what"), [
    ("equipment.cars", -1, "least is 0"), ("equipment.cars", 51, "most is 50"), ("equipment.cars", "1", "whole"),
    ("equipment.cars", 1.0, "whole number"), ("equipment.cars", True, "whole"), ("equipment.cars", None, "whole"),
    ("equipment.satellite_dish", 1, "true or false"), ("members.2.schooling", "Casablanca", "none, public, private"),
    ("spending.butane", "12,5", "dirhams"), ("members.1.birth_date", "1981-02-30", "a day that exists"),
    ("members.2.birth_date", "2026-11-24", "has not come yet"),
])
def test_a_value_that_the_extract_would_not_take_is_refused_without_being_repeated(assigned, item, value, what):
    said = refused(assigned.correct, item, value)
    assert (item in said, what in said, "Casablanca" in said) == (True, True, False)
    assert rows(assigned.runtime, Correction) == []


@one_kind
def test_only_what_is_contested_is_corrected(desk):
    desk.ask("equipment.cars")
    desk.do("assign", "Amina")
    assert "contests equipment.cars" in refused(desk.correct)
    assert "no such item" in refused(desk.correct, "equipment.boats")
    assert "rests on" in refused(desk.correct, "equipment.cars", 1, why=" ")
    desk.correct("equipment.cars", 1)


def test_corrections_that_yield_no_index_are_not_accepted_and_nothing_is_half_done(assigned):
    assigned.correct("members.2.relation", "head")
    said, before = "", len(rows(assigned.runtime, IndexScore))
    with assigned.runtime.database.write() as session:
        try:
            review_desk.accept(session, assigned.runtime.vault, assigned.runtime.scorer, assigned.row.id, by="Brahim",
                               now=NOON)
        except NotAllowed as error:  # the caller answers the clerk, and commits
            said = str(error)
    assert "cannot be computed" in said
    assert (assigned.row.state, rows(assigned.runtime, Correction)[0].in_force_at) == ("assigned", None)
    assert len(rows(assigned.runtime, IndexScore)) == before


@on_postgresql
def test_two_clerks_at_once_decide_once_and_the_other_reads_how_it_stands(assigned):
    assigned.correct()
    together, review_id = Barrier(2), assigned.row.id

    def decide(by):
        together.wait()
        try:
            return assigned.accept(by=by, review_id=review_id)
        except NotAllowed as error:
            return str(error)

    with ThreadPoolExecutor(2) as clerks:
        answers = list(clerks.map(decide, ("Brahim", "Chaimae")))
    said, = (answer for answer in answers if isinstance(answer, str))
    assert said == "This review is decided already; it can be notified."
    assert (assigned.audited().count("review.accepted"), len(rows(assigned.runtime, IndexScore))) == (1, 2)


@on_postgresql
def test_accepted_and_refused_at_once_it_is_one_of_the_two_whole(assigned):
    assigned.correct()
    together, review_id = Barrier(2), assigned.row.id

    def attempt(decide):
        together.wait()
        try:
            decide()
            return 1
        except NotAllowed:
            return 0

    with ThreadPoolExecutor(2) as clerks:
        won = list(clerks.map(attempt, (
            lambda: assigned.accept(by="Brahim", review_id=review_id),
            lambda: assigned.do("refuse", reason="other", text=SECRET, by="Chaimae"))))
    assert sum(won) == 1
    accepted = assigned.row.outcome == "accepted"
    assert (rows(assigned.runtime, Correction)[0].in_force_at is not None) == accepted
    assert (len(rows(assigned.runtime, IndexScore)) == 2) == accepted


@on_postgresql
def test_who_decides_cannot_slip_a_correction_in_meanwhile(assigned):
    assigned.correct()
    review_id, vault = assigned.row.id, assigned.runtime.vault

    def slip():
        with assigned.runtime.database.write() as session:
            review_desk.enter_correction(session, vault, review_id, "equipment.cars", 3, why=WHY, by="Brahim", now=NOON)

    def waits():
        with assigned.runtime.database.read() as session:
            return session.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    with ThreadPoolExecutor(1) as other:
        with assigned.runtime.database.write() as session:
            review_desk.accept(session, vault, assigned.runtime.scorer, review_id, by="Brahim", now=NOON)
            slipped = other.submit(slip)
            while not slipped.done() and not waits():
                pass
        assert "corrections are entered while it is assigned" in refused(slipped.result)
    assert len(rows(assigned.runtime, Correction)) == 1


# The way in between


@one_kind
def test_what_is_needed_is_told_with_its_day_and_the_household_follows_it(assigned, clock):
    assert isinstance(assigned.do("need_information", "bill", date(2026, 12, 3)), ReviewNeedsInformation)
    seen = assigned.standing()
    assert (seen.state, seen.next_step, seen.needs, seen.needed_by) == (
        "needs_information", "bring", "bill", date(2026, 12, 3))
    assert "waits for the household" in refused(assigned.do, "assign", "Brahim")
    assert "corrections are entered while" in refused(assigned.correct)
    clock.forward(days=3)
    assigned.do("information_received")
    seen = assigned.standing()
    assert (seen.state, seen.next_step, seen.needs, seen.answer_by) == ("assigned", "wait", None, date(2026, 12, 26))
    assert "nothing is waited for" in refused(assigned.do, "information_received")
    assert assigned.audited()[-2:] == ["review.information_needed", "review.information_received"]


@one_kind
@pytest.mark.parametrize(("what", "needed_by"), [("a bribe", date(2026, 12, 3)), ("bill", NOON.date()),
                                                 ("bill", date(2026, 12, 24))])
def test_a_household_is_asked_for_a_known_thing_and_given_a_day_to_come(assigned, what, needed_by):
    assert refused(assigned.do, "need_information", what, needed_by)
    assert assigned.row.state == "assigned"


@one_kind
def test_what_was_told_is_noted_once_on_a_day_that_can_be(assigned, clock):
    assigned.do("refuse", reason="other", text=SECRET, by="Brahim")
    assert assigned.standing().next_step == "answer_coming"
    clock.forward(days=2)
    for day in (date(2026, 11, 22), date(2026, 11, 26)):
        assert "between the decision and today" in refused(assigned.do, "notified", day)
    assigned.do("notified", date(2026, 11, 24), by="system")
    assert (assigned.row.state, assigned.row.notified_on) == ("notified", date(2026, 11, 24))
    assert assigned.standing().next_step == "answered"
    assert "nothing else any more" in refused(assigned.do, "notified", date(2026, 11, 24))
    assert assigned.audited()[-1] == "review.notified"


@one_kind
def test_a_step_that_the_table_does_not_list_is_refused_with_what_is_allowed(desk):
    desk.ask()
    assert refused(desk.accept) == (
        "This review is acknowledged, so it cannot be decided; it can be assigned or withdrawn.")
    desk.withdraw()
    assert "nothing else any more" in refused(desk.withdraw)
    with desk.runtime.database.write() as session:
        assert refused(review_desk.assign, session, desk.runtime.vault, UUID(int=1), "Amina", by="Amina",
                       now=NOON) == "There is no such review."


@one_kind
def test_lists_are_by_clerk_by_state_and_by_risk(assigned, clock):
    def found(**like):
        with assigned.runtime.database.read() as session:
            return len(review_desk.listed(session, **like))

    assert (found(), found(assigned_to="Amina"), found(assigned_to="Brahim")) == (1, 1, 0)
    assert (found(state="assigned"), found(state="decided"), found(at_risk=True)) == (1, 0, 0)
    clock.forward(days=25)
    with assigned.runtime.database.write() as session:
        review_clock.due(session, assigned.runtime.vault, clock())
    assert found(at_risk=True) == 1
    assigned.withdraw()
    assert found(at_risk=True) == 0


@one_kind
@pytest.mark.parametrize("locale", LOCALES)
def test_every_code_that_a_household_may_be_told_has_words(runtime, locale):
    codes = {"review_state": TRANSITIONS, "review_next": review.NEXT_STEPS, "needed": review_desk.NEEDS,
             "review_reason": (*review_desk.REASONS, *review_desk.RESULTS), "outcome": ("accepted", "refused")}
    missing = [f"{table}.{code}" for table, names in codes.items() for code in names
               if not runtime.words.has(locale, f"{table}.{code}")]
    assert missing == []


# Whatever is done in whatever order

SENTENCES = st.sampled_from(["Amina", "Brahim", "Chaimae"])


class AnyOrder(RuleBasedStateMachine):
    """Clerks, a household and a clock that act at random; what is refused must leave no trace."""

    runtime = None
    clock = Clock()
    made = 0

    @initialize(days=st.integers(0, 59))
    def ask(self, days):
        AnyOrder.made += 1
        self.clock.now = NOON
        self.desk = Desk(self.runtime, f"29{AnyOrder.made:08}")
        register(self.runtime, a_row(self.desk.number, None))
        told(self.runtime, NOON.date(), self.desk.home)
        self.clock.forward(days=days)
        assert isinstance(self.desk.ask(), ReviewAsked)
        self.states, self.entries = ["acknowledged"], 2

    def attempt(self, acted):
        """An act is one entry and one listed step, or a sentence and nothing."""
        before = self.desk.row
        try:
            acted()
        except NotAllowed:
            assert self.changed(before) == set()
            return
        self.states.append(self.desk.row.state)
        self.entries += 1
        stays = {"review.correction_entered", "review.assigned"}
        if self.desk.audited()[-1] not in stays:
            assert self.states[-1] in TRANSITIONS[self.states[-2]]

    def changed(self, before):
        after = self.desk.row
        return {column.key for column in Review.__table__.columns
                if getattr(before, column.key) != getattr(after, column.key)}

    @rule(by=SENTENCES, to=SENTENCES)
    def assign(self, by, to):
        self.attempt(lambda: self.desk.do("assign", to, by=by))

    @rule(by=SENTENCES, days=st.integers(-1, 40), what=st.sampled_from(["bill", "anything"]))
    def need(self, by, days, what):
        day = day_of(self.clock()) + timedelta(days=days)
        self.attempt(lambda: self.desk.do("need_information", what, day, by=by))

    @rule(by=SENTENCES)
    def receive(self, by):
        self.attempt(lambda: self.desk.do("information_received", by=by))

    @rule(by=SENTENCES, value=st.integers(-1, 3))
    def correct(self, by, value):
        self.attempt(lambda: self.desk.correct("equipment.cars", value, by=by))

    @rule(by=SENTENCES)
    def accept(self, by):
        self.attempt(lambda: self.desk.accept(by=by))

    @rule(by=SENTENCES, text=st.sampled_from(["", SECRET]))
    def refuse(self, by, text):
        self.attempt(lambda: self.desk.do("refuse", reason="other", text=text, by=by))

    @rule()
    def notify(self):
        self.attempt(lambda: self.desk.do("notified", day_of(self.clock()), by="system"))

    @rule()
    def withdraw(self):
        self.attempt(self.desk.withdraw)

    @rule(days=st.integers(1, 20))
    def time_passes(self, days):
        self.clock.forward(days=days)
        with self.runtime.database.write() as session:
            review_clock.due(session, self.runtime.vault, self.clock())
        ticked = self.desk.audited()[self.entries:]
        allowed = {"review.information_not_received", "review.at_risk", "review.late"}
        assert set(ticked) <= allowed
        assert len(set(ticked)) == len(ticked)
        self.entries += len(ticked)
        self.states.append(self.desk.row.state)

    @invariant()
    def nothing_is_unaccounted_for(self):
        if not hasattr(self, "desk"):
            return
        row, acts = self.desk.row, self.desk.audited()
        assert len(acts) == self.entries
        assert len({"review.accepted", "review.refused"} & set(acts)) == (row.outcome is not None)
        assert acts.count("review.accepted") + acts.count("review.refused") <= 1
        assert (row.late_at is not None) == ("review.late" in acts)
        assert (row.state in ("decided", "notified")) == (row.outcome is not None)
        with self.runtime.database.read() as session:
            mine = review_desk.corrections(session, row.id)
        assert all((entered.in_force_at is not None) == (row.outcome == "accepted") for entered in mine)
        assert row.decided_by not in {entered.entered_by for entered in mine}
        assert row.answer_by - day_of(row.asked_at) == timedelta(days=30)


@one_kind
def test_whatever_is_done_in_whatever_order_no_rule_is_broken(runtime, clock):
    machine = type("AnyOrderHere", (AnyOrder,), {"runtime": runtime, "clock": clock})
    run_state_machine_as_test(machine, settings=settings(
        max_examples=25, stateful_step_count=14, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow]))
