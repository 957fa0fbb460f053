"""Every screen of the household's tree, in every language, with the longest facts that are real."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from channels.text import USSD, encoding, fits, fold
from gateway.dialogue.engine import Caller, Position, begin, play, replay, screen
from gateway.dialogue.household import EFFECTS, HOUSEHOLD
from gateway.dialogue.longest import LONGEST, NETWORKS, SHOWN, pages_of, positions
from gateway.dialogue.states import Confirm, Do, Pick, Return, options
from gateway.registry.complaint_category import BY_TELEPHONE
from gateway.words import SCREENS, TEMPLATES
from tests.dialogue.cast import AGREEABLE, CALL, PIN, WORDS, Performer, outcome, somebody

NAVIGATION = {f"nav.{name}" for name in ("back", "home", "more", "wrong_choice", "wrong_pin", "wrong_ticket",
                                         "wrong_words")}
# Said where no state is left to say it: after an error, and when it took too long.
FAREWELLS = {"sorry.text", "late.text"}
in_every_language = pytest.mark.parametrize("locale", SCREENS)


def at(*typed: str, caller: Caller | None = None, performer=AGREEABLE) -> Position:
    """Where so many keys lead, when everything goes well."""
    return replay(HOUSEHOLD, typed, caller or somebody(), performer).position


@cache
def every_page(locale: str, state: str) -> tuple[str, ...]:
    """The text of every page of a screen, however it is met."""
    return tuple(dict.fromkeys(
        page.text for one in positions(state, WORDS, locale) for page in pages_of(one, WORDS, USSD)))


@in_every_language
@pytest.mark.parametrize("state", SHOWN)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_page_of_every_screen_fits(state, locale, network):
    for position in positions(state, WORDS, locale):
        for page in pages_of(position, WORDS, NETWORKS[network]):
            assert fits(page.text, NETWORKS[network]), page.text
            assert page.text.strip()


def named(table, before=""):
    for name, value in table.items():
        yield from named(value, f"{before}{name}.") if isinstance(value, dict) else [before + name]


@in_every_language
def test_no_screen_lacks_its_words_and_no_words_lack_a_screen(locale):
    # A language has its name on the screen of languages before it is offered there.
    needed = {*NAVIGATION, *FAREWELLS, *(f"language.options.{one}" for one in SCREENS)}
    for name in SHOWN:
        says, state = HOUSEHOLD.says(name), HOUSEHOLD.states[name]
        needed.add(f"{says}.text")
        needed.update(f"{says}.options.{option.label}" for option in options(state))
        if isinstance(state, Pick):
            needed.add(f"{says}.item")
    written = tomllib.loads((TEMPLATES / "words" / f"{locale}.toml").read_text(encoding="utf-8"))
    del written["reviewed"]
    assert set(named(written)) == needed


@pytest.mark.parametrize("locale", [locale for locale in SCREENS if locale != "ar-MA"])
def test_latin_screens_cost_seven_bits_a_letter(locale):
    for state in set(SHOWN) - {"language"}:
        assert {encoding(text) for text in every_page(locale, state)} == {"gsm7"}, state


@in_every_language
@pytest.mark.parametrize("state", SHOWN)
def test_nothing_in_a_screen_costs_a_letter_and_says_nothing(locale, state):
    """No tashkeel, tatweel, bidi mark or presentation form; 0-9 for digits; no space at the end of a line."""
    for text in every_page(locale, state):
        assert text == (fold(text).text if state != "language" else text)
        assert not re.search("[٠-٩۰-۹]", text)
        assert all(line == line.strip() and line for line in text.splitlines())


@in_every_language
@pytest.mark.parametrize("state", SHOWN)
def test_what_is_dialled_or_written_down_stands_alone_on_its_line(locale, state):
    """Within Arabic a star code or a number of nine digits would be read the wrong way round."""
    for line in "\n".join(every_page(locale, state)).splitlines():
        assert ("*" in line) == bool(re.fullmatch(r"\*580(\*[0-9]+)?#", line))
        # Where a file is, is told in sentences, which number what they speak of.
        assert (LONGEST["number"] in line) == (line == LONGEST["number"]) or state == "file"


@in_every_language
@pytest.mark.parametrize("state", SHOWN)
def test_every_code_that_is_named_can_be_dialled(locale, state):
    for code in re.findall(r"\*580\*([0-9]+)#", "\n".join(every_page(locale, state))):
        assert code in HOUSEHOLD.shortcuts


@in_every_language
def test_a_ticket_number_is_told_on_the_first_page(locale):
    for state in ("review.done", "review.already", "complaint.done", "update.done"):
        first = next(pages_of(Position(state, locale, facts={**LONGEST, **CALL}), WORDS, USSD))
        assert LONGEST["number"] in first.text


@in_every_language
def test_the_index_is_told_with_seven_decimals_and_a_comma(locale):
    pages = pages_of(Position("index", locale, facts={**LONGEST, **CALL}), WORDS, USSD)
    assert "10,1234567" in next(pages).text


@in_every_language
@pytest.mark.parametrize("state", SHOWN)
def test_no_screen_promises_that_a_call_costs_nothing(locale, state):
    assert not re.search("مجان|gratuit|batl|fabor", "\n".join(every_page(locale, state)))


@in_every_language
@pytest.mark.parametrize("state", [name for name in SHOWN if isinstance(HOUSEHOLD.states[name], Confirm)])
def test_what_is_confirmed_is_read_on_the_page_that_asks(state, locale):
    """Words of one's own alone may be longer than a page."""
    facts = {**CALL, **LONGEST, "category": "composition_wrong", "words": "Rien ne va"}
    shown = screen(HOUSEHOLD, Position(state, locale, trail=("home",), facts=facts), WORDS, USSD)
    assert "98" not in {line.split()[0] for line in shown.text.splitlines()}


