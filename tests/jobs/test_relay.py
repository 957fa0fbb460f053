"""The relay: what is due is woken, by name and nothing else, and woken again when the alarm was lost."""

from datetime import UTC, datetime

from gateway.outbox import DECISION
from jobs import relay as relay_module
from jobs.alarm import enqueue, lane_queue
from jobs.deliver import deliver
from jobs.relay import BACKLOG, relay
from tests.jobs.fakes import ids, with_providers
from tests.jobs.fakes import rung as jobs


def rung(runtime) -> list[str]:
    """The rows that the waiting jobs name."""
    return [one for *_, rows in jobs(runtime) for one in rows]


def test_a_due_row_is_woken_by_its_name_alone(runtime, households):
    households(runtime, 3)
    assert relay(runtime) == 3
    assert sorted(rung(runtime)) == ids(runtime)


def test_no_alarm_is_rung_twice_within_its_time(runtime, households, clock):
    households(runtime)
    for _ in range(6):
        relay(runtime)
        clock.forward(seconds=5)
    assert rung(runtime) == ids(runtime)


def test_an_alarm_that_was_lost_with_redis_is_rung_again(runtime, households, clock):
    households(runtime, 2)
    relay(runtime)
    runtime.redis.flushall()
    clock.forward(seconds=30)
    assert relay(runtime) == 0
    clock.forward(seconds=1)
    assert relay(runtime) == 2
    assert sorted(rung(runtime)) == ids(runtime)


def test_a_round_wakes_a_batch_a_job(runtime, households, monkeypatch):
    monkeypatch.setattr(relay_module, "BATCH", 2)
    households(runtime, 5)
    relay(runtime)
    assert sorted(len(rows) for *_, rows in jobs(runtime)) in ([1, 1, 1, 2], [1, 2, 2])


def test_while_the_queue_is_long_nobody_is_woken(runtime, households):
    households(runtime)
    for _ in range(BACKLOG):
        enqueue(runtime.redis, "deliver", "twilio", DECISION, [], queue=lane_queue(DECISION))
    assert relay(runtime) == 0
    runtime.redis.flushall()
    assert relay(runtime) == 1


def test_what_the_evening_finds_unsent_waits_for_the_morning(runtime, households, clock):
    households(runtime)
    clock.now = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
    assert relay(runtime) == 0
    clock.now = datetime(2026, 11, 24, 7, 59, tzinfo=UTC)
    assert relay(runtime) == 0
    clock.forward(minutes=1)
    assert relay(runtime) == 1


def test_a_person_who_wrote_in_the_evening_is_answered_in_the_evening(runtime, clock):
    clock.now = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
    with runtime.database.write() as session:
        runtime.teller.reply(session, "sms_help", "fr-MA", "+212612345678", "a text", clock.now)
    assert relay(runtime) == 1


def test_a_job_that_was_rung_before_the_evening_sends_nothing_in_it(runtime, households, clock):
    runtime, twilio, africastalking = with_providers(runtime)
    households(runtime, 3)
    relay(runtime)
    late = jobs(runtime)
    clock.now = datetime(2026, 11, 23, 19, 0, 1, tzinfo=UTC)
    relay(runtime)
    assert sum(deliver(runtime, *told) for told in late) == 0
    assert twilio.sent + africastalking.sent == []
