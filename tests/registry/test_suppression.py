"""Suppression: who wants no texts gets none, whoever the number is a contact of, and letters all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway import outbox
from gateway.outbox import ANNOUNCEMENT, DECISION, NOTICE, REPLY, Draft, Message
from gateway.registry import household as households
from gateway.registry import number_change, suppression
from gateway.registry.household import Contact
from gateway.registry.suppression import Suppression
from tests.conftest import SETTINGS, a_row, open_house, register
from tests.web.desk import PHONE, homes, rows

OTHER = "+212712345678"
OLD_KEY = SETTINGS["SECRET_KEYS"]
NEW_KEY = "2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
LEASE = timedelta(seconds=60)


def suppress(runtime, why="stop", msisdn=PHONE):
    with runtime.database.write() as session:
        suppression.suppress(session, runtime.vault, msisdn, why, "telephone", runtime.clock())


def texted(runtime):
    """The numbers at which the households are texted."""
    with runtime.database.read() as session:
        return set(households.texted_at(session, runtime.vault, [home.id for home in homes(runtime)]).values())


def post(runtime, *lanes, msisdn=PHONE):
    """A text in each of these lanes waits for this number."""
    with runtime.database.write() as session:
        outbox.post(session, runtime.vault, [
            Draft(None, "answer", f"{msisdn} in lane {lane}", "sms", "fr-MA", "100000009", msisdn, "Bonjour", lane=lane)
            for lane in lanes], runtime.clock())
        return list(session.scalars(sa.select(Message.id).where(Message.state == "created")))


def claim(runtime, ids):
    """The lanes of those that are handed to a worker."""
    with runtime.database.write() as session:
        claims = outbox.claim(session, runtime.vault, ids, "twilio", runtime.clock(), LEASE)
        lanes = dict(session.execute(sa.select(Message.id, Message.lane)).all())
    return sorted(lanes[held.id] for held in claims)


@pytest.mark.parametrize("why", ["stop", "provider", "opt_out_callback", "not_mine"])
def test_a_number_that_is_brought_to_us_once_more_is_not_texted(runtime, why):
    suppress(runtime, why)
    register(runtime, a_row())
    assert [contact.suspended_at for contact in rows(runtime, Contact)] == [None]
    assert texted(runtime) == set()
    assert [message.medium for message in rows(runtime, Message)] == ["letter"]


def test_a_household_is_texted_at_its_next_number(runtime):
    suppress(runtime)
    register(runtime, a_row(contacts=[{"phone": "0612345678", "consent": True},
                                      {"phone": "0712345678", "consent": True}]))
    assert texted(runtime) == {OTHER}


def test_a_suppressed_number_is_not_warned_of_a_change_and_the_change_waits_for_the_post(runtime):
    register(runtime, a_row())
    suppress(runtime)
    with runtime.database.write() as session:
        asked = number_change.ask_number(session, runtime.vault, homes(runtime)[0].id, OTHER, channel="ussd",
                                         asked_by="a call", by="household", now=runtime.clock())
        assert asked.effective_on - runtime.clock().date() >= number_change.WAIT_BY_LETTER
        runtime.teller.tell(session, [asked], runtime.clock())
    assert {message.medium for message in rows(runtime, Message) if message.notice == "number_change_asked"} == {
        "letter"}


def test_a_text_that_waits_is_not_handed_to_a_worker_but_an_answer_is(runtime):
    ids = post(runtime, REPLY, DECISION, NOTICE, ANNOUNCEMENT) + post(runtime, NOTICE, msisdn=OTHER)
    suppress(runtime)
    assert claim(runtime, ids) == [REPLY, NOTICE]
    with runtime.database.write() as session:
        ended = outbox.close_suppressed(session, ids, runtime.clock())
    assert sorted(rows_of.lane for rows_of in rows(runtime, Message) if rows_of.state == "failed") == [
        DECISION, NOTICE, ANNOUNCEMENT]
    assert {one.message_id for one in ended} == {one.id for one in rows(runtime, Message) if one.state == "failed"}
    assert {(one.state, one.medium) for one in ended} == {("failed", "sms")}


def test_what_is_ended_is_ended_once(runtime):
    ids = post(runtime, NOTICE)
    suppress(runtime)
    for expected in (1, 0):
        with runtime.database.write() as session:
            assert len(outbox.close_suppressed(session, ids, runtime.clock())) == expected


def test_while_keys_are_changed_a_number_stays_suppressed(database_url, redis_url, tmp_path, clock):
    before = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=OLD_KEY)
    suppress(before)
    queued = post(before, NOTICE, msisdn=OTHER)
    before.close()
    changing = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=f"{NEW_KEY},{OLD_KEY}")
    register(changing, a_row())
    assert texted(changing) == set()
    suppress(changing, msisdn=OTHER)
    assert claim(changing, queued) == [], "it was queued under the old key"
    suppress(changing, "provider")
    assert claim(changing, post(changing, NOTICE)) == [], "said again, it is known under the new key too"
    with changing.database.read() as session:
        assert {why for _, why in suppression.counts(session)} == {"stop"}
        assert suppression.counts(session).total() == 2
    changing.close()


def test_start_lifts_it_under_every_key(database_url, redis_url, tmp_path, clock):
    before = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=OLD_KEY)
    suppress(before)
    before.close()
    changing = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=f"{NEW_KEY},{OLD_KEY}")
    suppress(changing)
    with changing.database.write() as session:
        assert households.resume(session, changing.vault, PHONE) is not None
        assert households.resume(session, changing.vault, PHONE) is None
    assert rows(changing, Suppression) == []
    changing.close()


def test_the_first_word_counts(runtime, clock):
    suppress(runtime)
    since = clock()
    clock.forward(days=40)
    suppress(runtime, "provider")
    with runtime.database.read() as session:
        found = suppression.find(session, runtime.vault, PHONE)
        assert (found.why, found.since) == ("stop", since)
        assert suppression.counts(session) == {("2026-11", "stop"): 1}


def test_the_number_itself_is_not_kept(runtime):
    suppress(runtime)
    [kept] = rows(runtime, Suppression)
    assert "612345678" not in repr({name: value for name, value in vars(kept).items() if name != "_sa_instance_state"})
