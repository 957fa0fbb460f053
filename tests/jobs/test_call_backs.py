"""Call backs: the telephone of whoever rang does ring, once, whatever the provider does and whoever is killed."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway import calling
from gateway.calling import AFTER, ATTEMPTS_AT_MOST
from gateway.routes import Routes
from jobs.call_backs import AT_ONCE, call_back
from tests.channels.test_sandbox import OTHER, until
from tests.conftest import SETTINGS, open_house
from tests.contract.stub import Reply, Stub, answers, nobody_listens, resets
from tests.jobs.calls import CALLS, OURS, Killed, counted, dying, neighbours
from tests.jobs.fakes import a_text
from tests.test_calling import PHONE, ask, kept

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RUNG = answers(Reply(201, {"sid": "CA" + "7d" * 16}))
RINGING = ("ringing", True, OURS)


@pytest.fixture
def next_door(database_url, redis_url, tmp_path, clock):
    with neighbours(database_url, redis_url, tmp_path, clock) as house:
        yield house


@pytest.fixture
def house(database_url, redis_url, tmp_path, clock):
    """`house(url)`: its provider of calls is at this address."""
    opened = []

    def at(url):
        opened.append(open_house(database_url, redis_url, tmp_path, clock, TWILIO_BASE_URL=url, **CALLS))
        return opened[-1]

    yield at
    for one in opened:
        one.close()


def rings(next_door, phone=PHONE):
    shown = next_door.operator.calls.shown(phone)
    return shown.state, shown.incoming, shown.other


def round_for(runtime, clock, minutes):
    """So many minutes of the clock's ringing."""
    for _ in range(minutes * 2):
        call_back(runtime)
        clock.forward(seconds=30)


# A call


def test_the_telephone_of_whoever_rang_rings_and_hears_what_is_at_our_address(next_door, clock):
    ask(next_door.runtime)
    assert call_back(next_door.runtime) == 0
    clock.forward(seconds=AFTER.total_seconds())
    assert call_back(next_door.runtime) == 1
    until(lambda: rings(next_door) == RINGING)
    next_door.operator.calls.answer(PHONE)
    until(lambda: next_door.gateway.heard("/voice/twilio/placed"))
    assert next_door.gateway.heard("/voice/twilio/placed")[0]["Direction"] == "outbound-api"
    assert (kept(next_door.runtime), call_back(next_door.runtime)) == ([("called", 1, None)], 0)
    assert counted(next_door.runtime, "call_backs") == {"called": 1}


@one_kind
def test_by_africas_talking_too(database_url, redis_url, tmp_path, clock):
    settings = {"VOICE_PROVIDER": "africastalking"}
    with neighbours(database_url, redis_url, tmp_path, clock, **settings) as next_door:
        ask(next_door.runtime)
        clock.forward(seconds=AFTER.total_seconds())
        assert call_back(next_door.runtime) == 1
        until(lambda: rings(next_door) == RINGING)
        assert kept(next_door.runtime) == [("called", 1, None)]


@one_kind
def test_a_night_call_is_answered_at_night(next_door, clock):
    clock.forward(hours=15)
    ask(next_door.runtime, now=clock())
    clock.forward(seconds=AFTER.total_seconds())
    assert call_back(next_door.runtime) == 1


@one_kind
def test_a_round_calls_so_many_and_the_next_the_others(house, clock):
    with Stub() as stub:
        runtime = house(stub.does(RUNG).url)
        for number in range(AT_ONCE + 2):
            ask(runtime, f"+2126123456{number:02d}", clock())
        clock.forward(seconds=AFTER.total_seconds())
        assert [call_back(runtime) for _ in range(3)] == [AT_ONCE, 2, 0]
        assert len({seen.form["To"][0] for seen in stub.seen}) == len(stub.seen) == AT_ONCE + 2


@one_kind
def test_a_house_without_calls_calls_nobody(next_door, clock):
    ask(next_door.runtime)
    clock.forward(seconds=AFTER.total_seconds())
    settings = replace(next_door.runtime.settings, voice_provider="")
    assert call_back(replace(next_door.runtime, settings=settings, telephones={})) == 0
    assert rings(next_door)[0] == "none"


# What goes wrong


@one_kind
def test_a_provider_that_cannot_be_reached_is_tried_a_few_times(house, clock):
    with nobody_listens() as url:
        runtime = house(url)
        ask(runtime)
        round_for(runtime, clock, 20)
    assert kept(runtime) == [("failed", ATTEMPTS_AT_MOST, "refused")]
    assert counted(runtime, "call_backs") == {"later": ATTEMPTS_AT_MOST - 1, "failed": 1}


@one_kind
@pytest.mark.parametrize("act", [resets, answers(Reply(500, {"code": 20500})), answers(Reply(201, "<html>"))],
                         ids=["the line broke", "server fault", "unreadable"])
