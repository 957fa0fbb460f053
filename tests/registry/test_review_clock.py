"""The review's clock: reminded once, resumed by itself, at risk at 80 %, late at each breach; by days of Casablanca."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.registry import review, review_clock, score
from gateway.registry.clock import CASABLANCA
from gateway.registry.events import ReviewAsked, ReviewLate, ReviewWindowCloses
from gateway.registry.score import Notification
from tests.conftest import NOON, a_row, register
from tests.registry.test_review_desk import Desk, out_of_the_register
from tests.web.desk import homes, rows, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def at(day: date, hour: int = 12, minute: int = 0) -> datetime:
    """A moment by the clocks of Casablanca."""
    return datetime.combine(day, time(hour, minute), CASABLANCA).astimezone(UTC)


def due(runtime, now=None, **more):
    with runtime.database.write() as session:
        return review_clock.due(session, runtime.vault, now or runtime.clock(), **more)


def notify(runtime, medium, on, proof):
    with runtime.database.write() as session:
        home = homes(runtime)[0]
        score.record_notification(session, household_id=home.id, score_id=score.latest(session, home.id).id,
                                  medium=medium, notified_on=on, proof=proof, message_id=home.id, now=runtime.clock())


@pytest.fixture
def desk(runtime):
    register(runtime, a_row())
    told(runtime, NOON.date())
    return Desk(runtime)


@pytest.fixture
def assigned(desk):
    """Asked on 23 November for an answer in 30 days: at risk on 17 December, late on 24 December."""
    assert isinstance(desk.ask(), ReviewAsked)
    desk.do("assign", "Amina")
    return desk


# The window


@one_kind
@pytest.mark.parametrize(("medium", "proof"), [("sms", "receipt"), ("letter", "posting")])
@pytest.mark.parametrize("on", [date(2026, 12, 15), date(2027, 1, 20), date(2027, 12, 31)])
def test_the_window_runs_from_the_first_proof_whatever_brought_it(runtime, medium, proof, on):
    register(runtime, a_row())
    notify(runtime, medium, on, proof)
    notify(runtime, "letter", on + timedelta(days=9), "posting")
    last, desk = on + timedelta(days=60), Desk(runtime)
    midnight = at(last + timedelta(days=1), 0)
    with runtime.database.read() as session:
        seen = [review.window(session, desk.home.id, moment).state
                for moment in (at(last, 23, 59), midnight - timedelta(seconds=1), midnight)]
    assert seen == ["open", "open", "late"]


@one_kind
def test_a_text_that_failed_starts_no_clock_and_nobody_is_reminded(runtime):
    register(runtime, a_row())
    for days in (53, 60, 200):
        moment = NOON + timedelta(days=days)
        assert due(runtime, moment) == []
        with runtime.database.read() as session:
            assert review.window(session, homes(runtime)[0].id, moment).state == "open"


# Told on a day; the reminder goes on the 53rd day, which begins at midnight by the clock of that season.
@one_kind
@pytest.mark.parametrize(("on", "reminded_on", "hours"), [
    (date(2026, 12, 20), date(2027, 2, 11), 0),  # the day of telling is at UTC+1, that of the reminder in Ramadan
    (date(2027, 1, 21), date(2027, 3, 15), 1),   # Ramadan lies between the two
    (date(2028, 1, 7), date(2028, 2, 29), 0),
    (date(2026, 12, 9), date(2027, 1, 31), 1),
])
def test_the_reminder_goes_once_seven_days_before_the_window_closes(runtime, on, reminded_on, hours):
    register(runtime, a_row())
    told(runtime, on)
    first = at(reminded_on, 0)
    assert first.astimezone(CASABLANCA).utcoffset() == timedelta(hours=hours), "the law of the clock changed"
    assert due(runtime, first - timedelta(seconds=1)) == []
    reminder, = due(runtime, first)
    assert reminder == ReviewWindowCloses(homes(runtime)[0].id, rows(runtime, Notification)[0].score_id,
                                          reminded_on + timedelta(days=7))
    assert due(runtime, first) == due(runtime, first + timedelta(days=3)) == []


@one_kind
def test_the_reminder_still_goes_on_the_last_day_but_not_after_it(runtime):
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    for home, days in zip(homes(runtime), (60, 61), strict=True):
        told(runtime, NOON.date() - timedelta(days=days), home)
    assert [event.last_day for event in due(runtime)] == [NOON.date()]


@one_kind
def test_who_has_asked_or_has_another_index_is_not_reminded(runtime, clock):
    register(runtime, a_row(), a_row("2900000002", "0712345678"), a_row("2900000003", "0722345678"))
    for home in homes(runtime):
        told(runtime, NOON.date(), home)
    Desk(runtime).ask()
    spending = {"butane": "200.00", "water_electricity": "1900.50", "phone_internet": "800.00"}
    register(runtime, a_row("2900000002", "0712345678", spending=spending))
    clock.forward(days=55)
    told(runtime, clock.now.date(), homes(runtime)[1])
    reminded, = (event for event in due(runtime) if isinstance(event, ReviewWindowCloses))
    assert reminded.household_id == homes(runtime)[2].id
    clock.forward(days=53)
    reminded, = (event for event in due(runtime) if isinstance(event, ReviewWindowCloses))
    assert reminded.household_id == homes(runtime)[1].id


@one_kind
@pytest.mark.parametrize("state", ["withdrawn", "struck_off"])
def test_a_household_out_of_the_register_is_not_reminded(desk, clock, state):
    out_of_the_register(desk.runtime, state)
    clock.forward(days=55)
    assert due(desk.runtime) == []
    with desk.runtime.database.read() as session:
        assert review.window(session, desk.home.id, clock.now).state == "none"


@one_kind
def test_many_are_reminded_in_batches_and_nobody_twice(runtime):
    register(runtime, *(a_row(f"29000000{position:02}", f"06123456{position:02}") for position in range(7)))
    for home in homes(runtime):
        told(runtime, NOON.date() - timedelta(days=53), home)
    batches = [[event.household_id for event in due(runtime, limit=3)] for _ in range(4)]
    assert [len(batch) for batch in batches] == [3, 3, 1, 0]
    assert len({home for batch in batches for home in batch}) == 7


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_clocks_at_once_remind_and_escalate_once(runtime, clock):
    register(runtime, *(a_row(f"29000000{position:02}", f"06123456{position:02}") for position in range(8)))
    for position, home in enumerate(homes(runtime)):
        told(runtime, NOON.date(), home)
        if position % 2:
            Desk(runtime, f"29000000{position:02}").ask()
    clock.forward(days=54)
    together = Barrier(2)

    def tick(_):
        together.wait()
        return due(runtime)

    with ThreadPoolExecutor(2) as clocks:
        events = [event for done in clocks.map(tick, range(2)) for event in done]
    events += due(runtime)
    homes_of = [[event.household_id for event in events if isinstance(event, kind)]
                for kind in (ReviewWindowCloses, ReviewLate)]
    assert [(len(told), len(set(told))) for told in homes_of] == [(4, 4), (4, 4)]


# The answer


@one_kind
def test_a_review_is_at_risk_when_four_fifths_of_its_time_are_gone(assigned):
    runtime = assigned.runtime
    assert due(runtime, at(date(2026, 12, 16), 23, 59)) == []
    assert assigned.row.at_risk_at is None
    first = at(date(2026, 12, 17), 0)
    assert due(runtime, first) == due(runtime, first + timedelta(days=1)) == []
    assert assigned.row.at_risk_at == first
    assert assigned.audited()[-2:] == ["review.assigned", "review.at_risk"]


def test_each_promise_that_is_broken_is_told_once_with_a_new_day(assigned):
    runtime = assigned.runtime
    assert due(runtime, at(date(2026, 12, 23), 23, 59)) == []
    late, = due(runtime, at(date(2026, 12, 24), 0))
    row = assigned.row
    assert late == ReviewLate(row.household_id, row.id, row.number, date(2027, 1, 3))
    assert (row.answer_by, row.promised_by) == (date(2026, 12, 23), date(2027, 1, 3))
    assert due(runtime, at(date(2026, 12, 24))) == due(runtime, at(date(2027, 1, 3), 23, 59)) == []
    later, = due(runtime, at(date(2027, 1, 4), 0))
    assert (later.answer_by, due(runtime, at(date(2027, 1, 14), 23, 59))) == (date(2027, 1, 14), [])
    assert due(runtime, at(date(2027, 1, 15), 0))[0].answer_by == date(2027, 1, 25)
    assert (assigned.row.answer_by, assigned.row.late_at) == (row.answer_by, row.late_at)
    assert assigned.audited()[-4:] == ["review.at_risk", *["review.late"] * 3]


@one_kind
def test_a_clock_that_stood_still_marks_both_and_promises_from_today(assigned):
    late, = (event for event in due(assigned.runtime, at(date(2027, 2, 28)), again_within=timedelta(days=2))
             if isinstance(event, ReviewLate))
    assert late.answer_by == date(2027, 3, 2)
    assert assigned.audited()[-2:] == ["review.at_risk", "review.late"]


@one_kind
def test_a_household_that_follows_a_late_review_is_told_the_new_day_and_never_one_that_has_passed(assigned, clock):
    clock.now = at(date(2026, 12, 24))
    assert (assigned.standing().next_step, assigned.standing().answer_by) == ("late", None)
    due(assigned.runtime)
    assert (assigned.standing().next_step, assigned.standing().answer_by) == ("late", date(2027, 1, 3))
    clock.forward(days=11)
    assert (assigned.standing().next_step, assigned.standing().answer_by) == ("late", None)


@one_kind
def test_a_decided_or_withdrawn_review_is_watched_no_more(assigned, clock):
    assigned.do("refuse", reason="other", text="Why.", by="Brahim")
    clock.forward(days=40)
    assert due(assigned.runtime) == []
    assert assigned.row.at_risk_at is None


# Waiting for the household


@one_kind
def test_days_in_which_the_household_is_waited_for_do_not_count(assigned, clock):
    clock.now = at(date(2026, 12, 14))
    assigned.do("need_information", "bill", date(2027, 1, 10))
    clock.now = at(date(2027, 1, 4))
    assert due(assigned.runtime) == []
    assert assigned.standing().answer_by == date(2027, 1, 13)
    assigned.do("information_received")
    row = assigned.row
    assert (row.answer_by, row.promised_by) == (date(2026, 12, 23), date(2027, 1, 13))
    due(assigned.runtime, at(date(2027, 1, 6), 23, 59))
    assert assigned.row.at_risk_at is None
    due(assigned.runtime, at(date(2027, 1, 7), 0))
    assert assigned.row.at_risk_at is not None


@one_kind
def test_what_is_brought_on_the_same_day_moves_nothing(assigned, clock):
    assigned.do("need_information", "bill", date(2026, 12, 1))
    clock.forward(hours=5)
    assigned.do("information_received")
    assert assigned.row.promised_by == assigned.row.answer_by


# How long it waited is counted in days of Casablanca, across any change of its clock.
@one_kind
@pytest.mark.parametrize(("needed_by", "ticks_at", "waited"), [
    (date(2026, 12, 1), at(date(2026, 12, 2), 0), 9),
    (date(2026, 12, 1), at(date(2026, 12, 20)), 9),   # a clock that stood still does not lengthen the time
    (date(2026, 11, 30), at(date(2026, 12, 1), 0), 8),
])
def test_a_review_that_waited_in_vain_goes_back_and_is_decided_all_the_same(assigned, needed_by, ticks_at, waited):
    assigned.do("need_information", "bill", needed_by)
    assert due(assigned.runtime, at(needed_by, 23, 59)) == []
    assert assigned.row.state == "needs_information"
    due(assigned.runtime, ticks_at)
    row = assigned.row
    assert (row.state, row.assigned_to, row.promised_by) == (
        "assigned", "Amina", row.answer_by + timedelta(days=waited))
    assert assigned.audited()[4] == "review.information_not_received"
    assigned.do("refuse", reason="nothing_brought", text="Why.", by="Brahim")


@one_kind
def test_waiting_across_ramadans_change_of_clock_counts_calendar_days(runtime, clock):
    """The clock goes back on 7 February 2027 and forth on 14 March."""
    register(runtime, a_row())
    told(runtime, date(2027, 2, 1))
    desk = Desk(runtime)
    clock.now = at(date(2027, 2, 6), 23, 30)
    desk.ask()
    desk.do("assign", "Amina")
    desk.do("need_information", "bill", date(2027, 2, 20))
    clock.now = at(date(2027, 2, 8), 0, 15)
    desk.do("information_received")
    assert desk.row.promised_by - desk.row.answer_by == timedelta(days=2)


@one_kind
def test_what_the_clock_asks_of_the_database_is_answered_by_an_index(runtime):
    """Of five million notifications, the clock must touch only those that are due."""
    queries = ("SELECT * FROM notification WHERE reminded_at IS NULL AND notified_on BETWEEN '2026-11-01' AND "
               "'2026-11-08' ORDER BY notified_on LIMIT 1000",
               "SELECT * FROM review WHERE watch_on <= '2026-11-01' ORDER BY watch_on, id LIMIT 1000")
    with runtime.database.read() as session:
        plans = [" ".join(row[3] for row in session.execute(sa.text(f"EXPLAIN QUERY PLAN {query}")))
                 for query in queries]
    assert ["USING INDEX ix_notification_to_remind" in plans[0], "USING INDEX ix_review_watch_on" in plans[1]] == [
        True, True]
