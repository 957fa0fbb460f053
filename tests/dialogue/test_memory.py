"""Memory: a session is recalled, sealed, for ten minutes; one turn at a time; and nothing that was typed is kept.

Where a telephone's last call broke off is kept for half an hour, sealed as well.
"""

from __future__ import annotations

import threading

import pytest
from redis import Redis

from channels.base import Screen
from channels.ussd.africastalking import typed
from gateway.dialogue.memory import BROKEN_OFF_S, LIVES_S, LOCK_S, NEVER_TYPED, TWITCH, Busy, Memory
from gateway.vault import Vault
from tests.conftest import NOON

PHONE, PIN = "+212612345678", "407193"
SCREEN = Screen("مؤشركم: 9,6087075")
POSITION = {"state": "index", "proof": "a household"}


@pytest.fixture
def redis(redis_url):
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def memory(redis):
    return Memory(redis, Vault([(1, b"k" * 32)]))


@pytest.fixture
def key(memory):
    return memory.key("africastalking", "ATUid_1", PHONE)


def keep(memory, key, text):
    """A turn in which the conversation came to this screen."""
    with memory.turn(key) as turn:
        turn.remember(text, POSITION, SCREEN, NOON)


def leave(memory, msisdn, way):
    with memory.turn("another session") as turn:
        turn.leave(msisdn, way)


def test_what_is_remembered_is_recalled(memory, key):
    keep(memory, key, f"1*{PIN}")
    recalled = memory.recall(key)
    assert (recalled.position, recalled.screen, recalled.at) == (POSITION, SCREEN, NOON)
    assert memory.recall(memory.key("africastalking", "ATUid_2", PHONE)) is None


def test_sessions_numbers_and_providers_have_their_own_memory(memory, key):
    others = {memory.key("africastalking", "ATUid_1", "+212712345678"), memory.key("other", "ATUid_1", PHONE),
              memory.key("africastalking", "ATUid_2", PHONE), key}
    assert len(others) == 4


def test_redis_holds_nothing_that_can_be_read(memory, redis, key):
    keep(memory, key, f"1*{PIN}")
    held = b"".join(name + (redis.get(name) or b"") for name in redis.scan_iter())
    for secret in (PHONE, PHONE[4:], PIN, "ATUid_1", "9,6087075", SCREEN.text, "a household", "index"):
        assert secret.encode() not in held


def test_a_session_is_forgotten_after_ten_minutes(memory, redis, key):
    keep(memory, key, "1")
    assert 0 < redis.ttl(key) <= LIVES_S == 600


def test_what_another_session_or_another_hand_wrote_is_not_recalled(memory, redis, key):
    keep(memory, key, "1")
    other = memory.key("africastalking", "ATUid_2", PHONE)
    redis.rename(key, other)
    assert memory.recall(other) is None
    for strange in (b"", b"{}", b"\x01\x01" + b"x" * 40):
        redis.set(key, strange)
        assert memory.recall(key) is None


@pytest.mark.parametrize(("before", "after", "kind", "inputs"), [
    ("", "", "duplicate", ()), ("", "1", "input", ("1",)), ("1", "1", "duplicate", ()), ("1", "1*2", "input", ("2",)),
    ("1", "1*", "input", ("",)), ("1", "1*2*3", "input", ("2*3",)), ("1*2", "1", "rewritten", ()),
    ("1*2", "1*3", "rewritten", ()), ("1", "12", "rewritten", ()), ("1*2", "", "rewritten", ()),
    ("1*2", "2*1", "rewritten", ()), (f"1*{PIN}", f"1*{PIN}*1", "input", ("1",)),
])
def test_what_comes_next_is_told_from_what_was_typed_without_keeping_it(memory, key, before, after, kind, inputs):
    keep(memory, key, before)
    new = typed(memory.previous(key, memory.recall(key), after), after)
    assert (new.kind, new.inputs) == (kind, inputs)


def test_without_a_memory_everything_is_new(memory, key):
    assert memory.previous(key, None, "1*2") is None
    assert typed(None, "1*2").kind == "first"
    assert NEVER_TYPED not in "0123456789*#"


def test_a_turn_is_the_one_before_once_more_by_its_number_or_because_nobody_is_so_fast(memory, key):
    keep(memory, key, "2/1")
    before = memory.recall(key)
    late, soon = NOON + TWITCH, NOON + TWITCH / 2
    assert memory.repeats(key, before, "2/1", late, numbered=True)
    assert memory.repeats(key, before, "2/1", soon, numbered=False)
    assert not memory.repeats(key, before, "2/1", late, numbered=False)
    assert not memory.repeats(key, before, "3/1", soon, numbered=True)


def test_where_a_call_broke_off_is_known_for_half_an_hour_to_this_telephone_alone(memory, redis):
    leave(memory, PHONE, ("5", "1"))
    assert (memory.left(PHONE), memory.left("+212712345678")) == (("5", "1"), ())
    name, = redis.scan_iter()
    assert 0 < redis.ttl(name) <= BROKEN_OFF_S == 1800
    redis.delete(name)
    assert memory.left(PHONE) == ()


def test_who_left_nothing_undone_has_nowhere_to_go_on(memory):
    leave(memory, PHONE, ("5", "1"))
    leave(memory, PHONE, ())
    assert memory.left(PHONE) == ()


def test_where_a_call_broke_off_cannot_be_read_nor_moved_to_another_telephone(memory, redis):
    leave(memory, PHONE, ("5", "1"))
    name, = redis.scan_iter()
    assert PHONE[1:].encode() not in name
    assert b'"5"' not in redis.get(name)
    leave(memory, "+212712345678", ("8",))
    other, = set(redis.scan_iter()) - {name}
    redis.rename(name, other)
    assert memory.left("+212712345678") == ()
    for strange in (b"", b"[]", b"\x01\x01" + b"x" * 40):
        redis.set(other, strange)
        assert memory.left("+212712345678") == ()


def test_one_turn_at_a_time_and_the_next_when_it_is_over(memory, key):
    order, inside = [], threading.Event()

    def second():
        inside.wait()
        with memory.turn(key):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with memory.turn(key):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_turn_that_takes_too_long_is_not_waited_for_without_end(memory, redis, key):
    redis.set(key + ":turn", b"another's", ex=LOCK_S)
    with pytest.raises(Busy), memory.turn(key):
        pass
    assert redis.get(key + ":turn") == b"another's"


def test_a_turn_of_one_session_does_not_hold_up_another(memory, key):
    with memory.turn(key), memory.turn(memory.key("africastalking", "ATUid_2", PHONE)):
        pass


def test_a_turn_whose_lock_was_lost_ends_well_and_leaves_anothers_lock_alone(memory, redis, key):
    with memory.turn(key):
        redis.flushall()
    with memory.turn(key):
        redis.set(key + ":turn", b"another's")
    assert redis.get(key + ":turn") == b"another's"


def test_an_error_inside_a_turn_frees_the_session(memory, redis, key):
    with pytest.raises(ZeroDivisionError), memory.turn(key):
        raise ZeroDivisionError
    assert not redis.exists(key + ":turn")
