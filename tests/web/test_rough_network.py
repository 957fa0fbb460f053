"""A rough network: whatever it repeats, drops, cuts short or brings out of order, it does no harm."""

from __future__ import annotations

import re
from datetime import date
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.text import USSD as BUDGET
from channels.text import fits
from gateway.dialogue.access import Lock
from gateway.registry.complaint import Complaint
from gateway.registry.review import Review
from gateway.registry.update import DataUpdate
from tests.conftest import a_row, register
from tests.web.desk import PIN, Handset, client, give_pin, rows, told

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
INDEX = re.compile(r"(?<![0-9])[0-9]{1,2},[0-9]{7}(?![0-9])")
# Callbacks that come, each with so many of the keys typed; and whether Redis is emptied before it.
COMING = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9).map(lambda drawn: drawn == 0)), max_size=14)
# A telephone may complain three times a day: each has one of its own.
CALLERS = count(11_000_000)
rough = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    return runtime


def deliver(runtime, handset, keys, coming):
    """Each callback as it comes, and in the end the last one. Whatever the caller is shown is a screen."""
    runtime.redis.flushall()
    handset.dial()
    for length, emptied in (*coming, (len(keys), False)):
        if emptied:
            runtime.redis.flushall()
        handset.typed = list(keys[:length])
        shown = handset.again()
        assert fits(shown[4:], BUDGET)
        assert PIN in handset.typed or not INDEX.search(shown), "an index without a PIN"


@rough
@given(st.data())
def test_a_complaint_is_filed_once_at_most(house, data):
    handset = Handset(client(house), f"+2126{next(CALLERS):08}")
    before = len(rows(house, Complaint))
    keys = ["2", "5", "1", data.draw(st.sampled_from("3467")), "1", "1"]
    deliver(house, handset, keys, data.draw(COMING))
    assert len(rows(house, Complaint)) - before <= 1


@rough
@given(COMING)
def test_a_review_is_asked_for_once(house, coming):
    deliver(house, Handset(client(house)), ["2", PIN, "4", "1", "1"], coming)
    assert len(rows(house, Review)) <= 1


@rough
@given(COMING)
def test_a_review_that_is_withdrawn_is_not_asked_for_again(house, coming):
    handset = Handset(client(house))
    if not rows(house, Review):
        handset.dial()
        handset.type("2")
        handset.dial()
        handset.type("4", PIN, "9", "1")
    deliver(house, handset, ["4", PIN, "8", "1"], coming)
    assert len(rows(house, Review)) == 1


@rough
@given(COMING)
def test_a_change_is_reported_once(house, coming):
    deliver(house, Handset(client(house)), ["2", "6", "2", "1", PIN], coming)
    assert len(rows(house, DataUpdate)) <= 1


@rough
@given(st.data())
def test_a_pin_that_is_changed_locks_nobody_out(house, data):
    """Told anew, the old PIN is wrong by now: once a session, and never five times in a row."""
    handset = Handset(client(house))
    deliver(house, handset, ["8", "2", "1", PIN, "825193", "825193"], data.draw(COMING))
    assert not any(lock.locked_until for lock in rows(house, Lock))
    give_pin(house)
    handset.dial("00", "2", PIN)


@rough
@given(st.lists(st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=30),
                max_size=6))
def test_whatever_is_typed_is_answered_by_a_screen(house, typed):
    deliver(house, Handset(client(house)), typed, [(length, False) for length in range(len(typed))])
    assert rows(house, Review) == rows(house, DataUpdate) == []
