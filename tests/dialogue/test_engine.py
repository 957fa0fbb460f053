"""The engine goes one step for one input, whatever it is, and stands nowhere that it could not be put down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text import Budget, fits
from gateway.dialogue.engine import (
    AT_ONCE,
    LONGEST_WAY,
    Caller,
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
from gateway.dialogue.states import LONGEST_WORDS, Do, End, options
from gateway.words import SCREENS
from tests.dialogue.cast import AGREEABLE, CALL, PIN, WORDS, Performer, outcome, somebody

BUDGETS = (Budget(160, 70), Budget(182, 80))
# What a menu offers, what is offered nowhere, and what no keypad has.
KEYS = st.one_of(
    st.sampled_from(["1", "2", "3", "4", "5", "8", "9", "10", "11", "0", "00", "98", PIN, "987654321", ""]),
    st.sampled_from(["١", "٩٨", "۰", " 1 ", "1#", "98#", "#", "*", "1*2", "²", "99", "000", "12345", "مؤشر"]),
    st.text(max_size=12),
)


def at(*typed: str, caller: Caller | None = None, shortcut: str = "", performer=AGREEABLE) -> Position:
    """Where so many keys lead, when everything goes well."""
    return replay(HOUSEHOLD, typed, caller or somebody(), performer, shortcut).position


def shown(position: Position, budget: Budget = BUDGETS[0]) -> str:
    return screen(HOUSEHOLD, position, WORDS, budget).text


def there_and_back(position: Position) -> Position:
    return Position.from_json(json.loads(json.dumps(position.to_json())))


def deciding(data) -> Performer:
    """Whoever performs, by chance: any outcome that the dialogue knows."""
    def decide(effect: Effect) -> Outcome:
        name = data.draw(st.sampled_from(sorted(HOUSEHOLD.effects[effect.name])))
        language = {"language": effect.given["language"]} if effect.name == "choose_language" else {}
        return outcome(effect.name, name, **language)

    return Performer(decide)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_typed_whatever_comes_of_it_there_is_a_screen_that_fits(data):
    caller = somebody(data.draw(st.sampled_from([None, *SCREENS])),
                      tuple(data.draw(st.lists(st.sampled_from(["1", "5", "8", "98", "0", "77"]), max_size=3))),
                      in_writing=data.draw(st.booleans()))
    typed = data.draw(st.lists(KEYS, max_size=14))
    shortcut = data.draw(st.sampled_from(["", *HOUSEHOLD.shortcuts, "77"]))
    budget, performer = data.draw(st.sampled_from(BUDGETS)), deciding(data)
    step = settle(HOUSEHOLD, begin(HOUSEHOLD, caller, shortcut), caller, performer)
    for count, one in enumerate(typed, 1):
        step = settle(HOUSEHOLD, play(HOUSEHOLD, step.position, one, caller), caller, performer)
        page = screen(HOUSEHOLD, step.position, WORDS, budget)
        assert page.text.strip()
        assert fits(page.text, budget)
        assert there_and_back(step.position) == step.position
        assert PIN not in json.dumps(step.position.to_json())
        assert PIN not in repr(step)
        assert not page.final or isinstance(HOUSEHOLD.states[step.position.state], End)
        assert len(set(step.position.trail)) == len(step.position.trail)
        assert not {PIN, "987654321"} & set(step.position.way)
        assert replay(HOUSEHOLD, typed[:count], caller, performer, shortcut) == step
    assert "check_pin" not in performer.names or not caller.in_writing


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_who_proved_nothing_is_told_no_index_and_nothing_is_done_in_a_households_name(data):
    guarded = {state.effect for state in HOUSEHOLD.states.values() if isinstance(state, Do) and state.guarded}

    def decide(effect: Effect) -> Outcome:
        assert effect.name not in guarded
        answers = [name for name in HOUSEHOLD.effects[effect.name] if (effect.name, name) != ("check_pin", "ok")]
        return outcome(effect.name, data.draw(st.sampled_from(answers)))

    position = replay(HOUSEHOLD, data.draw(st.lists(KEYS, max_size=14)), somebody(), Performer(decide),
                      data.draw(st.sampled_from(["", *HOUSEHOLD.shortcuts]))).position
    assert position.proof == ""
    assert "index" not in position.facts


def test_a_pin_is_handed_on_and_kept_nowhere():
    step = play(HOUSEHOLD, at("2"), PIN, somebody())
    assert step.effect == Effect("check_pin", PIN, locale="fr-MA")
    assert PIN not in repr(step)
    assert PIN not in json.dumps(step.position.to_json())


@pytest.mark.parametrize("typed", ["٤٢٤٢٤٢", "۴۲۴۲۴۲", "424242#", " 42 42 42 ", "\u200f424242"])
def test_digits_are_understood_as_any_keypad_writes_them(typed):
    assert play(HOUSEHOLD, at("2"), typed, somebody()).effect == Effect("check_pin", PIN, locale="fr-MA")


@pytest.mark.parametrize("typed", ["4242", "4242424", "abcdef", "4242*2", "²²²²²²"])
def test_what_cannot_be_a_pin_is_not_tried_as_one(typed):
    step = play(HOUSEHOLD, at("2"), typed, somebody())
    assert step.effect is None
    assert (step.position.state, step.position.mistakes) == ("index.pin", 1)


def test_a_mistake_repeats_the_screen_and_says_so():
    before = begin(HOUSEHOLD, somebody()).position
    after = play(HOUSEHOLD, before, "9", somebody()).position
    wide = Budget(999, 999)
    assert shown(after, wide) == f"{WORDS.say('fr-MA', 'nav.wrong_choice')}\n{shown(before, wide)}"


# Lost


def test_three_mistakes_in_a_row_are_offered_help_and_a_good_key_between_forgives_them():
    assert at("x", "x", "x").state == "lost"
    assert at("x", "x", "8", "x", "x").state == "more"
    assert at("x", "x", "x", "1") == at()


def test_who_is_lost_and_errs_once_more_gets_a_text_with_all_that_can_be_dialled_and_a_goodbye():
    for last in ("x", "7", "مرحبا"):
        performer = Performer(AGREEABLE)
        position = at("x", "x", "x", last, performer=performer)
        assert (position.state, performer.names) == ("help.sent", ["send_help"])
        assert screen(HOUSEHOLD, position, WORDS, Budget(999, 999)).final


def test_no_pin_that_was_mistyped_is_kept_in_the_way():
    for typed in (["2", "42424", "42424", "42424"], ["42424", "42424", "42424", "x"]):
        assert "42424" not in json.dumps(at(*typed).to_json())


# Back, home, more


def test_back_returns_to_the_screen_before_and_home_to_the_first():
    far = at("8", "5")
    assert far.trail == ("home", "more")
    assert play(HOUSEHOLD, far, "0", somebody()).position.state == "more"
    assert play(HOUSEHOLD, far, "00", somebody()).position == at()


def test_back_returns_to_no_question_that_was_answered():
    assert play(HOUSEHOLD, at("5", "2", "987654321"), "0", somebody()).position.state == "complaint"
    assert play(HOUSEHOLD, at("2", "9"), "0", somebody()).position.state == "index.pin"


def test_back_at_home_stays_at_home():
    assert at("0", "0") == at()


def test_more_goes_round_and_back_goes_one_page_back_first():
    typed, texts = ["5", "1"], []
    for _ in range(4):
        texts.append(shown(at(*typed)))
        typed.append("98")
    assert len(set(texts)) == 3
    assert texts[3] == texts[0]
    assert shown(at("5", "1", "98", "98", "0")) == texts[1]


def test_an_option_of_another_page_can_be_chosen_from_any():
    assert at("5", "1", "11").facts["category"] == "other"
    assert at("5", "1", "98", "98", "1").facts["category"] == "notice_not_received"


@pytest.mark.parametrize("name", ["home", "complaint.about", "programmes"])
@pytest.mark.parametrize("budget", [*BUDGETS, Budget(999, 999)])
@pytest.mark.parametrize("locale", SCREENS)
def test_no_page_offers_more_than_five_choices_and_none_is_lost(locale, budget, name):
    offers = [f"{option.key} {WORDS.say(locale, f'{name}.options.{option.label}')}"
              for option in options(HOUSEHOLD.states[name])]
    pages = [shown(Position(name, locale, page=page, facts=CALL), budget).splitlines() for page in range(len(offers))]
    offered = [[line for line in page if line in offers] for page in pages]
    assert max(map(len, offered)) <= AT_ONCE < len(offers)
    assert list(dict.fromkeys(line for page in offered for line in page)) == offers


def test_an_end_of_several_pages_closes_the_session_with_the_last():
    narrow = Budget(60, 60)
    typed, finals = ["8", "5", "2"], []
    while len(finals) < 3:
        finals.append(screen(HOUSEHOLD, at(*typed), WORDS, narrow).final)
        typed.append("98")
    assert finals == [False, False, True]


# Among what an effect brought


def test_each_thing_that_was_brought_has_a_key_from_one_and_the_fixed_ones_stay():
    review = at("4", PIN)
    things = review.facts["things"]
    for key, thing in enumerate(things, 1):
        picked = play(HOUSEHOLD, review, str(key), somebody()).position
        assert (picked.state, picked.facts["thing"]) == ("review.thing", thing)
    assert play(HOUSEHOLD, review, "9", somebody()).position.state == "review.all"
    assert play(HOUSEHOLD, review, str(len(things) + 1), somebody()).position.mistakes == 1
    nothing = replace(review, facts={**review.facts, "things": []})
    assert play(HOUSEHOLD, nothing, "1", somebody()).position.mistakes == 1
    assert play(HOUSEHOLD, nothing, "9", somebody()).position.state == "review.all"


@pytest.mark.parametrize("locale", SCREENS)
def test_what_was_picked_is_read_back_in_its_own_words(locale):
    caller = somebody(locale)
    for key, thing in enumerate(at("4", PIN, caller=caller).facts["things"], 1):
        text = shown(at("4", PIN, str(key), caller=caller), Budget(999, 999))
        assert WORDS.say(locale, f"term.{thing}") in text


# In the caller's own words


def test_what_somebody_has_to_say_is_read_back_and_handed_on_as_it_was_said():
    said = "Le compteur n'est pas le mien"
    performer = Performer(AGREEABLE)
    read = at("5", "1", "6", "2", said, performer=performer)
    assert said in shown(read)
    assert performer.names == []
    assert play(HOUSEHOLD, read, "2", somebody()).position.state == "complaint.words"
    filed = play(HOUSEHOLD, read, "1", somebody())
    assert filed.effect.given["words"] == said
    assert said not in repr(filed)


@pytest.mark.parametrize("locale", SCREENS)
@pytest.mark.parametrize("said", [
    "أبتثجحخدذرزسشصضطظعغفقكلمنهوي" * 4, "abcdefghijklmnopqrstuvwxyz" * 4, " ".join(f"n{one}" for one in range(10, 99)),
    "".join(f"€{one}[uro]" for one in range(30)),
], ids=["arabic", "latin", "spaced", "dear"])
@pytest.mark.parametrize("budget", BUDGETS)
def test_the_longest_that_can_be_said_is_read_back_whole(locale, said, budget):
    read = at("5", "1", "6", "2", said, caller=somebody(locale))
    pages = [shown(replace(read, page=page), budget) for page in range(6)]
    assert all(fits(page, budget) for page in pages)
    assert "".join(said[:LONGEST_WORDS].split()) in "".join(
        "".join(line.split()) for page in dict.fromkeys(pages) for line in page.splitlines()
        if not line.startswith(("98 ", "0 ", "00 ")))


def test_what_is_too_long_to_be_read_back_is_cut_where_the_caller_sees_it():
    read = at("5", "1", "6", "2", "x" * 300)
    assert read.facts["words"] == "x" * LONGEST_WORDS


@pytest.mark.parametrize("typed", ["7", "12", " ", "\u200f", PIN, "٤٨٢٩١٣"])
def test_a_stray_key_is_not_what_somebody_has_to_say(typed):
    position = at("5", "1", "6", "2", typed)
    assert (position.state, position.mistakes) == ("complaint.words", 1)


def test_ways_out_are_no_words():
    assert [at("5", "1", "6", "2", key).state for key in ("0", "00", "98")] == [
        "complaint.more", "home", "complaint.words"]


def test_what_was_said_is_forgotten_at_home():
    assert at("5", "1", "6", "2", "Rien ne va", "00").facts == CALL


# A call that broke off


def test_a_call_goes_on_where_it_broke_off():
    for typed in (["5"], ["5", "1"], ["5", "1", "6"], ["5", "1", "6", "2"], ["8", "2"], ["3"], ["5", "1", "98"]):
        before = at(*typed)
        again = at(caller=somebody(way=before.way))
        assert again.state == "resume"
        assert at("9", caller=somebody(way=before.way)) == before


def test_a_mistake_is_no_step_on_the_way():
    assert at("5", "x", "1", "77").way == ("5", "1")
    assert at("5", "1", "x", "x", "x").way == ("5", "1"), "who hung up lost comes back to where it was"


def test_home_begins_another_way():
    assert at("5", "1", "00").way == at("5", "0").way == ()
    assert at("5", "1", "00", "8").way == ("8",)


@pytest.mark.parametrize(("typed", "comes_to"), [
    (["2", PIN, "1"], "index.pin"), (["4", PIN, "1", "1"], "review.pin"), (["3", "2", PIN], "programme.pin"),
    (["5", "1", "6", "1", "1"], "complaint.sure"), (["5", "2", "987654321"], "request"), (["1"], "home"),
    (["5", "1", "6", "2", "Rien ne va", "2"], "complaint.words"), (["8", "4", "1"], "stop"),
    (["2", PIN, "00", "8", "2", "1"], "pin.pin"),
])
def test_going_on_stops_before_a_pin_an_answer_and_whatever_was_done(typed, comes_to):
    way, performer = at(*typed).way, Performer(AGREEABLE)
    again = at("9", caller=somebody(way=way), performer=performer)
    assert (again.state, again.proof, performer.acted) == (comes_to, "", [])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_going_on_never_does_anything_nor_passes_a_pin(data):
    typed = data.draw(st.lists(KEYS, max_size=12))
    way = replay(HOUSEHOLD, typed, somebody(), deciding(data)).position.way
    again, performer = somebody(way=way), Performer(AGREEABLE)
    position = replay(HOUSEHOLD, ["9"] if way else [], again, performer).position
    assert (performer.acted, position.proof) == ([], "")
    assert position.facts.keys() <= {*CALL, "category", "programme", "change"}


def test_a_way_that_leads_nowhere_any_more_is_gone_as_far_as_it_leads():
    assert at("9", caller=somebody(way=("5", "77", "1"))).state == "complaint"
    assert at("9", caller=somebody(way=("77",))) == at()


def test_a_way_that_is_no_way_does_not_grow_without_end():
    position = at("8", *("98",) * (LONGEST_WAY + 5))
    assert len(position.way) == LONGEST_WAY
    assert position.acted


@pytest.mark.parametrize("locale", SCREENS)
def test_the_offer_to_go_on_tells_nothing_of_the_call_before(locale):
    offers = {shown(at(caller=somebody(locale, at(*typed).way))) for typed in (["5", "1", "8"], ["2"], ["4"])}
    assert len(offers) == 1
    assert begin(HOUSEHOLD, somebody(locale, ("4",))).position.facts == CALL


def test_who_does_not_go_on_is_at_home():
    for key in ("0", "00"):
        assert at(key, caller=somebody(way=("5", "1"))) == at()


def test_only_a_call_without_a_shortcut_in_a_chosen_language_is_gone_on_with():
    assert at(caller=somebody(way=("5",)), shortcut="7").state == "message"
    assert at(caller=somebody(None, ("5",))).state == "language"


# Shortcuts


@pytest.mark.parametrize("shortcut", HOUSEHOLD.shortcuts)
def test_a_shortcut_leads_at_once_to_where_it_says(shortcut):
    step = begin(HOUSEHOLD, somebody(), shortcut)
    assert step.position.state == HOUSEHOLD.shortcuts[shortcut]
    assert play(HOUSEHOLD, settle(HOUSEHOLD, step, somebody(), AGREEABLE).position, "0", somebody()).position == at()


@pytest.mark.parametrize("shortcut", HOUSEHOLD.shortcuts)
def test_before_a_language_is_chosen_a_shortcut_waits_for_it(shortcut):
    first = begin(HOUSEHOLD, somebody(None), shortcut)
    assert first.position.state == "language"
    assert at("x", "2", caller=somebody(None), shortcut=shortcut) == at(shortcut=shortcut)
    assert at("2", "00", caller=somebody(None), shortcut=shortcut) == at(), "it leads there once"


def test_a_shortcut_that_there_is_not_or_not_any_more_leads_home():
    assert at(shortcut="77") == at()
    assert at("2", caller=somebody(None), shortcut="77") == at()


def test_a_call_that_began_by_a_shortcut_is_not_gone_on_with():
    """Its keys would lead elsewhere from home."""
    assert at("2", shortcut="5").way == ()
    assert at("2", "00", "5", shortcut="5").way == ("5",), "from home on it is a call like any other"


# In writing


@pytest.mark.parametrize("typed", [["2"], ["4"], ["3", "1"], ["6", "2", "1"], ["8", "2", "1"], ["5", "1", "2", "1"]])
def test_nobody_is_asked_for_a_pin_where_what_is_typed_stays_to_be_read(typed):
    position = at(*typed, caller=somebody(in_writing=True))
    assert position.state == "dial"
    assert "*580#" in shown(position).splitlines()


# Effects


def test_the_proof_comes_back_with_every_later_effect():
    performer = Performer(AGREEABLE)
    at("2", PIN, "4", performer=performer)
    assert [(effect.name, effect.proof) for effect in performer.acted] == [
        ("check_pin", ""), ("show_index", "household"), ("review_state", "household")]


def test_an_effect_is_given_what_it_takes_and_no_more():
    performer = Performer(AGREEABLE)
    at("5", "1", "6", "1", "1", performer=performer)
    assert performer.acted == [Effect("file_complaint", given={"category": "payment_not_received"}, locale="fr-MA")]


def test_an_outcome_that_is_not_listed_or_lacks_its_facts_is_refused_without_naming_a_person():
    waiting = play(HOUSEHOLD, at("5", "2"), "987654321", somebody()).position
    for answer in (Outcome("maybe"), Outcome("found", {"kind": "review"})):
        with pytest.raises(UnexpectedOutcome) as refused:
            resolve(HOUSEHOLD, waiting, answer, somebody())
        assert "987654321" not in str(refused.value)
    with pytest.raises(UnexpectedOutcome):
        resolve(HOUSEHOLD, at("5", "2"), Outcome("unknown"), somebody())


def test_dates_and_decimals_come_back_from_a_store_as_they_were():
    facts = {"index": Decimal("9.7430010"), "due": date(2027, 1, 20), "list": [{"on": date(2027, 1, 21)}], "no": None,
             "things": ["a", "b"]}
    position = Position("home", "fr-MA", 2, ("home",), facts, "proof", 1, ("5", "1"), acted=True, shortcut="4")
    assert there_and_back(position) == position


def test_every_option_leads_on_to_where_it_says():
    for name, state in HOUSEHOLD.states.items():
        for option in options(state):
            position = Position(name, "ar-MA", facts={**CALL, "category": "other", "things": [], "homes": []})
            target = HOUSEHOLD.states[option.goto]
            step = play(HOUSEHOLD, position, option.key, somebody("ar-MA"))
            if name != "resume":
                assert step.position.state == option.goto
                assert bool(step.effect) == isinstance(target, Do)
