"""The engine goes one step for one input, whatever it is, and stands nowhere that it could not be put down."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text import Budget, fits
from gateway.dialogue.engine import (
    Effect,
    Outcome,
    Position,
    UnexpectedOutcome,
    begin,
    play,
    replay,
    resolve,
    screen,
    settle,
)
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import agreeable
from gateway.dialogue.states import Do, End, options
from gateway.words import LOCALES, Words
from tests.dialogue.cast import PIN, Performer, outcome, somebody

WORDS = Words()
BUDGETS = (Budget(160, 70), Budget(182, 80))
# What a menu offers, what is offered nowhere, and what no keypad has.
KEYS = st.one_of(
    st.sampled_from(["1", "2", "3", "4", "5", "8", "9", "10", "11", "0", "00", "98", PIN, "987654321", ""]),
    st.sampled_from(["١", "٩٨", "۰", " 1 ", "1#", "98#", "#", "*", "1*2", "²", "99", "000", "12345", "مؤشر"]),
    st.text(max_size=12),
)


def there_and_back(position: Position) -> Position:
    return Position.from_json(json.loads(json.dumps(position.to_json())))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_typed_whatever_comes_of_it_there_is_a_screen_that_fits(data):
    def decide(effect: Effect) -> Outcome:
        name = data.draw(st.sampled_from(sorted(HOUSEHOLD.effects[effect.name])))
        language = {"language": effect.argument} if effect.name == "choose_language" else {}
        return outcome(effect.name, name, **language)

    caller = somebody(data.draw(st.sampled_from([None, *LOCALES])))
    typed = data.draw(st.lists(KEYS, max_size=14))
    budget = data.draw(st.sampled_from(BUDGETS))
    performer = Performer(decide)
    step = settle(HOUSEHOLD, begin(HOUSEHOLD, caller), caller, performer)
    for count, one in enumerate(typed, 1):
        step = settle(HOUSEHOLD, play(HOUSEHOLD, step.position, one, caller), caller, performer)
        shown = screen(HOUSEHOLD, step.position, WORDS, budget)
        assert shown.text.strip()
        assert fits(shown.text, budget)
        assert there_and_back(step.position) == step.position
        assert PIN not in json.dumps(step.position.to_json())
        assert PIN not in repr(step)
        assert not shown.final or isinstance(HOUSEHOLD.states[step.position.state], End)
        assert len(set(step.position.trail)) == len(step.position.trail)
        assert replay(HOUSEHOLD, typed[:count], caller, performer) == step
    assert len(set(performer.acted)) == len(performer.acted)


def test_a_pin_is_handed_on_and_kept_nowhere():
    position = replay(HOUSEHOLD, ["1"], somebody(), agreeable).position
    step = play(HOUSEHOLD, position, PIN, somebody())
    assert step.effect == Effect("check_pin", PIN)
    assert PIN not in repr(step)
    assert PIN not in json.dumps(step.position.to_json())


@pytest.mark.parametrize("typed", ["٤٢٤٢٤٢", "۴۲۴۲۴۲", "424242#", " 42 42 42 ", "\u200f424242"])
def test_digits_are_understood_as_any_keypad_writes_them(typed):
    position = replay(HOUSEHOLD, ["1"], somebody(), agreeable).position
    assert play(HOUSEHOLD, position, typed, somebody()).effect == Effect("check_pin", PIN)


@pytest.mark.parametrize("typed", ["4242", "4242424", "abcdef", "4242*2", "²²²²²²"])
def test_what_cannot_be_a_pin_is_not_tried_as_one(typed):
    position = replay(HOUSEHOLD, ["1"], somebody(), agreeable).position
    step = play(HOUSEHOLD, position, typed, somebody())
    assert step.effect is None
    assert (step.position.state, step.position.mistakes) == ("index.pin", 1)


def test_a_mistake_repeats_the_screen_and_says_so():
    before = begin(HOUSEHOLD, somebody("fr-MA")).position
    after = play(HOUSEHOLD, before, "7", somebody("fr-MA")).position
    wrong = WORDS.say("fr-MA", "nav.wrong_choice")
    assert screen(HOUSEHOLD, after, WORDS, Budget(999, 999)).text == (
        f"{wrong}\n{screen(HOUSEHOLD, before, WORDS, Budget()).text}"
    )


def test_three_mistakes_in_a_row_end_with_help_and_a_good_key_between_forgives_them():
    caller = somebody()
    assert replay(HOUSEHOLD, ["7", "7", "7"], caller, agreeable).position.state == "lost"
    assert replay(HOUSEHOLD, ["7", "7", "5", "7", "7"], caller, agreeable).position.state == "other"
    assert screen(HOUSEHOLD, Position("lost", "ar-MA", facts=caller.facts), WORDS, Budget()).final


def test_back_returns_to_the_screen_before_and_home_to_the_first():
    caller = somebody()
    far = replay(HOUSEHOLD, ["5", "4"], caller, agreeable).position
    assert far.trail == ("home", "other")
    assert play(HOUSEHOLD, far, "0", caller).position.state == "other"
    assert play(HOUSEHOLD, far, "00", caller).position == begin(HOUSEHOLD, caller).position


def test_back_returns_to_no_question_that_was_answered():
    caller = somebody()
    found = replay(HOUSEHOLD, ["4", "987654321"], caller, agreeable).position
    assert play(HOUSEHOLD, found, "0", caller).position.state == "home"
    no_pin = replay(HOUSEHOLD, ["1", "9"], caller, agreeable).position
    assert play(HOUSEHOLD, no_pin, "0", caller).position.state == "index.pin"


def test_back_at_home_stays_at_home():
    caller = somebody()
    assert replay(HOUSEHOLD, ["0", "0"], caller, agreeable) == begin(HOUSEHOLD, caller)


def test_more_goes_round_and_back_goes_one_page_back_first():
    caller = somebody("ar-MA")
    texts = []
    position = replay(HOUSEHOLD, ["3"], caller, agreeable).position
    for _ in range(5):
        texts.append(screen(HOUSEHOLD, position, WORDS, Budget()).text)
        position = play(HOUSEHOLD, position, "98", caller).position
    assert len(set(texts)) == 4
    assert texts[4] == texts[0]
    third = replay(HOUSEHOLD, ["3", "98", "98", "0"], caller, agreeable).position
    assert screen(HOUSEHOLD, third, WORDS, Budget()).text == texts[1]


def test_an_option_of_another_page_can_be_chosen_from_any():
    caller = somebody("ar-MA")
    assert replay(HOUSEHOLD, ["3", "11"], caller, agreeable).position.facts["category"] == "other"
    assert replay(HOUSEHOLD, ["3", "98", "98", "1"], caller, agreeable).position.state == "complaint.confirm"


def test_an_end_of_several_pages_closes_the_session_with_the_last():
    caller = somebody("ar-MA")
    typed, finals = ["5", "5"], []
    for _ in range(3):
        position = replay(HOUSEHOLD, typed, caller, agreeable).position
        finals.append(screen(HOUSEHOLD, position, WORDS, Budget()).final)
        typed = [*typed, "98"]
    assert finals == [False, False, True]


def test_the_proof_comes_back_with_every_later_effect():
    performer = []

    def decide(effect: Effect) -> Outcome:
        performer.append((effect.name, effect.proof))
        return agreeable(effect)

    replay(HOUSEHOLD, ["1", PIN, "1"], somebody(), decide)
    assert performer == [("check_pin", ""), ("show_index", "household"), ("review_state", "household")]


def test_an_outcome_that_is_not_listed_or_lacks_its_facts_is_refused_without_naming_a_person():
    position = replay(HOUSEHOLD, ["4"], somebody(), agreeable).position
    waiting = play(HOUSEHOLD, position, "987654321", somebody()).position
    for answer in (Outcome("maybe"), Outcome("found", {"kind": "review"})):
        with pytest.raises(UnexpectedOutcome) as refused:
            resolve(HOUSEHOLD, waiting, answer, somebody())
        assert "987654321" not in str(refused.value)
    with pytest.raises(UnexpectedOutcome):
        resolve(HOUSEHOLD, position, Outcome("unknown"), somebody())


def test_dates_and_decimals_come_back_from_a_store_as_they_were():
    facts = {"index": Decimal("9.7430010"), "due": date(2027, 1, 20), "list": [{"on": date(2027, 1, 21)}], "no": None}
    assert there_and_back(Position("home", facts=facts)).facts == facts


def test_every_option_leads_on_to_where_it_says():
    for name, state in HOUSEHOLD.states.items():
        for option in options(state):
            position = Position(name, "ar-MA", facts={**somebody().facts, "category": "other"})
            target = HOUSEHOLD.states[option.goto]
            step = play(HOUSEHOLD, position, option.key, somebody())
            assert step.position.state == option.goto
            assert bool(step.effect) == isinstance(target, Do)
