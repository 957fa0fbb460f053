"""Every screen of the household's tree, in every language, with the longest facts that are real."""

from __future__ import annotations

import itertools
import re
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from channels.text import USSD, encoding, fits, fold, units
from gateway.dialogue.engine import Position, begin, play, replay, screen
from gateway.dialogue.household import EFFECTS, HOUSEHOLD
from gateway.dialogue.longest import LONGEST, SHOWN, agreeable, facts_for, pages_of, positions
from gateway.dialogue.states import Confirm, Do, End, options
from gateway.registry.complaint_category import BY_TELEPHONE
from gateway.words import LOCALES, TEMPLATES, Words
from tests.dialogue.cast import CALL, CODE, PIN, Performer, outcome, somebody

NAVIGATION = {f"nav.{name}" for name in ("back", "home", "more", "wrong_choice", "wrong_pin", "wrong_ticket")}


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("state", SHOWN)
def test_every_page_of_every_screen_fits(words, state, locale):
    longest = 0
    for position in positions(state, locale):
        pages = list(pages_of(position, words, USSD))
        for page in pages:
            assert fits(page.text, USSD), page.text
            assert page.text.strip()
        longest = max(longest, *(units(page.text) for page in pages))
    near_home = () if state in ("home", "language") or isinstance(HOUSEHOLD.states[state], End) else ("home",)
    plain = Position(state, locale, trail=near_home, facts=next(facts_for(state)))
    pages = list(pages_of(plain, words, USSD))
    alphabet = encoding(pages[0].text)
    sizes = " ".join(str(units(page.text)) for page in pages)
    sys.stdout.write(
        f"{state:22}{locale:8}{alphabet:6}longest page {longest:4} of {getattr(USSD, alphabet):4}"
        f"  pages {len(pages)}: {sizes}\n"
    )


def named(table, before=""):
    for name, value in table.items():
        yield from named(value, f"{before}{name}.") if isinstance(value, dict) else [before + name]


@pytest.mark.parametrize("locale", LOCALES)
def test_no_screen_lacks_its_words_and_no_words_lack_a_screen(words, locale):
    needed = {*NAVIGATION, "sorry.text"}  # the farewell after an error has no state
    for name in SHOWN:
        says = HOUSEHOLD.says(name)
        needed.add(f"{says}.text")
        needed.update(f"{says}.options.{option.label}" for option in options(HOUSEHOLD.states[name]))
    written = tomllib.loads((TEMPLATES / "words" / f"{locale}.toml").read_text(encoding="utf-8"))
    del written["reviewed"]
    assert set(named(written)) == needed


@pytest.mark.parametrize("locale", ["fr-MA", "zgh-MA"])
def test_latin_screens_cost_seven_bits_a_letter(words, locale):
    for state in set(SHOWN) - {"language"}:
        for position in positions(state, locale):
            assert {encoding(page.text) for page in pages_of(position, words, USSD)} == {"gsm7"}, state


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_in_a_screen_costs_a_letter_and_says_nothing(words, locale):
    """No tashkeel, tatweel, bidi mark or presentation form; 0-9 for digits; no space at the end of a line."""
    for state in SHOWN:
        for page in itertools.chain.from_iterable(pages_of(one, words, USSD) for one in positions(state, locale)):
            assert page.text == (fold(page.text).text if state != "language" else page.text)
            assert not re.search("[٠-٩۰-۹]", page.text)
            assert all(line == line.strip() and line for line in page.text.splitlines())


@pytest.mark.parametrize("locale", LOCALES)
def test_star_codes_and_ticket_numbers_stand_alone_on_their_line(words, locale):
    for state in SHOWN:
        for page in itertools.chain.from_iterable(pages_of(one, words, USSD) for one in positions(state, locale)):
            for line in page.text.splitlines():
                assert ("*" in line) == (line == CODE)
                assert (LONGEST["number"] in line) == (line == LONGEST["number"])


@pytest.mark.parametrize("locale", LOCALES)
def test_home_is_one_page_of_at_most_five_options(words, locale):
    assert len(list(pages_of(Position("home", locale, facts=CALL), words, USSD))) == 1
    assert len(options(HOUSEHOLD.states["home"])) <= 5


@pytest.mark.parametrize("locale", LOCALES)
def test_a_ticket_number_is_told_on_the_first_page(words, locale):
    for state in ("review.done", "review.already", "complaint.done"):
        first = next(pages_of(Position(state, locale, facts={**LONGEST, **CALL}), words, USSD))
        assert LONGEST["number"] in first.text


@pytest.mark.parametrize("locale", LOCALES)
def test_the_index_is_told_with_seven_decimals_and_a_comma(words, locale):
    pages = pages_of(Position("index", locale, facts={**LONGEST, **CALL}), words, USSD)
    assert "10,1234567" in next(pages).text


def test_the_complaints_offered_are_those_the_registry_knows():
    assert tuple(option.label for option in options(HOUSEHOLD.states["complaint"])) == BY_TELEPHONE
    assert [option.key for option in options(HOUSEHOLD.states["complaint"])] == [str(n) for n in range(1, 12)]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_complaint_about_staff_is_never_named_again(words, locale):
    named = words.say(locale, "complaint.options.staff_conduct")
    performer = Performer(agreeable)
    confirm = replay(HOUSEHOLD, ["3", "8"], somebody(locale), performer).position
    done = replay(HOUSEHOLD, ["3", "8", "1"], somebody(locale), performer).position
    assert performer.acted == [("file_complaint", "staff_conduct")]
    for position in (confirm, done):
        assert all(named not in page.text for page in pages_of(position, words, USSD))


