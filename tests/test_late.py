"""Late: what must be told by a day and waits in vain to be texted is posted in time, and told once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from channels.base import Accepted, Receipt
from gateway import outbox, paper
from gateway.deadlines import strike
from gateway.outbox import Attempt, Message
from gateway.registry.clock import A_DAY, CASABLANCA, add_working_days, day_of, start_of
from gateway.registry.registration import TOLD_WITHIN
from tests.conftest import a_row, open_house, register
from tests.test_tellings import arrives, brings_back, messages
from tests.web.desk import PHONE, rows

# Registered on a Friday: to be told by Monday the 30th. The post needs three working days, and posts what is printed
# on Tuesday evening on Wednesday: it is there on Monday. What is printed on Wednesday is there on Tuesday.
REGISTERED_ON, LAST_EVENING = date(2026, 11, 20), date(2026, 11, 24)
LEASE = timedelta(minutes=1)
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def at(day: date, hour: int, minute: int = 1) -> datetime:
    """A moment as a watch in Casablanca shows it."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=CASABLANCA).astimezone(UTC)


@pytest.fixture
def house(runtime):
    """A household whose index is to be told by text, on Monday at noon."""
    register(runtime, a_row(registered_on=REGISTERED_ON))
    return runtime


def strikes(runtime, clock, now: datetime | None = None) -> dict[str, int]:
    """The clock strikes; how many messages there are of each medium and state."""
    clock.now = now or clock.now
    strike(runtime, "texts")
    return Counter(f"{one.medium} {one.state}" for one in messages(runtime))


def sent(runtime, clock) -> str:
    """The text is taken by a provider, which names it."""
    (text,) = messages(runtime, medium="sms")
    with runtime.database.write() as session:
        held = outbox.claim(session, runtime.vault, [text.id], "twilio", clock(), LEASE)
        outbox.settle(session, [(one, Accepted("SM1")) for one in held], clock())
    return text.id.hex


def receipt(runtime, clock, token: str, outcome: str = "delivered") -> None:
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt("twilio", "SM1", outcome, outcome, PHONE, token), clock())
        for settlement in outbox.settle_receipts(session, clock()):
            runtime.teller.heard(session, settlement, clock())


# In time


def test_a_text_that_waits_in_vain_makes_way_on_the_last_evening_on_which_the_post_is_in_time(house, clock):
    for day in (date(2026, 11, 23), LAST_EVENING):
        assert strikes(house, clock, at(day, 17, 59)) == {"sms created": 1}
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms failed": 1, "letter created": 1}
    paper.print_all(house)
    (run,) = house.tray.runs()
    clock.now = at(date(2026, 11, 25), 14)
    assert paper.post(house, run.name) == 1
    (letter,) = messages(house, medium="letter")
    assert add_working_days(day_of(letter.changed_at), house.settings.post_takes) < day_of(letter.tell_by)


def test_why_it_made_way_is_written_down(house, clock):
    strikes(house, clock, at(LAST_EVENING, 18))
    assert [(one.outcome, one.code) for one in rows(house, Attempt)] == [("instead", "waited_in_vain")]


def test_the_clock_strikes_again_and_nothing_is_told_twice(house, clock):
    for minute in range(1, 5):
        assert strikes(house, clock, at(LAST_EVENING, 18, minute)) == {"sms failed": 1, "letter created": 1}
    paper.print_all(house)
    assert strikes(house, clock, at(LAST_EVENING, 19)) == {"sms failed": 1, "letter sent": 1}


@one_kind
@pytest.mark.parametrize("hour", [16, 21])
def test_a_text_of_this_evening_has_its_morning_yet(runtime, clock, hour):
    clock.now = at(LAST_EVENING, hour)
    register(runtime, a_row(registered_on=REGISTERED_ON))
    assert strikes(runtime, clock, at(LAST_EVENING, 23, 59)) == {"sms created": 1}


@one_kind
def test_who_is_told_too_late_in_any_case_is_texted_first(runtime, clock):
    clock.now = at(date(2026, 12, 24), 20)
    register(runtime, a_row(registered_on=REGISTERED_ON))
    assert strikes(runtime, clock, at(date(2026, 12, 25), 19)) == {"sms created": 1}
    assert strikes(runtime, clock, at(date(2026, 12, 25), 20)) == {"sms failed": 1, "letter created": 1}


@one_kind
def test_what_the_post_can_bring_in_time_no_more_is_left_to_the_text_until_its_day_is_over(house, clock):
    tell_by = REGISTERED_ON + TOLD_WITHIN + A_DAY
    for day in (LAST_EVENING + A_DAY * number for number in range(1, (tell_by - LAST_EVENING).days)):
        assert strikes(house, clock, at(day, 19)) == {"sms created": 1}
    assert strikes(house, clock, at(tell_by, 0)) == {"sms failed": 1, "letter created": 1}