# The doors


def test_the_eight_doors_stand_where_they_are_printed_and_learnt():
    doors = {option.key: option.goto for option in options(HOUSEHOLD.states["home"])}
    assert doors == {key: HOUSEHOLD.shortcuts[key] for key in "12345678"}


def test_the_complaints_offered_are_those_the_registry_knows():
    offered = options(HOUSEHOLD.states["complaint.about"])
    assert tuple(option.label for option in offered) == BY_TELEPHONE
    assert [option.key for option in offered] == [str(n) for n in range(1, len(BY_TELEPHONE) + 1)]


def test_who_has_not_chosen_a_language_is_asked_for_it_first_in_every_one():
    offered = options(HOUSEHOLD.states["language"])
    text = screen(HOUSEHOLD, begin(HOUSEHOLD, somebody(None)).position, WORDS, USSD).text
    assert text.splitlines()[1:] == [
        f"{option.key} {WORDS.say(option.label, f'language.options.{option.label}')}" for option in offered]


@pytest.mark.parametrize("option", options(HOUSEHOLD.states["language"]), ids=lambda option: option.label)
def test_a_chosen_language_holds_from_the_next_screen_on(option):
    for caller, typed in ((somebody(None), [option.key]), (somebody(), ["8", "1", option.key])):
        performer = Performer(AGREEABLE)
        position = at(*typed, caller=caller, performer=performer)
        assert (position.state, position.locale) == ("home", option.label)
        assert [effect.given for effect in performer.acted] == [{"language": option.label}]


# The PIN


def test_only_the_pin_opens_what_is_the_households_own():
    for keys in (["2"], ["4"], ["3", "1"], ["6", "2", "1"], ["8", "2", "1"], ["5", "1", "2", "1"]):
        performer = Performer(AGREEABLE)
        assert HOUSEHOLD.says(at(*keys, performer=performer).state) == "pin.ask"
        assert performer.acted == []


def test_the_pin_is_asked_once_a_session():
    position = at("2", PIN, "00", "4")
    assert (position.state, position.proof) == ("review", LONGEST["proof"])
    assert at("2", PIN, "00", "3", "1").state == "programme"


def test_a_pin_that_is_typed_to_be_the_new_one_is_asked_for_however_proven():
    for typed, comes_to in ((["2", PIN, "00", "8", "2", "1"], "pin.new"), (["8", "2", "1", PIN, PIN], "pin.repeat")):
        assert at(*typed).state == comes_to


def test_what_was_told_is_forgotten_at_home():
    told = at("2", PIN)
    assert told.facts["index"] == LONGEST["index"]
    for key in ("0", "00"):
        assert play(HOUSEHOLD, told, key, somebody()).position.facts == CALL


def test_back_from_the_index_does_not_ask_for_the_pin_again():
    assert at("2", PIN, "0").state == "home"


