"""Delivery: each text by one route, to another where a route refuses, and by none where nobody knows."""

import asyncio
import logging
import threading
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, count, repeat

import pytest
import sqlalchemy as sa
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channels.base import Accepted, Misconfigured, Rejected, Throttled, Unavailable, Unknown
from channels.line import WINDOW
from gateway import outbox
from gateway.outbox import Attempt
from gateway.pace import LEAST_BURST, SILENT
from gateway.registry.household import Contact
from jobs.deliver import AT_ONCE, FEW, begin, deliver
from tests.conftest import NOON
from tests.jobs.fakes import dispatch, ids, states, with_providers

# What a process allows itself of bulk at once while it cannot ask.
SLOWLY = LEAST_BURST

# Which rows are claimed is proved with the outbox, on both databases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def work(runtime, clock, times: int = 1) -> None:
    for _ in range(times):
        dispatch(runtime)
        clock.forward(seconds=10)


def test_a_due_text_is_sent_and_its_name_kept(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 5)
    assert dispatch(runtime) == 5
    sent = twilio.sent + africastalking.sent
    assert len({message.msisdn for message in sent}) == 5
    assert states(runtime) == ["sent"] * 5
    with runtime.database.read() as session:
        assert all(session.scalars(sa.select(Attempt.provider_id)))


def test_a_job_that_comes_twice_sends_once(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 3)
    due = ids(runtime)
    assert [deliver(runtime, "twilio", outbox.DECISION, some) for some in (due + due, due)] == [3, 0]
    assert len(twilio.sent + africastalking.sent) == 3


def test_each_text_is_sent_however_many_there_are(runtime, households, caplog):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 120)
    assert dispatch(runtime) == 120
    assert states(runtime) == ["sent"] * 120
    assert "could not be settled" not in caplog.text
    assert len({message.msisdn for message in twilio.sent + africastalking.sent}) == 120


# By which route


@pytest.mark.parametrize("refusal", [Unavailable("407"), Unavailable("connect_timeout")])
def test_a_route_that_does_not_take_it_is_left_for_the_other(runtime, households, clock, refusal):
    runtime, twilio, africastalking = with_providers(runtime, twilio=refusal)
    households(runtime, 10)
    work(runtime, clock, times=2)
    assert states(runtime) == ["sent"] * 10
    assert len(africastalking.sent) == 10
    assert max(Counter(message.msisdn for message in twilio.sent).values(), default=0) <= 1


def test_a_time_out_does_not_go_to_the_other_route(runtime, households, clock):
    runtime, twilio, africastalking = with_providers(
        runtime, twilio=Unknown("read_timeout"), africastalking=Unknown("http_500"))
    households(runtime, 10)
    work(runtime, clock, times=5)
    assert states(runtime) == ["unknown"] * 10
    assert len(twilio.sent + africastalking.sent) == 10


def test_what_is_nobodys_error_is_taken_for_a_time_out(runtime, households, caplog):
    surprise = KeyError("+212612300001")
    runtime, *_ = with_providers(runtime, twilio=surprise, africastalking=surprise)
    households(runtime)
    dispatch(runtime)
    assert states(runtime) == ["unknown"]
    assert "in no known way" in caplog.text


def test_a_provider_that_refuses_us_is_stopped_and_told_of_and_nobody_is_lost(runtime, households, clock, caplog):
    runtime, twilio, _ = with_providers(runtime, twilio=Misconfigured("20003"))
    households(runtime, 10)
    work(runtime, clock, times=2)
    assert states(runtime) == ["sent"] * 10
    sent_before = len(twilio.sent)
    households(runtime, 20)
    work(runtime, clock)
    assert states(runtime) == ["sent"] * 20
    assert len(twilio.sent) == sent_before
    assert [line.name for line in caplog.records if line.levelno == logging.ERROR] == ["gateway.routes.stopping"]


def test_a_person_who_cannot_be_reached_gets_a_letter_at_once(runtime, households):
    runtime, *_ = with_providers(runtime, twilio=Rejected("21211"), africastalking=Rejected("403"))
    households(runtime, 2)
    dispatch(runtime)
    assert (states(runtime), states(runtime, "letter")) == (["failed"] * 2, ["created"] * 2)


def test_who_has_opted_out_at_the_provider_is_sent_no_more_texts(runtime, households):
    runtime, *_ = with_providers(runtime, twilio=Rejected("21610", opted_out=True),
                                 africastalking=Rejected("406", opted_out=True))
    households(runtime)
    dispatch(runtime)
    with runtime.database.read() as session:
        assert session.scalars(sa.select(Contact.suspended_at)).one() is not None
    assert states(runtime, "letter") == ["created"]


