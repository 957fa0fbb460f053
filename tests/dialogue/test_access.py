"""Access: what a PIN opens, what five wrong ones lock, and what nobody learns by guessing."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
import sqlalchemy as sa

from gateway.dialogue.access import (
    FAILURES,
    Credential,
    IssuedPin,
    Lock,
    change_pin,
    check_pin,
    is_weak,
    keep_pins,
    new_pin,
    with_pin,
)
from gateway.registry.household import Household, households_of
from tests.conftest import a_row, register

PHONE, SECOND, STRANGER = "+212612345678", "+212712345678", "+212699999999"
PIN, WRONG = "407193", "815204"
# Rules that no database could bend differently.
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOME, NEIGHBOUR = "2900000001", "2900000002"


def home_of(runtime, number) -> Household:
    with runtime.database.read() as session:
        return session.scalar(sa.select(Household).where(
            Household.number_blind == runtime.vault.blind(number, "household.number")))


def give(runtime, number, pin) -> None:
    home = home_of(runtime, number)
    with runtime.database.write() as session:
        keep_pins(session, runtime.vault, [IssuedPin(home.id, pin, runtime.vault.hash_pin(pin, home.id))],
                  runtime.clock())


def a_try(runtime, pin, phone=PHONE, session_name="") -> str:
    """`wrong`, `locked`, or the number of the household that opened. Each try is a call of its own."""
    with runtime.database.write() as session:
        found = check_pin(session, runtime.vault, phone, households_of(session, runtime.vault, phone), pin,
                          session_name or uuid4().hex, runtime.clock())
        if isinstance(found, str):
            return found
        return runtime.vault.open(found.number_sealed, "household.number", found.id)


def wrong_ones(count):
    """So many PINs, none of them right."""
    return [f"{number:06}" for number in range(count)]


@pytest.fixture
def house(runtime):
    """One household, reached by two telephones, with a PIN."""
    register(runtime, a_row(HOME, contacts=[{"phone": PHONE, "consent": True}, {"phone": SECOND, "consent": True}]))
    give(runtime, HOME, PIN)
    return runtime


def test_the_right_pin_opens_and_a_wrong_one_does_not(house):
    assert [a_try(house, WRONG), a_try(house, PIN)] == ["wrong", HOME]


def test_five_failures_lock_even_the_right_pin_for_a_day(house, clock):
    assert [a_try(house, pin) for pin in wrong_ones(FAILURES)] == ["wrong"] * 5
    assert [a_try(house, WRONG), a_try(house, PIN)] == ["locked", "locked"]
    clock.forward(hours=24, seconds=-1)
    assert a_try(house, PIN) == "locked"
    clock.forward(seconds=1)
    assert a_try(house, PIN) == HOME


@one_kind
def test_the_fifth_try_may_still_be_right(house):
    assert [a_try(house, pin) for pin in [*wrong_ones(4), PIN]] == ["wrong"] * 4 + [HOME]


@one_kind
def test_the_right_pin_forgets_the_wrong_ones(house):
    for _ in range(3):
        assert [a_try(house, pin) for pin in [*wrong_ones(4), PIN]] == ["wrong"] * 4 + [HOME]


@one_kind
def test_after_a_lock_has_run_out_five_more_tries_lock_again(house, clock):
    for pin in wrong_ones(5):
        a_try(house, pin)
    clock.forward(hours=24)
    assert [a_try(house, pin) for pin in wrong_ones(6)] == ["wrong"] * 5 + ["locked"]


@one_kind
def test_tries_while_locked_do_not_make_the_lock_longer(house, clock):
    for pin in wrong_ones(5):
        a_try(house, pin)
    for _ in range(23):
        clock.forward(hours=1)
        assert [a_try(house, WRONG), a_try(house, PIN)] == ["locked", "locked"]
    clock.forward(hours=1)
    assert a_try(house, PIN) == HOME


@one_kind
def test_the_household_is_locked_whichever_of_its_telephones_calls(house, clock):
    """The other telephone is told no more than a stranger's would be: wrong, until it has had its own five."""
    for pin in wrong_ones(5):
        a_try(house, pin)
    assert [a_try(house, PIN, SECOND) for _ in range(6)] == ["wrong"] * 5 + ["locked"]
    clock.forward(hours=24)
    assert a_try(house, PIN, SECOND) == HOME


