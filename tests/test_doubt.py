"""Doubt: a number that was silent or failing for long is nobody's until the PIN is typed from it."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import count
from threading import Barrier

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from rq import Queue
from rq.serializers import JSONSerializer

from channels.base import Accepted, Receipt, Rejected
from gateway import doubt, outbox
from gateway.cli import main
from gateway.dialogue.access import FAILURES as PINS
from gateway.dialogue.acts import perform
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome
from gateway.outbox import Draft, Message
from gateway.registry import household as households
from gateway.registry import number_change
from gateway.registry.audit import AuditEntry
from gateway.registry.household import SHARED_BY_AT_MOST, Contact
from gateway.words import LOCALES
from jobs.alarm import QUEUE_OF
from jobs.doubts import doubt_numbers
from tests.conftest import SETTINGS, a_row, register
from tests.web.desk import PHONE, PIN, give_pin, homes, rows

NEW, UNKNOWN = "+212777123456", "+212699999999"
MONTH = (0, 15, 30)
LEASE = timedelta(minutes=1)
TEXTS = count()
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def text(runtime, state, *, to=PHONE, home=None):
    """A text that the operator took; what became of it comes as a receipt, and the notices hear of it."""
    home, name, now = home or homes(runtime)[0], f"text {next(TEXTS)}", runtime.clock()
    with runtime.database.write() as session:
        outbox.post(session, runtime.vault, [Draft(home.id, "sms_help", name, "sms", "fr-MA", outbox.new_reference(),
                                                   to, "le texte")], now)
        posted = session.scalars(sa.select(Message.id).where(Message.subject == name)).all()
        held, = outbox.claim(session, runtime.vault, posted, "twilio", now, LEASE)
        outbox.settle(session, [(held, Rejected("21211") if state == "rejected" else Accepted(name))], now)
    if state in ("failed", "delivered"):
        receipt(runtime, name, state, to)
    return name


def receipt(runtime, name, state, to=PHONE):
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt("twilio", name, state, state, to, None), runtime.clock())
        outbox.settle_receipts(session, runtime.clock())


def texts(runtime, clock, states, days, **more):
    """Texts of these states, on these days from now; the clock stands at the last."""
    start = clock.now
    for state, day in zip(states, days, strict=True):
        clock.now = start + timedelta(days=day)
        text(runtime, state, **more)


def fail(runtime, clock, **more):
    texts(runtime, clock, ["failed"] * 3, MONTH, **more)


def due(runtime, limit=doubt.AT_ONCE):
    with runtime.database.write() as session:
        return doubt.due(session, runtime.vault, runtime.clock(), limit)


def call(runtime, effect, typed="", phone=PHONE, name="a call") -> Outcome:
    with runtime.database.write() as session:
        here = Call(session, runtime.teller, "ussd", name, runtime.clock(), lambda _: True, timedelta(days=30), phone)
        return perform(here)(Effect(effect, typed, locale="fr-MA"))


def texted(runtime):
    home = homes(runtime)[0].id
    with runtime.database.read() as session:
        return households.texted_at(session, runtime.vault, [home]).get(home)


def answers_to(runtime, msisdn=PHONE, **more):
    with runtime.database.read() as session:
        return len(households.households_of(session, runtime.vault, msisdn, **more))


def acts(runtime, act):
    return [entry for entry in rows(runtime, AuditEntry) if entry.act == act]


def messages(runtime, **like):
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message).filter_by(**like).order_by(Message.id)))


def read(runtime, message):
    return runtime.vault.open(message.body_sealed, "message.body", message.id)


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    give_pin(runtime)
    return runtime


# When a number is doubted


def test_three_texts_that_failed_over_a_month_put_a_number_in_doubt(house, clock):
    fail(house, clock)
    contact, = rows(house, Contact)
    event, = due(house)
    assert (event.household_id, event.contact_id, event.doubted_on) == (homes(house)[0].id, contact.id,
                                                                       date(2026, 12, 23))
    assert (texted(house), answers_to(house), answers_to(house, doubted=True)) == (None, 0, 1)
    entry, = acts(house, "number.doubted")
    assert (entry.by, entry.subject, entry.detail) == ("system", str(contact.id), {"reason": "failing"})
    assert due(house) == []


@pytest.mark.parametrize(("states", "days"), [
    (["failed"] * 2, (0, 30)),
    (["failed"] * 3, (0, 15, 29)),
    (["failed", "failed", "delivered"], MONTH),
    (["failed", "delivered", "failed", "failed"], (0, 1, 15, 31)),
    (["failed", "failed", "sent"], MONTH),
])
def test_fewer_failures_a_shorter_time_or_a_delivery_between_put_none_in_doubt(house, clock, states, days):
    texts(house, clock, states, days)
    assert due(house) == []


def test_a_number_that_the_operator_does_not_know_has_failed_as_well(house, clock):
    texts(house, clock, ["rejected"] * 3, MONTH)
    assert len(due(house)) == 1


def test_a_delivery_that_is_reported_late_counts(house, clock):
    fail(house, clock)
    name = messages(house, notice="sms_help")[0].subject
    receipt(house, name, "delivered")
    assert due(house) == []


def test_texts_that_no_operator_was_given_say_nothing_of_the_telephone(house, clock):
    for _ in range(3):
        now = clock.now
        with house.database.write() as session:
            outbox.post(session, house.vault, [Draft(homes(house)[0].id, "sms_help", f"text {next(TEXTS)}", "sms",
                                                     "fr-MA", outbox.new_reference(), PHONE, "le texte")], now)
            outbox.close(session, house.vault, PHONE, ["sms_help"], now)
        clock.forward(days=30)
    assert [message.state for message in messages(house, notice="sms_help")] == ["failed"] * 3
    assert due(house) == []


def test_a_year_without_a_word_and_a_text_that_failed_put_a_number_in_doubt(house, clock):
    texts(house, clock, ["delivered", "failed"], (0, 365))
    assert len(due(house)) == 1
    assert acts(house, "number.doubted")[0].detail == {"reason": "silent"}


@pytest.mark.parametrize(("states", "days"), [
    (["delivered", "failed"], (0, 364)),
    (["delivered", "delivered", "failed"], (0, 1, 365)),
    (["delivered"], (365,)),
])
def test_less_than_a_year_or_a_text_that_arrived_put_none_in_doubt(house, clock, states, days):
    texts(house, clock, states, days)
    assert due(house) == []


def test_a_number_that_was_sent_nothing_since_a_text_arrived_is_not_silent(house, clock):
    texts(house, clock, ["failed", "delivered"], (0, 1))
    clock.forward(days=366)
    assert due(house) == []


def test_a_household_that_was_registered_long_ago_is_not_doubted_for_its_first_text(runtime, clock):
    register(runtime, a_row(registered_on=date(2020, 1, 1)))
    texts(runtime, clock, ["failed"], (31,))
    assert due(runtime) == []


def test_a_number_from_which_the_pin_was_typed_within_the_year_is_not_silent(house, clock):
    text(house, "delivered")
    clock.forward(days=100)
    assert call(house, "check_pin", PIN).name == "ok"
    texts(house, clock, ["failed"], (265,))
    assert due(house) == []
    clock.forward(days=100)
    assert len(due(house)) == 1


def test_texts_to_a_number_that_the_household_has_given_up_say_nothing_of_its_new_one(house, clock):
    fail(house, clock)
    with house.database.write() as session:
        number_change.ask_number(session, house.vault, homes(house)[0].id, NEW, channel="centre", asked_by="a clerk",
                                 by="clerk", now=clock.now)
    clock.forward(days=1)
    fail(house, clock)
    assert due(house) == []
    fail(house, clock, to=NEW)
    assert len(due(house)) == 1


def test_a_number_that_wants_no_texts_is_not_doubted_for_getting_none(house, clock):
    fail(house, clock)
    with house.database.write() as session:
        house.teller.stop(session, PHONE, clock.now)
    assert due(house) == []


def test_so_many_are_doubted_at_once_and_the_job_rings_for_the_others(runtime, clock):
    register(runtime, a_row("2900000001"), a_row("2900000002", "0712345678"))
    first, second = homes(runtime)
    start = clock.now
    fail(runtime, clock, home=first)
    clock.now = start
    fail(runtime, clock, home=second, to="+212712345678")
    assert doubt_numbers(runtime, 1) == 1
    queue = Queue(QUEUE_OF["doubt_numbers"], connection=runtime.redis, serializer=JSONSerializer)
    assert [job.func_name for job in queue.get_jobs()] == ["doubt_numbers"]
    assert (doubt_numbers(runtime), doubt_numbers(runtime)) == (1, 0)


def test_what_is_passed_over_takes_no_place_of_those_that_are_doubted(runtime, clock):
    """Three texts in a week are no month, but look at first like it."""
    register(runtime, a_row("2900000001"), a_row("2900000002", "0712345678"))
    first, second = homes(runtime)
    start = clock.now
    texts(runtime, clock, ["failed"] * 3, (0, 1, 2), home=first)
    clock.now = start
    fail(runtime, clock, home=second, to="+212712345678")
    assert [event.household_id for event in due(runtime, 1)] == [second.id]


@for_real
def test_two_runs_at_once_doubt_a_number_once(house, clock):
    fail(house, clock)
    together = Barrier(2)

    def run(_):
        together.wait()
        return doubt_numbers(house)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [0, 1]
    assert len(acts(house, "number.doubted")) == 1


# What is told


def test_the_telephone_is_told_once_and_the_household_by_letter(house, clock):
    fail(house, clock)
    assert (doubt_numbers(house), doubt_numbers(house)) == (1, 0)
    by_medium = {message.medium: message for message in messages(house, notice="number_doubted")}
    assert set(by_medium) == {"sms", "letter"}
    assert house.vault.open(by_medium["sms"].to_sealed, "message.to", by_medium["sms"].id) == PHONE
    assert "*580*88#" in read(house, by_medium["sms"])
    assert "*580*2#" in json.loads(read(house, by_medium["letter"]))["fr-MA"]


@one_kind
@pytest.mark.parametrize("locale", LOCALES)
def test_the_text_to_a_doubted_number_is_the_same_whosever_it_was(runtime, clock, locale):
    register(runtime, a_row("2900000001", language=locale), a_row("2900000002", "0712345678", language=locale))
    first, second = homes(runtime)
    start = clock.now
    fail(runtime, clock, home=first)
    clock.now = start
    fail(runtime, clock, home=second, to="+212712345678")
    assert doubt_numbers(runtime) == 2
    said = {read(runtime, message).replace(message.reference, "") for message in messages(
        runtime, notice="number_doubted", medium="sms")}
    assert len(said) == 1


def test_what_waited_to_be_texted_to_a_doubted_number_goes_by_letter(house, clock):
    fail(house, clock)
    assert [(one.medium, one.state) for one in messages(house, notice="index_assigned")] == [("sms", "created")]
    doubt_numbers(house)
    assert [(one.medium, one.state) for one in messages(house, notice="index_assigned")] == [
        ("sms", "failed"), ("letter", "created")]


def test_what_waits_for_another_household_at_the_same_number_goes_on_waiting(runtime, clock):
    register(runtime, a_row("2900000001"), a_row("2900000002"))
    first, second = homes(runtime)
    fail(runtime, clock, home=first)
    assert doubt_numbers(runtime) == 1
    assert [one.state for one in messages(runtime, notice="index_assigned", household_id=second.id)] == ["created"]
    assert (answers_to(runtime), answers_to(runtime, doubted=True)) == (1, 2)


def test_a_doubted_number_gets_letters_and_no_other_text(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    before = len(messages(house, medium="sms"))
    register(house, a_row(spending={"butane": "200.00", "water_electricity": "900.00", "phone_internet": "800.00"}))
    assert len(messages(house, medium="sms")) == before
    assert any(one.notice.startswith("index_") and one.medium == "letter" for one in messages(house))


def test_another_number_of_the_household_is_texted_in_place_of_the_doubted_one(runtime, clock):
    register(runtime, a_row(contacts=[{"phone": PHONE, "consent": True}, {"phone": NEW, "consent": True}]))
    fail(runtime, clock)
    doubt_numbers(runtime)
    assert texted(runtime) == NEW


def test_a_doubted_number_is_not_warned_of_a_new_one_and_the_change_waits_for_the_post(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    with house.database.write() as session:
        asked = number_change.ask_number(session, house.vault, homes(house)[0].id, NEW, channel="ussd",
                                         asked_by="a call", by="household", now=clock.now)
        assert number_change.warned(session, house.vault, homes(house)[0].id) == ()
    assert asked.effective_on == clock.now.date() + number_change.WAIT_BY_LETTER


def test_a_household_declared_anew_with_the_same_number_has_it_in_doubt_as_before(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    before, = rows(house, Contact)
    register(house, a_row(spending={"butane": "200.00", "water_electricity": "900.00", "phone_internet": "800.00"}))
    after, = rows(house, Contact)
    assert (after.id, after.verified_at, answers_to(house)) == (before.id, None, 0)


def test_a_doubt_that_has_ended_is_not_told_any_more(house, clock):
    fail(house, clock)
    doubted = due(house)
    call(house, "check_pin", PIN)
    with house.database.write() as session:
        assert house.teller.tell(session, doubted, clock.now) == 0


# Verified again


def test_the_pin_ends_the_doubt(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    assert call(house, "my_file").name == "none"
    assert call(house, "check_pin", PIN).name == "ok"
    assert (texted(house), answers_to(house)) == (PHONE, 1)
    contact, = rows(house, Contact)
    assert contact.verified_at == clock.now
    entry, = acts(house, "number.verified")
    assert (entry.by, entry.subject) == ("household", str(contact.id))


def test_what_failed_before_the_pin_was_typed_does_not_count_after_it(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    clock.forward(days=1)
    call(house, "check_pin", PIN)
    clock.forward(days=31)
    text(house, "failed")
    assert due(house) == []
    clock.forward(days=1)
    fail(house, clock)
    assert doubt_numbers(house) == 1
    assert len(messages(house, notice="number_doubted", medium="sms")) == 2


def test_a_pin_that_is_typed_again_the_same_day_is_not_written_down_again(house, clock):
    call(house, "check_pin", PIN)
    first, = rows(house, Contact)
    clock.forward(hours=23)
    call(house, "check_pin", PIN, name="another call")
    again, = rows(house, Contact)
    assert again.verified_at == first.verified_at
    assert acts(house, "number.verified") == []


def test_a_pin_proves_its_own_household_and_leaves_the_others_in_doubt(runtime, clock):
    register(runtime, a_row("2900000001"), a_row("2900000002"))
    for place, home in enumerate(homes(runtime)):
        give_pin(runtime, ("407193", "530718")[place], home)
    start = clock.now
    for home in homes(runtime):
        clock.now = start
        fail(runtime, clock, home=home)
    assert doubt_numbers(runtime) == 2
    proof = call(runtime, "check_pin", "530718").facts["proof"]
    assert proof == str(homes(runtime)[1].id)
    assert (answers_to(runtime), answers_to(runtime, doubted=True)) == (1, 2)


def test_a_pin_does_not_bring_back_a_number_that_was_given_up(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    assert call(house, "disown").name == "ok"
    assert call(house, "check_pin", PIN).name == "wrong"
    assert (answers_to(house, doubted=True), texted(house)) == (0, None)


def test_the_centre_ends_the_doubt_of_a_number_that_is_still_the_household_s(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    with house.database.write() as session:
        number_change.ask_number(session, house.vault, homes(house)[0].id, PHONE, channel="centre", asked_by="a clerk",
                                 by="clerk", now=clock.now)
    assert (texted(house), answers_to(house)) == (PHONE, 1)


def test_a_number_that_was_given_up_in_doubt_and_taken_again_is_not_verified_twice(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    for number in (NEW, PHONE):
        with house.database.write() as session:
            number_change.ask_number(session, house.vault, homes(house)[0].id, number, channel="centre",
                                     asked_by=number, by="clerk", now=clock.now)
    assert call(house, "check_pin", PIN).name == "ok"
    assert acts(house, "number.verified") == []


def test_a_stranger_with_a_recycled_number_is_answered_like_a_number_that_nobody_has(house, clock):
    fail(house, clock)
    doubt_numbers(house)

    def answered(phone):
        asked = [("my_file", ""), ("send_pin_letter", ""), *(("check_pin", f"{guess:06}") for guess in range(PINS + 1)),
                 ("refuse_number", ""), ("stop_texts", ""), ("disown", ""), ("my_file", "")]
        return [call(house, effect, typed, phone, f"{phone} {place}") for place, (effect, typed) in enumerate(asked)]

    letters = len(messages(house, notice="pin"))
    assert answered(PHONE) == answered(UNKNOWN)
    assert len(messages(house, notice="pin")) == letters


def test_the_household_s_own_pin_from_a_number_that_was_never_its_own_ends_no_doubt(house, clock):
    fail(house, clock)
    doubt_numbers(house)
    assert call(house, "check_pin", PIN, UNKNOWN).name == "wrong"
    assert answers_to(house) == 0


def test_a_number_that_too_many_share_is_nobody_s_though_some_doubt_it(runtime, clock):
    register(runtime, *(a_row(f"290000000{place}") for place in range(SHARED_BY_AT_MOST + 1)))
    fail(runtime, clock)
    assert len(due(runtime)) == 1
    assert (answers_to(runtime), answers_to(runtime, doubted=True)) == (0, 0)


# The command line


@pytest.fixture
def listed(database_url, redis_url, tmp_path):
    """What `mouachir phones doubted` says; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    house = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}
    yield lambda: CliRunner(env=house).invoke(main, ["phones", "doubted"]).stdout.splitlines()
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


def test_the_command_line_says_how_many_are_in_doubt_and_why_and_no_number(house, clock, listed):
    assert listed() == ["0 in doubt"]
    fail(house, clock)
    due(house)
    assert listed() == ["failing    1", "1 in doubt"]