def test_who_may_have_been_called_is_not_called_again(house, clock, act):
    with Stub() as stub:
        runtime = house(stub.does(act).url)
        ask(runtime)
        round_for(runtime, clock, 20)
        assert len(stub.seen) == 1
    ((state, attempts, _),) = kept(runtime)
    assert (state, attempts) == ("failed", 1)


@one_kind
def test_who_cannot_be_called_is_not_tried_again_and_hinders_no_other(house, clock):
    with Stub() as stub:
        runtime = house(stub.does(answers(Reply(400, {"code": 21214})), RUNG).url)
        ask(runtime)
        ask(runtime, OTHER)
        round_for(runtime, clock, 5)
        assert len(stub.seen) == 2
    assert kept(runtime) == [("failed", 1, "21214"), ("called", 1, None)]


@one_kind
def test_a_provider_that_refuses_us_is_left_alone_for_a_while_but_its_texts_go(house, clock, caplog):
    with Stub() as stub:
        runtime = house(stub.does(answers(Reply(400, {"code": 21210})), RUNG).url)
        ask(runtime)
        ask(runtime, OTHER)
        clock.forward(minutes=1)
        assert [call_back(runtime), call_back(runtime)] == [1, 0]
        assert len(stub.seen) == 1
        assert "an operator is needed" in caplog.text
        with runtime.database.read() as session:
            assert Routes.read(session, runtime.settings, clock()).choose(a_text("africastalking")) == "twilio"
        runtime.redis.delete("paused:voice:twilio")
        clock.forward(minutes=1)
        assert call_back(runtime) == 2
    assert [state for state, *_ in kept(runtime)] == ["called", "called"]


@one_kind
def test_a_provider_that_is_too_busy_is_given_a_rest(house, clock):
    with Stub() as stub:
        runtime = house(stub.does(answers(Reply(429, {"code": 20429}))).url)
        ask(runtime)
        ask(runtime, OTHER)
        clock.forward(minutes=1)
        assert [call_back(runtime), call_back(runtime)] == [1, 0]
        assert len(stub.seen) == 1


# Killed


def test_a_worker_that_is_killed_once_the_provider_has_the_call_does_not_make_it_ring_twice(next_door, clock, caplog):
    ask(next_door.runtime)
    clock.forward(seconds=AFTER.total_seconds())
    with pytest.raises(Killed):
        call_back(dying(next_door.runtime, "call", after=True))
    until(lambda: rings(next_door) == RINGING)
    first = next_door.operator.calls.hang_up(PHONE).call
    round_for(next_door.runtime, clock, 20)
    assert next_door.operator.calls.shown(PHONE).call == first
    assert kept(next_door.runtime) == [("failed", 1, "lease_over")]
    assert "nobody can tell" in caplog.text
    assert counted(next_door.runtime, "call_backs") == {"missed": 1}


def test_a_worker_that_is_killed_before_the_call_does_not_stand_in_the_way_of_the_next(next_door, clock):
    ask(next_door.runtime)
    clock.forward(seconds=AFTER.total_seconds())
    with pytest.raises(Killed):
        call_back(dying(next_door.runtime, "call", after=False))
    clock.forward(minutes=2)
    assert call_back(next_door.runtime) == 0
    ask(next_door.runtime, now=clock())
    clock.forward(seconds=AFTER.total_seconds())
    assert call_back(next_door.runtime) == 1
    until(lambda: rings(next_door) == RINGING)


@one_kind
def test_a_worker_that_slept_through_its_lease_calls_nobody(next_door, clock, monkeypatch):
    ask(next_door.runtime)
    clock.forward(seconds=AFTER.total_seconds())
    take = calling.claim

    def asleep(*arguments):
        held = take(*arguments)
        clock.now += timedelta(seconds=61) if held else timedelta()
        return held

    monkeypatch.setattr(calling, "claim", asleep)
    assert call_back(next_door.runtime) == 1
    assert rings(next_door)[0] == "none"
    assert kept(next_door.runtime) == [("due", 1, "lease_over")]


@one_kind
def test_no_number_and_no_key_is_logged(house, clock, caplog):
    caplog.set_level(logging.DEBUG)
    with Stub() as stub:
        runtime = house(stub.does(answers(Reply(400, {"code": 21210})), resets, answers(Reply(500, "x"))).url)
        for phone in (PHONE, OTHER):
            ask(runtime, phone)
        for _ in range(10):
            runtime.redis.delete("paused:voice:twilio")
            clock.forward(minutes=1)
            call_back(runtime)
        assert len(stub.seen) == 3
    lines = "\n".join(map(logging.Formatter().format, caplog.records))
    assert "twilio refuses our calls" in lines
    for secret in (PHONE[4:], OTHER[4:], SETTINGS["TWILIO_AUTH_TOKEN"], "/placed"):
        assert secret not in lines