@one_kind
def test_two_telephones_share_the_five_tries(house):
    for pin, phone in zip(wrong_ones(6), [PHONE, SECOND] * 3, strict=True):
        assert a_try(house, pin, phone) == "wrong"
    assert [a_try(house, PIN), a_try(house, PIN, SECOND)] == ["wrong", "wrong"]


def test_an_unknown_number_answers_and_locks_like_a_wrong_pin(house, clock):
    known = [a_try(house, pin, PHONE) for pin in wrong_ones(7)]
    unknown = [a_try(house, pin, STRANGER) for pin in wrong_ones(7)]
    assert unknown == known == ["wrong"] * 5 + ["locked"] * 2
    clock.forward(hours=24)
    assert a_try(house, WRONG, STRANGER) == a_try(house, WRONG, PHONE) == "wrong"


@one_kind
def test_a_household_without_a_pin_answers_and_locks_like_a_wrong_pin(runtime):
    register(runtime, a_row(HOME))
    assert [a_try(runtime, pin) for pin in wrong_ones(6)] == ["wrong"] * 5 + ["locked"]


def test_a_wrong_pin_told_again_in_its_session_counts_once(house):
    for _ in range(3):
        assert [a_try(house, pin, session_name="one call") for pin in wrong_ones(4)] == ["wrong"] * 4
    assert a_try(house, PIN) == HOME


@one_kind
def test_a_session_told_again_answers_as_it_did(house):
    told = [[a_try(house, pin, session_name="one call") for pin in wrong_ones(7)] for _ in range(2)]
    assert told[0] == told[1]


@one_kind
def test_a_new_pin_unlocks_and_the_old_one_opens_until_the_new_one_is_used(house):
    for pin in wrong_ones(5):
        a_try(house, pin, SECOND)
    give(house, HOME, "260418")
    assert [a_try(house, pin) for pin in (PIN, "260418", PIN, "260418")] == [HOME, HOME, "wrong", HOME]


@one_kind
def test_of_two_letters_on_their_way_the_last_one_counts(house):
    for pin in ("260418", "815307"):
        give(house, HOME, pin)
    assert [a_try(house, pin) for pin in ("260418", PIN, "815307", PIN)] == ["wrong", HOME, HOME, "wrong"]


@one_kind
def test_a_pin_that_was_chosen_opens_alone_until_a_letter_brings_the_next(house):
    home = home_of(house, HOME)
    give(house, HOME, "260418")
    with house.database.write() as session:
        change_pin(session, house.vault, home.id, house.vault.hash_pin("815307", home.id), house.clock())
    assert [a_try(house, pin) for pin in (PIN, "260418", "815307")] == ["wrong", "wrong", HOME]
    give(house, HOME, "504218")
    assert [a_try(house, pin) for pin in ("815307", "504218", "815307")] == [HOME, HOME, "wrong"]


@one_kind
def test_a_household_has_a_pin_once_it_was_given_one(house):
    register(house, a_row(NEIGHBOUR))
    homes = [home_of(house, number).id for number in (HOME, NEIGHBOUR)]
    with house.database.read() as session:
        assert with_pin(session, homes) == {homes[0]}


def test_on_a_shared_number_the_pin_chooses_the_household(house):
    register(house, a_row(NEIGHBOUR))
    give(house, NEIGHBOUR, "260418")
    assert [a_try(house, "260418"), a_try(house, PIN), a_try(house, WRONG)] == [NEIGHBOUR, HOME, "wrong"]


def test_a_neighbours_own_pin_does_not_buy_more_guesses(house):
    register(house, a_row(NEIGHBOUR))
    give(house, NEIGHBOUR, "260418")
    seen = [a_try(house, pin) for first in range(0, 12, 4) for pin in [*wrong_ones(12)[first:first + 4], "260418"]]
    assert seen.count("wrong") == 12
    assert [a_try(house, PIN), a_try(house, "260418")] == ["wrong", NEIGHBOUR], "locked, but not its neighbour"


