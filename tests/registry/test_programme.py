"""Rules of the programmes: dated thresholds, strict or not, and decisions that carry their reasons."""

import copy
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.registry.programme import CONDITIONS, BadProgramme, Programme, Reason, decide
from tests.registry.test_measures import ON, a_household, a_member

DOCUMENT = tomllib.loads(
    (Path(__file__).parents[2] / "gateway/registry/programmes.toml").read_text(encoding="utf-8"))
ASD, TADAMON = Programme.load_all()
PLAIN = a_household()


def a_programme(*thresholds, comparator="below", conditions=()):
    """A programme whose thresholds are `("2024-01-01", "9.5")`."""
    [programme] = Programme.parse_all({"programmes": [{
        "key": "example", "comparator": comparator, "conditions": list(conditions), "where_to_apply": "there",
        "thresholds": [{"value": value, "from": day, "source": "invented"} for day, value in thresholds]}]})
    return programme


def household_with(**facts):
    return a_household(a_member(45, "head"), a_member(40, "spouse", **facts))


def test_the_two_programmes_have_their_published_thresholds():
    assert [(programme.key, programme.threshold_on(ON).value) for programme in (ASD, TADAMON)] == [
        ("asd", Decimal("9.743001")), ("amo-tadamon", Decimal("9.3264284"))]
    assert {programme.comparator for programme in (ASD, TADAMON)} == {"below"}


@pytest.mark.parametrize(("comparator", "value", "passes"), [
    ("below", "9.743000999999999", True),
    ("below", "9.743001", False),
    ("below", "9.7430010", False),
    ("below", "9.7430010000000001", False),
    ("at_or_below", "9.743001", True),
    ("at_or_below", "9.7430010", True),
    ("at_or_below", "9.7430010000000001", False),
    ("at_or_below", "9.743000999999999", True),
])
def test_the_exact_index_is_compared_and_equality_is_the_comparators_word(comparator, value, passes):
    programme = a_programme(("2023-12-01", "9.743001"), comparator=comparator)
    decision = decide(programme, Decimal(value), PLAIN, ON)
    assert (decision.below, decision.eligible) == (passes, passes)
    assert decision.comparator == comparator
    assert decision.reasons == (Reason(f"{comparator}_threshold", passes),)


def test_a_programme_is_strict_when_its_file_says_nothing():
    document = copy.deepcopy(DOCUMENT)
    del document["programmes"][0]["comparator"]
    assert Programme.parse_all(document)[0].comparator == "below"


@pytest.mark.parametrize(("day", "threshold", "eligible"), [
    (date(2023, 12, 31), None, False),
    (date(2024, 1, 1), "9.5", False),
    (date(2025, 6, 30), "9.5", False),
    (date(2025, 7, 1), "9.7", True),
    (date(2030, 1, 1), "9.7", True),
])
def test_a_threshold_counts_from_its_first_day_until_the_next_one(day, threshold, eligible):
    programme = a_programme(("2024-01-01", "9.5"), ("2025-07-01", "9.7"))
    decision = decide(programme, Decimal("9.6"), PLAIN, day)
    assert decision.threshold == (threshold and Decimal(threshold))
    assert decision.eligible is eligible


def test_before_any_threshold_nobody_is_eligible_and_nothing_is_guessed():
    programme = a_programme(conditions=["no_other_health_cover"])
    decision = decide(programme, Decimal("5"), PLAIN, ON)
    assert decision.threshold is None
    assert decision.below is None
    assert decision.eligible is False
    assert decision.reasons == (Reason("threshold_not_published", False),
                                Reason("no_other_health_cover", True))


@pytest.mark.parametrize(("activity", "met"), [
    ("public_employee", False), ("retired", False), ("employee", True), ("private_income", True),
    ("self_employed", True), ("unemployed", True)])
def test_direct_aid_is_not_for_a_household_with_public_pay_or_a_pension(activity, met):
    decision = decide(ASD, Decimal("9"), household_with(activity=activity), ON)
    assert decision.reasons == (Reason("below_threshold", True),
                                Reason("no_public_employee_or_pensioner", met))
    assert decision.below is True
    assert decision.eligible is met


@pytest.mark.parametrize(("cover", "met"), [
    ("other", False), ("none", True), ("ramed", True), ("amo_tadamon", True)])
def test_tadamon_is_not_for_a_household_with_another_health_cover(cover, met):
    decision = decide(TADAMON, Decimal("9"), household_with(health_cover=cover), ON)
    assert decision.reasons == (Reason("below_threshold", True), Reason("no_other_health_cover", met))
    assert decision.eligible is met


def test_every_condition_that_fails_is_told_and_not_only_the_first():
    programme = a_programme(("2024-01-01", "9.5"), conditions=list(CONDITIONS))
    facts = household_with(activity="retired", health_cover="other")
    decision = decide(programme, Decimal("9.8"), facts, ON)
    assert [reason.met for reason in decision.reasons] == [False, False, False]


def test_an_index_between_the_two_thresholds_opens_direct_aid_alone():
    assert [decide(programme, Decimal("9.6087075"), PLAIN, ON).eligible for programme in (ASD, TADAMON)] == [
        True, False]


@pytest.mark.parametrize(("path", "value", "complaint"), [
    (("thresholds", 0, "value"), 9.743001, r"programmes\.0\.thresholds\.0\.value: .*not of type"),
    (("thresholds", 0, "value"), "9,743001", r"programmes\.0\.thresholds\.0\.value: .*does not match"),
    (("thresholds", 0, "from"), "soon", r"programmes\.0\.thresholds\.0\.from: .*date"),
    (("thresholds", 0, "source"), "", r"programmes\.0\.thresholds\.0\.source: "),
    (("thresholds",), [{"value": "9.5", "from": "2024-01-01", "source": "a"}] * 2,
     r"asd\.thresholds: from: every date must be later"),
    (("thresholds",), [{"value": "9.5", "from": "2024-01-02", "source": "a"},
                       {"value": "9.6", "from": "2024-01-01", "source": "b"}],
     r"asd\.thresholds: from: every date must be later"),
    (("comparator",), "above", r"programmes\.0\.comparator: .*above"),
    (("conditions",), ["no_luck"], r"programmes\.0\.conditions\.0: .*no_luck"),
    (("key",), "amo-tadamon", r"programmes\.1\.key: amo-tadamon stands there twice"),
    (("key",), "ASD!", r"programmes\.0\.key: .*does not match"),
    (("where_to_apply",), 3, r"programmes\.0\.where_to_apply: .*not of type"),
    (("limit",), "9", r"programmes\.0: .*limit"),
])
def test_a_programme_with_a_fault_is_refused_and_the_place_is_named(path, value, complaint):
    document = copy.deepcopy(DOCUMENT)
    place = document["programmes"][0]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BadProgramme, match=f"^{complaint}"):
        Programme.parse_all(document)
