"""Voice messages: what was spoken comes here whole, is gone there, and is lost by no crash on the way."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from channels.sandbox.recordings import tone
from gateway.registry import voice_message
from gateway.registry.voice_message import ATTACHED_WITHIN, ATTEMPTS_AT_MOST, VoiceMessage
from jobs.voice_messages import fetch_voice_messages
from tests.conftest import NOON, SETTINGS, open_house
from tests.contract.stub import Reply, Stub, answers, drips, resets
from tests.jobs.calls import CALLS, Killed, counted, dying, neighbours
from tests.registry.test_voice_message import BRAHIM, act, announce, attach, file, state
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SOUND = b"ID3 what a person said"
AUDIO, GONE = answers(Reply(200, SOUND, "audio/mpeg")), answers(Reply(204, b""))
NOT_THERE, DOWN = answers(Reply(404, {"code": 20404})), answers(Reply(503, "away", "text/plain"))


@pytest.fixture
def next_door(database_url, redis_url, tmp_path, clock):
    with neighbours(database_url, redis_url, tmp_path, clock) as house:
        yield house


@pytest.fixture
def stub():
    with Stub() as stub:
        yield stub


@pytest.fixture
def house(database_url, redis_url, tmp_path, clock, stub):
    """A house whose provider does as a test tells it."""
    opened = open_house(database_url, redis_url, tmp_path, clock, TWILIO_BASE_URL=stub.url, **CALLS)
    yield opened
    opened.close()


def complained(runtime, url, provider="twilio"):
    """A complaint by telephone, and the word of what was said of it."""
    of = file(runtime, session_name=url)
    assert attach(runtime, announce(runtime, url, provider=provider), of)
    return of


def at(stub, number=0):
    return f"{stub.url}/2010-04-01/Accounts/{SETTINGS['TWILIO_ACCOUNT_SID']}/Recordings/RE{number:032x}"


def asked(stub):
    return [seen.method for seen in stub.seen]


# The way of a message


def test_what_was_said_comes_here_and_is_deleted_there(next_door):
    url = next_door.spoken(tone(2))
    of = complained(next_door.runtime, url)
    assert fetch_voice_messages(next_door.runtime) == 1
    assert act(next_door.runtime, "listen", of, **BRAHIM) == tone(2)
    assert not next_door.has(url)
    (kept,) = rows(next_door.runtime, VoiceMessage)
    assert (kept.state, kept.deleted_at_provider, kept.not_before, kept.url_sealed) == ("fetched", NOON, None, None)
    assert fetch_voice_messages(next_door.runtime) == 0
    assert counted(next_door.runtime, "voice_messages") == {"fetched": 1}


@one_kind
def test_where_a_provider_deletes_nothing_that_is_noted_once(next_door, clock):
    url = next_door.spoken(tone(1), "africastalking")
    of = complained(next_door.runtime, url, "africastalking")
    for _ in range(3):
        fetch_voice_messages(next_door.runtime)
        clock.forward(days=1)
    assert act(next_door.runtime, "listen", of, **BRAHIM) == tone(1)
    assert next_door.has(url)
    (kept,) = rows(next_door.runtime, VoiceMessage)
    assert (kept.state, kept.deleted_at_provider, kept.not_before) == ("fetched", None, None)
    assert counted(next_door.runtime, "voice_messages") == {"fetched": 1, "not_deleted": 1}


@one_kind
def test_what_no_complaint_followed_is_deleted_there_unheard(next_door, clock):
    url = next_door.spoken(tone(1))
    announce(next_door.runtime, url)
    clock.forward(seconds=ATTACHED_WITHIN.total_seconds() - 1)
    assert fetch_voice_messages(next_door.runtime) == 0
    assert next_door.has(url)
    clock.forward(seconds=1)
    assert fetch_voice_messages(next_door.runtime) == 1
    assert not next_door.has(url)
    assert state(next_door.runtime) == ["dropped"]
    assert counted(next_door.runtime, "voice_messages") == {}


@one_kind
def test_many_are_fetched_each_once_by_workers_at_the_same_time(house, stub):
    stub.does(AUDIO)
    for number in range(8):
        complained(house, at(stub, number))
    together = Barrier(3)

    def at_once(_):
        together.wait()
        return fetch_voice_messages(house)

    with ThreadPoolExecutor(3) as workers:
        assert sum(workers.map(at_once, range(3))) == 8
    assert (asked(stub).count("GET"), asked(stub).count("DELETE")) == (8, 8)
    assert state(house) == ["fetched"] * 8


# What goes wrong


@one_kind
def test_what_is_not_ready_is_asked_for_again_and_comes(house, stub, clock):
    stub.does(NOT_THERE, DOWN, resets, drips(Reply(200, SOUND, "audio/mpeg"), 100), GONE)
    of = complained(house, at(stub))
    for minutes in (2, 4, 8):
        fetch_voice_messages(house)
        assert fetch_voice_messages(house) == 0, "not before its time"
        assert state(house) == ["announced"]
        clock.forward(minutes=minutes)
    fetch_voice_messages(house)
    assert act(house, "listen", of, **BRAHIM) == SOUND
    assert asked(stub) == ["GET"] * 4 + ["DELETE"]


@one_kind
@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_what_never_comes_is_given_up_within_a_day_with_an_alarm_and_left_where_it_is(house, stub, clock, caplog,
                                                                                      status):
    stub.does(answers(Reply(status, {"code": status})))
    complained(house, at(stub))
    for _ in range(24 * 6):
        fetch_voice_messages(house)
        clock.forward(minutes=10)
    assert state(house) == ["gone"]
    assert asked(stub) == ["GET"] * ATTEMPTS_AT_MOST
    assert [line.levelno for line in caplog.records if "left with twilio" in line.message] == [logging.ERROR]
    assert counted(house, "voice_messages") == {"later": ATTEMPTS_AT_MOST, "lost": 1}


@one_kind
@pytest.mark.parametrize("reply", [
    Reply(200, "<html>Hello</html>", "text/html"), Reply(200, b"", "audio/mpeg"), Reply(410, "no", "text/plain"),
    Reply(200, b"\xff" * (5 << 20), "audio/mpeg")], ids=["a page", "nothing", "refused", "endless"])
def test_what_is_no_sound_is_lost_at_once_and_deleted_there(house, stub, clock, caplog, reply):
    stub.does(answers(reply), GONE)
    of = complained(house, at(stub))
    for _ in range(3):
        fetch_voice_messages(house)
        clock.forward(hours=1)
    assert (state(house), asked(stub)) == (["gone"], ["GET", "DELETE"])
    assert "it is lost" in caplog.text
    assert counted(house, "voice_messages") == {"lost": 1}
    with pytest.raises(voice_message.NotAllowed, match="say it again"):
        act(house, "listen", of, **BRAHIM)


@one_kind
def test_what_is_not_the_providers_is_never_asked_for(house, stub):
    stub.does(AUDIO)
    complained(house, "https://elsewhere.example/Recordings/RE0")
    fetch_voice_messages(house)
    assert (state(house), asked(stub)) == (["gone"], [])


@one_kind
def test_a_provider_that_is_slow_to_delete_is_asked_again_and_not_for_the_sound(house, stub, clock):
    stub.does(AUDIO, DOWN, DOWN, GONE)
    of = complained(house, at(stub))
    for _ in range(4):
        fetch_voice_messages(house)
        assert act(house, "listen", of, **BRAHIM) == SOUND
        clock.forward(minutes=10)
    assert asked(stub) == ["GET", "DELETE", "DELETE", "DELETE"]
    assert rows(house, VoiceMessage)[0].deleted_at_provider is not None


@one_kind
def test_a_provider_that_never_deletes_is_left_alone_with_an_alarm_and_the_sound_stays_here(house, stub, clock, caplog):
    stub.does(AUDIO, DOWN)
    of = complained(house, at(stub))
    for _ in range(24 * 6):
        fetch_voice_messages(house)
        clock.forward(minutes=10)
    assert asked(stub).count("DELETE") == ATTEMPTS_AT_MOST
    assert "that is fetched is left with twilio" in caplog.text
    assert counted(house, "voice_messages").items() >= {"fetched": 1, "left": 1}.items()
    assert act(house, "listen", of, **BRAHIM) == SOUND


@one_kind
def test_what_cannot_be_read_here_is_not_deleted_there(house, stub, clock, caplog):
    stub.does(AUDIO, DOWN, GONE)
    complained(house, at(stub))
    fetch_voice_messages(house)
    with house.database.write() as session:
        session.execute(sa.update(VoiceMessage).values(audio_sealed=b"\x01\x01" + b"0" * 64))
    clock.forward(minutes=10)
    fetch_voice_messages(house)
    assert asked(stub) == ["GET", "DELETE"]
    assert "ended in no known way" in caplog.text


# Killed


@pytest.mark.parametrize(("verb", "after"), [("fetch", False), ("fetch", True), ("delete", False), ("delete", True)])
def test_a_worker_that_is_killed_on_the_way_loses_nothing_and_leaves_nothing_there(next_door, clock, verb, after):
    url = next_door.spoken(tone(1))
    of = complained(next_door.runtime, url)
    with pytest.raises(Killed):
        fetch_voice_messages(dying(next_door.runtime, verb, after=after))
    assert state(next_door.runtime) == ["announced" if verb == "fetch" else "fetched"]
    assert fetch_voice_messages(next_door.runtime) == 0
    clock.forward(minutes=10)
    assert fetch_voice_messages(next_door.runtime) == 1
    assert act(next_door.runtime, "listen", of, **BRAHIM) == tone(1)
    assert not next_door.has(url)
    assert rows(next_door.runtime, VoiceMessage)[0].deleted_at_provider is not None


@one_kind
def test_a_worker_that_is_killed_over_the_same_message_again_and_again_does_not_go_on_for_ever(next_door, clock):
    complained(next_door.runtime, next_door.spoken(tone(1)))
    mortal, deaths = dying(next_door.runtime, "fetch", after=True), 0
    for _ in range(24 * 6):
        try:
            fetch_voice_messages(mortal)
        except Killed:
            deaths += 1
        clock.forward(minutes=10)
    assert (deaths, state(next_door.runtime)) == (ATTEMPTS_AT_MOST, ["gone"])


# Retention


@one_kind
def test_a_sound_is_deleted_here_after_its_days_whether_there_are_calls_still_or_not(next_door, clock):
    complained(next_door.runtime, next_door.spoken(tone(1)))
    fetch_voice_messages(next_door.runtime)
    without = replace(next_door.runtime, telephones={})
    clock.forward(days=90)
    fetch_voice_messages(without)
    assert state(next_door.runtime) == ["fetched"]
    clock.now += timedelta(seconds=1)
    fetch_voice_messages(without)
    assert state(next_door.runtime) == ["expired"]
    with next_door.runtime.database.read() as session:
        assert session.scalars(sa.select(VoiceMessage.audio_sealed)).one() is None


@one_kind
def test_no_address_and_no_sound_is_logged(house, stub, clock, caplog):
    caplog.set_level(logging.DEBUG)
    stub.does(NOT_THERE, answers(Reply(200, SOUND, "text/html")), DOWN, GONE)
    complained(house, at(stub))
    for _ in range(5):
        fetch_voice_messages(house)
        clock.forward(hours=1)
    lines = "\n".join(map(logging.Formatter().format, caplog.records))
    assert "twilio" in lines
    for secret in ("Recordings", f"{0:032x}", SOUND.decode()):
        assert secret not in lines