def test_patience_is_shown_to_who_asks_for_it(runtime, households, clock):
    runtime, twilio, africastalking = with_providers(
        runtime, twilio=Throttled("429", retry_after_s=60), africastalking=Throttled("429", retry_after_s=60))
    households(runtime)
    work(runtime, clock, times=6)
    assert len(twilio.sent + africastalking.sent) == 1
    # It waits up to as long again, and the pace goes by the clock of Redis, which no test moves.
    clock.forward(minutes=1)
    runtime.redis.flushall()
    work(runtime, clock)
    assert len(twilio.sent + africastalking.sent) == 2


def test_who_asks_for_patience_is_handed_no_more_than_is_in_the_air(runtime, households):
    runtime, twilio, _ = with_providers(runtime, twilio=Throttled("429", retry_after_s=60))
    households(runtime, 2 * WINDOW)
    deliver(runtime, "twilio", outbox.DECISION, ids(runtime))
    assert AT_ONCE <= len(twilio.sent) <= WINDOW


# Silence


def test_who_answers_nothing_is_left_alone_and_others_carry_what_is_left(runtime, households, caplog):
    runtime, twilio, africastalking = with_providers(runtime, twilio=Unknown("read_timeout"))
    households(runtime, SILENT)
    deliver(runtime, "twilio", outbox.DECISION, ids(runtime))
    assert "left alone" in caplog.text
    households(runtime, 3 * SILENT)
    dispatch(runtime)
    assert (len(twilio.sent), len(africastalking.sent)) == (SILENT, 2 * SILENT)
    assert Counter(states(runtime)) == {"unknown": SILENT, "sent": 2 * SILENT}


def test_what_lies_in_the_hands_of_who_is_left_alone_goes_by_another_at_once(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 3)
    runtime.pace.hold("twilio", 60)
    assert deliver(runtime, "twilio", outbox.DECISION, ids(runtime)) == 0
    dispatch(runtime)
    assert (len(twilio.sent), len(africastalking.sent)) == (0, 3)


def test_one_answer_among_time_outs_is_no_silence(runtime, households):
    numbers = count(1)
    late = Unknown("read_timeout")

    def answer(message) -> Accepted:
        if next(numbers) % SILENT:
            raise late
        return Accepted(message.token)

    runtime, twilio, _ = with_providers(runtime, twilio=answer)
    households(runtime, 3 * SILENT)
    for one in ids(runtime):
        deliver(runtime, "twilio", outbox.DECISION, [one])
    assert len(twilio.sent) == 3 * SILENT


def test_the_few_that_stall_end_last_and_are_no_silence(runtime, households):
    runtime, twilio, _ = with_providers(runtime)
    households(runtime, 3 * SILENT)
    numbers, send = count(1), twilio.send

    async def stalling(message):
        if next(numbers) <= SILENT:
            await asyncio.sleep(0.5)
            raise Unknown("read_timeout")
        await asyncio.sleep(0.1)
        return await send(message)

    twilio.send = stalling
    deliver(runtime, "twilio", outbox.DECISION, ids(runtime))
    assert Counter(states(runtime)) == {"unknown": SILENT, "sent": 2 * SILENT}
    assert not runtime.pace.held("twilio")


def test_what_an_error_asks_for_and_cannot_be_done_leaves_no_place_taken(runtime, households, monkeypatch):
    def breaks(*_):
        raise ValueError

    runtime, *_ = with_providers(runtime, twilio=Rejected("21211"))
    monkeypatch.setattr("jobs.deliver.heed", breaks)
    households(runtime, 3 * FEW)
    begin(runtime, "twilio", outbox.DECISION, [str(one) for one in ids(runtime)])
    runtime.drain()
    assert Counter(states(runtime))["sending"] == 0


# A job and its last few


@pytest.fixture
def held_back(runtime, households):
    """A provider that answers none of the first so many before it is told to; the others at once."""
    runtime, twilio, _ = with_providers(runtime)
    answers, send, numbers = threading.Event(), twilio.send, count(1)
    air = Air()

    async def slowly(message):
        air.now += 1
        air.most = max(air.most, air.now)
        try:
            if next(numbers) <= air.silent:
                while not answers.is_set():
                    await asyncio.sleep(0.01)
            return await send(message)
        finally:
            air.now -= 1

    twilio.send = slowly
    yield runtime, air, answers
    answers.set()
    runtime.drain()


@dataclass
class Air:
    """How many are in flight, the most that were, and of how many nothing is heard."""

    silent: int = 0
    now: int = 0
    most: int = 0


def goes_on_until_answered(runtime, answers) -> None:
    job = threading.Thread(target=begin, args=(runtime, "twilio", outbox.DECISION, list(map(str, ids(runtime)))))
    job.start()
    job.join(0.5)
    assert job.is_alive()
    answers.set()
    job.join()