@pytest.mark.parametrize("locale", LOCALES)
def test_any_other_complaint_is_read_back_before_it_is_filed(words, locale):
    for option in options(HOUSEHOLD.states["complaint"]):
        if option.goto == "complaint.confirm":
            position = replay(HOUSEHOLD, ["3", option.key], somebody(locale), agreeable).position
            named = words.say(locale, f"complaint.options.{option.label}")
            assert named in next(pages_of(position, words, USSD)).text


@pytest.mark.parametrize("locale", LOCALES)
def test_whether_a_letter_was_sent_cannot_be_read_from_the_answer(words, locale):
    def answers(name):
        def decide(effect):
            return outcome(effect.name, name)

        position = replay(HOUSEHOLD, ["1", "9", "1"], somebody(locale), decide).position
        return [page.text for page in pages_of(position, words, USSD)]

    assert answers("ok") == answers("already") == answers("wrong")


def test_only_the_pin_opens_the_index_and_the_review():
    for keys in (["1"], ["2"], ["3", "2", "1"]):
        performer = Performer(agreeable)
        position = replay(HOUSEHOLD, keys, somebody(), performer).position
        assert HOUSEHOLD.says(position.state) == "pin"
        assert performer.acted == []


def test_the_pin_is_asked_once_a_session():
    position = replay(HOUSEHOLD, ["1", PIN, "00", "2"], somebody(), agreeable).position
    assert (position.state, position.proof) == ("review", LONGEST["proof"])


def test_what_was_told_is_forgotten_at_home():
    told = replay(HOUSEHOLD, ["1", PIN], somebody(), agreeable).position
    assert told.facts["index"] == LONGEST["index"]
    for key in ("0", "00"):
        assert play(HOUSEHOLD, told, key, somebody()).position.facts == CALL


def test_back_from_the_index_does_not_ask_for_the_pin_again():
    assert replay(HOUSEHOLD, ["1", PIN, "0"], somebody(), agreeable).position.state == "home"


def test_a_review_is_asked_once_however_often_the_caller_goes_back_and_on():
    performer = Performer(agreeable)
    position = replay(HOUSEHOLD, ["1", PIN, "1", "0", "1", "1", "0", "2", "1"], somebody(), performer).position
    assert [name for name, _ in performer.acted].count("request_review") == 1
    assert position.state == "review.done"


def test_a_late_caller_hears_the_last_day_and_what_can_still_be_done(words):
    def late(effect):
        return outcome(effect.name, "late" if effect.name == "review_state" else "ok")

    position = replay(HOUSEHOLD, ["2", PIN], somebody("fr-MA"), late).position
    text = next(pages_of(position, words, USSD)).text
    assert "31/12/2026" in text
    assert {option.goto for option in options(HOUSEHOLD.states[position.state])} == {"update", "complaint"}


def test_who_has_not_chosen_a_language_is_asked_for_it_first_in_every_one(words):
    position = begin(HOUSEHOLD, somebody(None)).position
    text = screen(HOUSEHOLD, position, words, USSD).text
    assert text.splitlines()[1:] == ["1 العربية", "2 Français", "3 Tamazight"]


@pytest.mark.parametrize(("key", "locale"), [("1", "ar-MA"), ("2", "fr-MA"), ("3", "zgh-MA")])
def test_a_chosen_language_holds_from_the_next_screen_on(key, locale):
    for caller, typed in ((somebody(None), [key]), (somebody("fr-MA"), ["5", "1", key])):
        performer = Performer(agreeable)
        position = replay(HOUSEHOLD, typed, caller, performer).position
        assert (position.state, position.locale) == ("home", locale)
        assert performer.acted == [("choose_language", locale)]


def test_every_fact_on_a_screen_is_promised_by_the_outcomes_that_lead_there(words):
    """Each outcome alone brings enough for the screen it leads to, whatever the path."""
    for name, state in HOUSEHOLD.states.items():
        if not isinstance(state, Do):
            continue
        for answer, target in state.outcomes.items():
            if isinstance(HOUSEHOLD.states[target], Do) or target in ("home",):
                continue
            facts = {**CALL, **outcome(state.effect, answer).facts}
            assert list(pages_of(Position(target, "ar-MA", facts=facts), words, USSD)), name


@pytest.mark.parametrize("locale", LOCALES)
def test_no_screen_promises_that_a_call_costs_nothing(words, locale):
    for state in SHOWN:
        for page in itertools.chain.from_iterable(pages_of(one, words, USSD) for one in positions(state, locale)):
            assert not re.search("مجان|gratuit|batl", page.text)


def test_every_listed_effect_is_used():
    used = {state.effect for state in HOUSEHOLD.states.values() if isinstance(state, Do)}
    assert used == set(EFFECTS)


def test_the_engine_and_its_tree_know_no_clock_no_store_and_no_person():
    allowed = {"channels.base", "channels.text", "gateway.dialogue.states", "gateway.words"}
    for file in ("states.py", "engine.py", "household.py"):
        source = (Path(__file__).parents[2] / "gateway" / "dialogue" / file).read_text(encoding="utf-8")
        imported = set(re.findall(r"^from ((?:gateway|channels|redis|flask|sqlalchemy)\S*)", source, re.M))
        assert imported <= allowed
        assert not re.search(r"^import (time|os|random|redis|flask)|datetime\.now|today\(", source, re.M)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("state", [name for name in SHOWN if isinstance(HOUSEHOLD.states[name], Confirm)])
def test_what_is_confirmed_is_read_on_the_page_that_asks(words, state, locale):
    facts = {"chosen": words.say(locale, "complaint.options.composition_wrong"), "deadline": date(2027, 12, 31),
             "category": "composition_wrong", "service_code": "*580#"}
    position = Position(state, locale, trail=("home", "other"), facts=facts)
    shown = screen(HOUSEHOLD, position, words, USSD)
    assert "98" not in shown.text.split()
