"""Complaint: one for each session and category, so many a day, each with a number that can be read aloud."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from threading import Barrier

import pytest

from gateway.registry import complaint
from gateway.registry.complaint import A_DAY_AT_MOST, CATEGORIES, Complaint, TooManyComplaints
from gateway.registry.numbers import kind_of
from tests.conftest import NOON
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def file(runtime, session_name="a call", category="other", phone=b"p" * 32, now=NOON, **more):
    with runtime.database.write() as session:
        return complaint.file(session, household_id=None, category=category, channel="ussd", msisdn_blind=phone,
                              asked_by=f"{session_name}/{category}", now=now, **more)


def test_a_complaint_has_a_number_at_once(runtime):
    filed = file(runtime)
    kept, = rows(runtime, Complaint)
    assert (kept.number, kept.state, kept.category, kept.received_at) == (filed.number, "received", "other", NOON)
    assert kind_of(filed.number) == "complaint"


def test_filed_again_in_its_session_it_keeps_its_number(runtime):
    assert len({file(runtime).number for _ in range(3)}) == 1
    assert file(runtime, category="fraud_message").number != file(runtime).number
    assert file(runtime, "another call").number != file(runtime).number
    assert len(rows(runtime, Complaint)) == 3


def test_filed_by_a_repeated_callback_at_the_same_moment_there_is_one(runtime):
    together = Barrier(8)

    def at_once(_):
        together.wait()
        return file(runtime).number

    with ThreadPoolExecutor(8) as callers:
        numbers = set(callers.map(at_once, range(8)))
    assert numbers == {one.number for one in rows(runtime, Complaint)}
    assert len(numbers) == 1


@one_kind
def test_a_telephone_files_so_many_in_a_day_and_goes_on_the_next(runtime):
    for number in range(A_DAY_AT_MOST):
        file(runtime, f"call {number}", now=NOON + timedelta(hours=number))
    last = NOON + timedelta(hours=23, minutes=59)
    with pytest.raises(TooManyComplaints):
        file(runtime, "one call more", now=last)
    assert file(runtime, "call 0", now=last).number
    assert file(runtime, "a neighbour", phone=b"q" * 32, now=last).number
    assert file(runtime, "one call more", now=NOON + timedelta(days=1)).number


@one_kind
def test_every_category_can_be_filed_and_no_other(runtime):
    for position, category in enumerate(CATEGORIES):
        assert kind_of(file(runtime, category=category, phone=bytes([position] * 32)).number) == "complaint"
    with pytest.raises(ValueError, match="no such category"):
        file(runtime, category="weather")


def test_a_number_that_is_taken_is_drawn_again(runtime):
    numbers = [file(runtime, f"call {position}", chance=Random(1)).number for position in range(3)]
    assert len(set(numbers)) == 3
    assert {kind_of(number) for number in numbers} == {"complaint"}
