"""Routes at work: the relay reads them once a round, and who refuses us costs nobody a text."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.base import Misconfigured, Rejected, Unavailable
from gateway import routes
from gateway.db import new_id
from gateway.outbox import DECISION, Attempt, Message
from gateway.runtime import Runtime
from jobs.deliver import deliver
from jobs.weigh import weigh
from tests.conftest import open_house
from tests.jobs.fakes import FakeProvider, dispatch, ids, states, with_providers

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(runtime) -> tuple[Runtime, FakeProvider, FakeProvider]:
    return with_providers(runtime)


def stopped(runtime: Runtime) -> set[str]:
    with runtime.database.read() as session:
        return set(routes.stops(session))


def test_who_refuses_us_is_stopped_and_its_texts_go_by_the_other(house, households, clock):
    runtime, twilio, _ = house
    twilio.answer = Misconfigured("20003")
    households(runtime, 20)
    dispatch(runtime)
    assert stopped(runtime) == {"twilio"}
    refused = len(twilio.sent)
    clock.forward(seconds=2)
    dispatch(runtime)
    assert (states(runtime), len(twilio.sent)) == (["sent"] * 20, refused)


def test_where_all_refuse_us_nothing_is_burned_and_everything_waits(house, households, clock):
    runtime, twilio, africastalking = house
    twilio.answer, africastalking.answer = Misconfigured("20003"), Misconfigured("405")
    households(runtime, 6)
    while stopped(runtime) != {"twilio", "africastalking"}:
        dispatch(runtime)
        clock.forward(seconds=2)
    before = len(twilio.sent), len(africastalking.sent)
    for _ in range(20):
        assert dispatch(runtime) == 0
        clock.forward(seconds=2)
    assert (len(twilio.sent), len(africastalking.sent)) == before
    assert states(runtime) == ["created"] * 6


def test_one_text_finds_out_that_it_is_well_again_and_the_others_follow(house, households, clock):
    runtime, twilio, africastalking = house
    twilio.answer, africastalking.answer = Misconfigured("20003"), Misconfigured("405")
    households(runtime, 6)
    while stopped(runtime) != {"twilio", "africastalking"}:
        dispatch(runtime)
        clock.forward(seconds=2)
    for channel in (twilio, africastalking):
        channel.sent.clear()
    clock.forward(minutes=1)
    dispatch(runtime)
    assert (len(twilio.sent), len(africastalking.sent)) in ((1, 0), (1, 1), (0, 1))
    assert stopped(runtime) == {"twilio", "africastalking"}
    twilio.answer = None
    clock.forward(minutes=6)
    dispatch(runtime)
    assert stopped(runtime) == {"africastalking"}
    clock.forward(seconds=31)
    dispatch(runtime)
    assert states(runtime) == ["sent"] * 6


def test_a_batch_that_was_rung_for_before_the_stop_sends_nothing(house, households, clock):
    runtime, twilio, _ = house
    households(runtime, 4)
    with runtime.database.write() as session:
        routes.stop(session, "twilio", "20003", clock())
    assert deliver(runtime, "twilio", DECISION, ids(runtime)) == 0
    assert (twilio.sent, states(runtime)) == ([], ["created"] * 4)
    clock.forward(minutes=1)
    assert deliver(runtime, "twilio", DECISION, ids(runtime)) == 1
    assert len(twilio.sent) == 1


def test_an_operator_who_has_mended_it_need_not_wait(house, households, clock):
    runtime, twilio, _ = house
    with runtime.database.write() as session:
        routes.stop(session, "twilio", "20003", clock())
        routes.stop(session, "africastalking", "405", clock())
        routes.resume(session, "twilio", "amina", clock())
    households(runtime, 5)
    dispatch(runtime)
    assert (len(twilio.sent), states(runtime)) == (5, ["sent"] * 5)


def test_a_text_goes_by_who_keeps_the_senders_name_on_its_network(database_url, redis_url, tmp_path, clock, households):
    runtime, twilio, africastalking = with_providers(
        open_house(database_url, redis_url, tmp_path, clock, SMS_ROUTES="60400:twilio=0"))
    households(runtime, 10)
    dispatch(runtime)
    assert (len(twilio.sent), len(africastalking.sent)) == (0, 10)
    runtime.close()


@one_kind
def test_an_unknown_code_is_kept_and_counted_and_told_of_at_the_third(house, households, clock, caplog):
    runtime, twilio, africastalking = house
    twilio.answer = africastalking.answer = Rejected("29999")
    households(runtime, 5)
    dispatch(runtime)
    with runtime.database.read() as session:
        assert set(session.scalars(sa.select(Attempt.code))) == {"29999"}
    counted = {labels["provider"]: amount for name, labels, amount in runtime.counts() if name == "unknown_codes"}
    assert sum(counted.values()) == 5
    told = [line.getMessage() for line in caplog.records if "29999" in line.getMessage()]
    assert len(told) == sum(amount >= 3 for amount in counted.values())


@one_kind
@pytest.mark.parametrize("code", ["connect_timeout", "30005", ""])
def test_a_code_that_is_known_or_ours_is_not_counted_as_unknown(house, households, code):
    runtime, twilio, _ = house
    twilio.answer = Unavailable(code)
    households(runtime, 5)
    dispatch(runtime)
    assert [name for name, *_ in runtime.counts() if name == "unknown_codes"] == []


@one_kind
def test_a_code_that_may_be_a_persons_number_is_not_written_down(runtime, caplog):
    for _ in range(3):
        runtime.heed("africastalking", "0612345678")
    assert [labels["code"] for _, labels, _ in runtime.counts()] == ["unreadable"]
    assert "0612345678" not in caplog.text


def test_every_minute_weight_moves_from_who_is_slow(runtime, clock, caplog):
    started = clock() - timedelta(minutes=8)
    with runtime.database.write() as session:
        session.add_all(Attempt(message_id=new_id(), fence=1, provider="twilio", provider_id=f"id {place}",
                                outcome="accepted", started_at=started, ended_at=started) for place in range(30))
    assert weigh(runtime) == 2
    assert weigh(runtime) == 0
    assert "twilio: weight 70 -> 60, twilio: 30 of 30 texts were not delivered within 5 minutes" in caplog.text


@one_kind
def test_texts_that_failed_together_do_not_come_again_together(house, households, clock):
    runtime, twilio, africastalking = house
    twilio.answer = africastalking.answer = Unavailable("407")
    households(runtime, 30)
    for _ in range(3):
        dispatch(runtime)
        clock.forward(minutes=2)
    with runtime.database.read() as session:
        assert len(set(session.scalars(sa.select(Message.not_before).where(Message.medium == "sms")))) > 20
