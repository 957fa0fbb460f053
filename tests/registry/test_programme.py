"""Rules of the programmes: dated thresholds, conditions of their own, and decisions that carry their reasons."""

import copy
import json
import tomllib
from datetime import date
from decimal import Decimal

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from channels.text import encoding, parts
from gateway.cli import main
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.programme import (
    FILE,
    NOT_PUBLISHED,
    PASSES,
    BadProgramme,
    Programme,
    Reason,
    decide,
    decide_all,
    in_texts,
    near,
)
from gateway.registry.registration import Registration
from gateway.registry.score import ProgrammeDecision
from gateway.words import LOCALES, all_words
from tests.conftest import EXAMPLE, SETTINGS, a_row, register
from tests.registry.test_condition import FARMER, ON, RETIRED, WIDOW, with_member
from tests.web.desk import rows

DOCUMENT = tomllib.loads(FILE.read_text(encoding="utf-8"))
SHIPPED = {programme.key: programme for programme in Programme.load_all()}
LOADED_AGAIN = Programme.load_all()
TRUE, FALSE, UNKNOWN = ({"name": name, "expression": expression, "source": "invented"} for name, expression in (
    ("true", "true"), ("false", "false"), ("unknown", "members.all(m, m.disability == 'none')")))
UNTOLD = with_member(1, WIDOW, disability=None)
WORDS = all_words()


def a_programme(*thresholds, comparator="below", conditions=(), **more):
    """A programme whose thresholds are `("2024-01-01", "9.5")`."""
    [programme] = Programme.parse_all({"programmes": [{
        "key": "example", "comparator": comparator, "conditions": list(conditions), "where_to_apply": "there",
        "documents": [], "in_texts": False, **more,
        "thresholds": [{"value": value, "from": day, "source": "invented"} for day, value in thresholds]}]})
    return programme


# What is shipped


def test_the_shipped_programmes_have_the_thresholds_that_were_published():
    assert {key: (programme.comparator, [(str(each.value), str(each.since)) for each in programme.thresholds])
            for key, programme in SHIPPED.items()} == {
        "asd": ("below", [("9.743001", "2023-12-01")]),
        "amo-tadamon": ("below", [("9.3264284", "2022-12-01")]),
        "amo-achamil": ("above", [("9.3264284", "2024-01-01")]),
        "tayssir": ("below", []), "widows": ("below", []), "disability": ("below", [])}


def test_only_direct_aid_and_tadamon_are_told_in_texts():
    assert in_texts() == {"asd", "amo-tadamon"}


NO_PUBLIC, NO_COVER = "no_public_employee_or_pensioner", "no_other_health_cover"
CHILD, WIDOWED, DISABLED = "child_of_school_age", "widow_with_children", "member_with_disability"
DAUGHTER = with_member(2, relation="child", marital_status="widowed")


@pytest.mark.parametrize(("key", "condition", "facts", "met"), [
    ("asd", NO_PUBLIC, WIDOW, True),
    ("asd", NO_PUBLIC, FARMER, True),
    ("asd", NO_PUBLIC, RETIRED, False),
    ("asd", NO_PUBLIC, with_member(2, activity="public_employee"), False),
    ("asd", NO_PUBLIC, with_member(5, activity="retired"), False),
    *(("asd", NO_PUBLIC, with_member(2, activity=activity), True) for activity in (
        "employee", "private_income", "self_employed", "employer", "family_worker", "unemployed", "inactive")),
    ("asd", NO_PUBLIC, with_member(2, activity=None), None),
    *((key, NO_COVER, facts, met) for key in ("amo-tadamon", "amo-achamil") for facts, met in (
        (WIDOW, True), (FARMER, True), (RETIRED, False), (with_member(3, health_cover="other"), False),
        (with_member(3, health_cover="none"), True), (with_member(3, health_cover="ramed"), True),
        (with_member(3, health_cover=...), None))),
    ("tayssir", CHILD, WIDOW, True),
    ("tayssir", CHILD, FARMER, True),
    ("tayssir", CHILD, RETIRED, False),
    *(("tayssir", CHILD, with_member(1, RETIRED, birth_date=born), met) for born, met in (
        ("2020-02-02", False), ("2020-02-01", True), ("2010-02-02", True), ("2010-02-01", False), (None, None))),
    ("widows", WIDOWED, WIDOW, True),
    ("widows", WIDOWED, FARMER, False),  # the head's mother: her own children are grown
    ("widows", WIDOWED, RETIRED, False),
    ("widows", WIDOWED, with_member(1, WIDOW, sex="male"), False),
    ("widows", WIDOWED, with_member(1, WIDOW, marital_status="divorced"), False),
    ("widows", WIDOWED, with_member(2, WIDOW, birth_date="2005-02-02"), True),
    ("widows", WIDOWED, with_member(2, WIDOW, birth_date="2005-02-01"), False),
    ("widows", WIDOWED, with_member(2, WIDOW, relation="sibling"), False),
    ("widows", WIDOWED, DAUGHTER, False),
    ("widows", WIDOWED, with_member(4, DAUGHTER, relation="grandchild"), True),
    ("widows", WIDOWED, with_member(1, WIDOW, marital_status=None), None),
    ("disability", DISABLED, WIDOW, False),
    ("disability", DISABLED, FARMER, True),
    ("disability", DISABLED, with_member(2, WIDOW, disability="severe"), True),
    ("disability", DISABLED, with_member(2, WIDOW, disability=None), None),
])
def test_a_shipped_condition_is_met_by_whom_it_is_meant_for(key, condition, facts, met):
    assert [reason for reason in decide(SHIPPED[key], Decimal("9"), facts, ON).reasons[1:]] == [Reason(condition, met)]


