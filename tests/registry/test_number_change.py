"""Number change: a new number waits 72 hours, the old ones are told and may refuse it; the centre does it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.registry import declaration, number_change, update
from gateway.registry import household as households
from gateway.registry.audit import AuditEntry
from gateway.registry.events import NumberChanged
from gateway.registry.household import SHARED_BY_AT_MOST, Contact
from gateway.registry.numbers import kind_of
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
OLD, NEW, OTHER = "+212612345678", "+212777123456", "+212655443322"


def ask(runtime, msisdn=NEW, home=None, at=None, channel="ussd", **more):
    """The warning arrives at once."""
    with runtime.database.write() as session:
        asked = number_change.ask_number(
            session, runtime.vault, (home or homes(runtime)[0]).id, msisdn, channel=channel, asked_by="a call",
            by="household", now=at or runtime.clock(), **more)
        number_change.note_warning(session, asked.update_id, at or runtime.clock())
        return asked


def refuse(runtime, number, from_msisdn=OLD, at=None):
    with runtime.database.write() as session:
        number_change.refuse_number(session, runtime.vault, number, from_msisdn=from_msisdn, by="household",
                                    now=at or runtime.clock())


def due(runtime, at):
    with runtime.database.write() as session:
        return number_change.due(session, runtime.vault, at)


def postpone(runtime, update_id, at):
    with runtime.database.write() as session:
        number_change.postpone(session, runtime.vault, update_id, at)


def not_mine(runtime, msisdn):
    with runtime.database.write() as session:
        return number_change.not_mine(session, runtime.vault, msisdn, channel="sms", asked_by="a text",
                                      by="household", now=runtime.clock())


def state(runtime, number):
    with runtime.database.read() as session:
        return update.state_of(session, number)


def texted(runtime, home=None):
    with runtime.database.read() as session:
        home_id = (home or homes(runtime)[0]).id
        return households.texted_at(session, runtime.vault, [home_id]).get(home_id)


def answers_to(runtime, msisdn):
    with runtime.database.read() as session:
        return len(households.households_of(session, runtime.vault, msisdn))


def frozen(runtime, home=None):
    with runtime.database.read() as session:
        return number_change.frozen(session, (home or homes(runtime)[0]).id, runtime.clock())


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    return runtime


def test_a_new_number_waits_and_then_takes_the_place_of_the_old_one(house, clock):
    asked = ask(house, "07 77 12 34 56")
    assert (kind_of(asked.number), asked.effective_on) == ("update", date(2026, 11, 26))
    assert (state(house, asked.number).state, state(house, asked.number).next_step) == (
        "waiting", "old_number_may_refuse")
    assert frozen(house)
    assert due(house, NOON + timedelta(hours=72, seconds=-1)) == []
    assert (texted(house), answers_to(house, OLD), answers_to(house, NEW)) == (OLD, 1, 0)
    after = NOON + timedelta(hours=72)
    assert due(house, after) == [NumberChanged(homes(house)[0].id, asked.update_id)]
    assert due(house, after) == []
    assert (texted(house), answers_to(house, OLD), answers_to(house, NEW)) == (NEW, 0, 1)
    assert (state(house, asked.number).state, state(house, asked.number).since) == ("applied", date(2026, 11, 26))
    assert not frozen(house)
    contact, = (one for one in rows(house, Contact) if one.ended_by is None)
    assert (contact.position, contact.verified_at, contact.consent) == (1, after, True)


def test_both_numbers_are_told_that_the_change_was_made(house):
    asked = ask(house)
    with house.database.read() as session:
        assert number_change.warned(session, house.vault, homes(house)[0].id) == (OLD,)
    due(house, NOON + timedelta(hours=72))
    with house.database.read() as session:
        told = number_change.numbers_of(session, house.vault, asked.update_id)
    assert (told.new, told.old) == (NEW, (OLD,))
    assert "2127" not in repr(told)


@one_kind
@pytest.mark.parametrize(("asked_at", "effective_at", "on"), [
    # Half an hour after midnight of the night in which Casablanca's clock goes back for Ramadan: by the clock on
    # the wall it would be the 10th.
    (datetime(2027, 2, 6, 23, 30, tzinfo=UTC), datetime(2027, 2, 9, 23, 30, tzinfo=UTC), date(2027, 2, 9)),
    (datetime(2027, 3, 13, 12, 0, tzinfo=UTC), datetime(2027, 3, 16, 12, 0, tzinfo=UTC), date(2027, 3, 16)),
    (datetime(2027, 1, 30, 12, 0, tzinfo=UTC), datetime(2027, 2, 2, 12, 0, tzinfo=UTC), date(2027, 2, 2)),
    (datetime(2027, 2, 27, 12, 0, tzinfo=UTC), datetime(2027, 3, 2, 12, 0, tzinfo=UTC), date(2027, 3, 2)),
    (datetime(2028, 2, 27, 12, 0, tzinfo=UTC), datetime(2028, 3, 1, 12, 0, tzinfo=UTC), date(2028, 3, 1)),
])
def test_seventy_two_hours_are_hours_that_pass_whatever_the_clock_on_the_wall_does(
        house, asked_at, effective_at, on):
    asked = ask(house, at=asked_at)
    assert asked.effective_on == on
    assert due(house, effective_at - timedelta(seconds=1)) == []
    assert len(due(house, effective_at)) == 1


def test_the_old_number_refuses_and_nothing_changes(house):
    asked = ask(house)
    refuse(house, asked.number)
    assert due(house, NOON + timedelta(days=5)) == []
    assert (texted(house), state(house, asked.number).state, frozen(house)) == (OLD, "refused", False)
    with pytest.raises(NotAllowed, match=r"refused already; it can be nothing else any more"):
        refuse(house, asked.number)


@one_kind
def test_only_a_telephone_that_was_there_before_refuses(house):
    register(house, a_row("2900000002", OTHER))
    asked = ask(house)
    for stranger in (NEW, OTHER):
        with pytest.raises(NotAllowed, match="there before"):
            refuse(house, asked.number, stranger)
    assert state(house, asked.number).state == "waiting"
    refuse(house, asked.number, None)
    assert state(house, asked.number).state == "refused"


@one_kind
def test_a_number_that_is_in_force_cannot_be_refused_any_more(house):
    asked = ask(house)
    due(house, NOON + timedelta(hours=72))
    with pytest.raises(NotAllowed, match="applied"):
        refuse(house, asked.number, None)
    assert texted(house) == NEW


@one_kind
def test_after_a_refusal_the_next_number_is_asked_for_at_the_centre_for_a_month(house, clock):
    refuse(house, ask(house).number)
    clock.forward(days=29)
    with pytest.raises(NotAllowed, match="at the centre"):
        ask(house, OTHER)
    ask(house, OTHER, channel="centre")
    assert texted(house) == OTHER
    clock.forward(days=2)
    ask(house)


def test_asked_twice_for_the_same_number_it_is_the_same_change(house, clock):
    asked = ask(house)
    clock.forward(hours=5)
    assert ask(house, "00212 777 123 456") == asked
    assert len(rows(house, DataUpdate)) == 1


def test_another_number_does_not_push_aside_the_one_that_waits(house):
    asked = ask(house)
    with pytest.raises(NotAllowed, match="waiting; withdraw or refuse it first"):
        ask(house, OTHER)
    assert state(house, asked.number).state == "waiting"
    with house.database.write() as session:
        update.withdraw(session, house.vault, asked.number, by="household", now=NOON)
    assert state(house, ask(house, OTHER).number).state == "waiting"


def test_at_the_centre_the_number_counts_at_once_and_what_waited_is_withdrawn(house):
    thief = ask(house, OTHER)
    changed = ask(house, channel="centre")
    assert isinstance(changed, NumberChanged)
    assert (texted(house), answers_to(house, OLD), state(house, thief.number).state) == (NEW, 0, "withdrawn")
    assert due(house, NOON + timedelta(days=5)) == []
    assert texted(house) == NEW
    with house.database.read() as session:
        assert number_change.numbers_of(session, house.vault, changed.update_id).old == (OLD,)


@one_kind
def test_where_no_text_can_warn_the_household_the_number_waits_for_the_post(runtime):
    register(runtime, a_row(phone=None), a_row("2900000002", "0522123456"), a_row("2900000003", consent=False))
    for home in homes(runtime):
        asked = ask(runtime, home=home)
        assert asked.effective_on == date(2026, 12, 7)
        assert due(runtime, NOON + timedelta(days=14, seconds=-1)) == []
    assert len(due(runtime, NOON + timedelta(days=14))) == 3
    assert {texted(runtime, home) for home in homes(runtime)} == {NEW}


def test_a_number_whose_warning_failed_at_the_last_hour_waits_for_the_post(house):
    asked, failed_at = ask(house), NOON + timedelta(hours=71)
    for at in (failed_at, failed_at, NOON):
        postpone(house, asked.update_id, at)
    assert due(house, NOON + timedelta(hours=72)) == []
    assert due(house, failed_at + timedelta(days=14, seconds=-1)) == []
    assert len(due(house, failed_at + timedelta(days=14))) == 1
    postpone(house, asked.update_id, failed_at + timedelta(days=14))
    assert (state(house, asked.number).state, texted(house)) == ("applied", NEW)
    assert [entry.act for entry in rows(house, AuditEntry)].count("number.postponed") == 1


@one_kind
def test_a_second_telephone_stays_behind_the_new_one(runtime):
    register(runtime, a_row(contacts=[{"phone": OLD, "consent": True}, {"phone": "0522123456", "consent": True},
                                      {"phone": OTHER, "consent": True}]))
    ask(runtime, channel="centre")
    kept = sorted((one for one in rows(runtime, Contact) if one.ended_by is None), key=lambda one: one.position)
    assert [runtime.vault.open(one.msisdn_sealed, "contact.msisdn", one.id) for one in kept] == [
        NEW, "+212522123456", OTHER]
    ask(runtime, OTHER, channel="centre")
    assert (texted(runtime), answers_to(runtime, NEW)) == (OTHER, 0)
    assert sum(one.ended_by is None for one in rows(runtime, Contact)) == 2


@one_kind
def test_a_number_that_has_not_agreed_gets_no_text(house):
    changed = ask(house, channel="centre", consent=False)
    assert (texted(house), answers_to(house, NEW)) == (None, 1)
    with house.database.read() as session:
        assert number_change.numbers_of(session, house.vault, changed.update_id).new is None


@one_kind
@pytest.mark.parametrize("written", ["612", "+33612345678", "0801234567", "hello", ""])
def test_what_is_no_telephone_of_the_country_is_refused_with_a_sentence(house, written):
    with pytest.raises(NotAllowed) as refused:
        ask(house, written)
    assert str(refused.value).endswith((".", "texts."))
    assert rows(house, DataUpdate) == []


@one_kind
def test_the_households_own_number_is_no_new_one(house):
    with pytest.raises(NotAllowed, match="already"):
        ask(house, OLD)


@one_kind
def test_a_number_that_enough_households_share_is_refused_when_asked_and_when_its_time_has_come(runtime):
    sharing = [a_row(f"290000001{position}", NEW) for position in range(SHARED_BY_AT_MOST)]
    register(runtime, a_row(), *sharing[:-1])
    asked = ask(runtime)
    register(runtime, sharing[-1])
    assert due(runtime, NOON + timedelta(hours=72)) == []
    assert (texted(runtime), state(runtime, asked.number).state) == (OLD, "refused")
    with pytest.raises(NotAllowed, match=f"{SHARED_BY_AT_MOST} households"):
        ask(runtime, channel="centre")


def test_who_says_not_mine_is_no_longer_taken_for_the_household(runtime):
    register(runtime, a_row(), a_row("2900000002"), a_row("2900000003", OTHER))
    asked = ask(runtime, OLD, homes(runtime)[2])
    events = not_mine(runtime, OLD)
    assert {event.household_id for event in events} == {home.id for home in homes(runtime)[:2]}
    assert [texted(runtime, home) for home in homes(runtime)] == [None, None, OTHER]
    assert answers_to(runtime, OLD) == 0
    assert state(runtime, asked.number).state == "refused"
    with runtime.database.read() as session:
        for event in events:
            told = number_change.numbers_of(session, runtime.vault, event.update_id)
            assert (told.new, told.old) == (None, ())
    assert not_mine(runtime, OLD) == []


@one_kind
def test_nothing_that_benefits_rest_on_changes_while_a_number_waits(house):
    asked = ask(house)
    with house.database.write() as session:
        filed = update.file(session, house.vault, homes(house)[0].id, "spending", channel="centre", asked_by="a visit",
                            by="amina", now=NOON)

    def apply():
        with house.database.write() as session:
            declaration.apply(session, house.vault, house.scorer, filed.update_id, {"spending.butane": "90.00"},
                              by="amina", now=NOON)

    with pytest.raises(NotAllowed, match="new telephone number waits"):
        apply()
    assert state(house, filed.number).state == "received"
    refuse(house, asked.number)
    apply()
    assert state(house, filed.number).state == "applied"


@one_kind
def test_no_number_stands_in_the_audit_or_in_the_clear(house):
    refuse(house, ask(house).number)
    ask(house, OTHER, channel="centre")
    not_mine(house, OTHER)
    written = "".join(map(str, (vars(entry) for entry in rows(house, AuditEntry))))
    assert [digits for digits in (OLD, NEW, OTHER) if digits[4:] in written] == []
    assert {entry.act for entry in rows(house, AuditEntry)} >= {
        "number.asked", "number.refused", "number.changed", "number.unbound"}
    kept = b"".join(one.value_sealed or b"" for one in rows(house, DataUpdate))
    assert NEW.encode() not in kept


@for_real
def test_when_the_old_number_refuses_as_the_ticker_comes_exactly_one_of_them_wins(runtime):
    register(runtime, *(a_row(f"29000000{position:02}", f"06123456{position:02}") for position in range(12)))
    asked = [ask(runtime, f"07123456{position:02}", home) for position, home in enumerate(homes(runtime))]
    at, together = NOON + timedelta(hours=72), Barrier(3)
    events = []

    def tick():
        together.wait()
        with runtime.database.write() as session:
            events.extend(number_change.due(session, runtime.vault, at))

    refused = []

    def say_no(change):
        number, old = change
        with suppress(NotAllowed):
            refuse(runtime, number, old, at)
            refused.append(number)

    def say_no_to_all(changes):
        together.wait()
        for change in changes:
            say_no(change)

    changes = [(one.number, f"+2126123456{position:02}") for position, one in enumerate(asked)]
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(tick), pool.submit(say_no_to_all, changes[:6]), pool.submit(say_no_to_all, changes[:5:-1])]
    for one in done:
        one.result()
    applied = {event.update_id for event in events}
    assert len(applied) + len(refused) == 12
    for position, (home, change) in enumerate(zip(homes(runtime), asked, strict=True)):
        won = change.update_id in applied
        assert (change.number in refused) == (not won)
        assert texted(runtime, home) == f"+212{7 if won else 6}123456{position:02}"


@for_real
def test_of_many_who_ask_at_once_one_number_waits(house):
    together = Barrier(6)

    def at_once(position):
        together.wait()
        with suppress(NotAllowed):
            return ask(house, f"077712345{position}").update_id
        return None

    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(at_once, range(6)))
    kept, = rows(house, DataUpdate)
    assert [answer for answer in answers if answer] == [kept.id]


@one_kind
def test_a_stop_at_the_old_number_does_not_wake_it_again(house):
    ask(house, channel="centre")
    with house.database.write() as session:
        households.resume(session, house.vault, OLD)
        assert session.scalar(sa.select(sa.func.count()).select_from(Contact)) == 2
    assert texted(house) == NEW
