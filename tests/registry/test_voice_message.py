"""Voice message: one for each recording, of one complaint of the same call, heard by whoever handles it, for a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import undefer

from gateway.registry import complaint, complaint_handling, voice_message
from gateway.registry.audit import AuditEntry
from gateway.registry.complaint import Complaint
from gateway.registry.steps import NotAllowed
from gateway.registry.voice_message import ATTACHED_WITHIN, ATTEMPTS_AT_MOST, VoiceMessage
from gateway.vault import CannotOpen
from tests.conftest import NOON
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
URL = "https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/RE0"
AUDIO = b"ID3 what a person said \x00\xff"
BRAHIM, AMINA = {"by": "Brahim", "now": NOON}, {"by": "Amina", "now": NOON, "focal_points": ("Amina",)}


def act(runtime, verb, *arguments, **named):
    """One verb in a transaction of its own."""
    with runtime.database.write() as session:
        return getattr(voice_message, verb)(session, runtime.vault, *arguments, **named)


def announce(runtime, url=URL, conversation="a call", now=NOON, **more):
    named = {"provider": "twilio", "url": url, "seconds": 7, "conversation": conversation, "now": now, **more}
    return act(runtime, "announce", **named)


def file(runtime, category="other", session_name="a call", to="Brahim"):
    """A complaint by telephone, assigned to a clerk."""
    with runtime.database.write() as session:
        filed = complaint.file(session, runtime.vault, household_id=None, category=category, channel="voice",
                               msisdn_blind=None, asked_by=f"{session_name}/{category}", now=NOON)
        complaint_handling.assign(session, runtime.vault, filed.complaint_id, to, by=to, now=NOON,
                                  focal_points=(to,))
    return filed.complaint_id


def attach(runtime, message, of, conversation="a call", now=NOON):
    return act(runtime, "attach", message, of, conversation=conversation, now=now)


def spoken(runtime, category="other", audio=AUDIO):
    """A complaint with what was said of it, here."""
    of, message = file(runtime, category), announce(runtime)
    assert attach(runtime, message, of)
    act(runtime, "keep", message, audio, NOON)
    return of


def state(runtime):
    return [one.state for one in sorted(rows(runtime, VoiceMessage), key=lambda one: one.id)]


def acts(runtime):
    return [entry.act for entry in sorted(rows(runtime, AuditEntry), key=lambda entry: entry.id)
            if entry.act.rpartition(".")[2] in ("spoken", "listened", "transcribed", "transcript_read")]


# In a call


def test_the_same_recording_told_again_is_the_same_message(runtime):
    first = announce(runtime)
    assert announce(runtime, conversation="the end of the call", seconds=None) == first
    assert announce(runtime, url=URL + "1") != first
    assert announce(runtime, provider="africastalking") != first
    assert state(runtime) == ["announced"] * 3


def test_told_twice_at_the_same_moment_it_is_one(runtime):
    together = Barrier(6)

    def at_once(_):
        together.wait()
        return announce(runtime)

    with ThreadPoolExecutor(6) as callers:
        assert len(set(callers.map(at_once, range(6)))) == 1
    assert len(rows(runtime, VoiceMessage)) == 1


@one_kind
def test_neither_the_address_nor_the_call_nor_the_sound_stands_readable_in_the_table(runtime):
    spoken(runtime)
    with runtime.database.read() as session:
        row = session.scalars(sa.select(VoiceMessage).options(undefer(VoiceMessage.audio_sealed))).one()
    stored = b"".join(str(value).encode() + bytes(value if isinstance(value, bytes) else b"")
                      for value in vars(row).values())
    for plain in (URL.encode(), b"a call", AUDIO):
        assert plain not in stored


def test_it_becomes_part_of_a_complaint_of_the_same_call_once(runtime):
    of, message = file(runtime), announce(runtime)
    assert not attach(runtime, message, of, conversation="another call")
    assert attach(runtime, message, of)
    assert attach(runtime, message, of), "a repeated callback"
    assert not attach(runtime, message, file(runtime, "fraud_message"))
    assert [one.complaint_id for one in rows(runtime, VoiceMessage)] == [of]
    assert acts(runtime) == ["complaint.spoken"]


@one_kind
def test_of_a_sensitive_complaint_the_audit_names_no_household(runtime):
    spoken(runtime, "abuse")
    assert {entry.household_blind for entry in rows(runtime, AuditEntry)} == {None}


@one_kind
def test_what_was_dropped_is_part_of_no_complaint_any_more(runtime):
    message = announce(runtime)
    act(runtime, "claim", ["twilio"], NOON + ATTACHED_WITHIN, 10)
    assert not attach(runtime, message, file(runtime))
    assert state(runtime) == ["dropped"]


# At a desk


def test_whoever_handles_a_complaint_hears_it_and_that_is_written_down(runtime):
    of = spoken(runtime)
    assert act(runtime, "listen", of, **BRAHIM) == AUDIO
    assert act(runtime, "listen", of, **AMINA) == AUDIO
    assert acts(runtime) == ["complaint.spoken", "complaint.listened", "complaint.listened"]


@pytest.mark.parametrize("verb", ["listen", "transcribe", "read_transcript"])
@pytest.mark.parametrize("category", ["other", "abuse"])
@one_kind
def test_nobody_else_does(runtime, verb, category):
    of = spoken(runtime, category)
    words = ("He said.",) if verb == "transcribe" else ()
    with pytest.raises(NotAllowed, match="assigned to"):
        act(runtime, verb, of, *words, by="Said", now=NOON)
    assert acts(runtime) == ["complaint.spoken"]
    assert rows(runtime, VoiceMessage)[0].transcript_sealed is None


@one_kind
@pytest.mark.parametrize(("becomes", "said"), [
    ("announced", "try again later"), ("gone", "say it again"), ("expired", "was deleted after its time")])
def test_what_cannot_be_heard_is_said_and_why(runtime, becomes, said):
    of = spoken(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(VoiceMessage).values(state=becomes))
    with pytest.raises(NotAllowed, match=said):
        act(runtime, "listen", of, **BRAHIM)


@one_kind
def test_of_a_complaint_without_a_message_nothing_is_heard_and_nothing_is_written_down(runtime):
    of = file(runtime)
    for verb, *words in (("listen",), ("transcribe", "words"), ("read_transcript",)):
        with pytest.raises(NotAllowed, match="Nothing was said"):
            act(runtime, verb, of, *words, **BRAHIM)


def test_what_was_written_down_is_read_again_and_may_be_bettered(runtime):
    of = spoken(runtime)
    assert act(runtime, "read_transcript", of, **BRAHIM) is None
    act(runtime, "transcribe", of, "  My donkey is no car.  ", **BRAHIM)
    act(runtime, "transcribe", of, "My mule is no car.", **BRAHIM)
    assert act(runtime, "read_transcript", of, **BRAHIM) == "My mule is no car."
    assert b"mule" not in rows(runtime, VoiceMessage)[0].transcript_sealed
    assert acts(runtime)[1:] == ["complaint.transcribed"] * 2 + ["complaint.transcript_read"]


@one_kind
@pytest.mark.parametrize("text", ["", "  ", "x" * 4_001])
def test_no_words_and_a_book_are_refused(runtime, text):
    of = spoken(runtime)
    with pytest.raises(NotAllowed, match="4000 characters"):
        act(runtime, "transcribe", of, text, **BRAHIM)


@one_kind
def test_of_two_messages_the_last_is_heard(runtime):
    of = spoken(runtime)
    second = announce(runtime, URL + "1", now=NOON + timedelta(minutes=1))
    assert attach(runtime, second, of)
    act(runtime, "keep", second, b"the second", NOON)
    assert act(runtime, "listen", of, **BRAHIM) == b"the second"


@one_kind
def test_a_sound_that_was_changed_in_the_table_or_moved_there_is_not_played(runtime):
    of = spoken(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(VoiceMessage).values(sha256=b"0" * 32))
    with pytest.raises(CannotOpen):
        act(runtime, "listen", of, **BRAHIM)
    with runtime.database.write() as session:
        session.execute(sa.update(VoiceMessage).values(audio_sealed=b"0" * 64))
    with pytest.raises(CannotOpen):
        act(runtime, "listen", of, **BRAHIM)


# By the hour


def test_a_message_is_claimed_at_once_when_its_complaint_is_known_and_by_one_worker(runtime):
    attach(runtime, announce(runtime), file(runtime))
    announce(runtime, URL + "1")
    together = Barrier(4)

    def at_once(_):
        together.wait()
        return act(runtime, "claim", ["twilio"], NOON, 10)

    with ThreadPoolExecutor(4) as workers:
        held = [one for each in workers.map(at_once, range(4)) for one in each]
    assert [(one.url, one.wanted) for one in held] == [(URL, True)]
    assert URL not in repr(held)
    assert act(runtime, "claim", ["africastalking"], NOON + timedelta(days=1), 10) == []


@one_kind
def test_the_waits_double_and_come_to_an_end(runtime):
    attach(runtime, announce(runtime), file(runtime))
    tried, now = [], NOON
    while not (lost := give_up(runtime, now)):
        tried += [(now - NOON).total_seconds() / 60 for _ in act(runtime, "claim", ["twilio"], now, 10)]
        now += timedelta(minutes=1)
    assert tried == [0, 2, 6, 14, 30, 62, 126, 254, 510, 1022]
    assert len(tried) == ATTEMPTS_AT_MOST
    assert (lost, state(runtime)) == ([("twilio", "gone")], ["gone"])
    assert act(runtime, "claim", ["twilio"], now + timedelta(days=30), 10) == []


def give_up(runtime, now):
    with runtime.database.write() as session:
        return voice_message.give_up(session, now)


def test_a_sound_is_deleted_after_its_days_and_what_was_written_down_stays(runtime):
    of = spoken(runtime)
    act(runtime, "transcribe", of, "My donkey is no car.", **BRAHIM)
    for days, expired, stands in ((90, 0, "fetched"), (91, 1, "expired"), (92, 0, "expired")):
        with runtime.database.write() as session:
            assert voice_message.expire(session, NOON + timedelta(days=days), 90) == expired
        assert state(runtime) == [stands]
    with runtime.database.read() as session:
        assert session.scalars(sa.select(VoiceMessage.audio_sealed)).one() is None
    assert act(runtime, "read_transcript", of, **BRAHIM) == "My donkey is no car."


@one_kind
def test_a_message_whose_address_no_key_opens_is_told_of_and_hinders_no_other(runtime, caplog):
    for place in range(2):
        attach(runtime, announce(runtime, f"{URL}{place}"), file(runtime, session_name=f"call {place}"))
    with runtime.database.write() as session:
        session.execute(sa.update(VoiceMessage).where(VoiceMessage.complaint_id == rows(runtime, Complaint)[0].id)
                        .values(url_sealed=b"\x01\x09" + b"0" * 40))
    assert len(act(runtime, "claim", ["twilio"], NOON, 10)) == 1
    assert "cannot be asked for" in caplog.text