def test_an_index_between_the_two_thresholds_opens_direct_aid_and_achamil():
    decided = {one.programme: one.eligible for one in decide_all(tuple(SHIPPED.values()), Decimal("9.6"), WIDOW, ON)}
    assert decided == {"asd": True, "amo-tadamon": False, "amo-achamil": True,
                       "tayssir": None, "widows": None, "disability": None}


def test_no_household_has_both_tadamon_and_achamil_and_at_the_limit_itself_neither():
    for value, eligible in (("9.3264283999", (True, False)), ("9.3264284", (False, False)),
                            ("9.3264284001", (False, True))):
        assert tuple(decide(SHIPPED[key], Decimal(value), WIDOW, ON).eligible
                     for key in ("amo-tadamon", "amo-achamil")) == eligible


# Thresholds


@pytest.mark.parametrize(("comparator", "value", "passes", "below"), [
    ("below", "9.743000999999999", True, True),
    ("below", "9.743001", False, False),
    ("below", "9.7430010", False, False),
    ("below", "9.7430010000000001", False, False),
    ("at_or_below", "9.743000999999999", True, True),
    ("at_or_below", "9.743001", True, True),
    ("at_or_below", "9.7430010", True, True),
    ("at_or_below", "9.7430010000000001", False, False),
    ("above", "9.743000999999999", False, True),
    ("above", "9.743001", False, True),
    ("above", "9.7430010", False, True),
    ("above", "9.7430010000000001", True, False),
])
def test_the_exact_index_is_compared_and_equality_is_the_comparators_word(comparator, value, passes, below):
    programme = a_programme(("2023-12-01", "9.743001"), comparator=comparator)
    decision = decide(programme, Decimal(value), WIDOW, ON)
    assert (decision.below, decision.eligible, decision.comparator) == (below, passes, comparator)
    assert decision.reasons == (Reason(f"{comparator}_threshold", passes),)


def test_a_programme_is_strict_when_its_file_says_nothing():
    document = copy.deepcopy(DOCUMENT)
    del document["programmes"][0]["comparator"]
    assert Programme.parse_all(document)[0] == SHIPPED["asd"]


@pytest.mark.parametrize(("day", "threshold", "since", "eligible"), [
    (date(2023, 12, 31), None, None, None),
    (date(2024, 1, 1), "9.5", date(2024, 1, 1), False),
    (date(2025, 6, 30), "9.5", date(2024, 1, 1), False),
    (date(2025, 7, 1), "9.7", date(2025, 7, 1), True),
    (date(2030, 1, 1), "9.7", date(2025, 7, 1), True),
])
def test_a_threshold_counts_from_its_first_day_until_the_next_one(day, threshold, since, eligible):
    programme = a_programme(("2024-01-01", "9.5"), ("2025-07-01", "9.7"))
    decision = decide(programme, Decimal("9.6"), WIDOW, day)
    assert (decision.threshold, decision.since) == (threshold and Decimal(threshold), since)
    assert decision.eligible is eligible


@pytest.mark.parametrize("conditions", [[], [TRUE], [FALSE], [UNKNOWN]])
def test_without_a_published_threshold_nobody_is_told_yes_or_no(conditions):
    for value in ("0", "5", "20"):
        decision = decide(a_programme(conditions=conditions), Decimal(value), WIDOW, ON)
        assert (decision.threshold, decision.since, decision.below, decision.eligible) == (None, None, None, None)
        assert decision.reasons[0] == Reason(NOT_PUBLISHED, None)
        assert len(decision.reasons) == 1 + len(conditions)


