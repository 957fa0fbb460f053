"""The invented extract: it looks like the country, and is wrong exactly where it means to be."""

import io
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from gateway.registry.communes import communes
from gateway.registry.extract import Refusal, Row, read
from gateway.registry.index import Formula, score
from gateway.registry.sample import SPOILED, Counts, write_sample

TODAY = date(2026, 3, 10)
HOUSEHOLDS = 1200
BLAMED = {
    "unknown region": (r"/region", "unknown_region"),
    "child as declarant": (r"/declarant", "declarant_minor"),
    "missing identifier": (r"/members/\d+/idcs", "identifier_missing"),
    "9-digit identifier": (r"/members/\d+/idcs", "identifier_malformed"),
    "negative spending": (r"/spending/butane", "negative_amount"),
    "future birth date": (r"/members/\d+/birth_date", "birth_in_future"),
    "duplicate household": (r"/household_number", "household_repeated"),
    "invalid UTF-8": (r"", "not_utf8"),
    "truncated JSON": (r"", "not_json"),
}


def sample(households=HOUSEHOLDS, seed=7):
    out = io.BytesIO()
    return write_sample(out, households, seed, TODAY), out.getvalue()


@pytest.fixture(scope="module")
def written():
    return sample()


@pytest.fixture(scope="module")
def outcomes(written):
    return list(read(io.BytesIO(written[1]), TODAY))


@pytest.fixture(scope="module")
def rows(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Row)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    assert sample(60) == sample(60)
    assert sample(60)[1] != sample(60, seed=8)[1]


def test_the_good_households_are_as_many_as_were_asked_for(written, outcomes, rows):
    counts, text = written
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert len(rows) == counts.households == HOUSEHOLDS
    assert len(refusals) == counts.bad == 18
    assert text.count(b"\n") == counts.lines == len(outcomes)


def test_every_bad_row_is_wrong_in_one_field_and_every_kind_is_there(outcomes):
    found = [(outcome.problems[0].field, outcome.problems[0].code) for outcome in outcomes
             if isinstance(outcome, Refusal) and len(outcome.problems) == 1]
    assert list(BLAMED) == list(SPOILED)
    assert len(found) == 18
    for (field, code), (pattern, expected) in zip(found, list(BLAMED.values()) * 2, strict=True):
        assert code == expected
        assert re.fullmatch(pattern, field)


@pytest.mark.parametrize("households", [0, 1, 66, 600])
def test_bad_rows_are_lines_beside_the_good_ones(households):
    counts, text = sample(households)
    refusals = [each for each in read(io.BytesIO(text), TODAY) if isinstance(each, Refusal)]
    assert counts.lines == counts.households + counts.bad == households + len(refusals)
    assert counts.bad == households * 15 // 1000
    assert counts.bad == 0 or {each.problems[0].code for each in refusals} == {code for _, code in BLAMED.values()}


def test_the_counts_are_those_of_the_households_that_load(written, rows):
    def reached(row):
        if not row.telephones:
            return "without_phone"
        if not any(each.consent for each in row.telephones):
            return "without_consent"
        mobile = any(each.telephone.kind == "mobile" and each.consent for each in row.telephones)
        return "with_mobile" if mobile else "landline_only"
    counts, _ = written
    assert counts == Counts(HOUSEHOLDS, HOUSEHOLDS + 18, 18, **Counter(map(reached, rows)))
    assert 0.78 < counts.with_mobile / HOUSEHOLDS < 0.88
    assert 0.08 < counts.without_phone / HOUSEHOLDS < 0.16
    assert counts.landline_only > 0
    assert counts.without_consent > 0


def test_some_share_a_number_some_write_it_oddly_and_some_numbers_are_dead(rows, written):
    mobiles = Counter(each.telephone.msisdn for row in rows for each in row.telephones)
    assert 10 < sum(times == 2 for times in mobiles.values()) < 80
    assert max(mobiles.values()) <= 3
    assert 2 < sum(msisdn.endswith("99") for msisdn in mobiles) < 30
    text = written[1].decode(errors="replace")
    for writing in (r'"00212[67]\d{8}"', r'"0[67] \d\d \d\d \d\d \d\d"', r'"٠[٦٧][٠-٩]{8}"', r'"\+212-', '"\u202a'):
        assert re.search(writing, text)


def test_only_unusable_telephones_are_warned_of(rows):
    warned = [warning.code for row in rows for warning in row.warnings]
    assert set(warned) == {"telephone_unusable"}
    assert len(warned) < HOUSEHOLDS / 20


def test_no_number_is_given_to_two_households_or_two_people(rows):
    identifiers = [member["idcs"] for row in rows for member in row.household["members"]]
    assert len(set(identifiers)) == len(identifiers)
    assert not [idcs for idcs in identifiers if idcs[0] in "01"]


def test_the_registrations_are_of_the_five_days_before(rows):
    days = {date.fromisoformat(row.household["registered_on"]) for row in rows}
    assert days == {TODAY - timedelta(days=ago) for ago in range(1, 6)}


def test_the_households_are_of_every_size_area_language_and_most_regions(rows):
    given = [row.household for row in rows]
    assert {len(household["members"]) for household in given} == set(range(1, 11))
    assert 0.5 < sum(household["area"] == "urban" for household in given) / HOUSEHOLDS < 0.75
    assert {household["language"] for household in given} == {"ar-MA", "fr-MA", "zgh-MA"}
    assert len({household["region"] for household in given}) >= 10
    assert all(communes()[household["commune"]].area == household["area"] for household in given)
    assert 0.1 < sum(household["address"]["postal_code"] is None for household in given) / HOUSEHOLDS < 0.4


def test_ages_and_names_are_those_of_a_family(rows):
    for members in (row.household["members"] for row in rows):
        born = {member["relation"]: date.fromisoformat(member["birth_date"]) for member in members}
        assert members[0]["relation"] == "head"
        for member in members[1:]:
            birth = date.fromisoformat(member["birth_date"])
            if member["relation"] == "child":
                assert (birth - born["head"]).days > 17 * 365
            if member["relation"] == "parent":
                assert (born["head"] - birth).days > 17 * 365
    names = {(member["name_ar"], member["name_latin"]) for row in rows for member in row.household["members"]}
    assert all(re.search("[؀-ۿ]", arabic) and not re.search("[؀-ۿ]", latin) for arabic, latin in names)
    assert len(names) > 2000


def test_the_indexes_spread_over_both_thresholds_and_the_country_is_poorer(rows):
    formula = Formula.load("rsu-2021")
    values = {"urban": [], "rural": []}
    for row in rows:
        on = date.fromisoformat(row.household["registered_on"])
        values[row.household["area"]].append(score(formula, row.household, on).value)
    every = values["urban"] + values["rural"]
    assert 0.4 < sum(value < Decimal("9.743001") for value in every) / HOUSEHOLDS < 0.65
    assert 0.1 < sum(value < Decimal("9.3264284") for value in every) / HOUSEHOLDS < 0.4
    mean = {area: sum(found) / len(found) for area, found in values.items()}
    assert mean["rural"] < mean["urban"]