@in_every_language
def test_whether_a_letter_was_sent_cannot_be_read_from_the_answer(locale):
    def answers(name):
        position = at("2", "9", "1", caller=somebody(locale), performer=lambda effect: outcome(effect.name, name))
        return [page.text for page in pages_of(position, WORDS, USSD)]

    assert answers("ok") == answers("already") == answers("wrong")


# Reviews and complaints


def test_a_review_is_asked_once_however_often_the_caller_goes_back_and_on():
    performer = Performer(AGREEABLE)
    position = at("2", PIN, "4", "1", "0", "1", "1", "0", "4", "1", "1", performer=performer)
    assert performer.names.count("request_review") == 1
    assert position.state == "review.done"


def test_a_review_names_what_is_wrong_or_the_whole():
    for key, given in (("2", {"thing": LONGEST["things"][1]}), ("9", {})):
        performer = Performer(AGREEABLE)
        at("4", PIN, key, "1", performer=performer)
        assert performer.acted[-1].given == given


def test_a_late_caller_hears_the_last_day_and_what_can_still_be_done():
    position = at("4", PIN, performer=lambda effect: outcome(
        effect.name, "late" if effect.name == "review_state" else "ok"))
    assert "31/12/2026" in next(pages_of(position, WORDS, USSD)).text
    assert {option.goto for option in options(HOUSEHOLD.states[position.state])} == {"update", "complaint"}


@in_every_language
def test_a_complaint_about_staff_is_never_named_again(locale):
    named = WORDS.say(locale, "complaint.about.options.staff_conduct")
    performer = Performer(AGREEABLE)
    confirm, done = (at("5", "1", "8", *more, caller=somebody(locale), performer=performer) for more in ([], ["1"]))
    assert [effect.given for effect in performer.acted] == [{"category": "staff_conduct"}]
    for position in (confirm, done):
        assert all(named not in page.text for page in pages_of(position, WORDS, USSD))


@in_every_language
def test_any_other_complaint_is_read_back_before_it_is_filed(locale):
    for option in options(HOUSEHOLD.states["complaint.about"]):
        if option.goto == "complaint.more":
            position = at("5", "1", option.key, "1", caller=somebody(locale))
            assert position.state == "complaint.sure"
            assert WORDS.say(locale, f"complaint.about.options.{option.label}") in next(
                pages_of(position, WORDS, USSD)).text


def test_a_household_is_picked_among_those_of_a_shared_telephone_by_the_end_of_its_number():
    def shared(effect):
        if effect.given.get("home") is None and effect.name in ("my_file", "file_complaint"):
            return outcome(effect.name, "which")
        return AGREEABLE(effect)

    for keys, effect, comes_to in ((["1"], "my_file", "file"),
                                   (["5", "1", "6", "1", "1"], "file_complaint", "complaint.done")):
        performer = Performer(shared)
        asked = at(*keys, performer=performer)
        text = screen(HOUSEHOLD, asked, WORDS, USSD).text
        assert [line for line in text.splitlines() if line[0] in "123"] == ["1 417", "2 803", "3 926"]
        assert at(*keys, "2", performer=performer).state == comes_to
        assert [one.given.get("home") for one in performer.acted if one.name == effect] == [None, "803"]


def test_a_message_that_is_not_ours_is_reported_as_fraud_in_two_keys():
    performer = Performer(lambda effect: outcome(effect.name, "unknown" if effect.name == "check_message" else "ok"))
    at("7", "987654321", "2", "1", performer=performer)
    assert [(effect.name, effect.given) for effect in performer.acted] == [
        ("check_message", {}), ("file_complaint", {"category": "fraud_message"})]


# The tree and who performs it


def test_every_fact_on_a_screen_is_promised_by_the_outcomes_that_lead_there():
    """Each outcome alone, with what its effect was given, brings enough for the screen it leads to."""
    for name, state in HOUSEHOLD.states.items():
        if not isinstance(state, Do):
            continue
        given = {fact: LONGEST[fact] for fact in state.takes if fact in LONGEST}
        for answer, target in state.outcomes.items():
            if isinstance(HOUSEHOLD.states[target], Do | Return):
                continue
            facts = {**CALL, **given, **outcome(state.effect, answer).facts}
            # What is opened again or rated was found by its number before.
            facts |= {"number": LONGEST["number"]} if target.startswith("request.") else {}
            assert list(pages_of(Position(target, "ar-MA", facts=facts), WORDS, USSD)), name


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