# Conditions


@pytest.mark.parametrize(("value", "conditions", "mets", "eligible"), [
    ("9", [TRUE], [True, True], True),
    ("9", [FALSE, TRUE], [True, False, True], False),
    ("9", [UNKNOWN], [True, None], None),
    ("9", [UNKNOWN, TRUE], [True, None, True], None),
    ("9", [UNKNOWN, FALSE], [True, None, False], False),
    ("10", [UNKNOWN], [False, None], False),
])
def test_every_reason_is_told_and_what_is_not_known_is_neither_yes_nor_no(value, conditions, mets, eligible):
    """Unless something else is certainly missing: then nobody is sent to ask in vain."""
    decision = decide(a_programme(("2024-01-01", "9.5"), conditions=conditions), Decimal(value), UNTOLD, ON)
    assert [reason.met for reason in decision.reasons] == mets
    assert decision.eligible is eligible
    assert json.loads(json.dumps(decision.as_codes()))[1] == {"code": conditions[0]["name"], "met": mets[1]}


def test_a_condition_counts_ages_on_the_day_of_the_decision():
    child = with_member(2, WIDOW, birth_date="2020-06-15")
    assert [decide(SHIPPED["tayssir"], Decimal("9"), child, day).reasons[1].met
            for day in (date(2026, 6, 14), date(2026, 6, 15))] == [False, True]


# Near


@pytest.mark.parametrize(("comparator", "value", "close"), [
    ("below", "9.5999", False), ("below", "9.6", True), ("below", "9.69999999999", True), ("below", "9.7", False),
    ("below", "9.75", False),
    ("at_or_below", "9.6", True), ("at_or_below", "9.7", True), ("at_or_below", "9.70001", False),
    ("above", "9.7", False), ("above", "9.70001", True), ("above", "9.8", True), ("above", "9.80001", False),
])
def test_near_is_on_the_good_side_and_within_the_distance(comparator, value, close):
    decision = decide(a_programme(("2024-01-01", "9.7"), comparator=comparator), Decimal(value), WIDOW, ON)
    assert near(decision, Decimal(value), Decimal("0.1")) is close


def test_nothing_is_near_a_limit_that_is_not_published():
    assert near(decide(SHIPPED["tayssir"], Decimal("9"), WIDOW, ON), Decimal("9"), Decimal("100")) is False


# The same decision for ever


PEOPLE = st.lists(st.sampled_from([member for home in (WIDOW, FARMER, RETIRED) for member in home["members"]]),
                  min_size=1, max_size=6)
CHANGES = st.dictionaries(st.sampled_from(["activity", "health_cover", "disability", "marital_status", "birth_date"]),
                          st.sampled_from([None, "retired", "other", "severe", "widowed", "2015-01-01", 7]))
INDEXES = st.decimals("5", "15", places=16)


@given(PEOPLE, CHANGES, INDEXES, st.dates(date(2022, 1, 1), date(2040, 1, 1)))
def test_a_decision_depends_on_nothing_but_what_it_is_given(people, changes, value, on):
    facts = {**WIDOW, "members": [*people[:-1], {**people[-1], **changes}]}
    before = copy.deepcopy(facts)
    once = decide_all(tuple(SHIPPED.values()), value, facts, on)
    assert facts == before
    assert decide_all(LOADED_AGAIN, value, copy.deepcopy(facts), on) == once
    assert [decide(programme, value, facts, on) for programme in SHIPPED.values()] == once
    for decision in once:
        mets = [reason.met for reason in decision.reasons]
        assert decision.eligible is (None if decision.threshold is None else False if False in mets
                                     else None if None in mets else True)


@given(INDEXES, st.decimals("5", "15", places=7), st.sampled_from(sorted(PASSES)))
def test_who_is_poorer_is_never_on_the_richer_side(value, limit, comparator):
    programme = a_programme(("2024-01-01", f"{limit:f}"), comparator=comparator)
    poorer = decide(programme, value - Decimal("1E-16"), WIDOW, ON)
    assert poorer.below or not decide(programme, value, WIDOW, ON).below


def test_a_float_is_no_index():
    with pytest.raises(TypeError, match="an index is a Decimal"):
        decide(SHIPPED["asd"], 9.5, WIDOW, ON)