@one_kind
def test_a_neighbours_own_pin_is_no_failure_of_the_household(house):
    register(house, a_row(NEIGHBOUR))
    give(house, NEIGHBOUR, "260418")
    assert {a_try(house, "260418") for _ in range(FAILURES + 1)} == {NEIGHBOUR}
    assert a_try(house, PIN) == HOME


@one_kind
def test_a_number_that_too_many_share_proves_nobody(runtime):
    numbers = [f"290000001{position}" for position in range(6)]
    register(runtime, *(a_row(number) for number in numbers))
    give(runtime, numbers[0], PIN)
    assert a_try(runtime, PIN) == "wrong"


def test_however_many_tries_come_at_once_five_are_looked_at(house):
    together = Barrier(20)

    def at_once(pin):
        together.wait()
        return a_try(house, pin)

    with ThreadPoolExecutor(20) as callers:
        told = Counter(callers.map(at_once, wrong_ones(20)))
    assert told == {"wrong": FAILURES, "locked": 20 - FAILURES}
    assert a_try(house, PIN) == "locked"


def test_tries_at_once_from_two_telephones_of_two_households_neither_stop_each_other_nor_add_up_to_more(house):
    """Each telephone has five answers; between them, each household had its five looks."""
    register(house, a_row(NEIGHBOUR, contacts=[{"phone": SECOND, "consent": True}, {"phone": PHONE, "consent": True}]))
    give(house, NEIGHBOUR, "260418")
    together = Barrier(16)

    def at_once(number):
        together.wait()
        return a_try(house, wrong_ones(16)[number], [PHONE, SECOND][number % 2])

    with ThreadPoolExecutor(16) as callers:
        told = Counter(callers.map(at_once, range(16)))
    assert told == {"wrong": 2 * FAILURES, "locked": 16 - 2 * FAILURES}
    assert [a_try(house, pin, phone) for pin in (PIN, "260418") for phone in (PHONE, SECOND)] == ["locked"] * 4
    with house.database.read() as session:
        assert {lock.failures for lock in session.scalars(sa.select(Lock).where(Lock.failures > 0))} == {FAILURES}


def test_a_right_pin_among_many_guesses_at_once_opens_or_finds_the_lock(house):
    together = Barrier(12)

    def at_once(pin):
        together.wait()
        return a_try(house, pin)

    with ThreadPoolExecutor(12) as callers:
        told = list(callers.map(at_once, [*wrong_ones(11), PIN]))
    assert told[-1] in (HOME, "locked")
    assert told.count("wrong") <= 2 * FAILURES


@one_kind
def test_a_pin_is_kept_as_a_hash_alone(house):
    with house.database.read() as session:
        (kept,) = session.scalars(sa.select(Credential)).all()
    assert kept.pin_hash.startswith("1$$argon2id$")
    assert PIN not in kept.pin_hash
    assert PIN not in repr(IssuedPin(kept.id, PIN, kept.pin_hash))


@pytest.mark.parametrize("pin", ["000000", "777777", "123456", "654321", "890123", "246802", "121212", "112211",
                                 "123123", "407407", "198704", "200101", "345678"])
def test_what_a_thief_tries_first_is_weak(pin):
    assert is_weak(pin, PHONE)


@pytest.mark.parametrize("pin", [PIN, "260418", "815307", "112358"])
def test_what_a_thief_does_not_try_first_is_not_weak(pin):
    assert not is_weak(pin, PHONE)


def test_no_pin_is_one_that_a_thief_tries_first():
    pins = {new_pin() for _ in range(2000)}
    assert all(len(pin) == 6 and pin.isdigit() for pin in pins)
    assert not pins & {"000000", "111111", "123456", "654321", "121212", "123123", "112112"}
    assert not [pin for pin in pins if pin.startswith(("19", "20"))]
    assert len(pins) > 1900


@one_kind
def test_the_lock_is_for_a_day_from_the_fifth_failure(house, clock):
    for pin in wrong_ones(5):
        a_try(house, pin)
        clock.forward(hours=2)
    clock.forward(hours=22, seconds=-1)
    assert a_try(house, PIN) == "locked"
    clock.now += timedelta(seconds=1)
    assert a_try(house, PIN) == HOME