@pytest.mark.parametrize("days", [8, 40, 400])
def test_a_clock_that_jumped_over_the_evening_leaves_nobody_untold(house, clock, days):
    clock.forward(days=days)
    assert strikes(house, clock) == {"sms failed": 1, "letter created": 1}


@one_kind
def test_a_clock_that_went_back_turns_nobody_to_paper(house, clock):
    assert strikes(house, clock, at(LAST_EVENING - timedelta(days=30), 19)) == {"sms created": 1}


@one_kind
@pytest.mark.parametrize(("to_be_told", "last"), [
    (date(2026, 11, 20), date(2026, 11, 15)),  # Independence Day, the 18th, lies between; a Sunday is posted on Monday
    (date(2027, 3, 6), date(2027, 3, 1)),  # a Saturday in Ramadan
    (date(2027, 3, 14), date(2027, 3, 4)),  # Eid al-Fitr, the 10th and 11th, and two weekends
])
def test_weekends_and_feasts_bring_the_last_evening_forward(house, clock, to_be_told, last):
    with house.database.write() as session:
        long_ago = at(to_be_told, 0) - timedelta(days=20)
        session.execute(sa.update(Message).values(tell_by=start_of(to_be_told + A_DAY), created_at=long_ago))
    day = to_be_told - timedelta(days=15)
    while strikes(house, clock, at(day, 19)) == {"sms created": 1}:
        day += A_DAY
    assert (day, strikes(house, clock)) == (last, {"sms failed": 1, "letter created": 1})


@one_kind
def test_how_long_the_post_takes_is_a_setting(database_url, redis_url, tmp_path, clock):
    house = open_house(database_url, redis_url, tmp_path, clock, POST_TAKES="4")
    register(house, a_row(registered_on=REGISTERED_ON))
    assert strikes(house, clock, at(LAST_EVENING - A_DAY, 18)) == {"sms failed": 1, "letter created": 1}
    house.close()


@one_kind
def test_however_many_make_way_on_one_evening_they_do_when_the_clock_strikes_once(house, clock):
    (text,) = messages(house)
    same = {column.name: getattr(text, column.name) for column in Message.__table__.columns if column.name != "id"}
    with house.database.write() as session:
        session.execute(sa.insert(Message), [same] * 1100)
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms failed": 1101, "letter created": 1}


# Who has been told


@one_kind
def test_who_was_told_by_text_gets_no_letter(house, clock):
    receipt(house, clock, sent(house, clock))
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms delivered": 1}


@one_kind
def test_who_was_told_by_another_message_gets_no_letter_either(house, clock):
    (text,) = messages(house)
    with house.database.write() as session:
        session.execute(sa.insert(Message).values(**{
            column.name: getattr(text, column.name) for column in Message.__table__.columns if column.name != "id"
        } | {"state": "delivered"}))
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms created": 1, "sms delivered": 1}


def test_a_text_without_a_receipt_is_followed_by_a_letter_in_time(house, clock):
    sent(house, clock)
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms failed": 1, "letter created": 1}
    assert rows(house, Attempt)[-1].code == "no_receipt"


@one_kind
def test_its_receipt_takes_the_letter_back_as_long_as_it_is_not_printed(house, clock):
    token = sent(house, clock)
    strikes(house, clock, at(LAST_EVENING, 18))
    receipt(house, clock, token)
    assert Counter(f"{one.medium} {one.state}" for one in messages(house)) == {
        "sms delivered": 1, "letter cancelled": 1}


@one_kind
def test_a_receipt_of_failure_that_comes_after_the_letter_makes_no_other(house, clock):
    token = sent(house, clock)
    strikes(house, clock, at(LAST_EVENING, 18))
    receipt(house, clock, token, "failed")
    assert strikes(house, clock) == {"sms failed": 1, "letter created": 1}


@one_kind
def test_a_text_that_was_sent_a_moment_ago_may_still_be_answered_for(house, clock):
    clock.now = at(LAST_EVENING, 17)
    sent(house, clock)
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms sent": 1}


@one_kind
def test_a_text_that_calls_for_a_letter_at_the_centre_never_becomes_one(house, clock):
    arrives(house, "failed", medium="sms")
    paper.print_due(house)
    (letter,) = messages(house, medium="letter")
    with house.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == letter.id).values(state="handed"))
    brings_back(house, letter.reference)
    clock.forward(days=60)
    assert strikes(house, clock)["sms created"] == 1


@one_kind
def test_what_has_no_day_by_law_waits(house, clock):
    with house.database.write() as session:
        session.execute(sa.update(Message).values(lane=outbox.NOTICE))
    assert strikes(house, clock, at(LAST_EVENING, 18)) == {"sms created": 1}