def test_the_digest_tells_what_decides_and_nothing_else():
    def digest(**changes):
        return a_programme(("2024-01-01", "9.5"), **{"conditions": [TRUE], **changes}).digest

    plain = digest()
    assert len(plain) == 64
    assert {digest(documents=["identity_card"]), digest(where_to_apply="elsewhere"), digest(in_texts=True),
            digest(conditions=[{**TRUE, "source": "another"}])} == {plain}
    others = [digest(comparator="at_or_below"), digest(key="other"), digest(conditions=[FALSE]), digest(conditions=[]),
              digest(conditions=[{**TRUE, "expression": "!false"}]),
              a_programme(("2024-01-01", "9.50"), conditions=[TRUE]).digest,
              a_programme(("2024-01-02", "9.5"), conditions=[TRUE]).digest]
    assert len({plain, *others}) == 1 + len(others)
    assert decide(SHIPPED["asd"], Decimal("9"), WIDOW, ON).digest == SHIPPED["asd"].digest


# The file


@pytest.mark.parametrize(("path", "value", "complaint"), [
    (("thresholds", 0, "value"), 9.743001, r"programmes\.0\.thresholds\.0\.value: .*not of type"),
    (("thresholds", 0, "value"), "9,743001", r"programmes\.0\.thresholds\.0\.value: .*does not match"),
    (("thresholds", 0, "value"), "NaN", r"programmes\.0\.thresholds\.0\.value: .*does not match"),
    (("thresholds", 0, "from"), "soon", r"programmes\.0\.thresholds\.0\.from: .*date"),
    (("thresholds", 0, "source"), "", r"programmes\.0\.thresholds\.0\.source: "),
    (("thresholds",), [{"value": "9.5", "from": "2024-01-01", "source": "a"}] * 2,
     r"programmes\.0\.thresholds: from: every date must be later"),
    (("thresholds",), [{"value": "9.5", "from": "2024-01-02", "source": "a"},
                       {"value": "9.6", "from": "2024-01-01", "source": "b"}],
     r"programmes\.0\.thresholds: from: every date must be later"),
    (("thresholds",), [], r"programmes\.0\.in_texts: without a published threshold"),
    (("comparator",), "beside", r"programmes\.0\.comparator: .*beside"),
    (("conditions", 0, "expression"), "members.exists(m, m.salary > 0)",
     r"programmes\.0\.conditions\.0\.expression: there is no fact salary"),
    (("conditions", 0, "expression"), "members.exists(m, m.age < 'head')",
     r"programmes\.0\.conditions\.0\.expression: fails on a household"),
    (("conditions", 0, "expression"), "size", r"programmes\.0\.conditions\.0\.expression: yields int"),
    (("conditions", 0, "expression"), "size >", r"programmes\.0\.conditions\.0\.expression: .*parse"),
    (("conditions", 0, "source"), "", r"programmes\.0\.conditions\.0\.source: "),
    (("conditions", 0, "name"), "no_other_health_cover",
     r"programmes\.1\.conditions: no_other_health_cover means something else above"),
    (("key",), "amo-tadamon", r"programmes\.1\.key: amo-tadamon stands there twice"),
    (("key",), "ASD!", r"programmes\.0\.key: .*does not match"),
    (("documents",), ["A form"], r"programmes\.0\.documents\.0: .*does not match"),
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


# Words


REASONS = {NOT_PUBLISHED, *(f"{comparator}_threshold" for comparator in PASSES),
           *(condition.name for programme in SHIPPED.values() for condition in programme.conditions)}


# The screen on which a programme is told.
OF_A_SCREEN = ("programme.text", "programme.options.")


@pytest.mark.parametrize("locale", LOCALES)
def test_whatever_a_programme_names_is_said_in_every_language(locale):
    needed = {f"programme.{key}.{form}" for key in SHIPPED for form in ("name", "short")}
    needed |= {f"condition.{code}.{answer}" for code in REASONS for answer in ("met", "unmet", "unknown")}
    needed |= {f"apply.{programme.where_to_apply}" for programme in SHIPPED.values()}
    needed |= {f"document.{name}" for programme in SHIPPED.values() for name in programme.documents}
    said = {name for name in WORDS.names(locale)
            if name.partition(".")[0] in ("programme", "condition", "apply", "document")
            and not name.startswith(OF_A_SCREEN)}
    assert said == needed, "a word is missing, or nobody needs it any more"


@pytest.mark.parametrize("locale", ["fr-MA", "zgh-MA"])
def test_what_may_stand_in_a_latin_text_is_in_the_cheap_alphabet(locale):
    for name in WORDS.names(locale):
        if name.startswith(("programme.", "condition.")) and not name.startswith(OF_A_SCREEN):
            assert encoding(WORDS.say(locale, name)) == "gsm7", name


def shown(key, **standing):
    return {"key": key, "threshold": Decimal("9.743001"), **standing}


STANDINGS = {"below": {"below": True}, "below_near": {"below": True, "near": True}, "above": {"below": False},
             "not_published": {"below": None}}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("key", SHIPPED)
def test_a_notice_says_each_programme_and_standing_in_the_same_words_as_a_screen(locale, standing, key):
    facts = {"programmes": [shown(key, **STANDINGS[standing])], "index": Decimal("9"), "reference": "987654321",
             "review_until": date(2026, 12, 31), "service_code": "*580#"}
    lines = WORDS.notice("index_assigned", "sms", locale, **facts).split("\n")
    assert f"{WORDS.say(locale, f'programme.{key}.name')}: {WORDS.say(locale, f'standing.{standing}')}" in lines


@pytest.mark.parametrize("near_too", [False, None])
def test_far_from_the_limit_nobody_is_warned(near_too):
    for locale in LOCALES:
        text = WORDS.notice("index_assigned", "sms", locale, reference="987654321", service_code="*580#",
                            review_until=date(2026, 12, 31), index=Decimal("9"), programmes=[
                                shown("asd", below=True, near=near_too), shown("amo-tadamon", below=False, near=True)])
        assert WORDS.say(locale, "standing.below_near") not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_text_that_warns_of_both_limits_stays_within_its_price(locale):
    programmes = [shown(key, below=True, near=True) for key in in_texts()]
    text = WORDS.notice("index_assigned", "sms", locale, programmes=programmes, index=Decimal("10.1234567"),
                        reference="987654321", review_until=date(2026, 12, 31), service_code="*580#")
    assert parts(text) <= WORDS.about("index_assigned").parts[locale]


# Stored, and seen by a clerk


one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_decision_is_stored_with_its_version_and_its_reasons(runtime):
    register(runtime, a_row())
    stored = {row.programme: row for row in rows(runtime, ProgrammeDecision)}
    assert stored.keys() == SHIPPED.keys()
    facts = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])
    for key, row in stored.items():
        programme = SHIPPED[key]
        threshold = programme.threshold_on(day_of(runtime.clock()))
        assert (row.programme_digest, row.comparator) == (programme.digest, programme.comparator)
        assert row.threshold == (threshold.value if threshold else None)
        assert row.threshold_since == (threshold.since if threshold else None)
        conditions = decide(programme, Decimal("9"), facts, day_of(runtime.clock())).as_codes()[1:]
        assert row.reasons[1:] == conditions
        assert near(row, row.threshold or Decimal("9"), Decimal("0.1")) is False


