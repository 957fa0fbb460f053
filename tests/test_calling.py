"""Calling: who rings is promised one call, soon, a few times a day; and nobody is called twice by mistake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from channels.base import Accepted, Misconfigured, Rejected, Throttled, Unavailable, Unknown
from gateway import calling
from gateway.calling import A_DAY_AT_MOST, AFTER, ATTEMPTS_AT_MOST, WITHIN, CallBack
from gateway.registry import household
from tests.conftest import NOON, a_row, register
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHONE = "+212612345678"
LEASE = timedelta(seconds=60)


def ask(runtime, phone=PHONE, now=NOON, why="missed"):
    with runtime.database.write() as session:
        return calling.ask(session, runtime.vault, phone, now, why=why)


def claim(runtime, now=NOON + AFTER):
    with runtime.database.write() as session:
        return calling.claim(session, runtime.vault, "twilio", now, LEASE)


def settle(runtime, held, result, now=NOON + AFTER):
    with runtime.database.write() as session:
        return calling.settle(session, held, result, now)


def expire(runtime, now):
    with runtime.database.write() as session:
        return calling.expire(session, now, LEASE)


def called(runtime, now=NOON):
    """One call from the asking to its end."""
    assert ask(runtime, now=now)
    settle(runtime, claim(runtime, now + AFTER), Accepted("CA1"), now + AFTER)


def kept(runtime):
    return [(one.state, one.attempts, one.code) for one in sorted(rows(runtime, CallBack), key=lambda one: one.id)]


# Asked


def test_who_rings_is_called_half_a_minute_later(runtime):
    assert ask(runtime)
    assert claim(runtime, NOON + AFTER - timedelta(seconds=1)) is None
    held = claim(runtime)
    assert (held.msisdn, held.attempt, held.until) == (PHONE, 1, NOON + AFTER + LEASE)
    assert PHONE not in repr(held)
    assert settle(runtime, held, Accepted("CA1")) == "called"
    (row,) = rows(runtime, CallBack)
    assert (row.state, row.provider, row.provider_id, row.why) == ("called", "twilio", "CA1", "missed")
    assert PHONE[1:].encode() not in row.msisdn_sealed + row.msisdn_blind


@one_kind
@pytest.mark.parametrize("phone", ["", "anonymous", "+33612345678", "+15005550006", "+212801234567", "+21261234567",
                                   "0033612345678"])
def test_only_telephones_of_this_country_are_called(runtime, phone):
    assert not ask(runtime, phone)
    assert rows(runtime, CallBack) == []


@one_kind
def test_a_landline_is_called_and_so_is_who_wants_no_texts(runtime):
    assert ask(runtime, "+212537123456")
    register(runtime, a_row())
    with runtime.database.write() as session:
        household.suspend(session, runtime.vault, PHONE, NOON)
    assert ask(runtime)


def test_who_rings_on_is_promised_one_call(runtime):
    assert all(ask(runtime, now=NOON + timedelta(seconds=second)) for second in range(5))
    held = claim(runtime)
    assert ask(runtime, now=NOON + AFTER), "it rings this moment"
    assert len(rows(runtime, CallBack)) == 1
    settle(runtime, held, Accepted("CA1"))
    assert ask(runtime, now=NOON + timedelta(minutes=5))
    assert len(rows(runtime, CallBack)) == 2


def test_asked_for_at_the_same_moment_there_is_one(runtime):
    together = Barrier(6)

    def at_once(_):
        together.wait()
        return ask(runtime)

    with ThreadPoolExecutor(6) as callers:
        assert all(callers.map(at_once, range(6)))
    assert len(rows(runtime, CallBack)) == 1


def test_a_telephone_is_called_so_many_times_a_day_and_again_the_next(runtime):
    for hour in range(A_DAY_AT_MOST):
        called(runtime, NOON + timedelta(hours=hour))
    assert not ask(runtime, now=NOON + timedelta(hours=23))
    assert ask(runtime, "+212661234567", NOON + timedelta(hours=23))
    assert ask(runtime, now=NOON + timedelta(days=1))


# Called


def test_a_call_is_one_workers(runtime):
    ask(runtime)
    together = Barrier(4)

    def at_once(_):
        together.wait()
        return claim(runtime)

    with ThreadPoolExecutor(4) as workers:
        assert len([held for held in workers.map(at_once, range(4)) if held]) == 1


@one_kind
def test_who_rang_first_is_called_first(runtime):
    phones = [f"+21261234567{digit}" for digit in (3, 1, 2)]
    for second, phone in enumerate(phones):
        ask(runtime, phone, NOON + timedelta(seconds=second))
    assert [claim(runtime, NOON + timedelta(minutes=1)).msisdn for _ in phones] == phones


@one_kind
@pytest.mark.parametrize("result", [Unavailable("refused"), Throttled("20429", retry_after_s=5)])
def test_what_certainly_did_not_ring_is_tried_a_few_times(runtime, result):
    ask(runtime)
    now, tried = NOON + AFTER, 0
    while held := claim(runtime, now):
        tried += 1
        settle(runtime, held, result, now)
        assert claim(runtime, now + timedelta(seconds=59)) is None
        now += timedelta(minutes=5)
    assert (tried, kept(runtime)) == (ATTEMPTS_AT_MOST, [("failed", ATTEMPTS_AT_MOST, result.code)])


@one_kind
def test_a_throttled_call_waits_as_long_as_the_provider_wishes(runtime):
    ask(runtime)
    settle(runtime, claim(runtime), Throttled("20429", retry_after_s=600))
    assert claim(runtime, NOON + AFTER + timedelta(seconds=599)) is None
    assert claim(runtime, NOON + AFTER + timedelta(seconds=600))


@one_kind
@pytest.mark.parametrize("result", [Unknown("read_timeout"), Rejected("21211")])
def test_what_may_have_rung_and_what_never_will_is_not_tried_again(runtime, result):
    ask(runtime)
    assert settle(runtime, claim(runtime), result) == "failed"
    assert claim(runtime, NOON + timedelta(minutes=20)) is None
    assert kept(runtime) == [("failed", 1, result.code)]


@one_kind
def test_by_our_own_fault_nobody_is_given_up_before_it_is_late(runtime):
    ask(runtime)
    now = NOON + AFTER
    for _ in range(ATTEMPTS_AT_MOST + 2):
        assert settle(runtime, claim(runtime, now), Misconfigured("21210"), now) == "due"
        now += timedelta(minutes=1)
    assert settle(runtime, claim(runtime, now), Accepted("CA1"), now) == "called"


def test_what_a_dead_worker_may_have_called_is_not_called_again(runtime):
    ask(runtime)
    held = claim(runtime)
    assert expire(runtime, held.until) == 0
    assert expire(runtime, held.until + timedelta(seconds=1)) == 1
    assert kept(runtime) == [("failed", 1, "lease_over")]
    settle(runtime, held, Accepted("CA1"), held.until)
    settle(runtime, held, Unavailable("lease_over"), held.until)
    assert kept(runtime) == [("failed", 1, "lease_over")], "a worker that wakes up settles nothing"
    assert claim(runtime, NOON + timedelta(minutes=10)) is None


def test_nobody_is_called_long_after(runtime):
    ask(runtime)
    assert expire(runtime, NOON + WITHIN) == 0
    assert expire(runtime, NOON + WITHIN + timedelta(seconds=1)) == 1
    assert kept(runtime) == [("failed", 0, "late")]
    assert claim(runtime, NOON + timedelta(hours=15)) is None


@one_kind
def test_a_number_that_no_key_opens_is_told_of_and_hinders_no_other(runtime, caplog):
    ask(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(CallBack).values(msisdn_sealed=b"\x01\x09" + b"0" * 40))
    ask(runtime, "+212661234567", NOON + timedelta(seconds=1))
    now = NOON + timedelta(minutes=1)
    assert claim(runtime, now) is None
    assert claim(runtime, now).msisdn == "+212661234567"
    assert "nobody can be called back" in caplog.text
