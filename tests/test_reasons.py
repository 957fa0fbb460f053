"""Rules of reasons: each thing of an index has its words in every language, short, and says from whom it is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from channels.text import encoding
from gateway.reasons import moved, said, weight, withheld
from gateway.registry.disclosure import Disclosure
from gateway.registry.explain import Line, compare, explain
from gateway.registry.index import Formula
from gateway.registry.inquiry import PARTNERS
from gateway.registry.measures import MEASURES
from gateway.registry.things import Source, Value, thing_of, unit_of
from gateway.words import LOCALES, all_words
from tests.registry.test_explain import an_account
from tests.registry.test_formulas import RICHEST
from tests.registry.test_index import FARM
from tests.registry.test_measures import a_household

THINGS = sorted({thing_of(name) for name in MEASURES} | {"area", "region"})
DECLARED, TELECOM = Source("declaration", date(2026, 11, 20)), Source("telecom", date(2027, 3, 3))
# What is longest to say of each unit.
LONGEST = {
    "count": [Value(Decimal(40))], "yes_no": [Value(Decimal(0)), Value(Decimal(1))], "share": [Value(Decimal(18), 40)],
    "years": [Value(Decimal(count)) for count in (15, 45, 100, 103)], "monthly": [Value(Decimal("1234.56"))],
}
KINDS = {"area": range(2), "region": range(1, 13), "stove": range(5), "television": range(4)}


@pytest.fixture(scope="module")
def words():
    return all_words()


def a_line(thing, value, source=DECLARED):
    return Line(thing, ("U1",), unit_of(thing), "values", value, Decimal(1), "raises", source)


def values(thing):
    return [Value(Decimal(kind)) for kind in KINDS[thing]] if thing in KINDS else LONGEST[unit_of(thing)]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("thing", THINGS)
def test_every_measure_of_every_formula_is_said_in_every_language_in_one_short_line(words, locale, thing):
    longest = {"ar-MA": 40, "fr-MA": 60, "zgh-MA": 50}[locale]
    for value in values(thing):
        line = said(words, locale, a_line(thing, value))
        assert len(line) <= longest, line
        assert "\n" not in line
        assert locale == "ar-MA" or encoding(line) == "gsm7", line


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("by", [*PARTNERS, "operator"])
def test_every_source_has_its_words_and_a_line_with_it_is_one_part(words, locale, by):
    line = said(words, locale, a_line("phone_internet", Value(Decimal("1234.56")), Source(by, date(2027, 3, 3))))
    assert line.endswith(f"{words.say(locale, f'source.{by}')} 03/03/2027")
    assert len(line) <= (70 if locale == "ar-MA" else 160)
    assert words.say(locale, "source.declaration")


@pytest.mark.parametrize(("locale", "text"), [
    ("ar-MA", "الهاتف والإنترنت: 120 درهم/شهر، شركة الاتصالات 03/03/2027"),
    ("fr-MA", "Téléphone et internet: 120 DH/mois, opérateur télécom 03/03/2027"),
    ("zgh-MA", "Tilifun d intirnit: 120 DH i wayyur, ccarika n tilifun 03/03/2027"),
])
def test_a_value_is_said_with_its_source_and_day(words, locale, text):
    assert said(words, locale, a_line("phone_internet", Value(Decimal("120.00")), TELECOM)) == text


def test_what_the_household_declared_itself_bears_no_source(words):
    assert said(words, "fr-MA", a_line("cars", Value(Decimal(1)))) == "Voitures: 1"
    assert said(words, "fr-MA", a_line("butane", Value(Decimal("61.5")))) == "Gaz butane: 61,50 DH/mois"


def test_arabic_years_agree_with_their_number(words):
    ages = [said(words, "ar-MA", a_line("head_age", Value(Decimal(age)))) for age in (45, 100, 103)]
    assert [age.removeprefix("عمر رب الأسرة: ") for age in ages] == ["45 سنة", "100 سنة", "103 سنوات"]


def test_a_withheld_value_is_said_by_where_it_pulls(words):
    account = an_account(a_household(equipment={"cars": 1}))
    (line,) = [line for line in explain(account, Disclosure(default="directions")).lines if line.thing == "cars"]
    assert said(words, "fr-MA", line) == "Voitures: fait monter l'indice"
    (movement,) = compare(an_account(a_household()), account, Disclosure(default="directions")).movements
    assert moved(words, "fr-MA", movement) == "Voitures: fait monter l'indice"


def test_a_changed_value_is_said_with_the_one_before(words):
    old = an_account(a_household())
    new = an_account(a_household(equipment={"cars": 1}), equipment__cars=("road_safety", "2024-06-03"))
    (movement,) = compare(old, new).movements
    assert moved(words, "fr-MA", movement) == "Voitures: 1 au lieu de 0, sécurité routière 03/06/2024"
    assert moved(words, "ar-MA", movement) == "السيارات: 1 بدل 0، السلامة الطرقية 03/06/2024"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("old", "new"), [
    (("rsu-2021", a_household()), ("rsu-2021", FARM)),
    (("rsu-2021", FARM), ("rsu-2021", a_household(FARM["members"][0], area="rural", region=1))),
    (("rsu-2021", FARM), ("ppi-morocco-2013", a_household(equipment=RICHEST))),
    (("ppi-morocco-2013", a_household(equipment=RICHEST)), ("rsu-2021", FARM)),
])
def test_whatever_moves_between_two_indexes_has_its_words(words, locale, old, new):
    before, after = (an_account(facts, Formula.load(id)) for id, facts in (old, new))
    lines = [moved(words, locale, movement) for movement in compare(before, after).movements]
    assert all(lines)
    assert len(set(lines)) == len(lines) > 2


def test_what_the_facts_told_of_one_score_alone_came_or_is_gone(words):
    rsu, ppi = an_account(FARM), an_account(a_household(equipment=RICHEST), Formula.load("ppi-morocco-2013"))
    for old, new, text in ((rsu, ppi, "Lavabo: oui"), (ppi, rsu, "Lavabo: ne compte plus")):
        (movement,) = [each for each in compare(old, new).movements if each.thing == "wash_basin"]
        assert moved(words, "fr-MA", movement) == text


def test_another_formula_is_said_as_the_reason(words):
    content = Formula.load("rsu-2021").content
    terms = [{**term, "coefficient": "0.5"} if term["measure"] == "cars" else term
             for term in content["urban"]["terms"]]
    other = Formula.parse({**content, "urban": {**content["urban"], "terms": terms}})
    facts = a_household(equipment={"cars": 1})
    (movement,) = compare(an_account(facts), an_account(facts, other)).movements
    assert moved(words, "fr-MA", movement) == "Voitures: nouvelle formule de calcul"


def test_how_many_are_kept_back_is_said(words):
    told = explain(an_account(FARM), Disclosure(default="nothing"))
    assert withheld(words, "fr-MA", told) == f"et {told.withheld} autres éléments"
    assert withheld(words, "fr-MA", explain(an_account(FARM), Disclosure())) == ""


@pytest.mark.parametrize("source", [DECLARED, TELECOM])
def test_a_letter_tells_of_a_thing_its_way_and_whether_it_was_declared(words, source):
    told = weight(words, "fr-MA", a_line("cars", Value(Decimal(1)), source))
    assert told["way"] == "raises"
    assert told["declared"] == (source is DECLARED)


def test_the_way_of_a_thing_is_not_told_twice_where_its_value_is_withheld(words):
    line = Line("cars", ("U1",), "count", "directions", None, None, "raises", TELECOM)
    told = weight(words, "fr-MA", line)
    assert told["way"] == ""
    assert words.say("fr-MA", "reason.raises") in str(told["said"])