@pytest.fixture
def run(runtime):
    """A command in this process, in the house of the test."""
    environment = {**SETTINGS, "DATABASE_URL": runtime.settings.database_url, "REDIS_URL": runtime.settings.redis_url,
                   "VAR_DIR": str(runtime.settings.var)}

    def command(*arguments):
        return CliRunner(env=environment).invoke(main, list(arguments))

    return command


@one_kind
def test_a_clerk_sees_the_decisions_in_words_and_that_is_written_down(runtime, run):
    register(runtime, a_row())
    [registered] = rows(runtime, Registration)
    for number in ("2900000001", registered.number):
        done = run("decisions", number, "--language", "ar-MA", "--by", "Amina")
        assert done.exit_code == 0, done.output
    assert all(key in done.output for key in SHIPPED)
    for said in ("condition.no_public_employee_or_pensioner.met", "condition.threshold_not_published.unknown",
                 "programme.widows.name", "apply.centre", "document.death_certificate"):
        assert WORDS.say("ar-MA", said) in done.output
    assert "خديجة" not in done.output
    seen = [entry for entry in rows(runtime, AuditEntry) if entry.act == "decision.seen"]
    assert [(entry.by, sorted(entry.detail["programmes"])) for entry in seen] == [("Amina", sorted(SHIPPED))] * 2
    assert all(entry.household_blind for entry in seen)


@one_kind
def test_who_asks_for_a_household_that_is_not_there_is_told_what_to_give(run):
    done = run("decisions", "2900000009")
    assert (done.exit_code, "give its 10 digits" in done.output) == (1, True)


@one_kind
def test_the_programmes_are_listed_with_the_limits_of_a_day(run):
    listed = run("programmes", "--on", "2023-11-30").output.splitlines()
    assert [line.split()[0] for line in listed if not line.startswith(" ")] == list(SHIPPED)
    assert listed[0] == "asd          below a limit that is not published, told in texts"
    assert "amo-tadamon  below 9.3264284 since 2022-12-01, told in texts" in listed
    assert "asd          below 9.743001 since 2023-12-01, told in texts" in run("programmes").output
