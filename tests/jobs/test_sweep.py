"""The sweep: what was left half-done is found, whoever died and whoever is silent."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from channels.base import Accepted, Receipt, Unknown
from gateway import outbox
from gateway.outbox import Message
from gateway.registry.score import Notification
from jobs import sweep as sweeping
from jobs.receipts import settle_receipts
from jobs.sweep import QUESTIONS, sweep
from tests.jobs.fakes import dispatch, ids, states, with_providers

TIMED_OUT = {"twilio": Unknown("read_timeout"), "africastalking": Unknown("read_timeout")}


def unsure(runtime, households, number: int = 1):
    """So many sends that nobody is sure of."""
    runtime, twilio, africastalking = with_providers(runtime, **TIMED_OUT)
    africastalking.listed = Unknown("no_query")
    households(runtime, number)
    dispatch(runtime)
    assert states(runtime) == ["unknown"] * number
    return runtime, twilio, africastalking


def test_a_killed_workers_texts_are_asked_for_and_found(runtime, households, clock):
    runtime, twilio, _ = with_providers(runtime)
    households(runtime)
    with runtime.database.write() as session:
        outbox.claim(session, runtime.vault, list(map(UUID, ids(runtime))), "twilio", clock(),
                     timedelta(seconds=60))
    twilio.listed = Accepted("SM1")
    clock.forward(seconds=61)
    sweep(runtime)
    assert states(runtime) == ["unknown"]
    clock.forward(seconds=121)
    sweep(runtime)
    assert states(runtime) == ["sent"]


def test_a_provider_is_asked_only_after_a_while(runtime, households, clock):
    runtime, twilio, africastalking = unsure(runtime, households, 6)
    clock.forward(seconds=120)
    sweep(runtime)
    assert twilio.asked + africastalking.asked == []
    clock.forward(seconds=1)
    sweep(runtime)
    assert len(twilio.asked + africastalking.asked) == 6


def test_a_text_that_nobody_can_answer_for_becomes_a_letter_and_is_not_sent_again(runtime, households, clock):
    runtime, twilio, africastalking = unsure(runtime, households, 6)
    for _ in range(20):
        clock.forward(seconds=60)
        sweep(runtime)
        dispatch(runtime)
    assert (states(runtime), states(runtime, "letter")) == (["failed"] * 6, ["created"] * 6)
    assert len(twilio.sent + africastalking.sent) == 6


def test_a_question_that_ends_in_no_known_way_stops_nothing(runtime, households, clock, caplog):
    runtime, twilio, africastalking = unsure(runtime, households, 6)
    twilio.listed = africastalking.listed = ZeroDivisionError()
    clock.forward(seconds=901)
    sweep(runtime)
    assert states(runtime) == ["failed"] * 6
    assert "in no known way" in caplog.text


def test_all_are_asked_for_while_there_is_time_and_nobody_twice(runtime, households, clock, monkeypatch):
    runtime, twilio, africastalking = unsure(runtime, households, QUESTIONS + 5)
    clock.forward(seconds=121)
    monkeypatch.setattr(sweeping, "ASKING_S", 0.0)
    sweep(runtime)
    assert twilio.asked + africastalking.asked == []
    monkeypatch.undo()
    for _ in range(2):
        sweep(runtime)
        assert len(twilio.asked + africastalking.asked) == QUESTIONS + 5


def test_a_receipt_to_the_number_of_an_unknown_send_proves_it(runtime, households, clock):
    runtime, twilio, africastalking = unsure(runtime, households, 4)
    provider = africastalking if africastalking.sent else twilio
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt(provider.name, "a name", "Success", "delivered",
                                                       provider.sent[0].msisdn), clock())
    settle_receipts(runtime)
    assert Counter(states(runtime)) == {"unknown": 3, "delivered": 1}
    with runtime.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notification)) == 1


def test_nothing_is_given_up_while_a_receipt_that_may_be_of_it_waits_to_be_looked_at(runtime, households, clock):
    runtime, twilio, africastalking = unsure(runtime, households)
    (sent,) = twilio.sent + africastalking.sent
    provider = twilio if twilio.sent else africastalking
    clock.forward(seconds=60)
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt(provider.name, "a name", "Success", "delivered", sent.msisdn),
                       clock())
    clock.forward(seconds=3600)
    sweep(runtime)
    assert states(runtime) == ["unknown"]
    settle_receipts(runtime)
    sweep(runtime)
    assert (states(runtime), states(runtime, "letter")) == (["delivered"], [])


def test_a_sweep_changes_nothing_where_nothing_is_wrong(runtime, households, clock):
    runtime, *_ = with_providers(runtime)
    households(runtime, 3)
    before = [(message.id, message.state, message.changed_at) for message in _all(runtime)]
    clock.forward(seconds=30)
    sweep(runtime)
    assert [(message.id, message.state, message.changed_at) for message in _all(runtime)] == before


def _all(runtime) -> list[Message]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message).order_by(Message.id)))