def test_a_job_is_over_while_the_last_few_are_unanswered_and_they_are_settled(held_back, households):
    runtime, air, answers = held_back
    air.silent = FEW
    households(runtime, 3 * FEW)
    begin(runtime, "twilio", outbox.DECISION, [str(one) for one in ids(runtime)])
    assert air.now == FEW
    answers.set()
    runtime.drain()
    assert states(runtime) == ["sent"] * 3 * FEW


def test_a_job_of_which_more_than_a_few_are_unanswered_goes_on(held_back, households):
    """So the next has no more in the air than is meant for all."""
    runtime, air, answers = held_back
    air.silent = FEW + 1
    households(runtime, 3 * FEW)
    goes_on_until_answered(runtime, answers)


def test_jobs_one_after_the_other_leave_no_more_than_their_last_few_in_the_air(held_back, households):
    runtime, air, answers = held_back
    air.silent = FEW
    households(runtime, 3 * AT_ONCE)
    every = [str(one) for one in ids(runtime)]
    for start in range(0, len(every), AT_ONCE):
        begin(runtime, "twilio", outbox.DECISION, every[start:start + AT_ONCE])
    assert FEW <= air.now <= 3 * FEW
    assert air.most <= AT_ONCE + 3 * FEW
    answers.set()
    runtime.drain()
    assert states(runtime) == ["sent"] * 3 * AT_ONCE


def test_the_job_of_a_provider_that_was_left_alone_waits_for_its_few(held_back, households):
    runtime, air, answers = held_back
    air.silent = FEW
    runtime.pace.hold("twilio", 0)
    households(runtime, FEW)
    goes_on_until_answered(runtime, answers)


@pytest.mark.parametrize(("answer", "sent"), [(Unknown("read_timeout"), FEW), (None, 5 * FEW)])
def test_who_was_left_alone_is_handed_few_until_it_answers(runtime, households, answer, sent):
    runtime, twilio, _ = with_providers(runtime, twilio=answer)
    runtime.pace.hold("twilio", 0)
    households(runtime, 5 * FEW)
    deliver(runtime, "twilio", outbox.DECISION, ids(runtime))
    assert len(twilio.sent) == sent


def test_while_all_are_left_alone_only_replies_are_woken(runtime, households):
    runtime, *_ = with_providers(runtime)
    households(runtime, 3)
    for name in ("twilio", "africastalking"):
        runtime.pace.hold(name, 60)
    assert dispatch(runtime) == 0
    assert states(runtime) == ["created"] * 3


# Mishaps


def test_a_worker_that_slept_through_its_lease_sends_nothing(runtime, households):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime)
    asleep = chain([NOON], repeat(NOON + timedelta(hours=1)))
    assert deliver(runtime.at(lambda: next(asleep)), "twilio", outbox.DECISION, ids(runtime)) == 1
    assert twilio.sent + africastalking.sent == []
    assert states(runtime) == ["created"]


def test_one_that_cannot_be_settled_leaves_the_others_settled(runtime, households, caplog):
    runtime, *_ = with_providers(runtime, twilio=Rejected("21211"), africastalking=Rejected("403"))
    households(runtime, 5)
    with runtime.database.write() as session:
        session.execute(sa.text(
            "CREATE TRIGGER spoilt BEFORE UPDATE ON message WHEN NEW.state = 'failed' AND OLD.id = "
            "(SELECT min(id) FROM message) BEGIN SELECT RAISE(ABORT, 'spoilt'); END"))
    dispatch(runtime)
    assert Counter(states(runtime)) == {"failed": 4, "sending": 1}
    assert "could not be settled" in caplog.text


def test_without_redis_texts_go_slowly_and_replies_as_ever(runtime, households):
    households(runtime, 30)
    with Redis(port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        lost, *_ = with_providers(replace(runtime, redis=nowhere))
        assert deliver(lost, "twilio", outbox.NOTICE, ids(runtime)) == SLOWLY
        assert deliver(lost, "twilio", outbox.REPLY, ids(runtime)) == 30 - SLOWLY
    assert states(runtime) == ["sent"] * 30


def test_a_claim_that_fails_does_not_leave_those_in_flight_unsettled(runtime, households, caplog):
    """A row that breaks the claim of its lot: the lot before it is sent and written down, and its own waits."""
    runtime, twilio, _ = with_providers(runtime)
    households(runtime, AT_ONCE + 5)
    with runtime.database.write() as session:
        session.execute(sa.text(
            "CREATE TRIGGER spoilt BEFORE UPDATE ON message WHEN NEW.state = 'sending' AND OLD.id = "
            "(SELECT max(id) FROM message) BEGIN SELECT RAISE(ABORT, 'spoilt'); END"))
    assert deliver(runtime, "twilio", outbox.DECISION, ids(runtime)) == AT_ONCE
    assert len(twilio.sent) == AT_ONCE
    assert Counter(states(runtime)) == {"sent": AT_ONCE, "created": 5}
    assert "a claim failed" in caplog.text
