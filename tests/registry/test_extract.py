"""A registry extract: what loads, what is refused and why, and what its page promises."""

import copy
import hashlib
import io
import itertools
import json
import re
from datetime import date
from pathlib import Path

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.registry import extract
from gateway.registry.communes import commune, communes
from gateway.registry.extract import Problem, Refusal, Row, read, schema, write_report

TODAY = date(2026, 3, 10)
DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "extract.md").read_text(encoding="utf-8")


def a_member(idcs="2345678906", **changes):
    return {
        "idcs": idcs, "name_ar": "خديجة بناني", "name_latin": "Khadija Bennani", "birth_date": "1981-06-02",
        "sex": "female", "relation": "head", "marital_status": "widowed", "schooling": "none", "literate": True,
        "education": "basic", "diploma": "basic", "activity": "employee", "occupation": "craftsman",
        "health_cover": "amo_tadamon", "disability": "none"} | changes


def a_child(idcs="3141592650", **changes):
    return a_member(idcs, name_ar="آدم بناني", name_latin="Adam Bennani", birth_date="2015-09-30", sex="male",
                    relation="child", marital_status="single", schooling="public", diploma="none",
                    activity="student", occupation="none", **changes)


def a_household(**changes):
    return copy.deepcopy({
        "household_number": "4000000001", "area": "urban", "region": 6, "commune": "06.141.01.01",
        "registered_on": "2026-03-06", "language": "ar-MA",
        "address": {"lines": ["رقم 4، الزنقة 12", "حي السلام"], "postal_code": "20250", "locality": "أنفا"},
        "contacts": [{"phone": "0612345678", "consent": True}],
        "declarant": 1, "members": [a_member(), a_child()],
        "dwelling": {"type": "apartment", "rooms": 2, "family_nuclei": 1, "bath_or_shower": True,
                     "own_electricity_meter": True},
        "equipment": {"computers": 0, "satellite_dish": True, "fixed_telephone": False, "mobile_phones": 2,
                      "cars": 0, "motorcycles": 0},
        "property": {"loan": False, "secondary_dwelling": False, "garage": False, "professional_premises": False,
                     "non_agricultural_land": False, "irrigated_land": False, "cows": 0},
        "spending": {"butane": "50", "water_electricity": "200.50", "phone_internet": "80.00"},
    } | changes)


def changed(path, value):
    """A household with one value changed. Positions in the path count from 1; `...` takes the field away."""
    household = a_household()
    *way, last = (int(step) - 1 if step.isdigit() else step for step in path.strip("/").split("/"))
    parent = household
    for step in way:
        parent = parent[step]
    if value is ...:
        del parent[last]
    else:
        parent[last] = value
    return household


def a_line(household):
    return json.dumps(household, ensure_ascii=False).encode() + b"\n"


def read_all(*lines, today=TODAY):
    return list(read(io.BytesIO(b"".join(lines)), today))


def refused(line):
    """The problems of a line that must be refused, as {field: code}."""
    [outcome] = read_all(line)
    assert isinstance(outcome, Refusal)
    return {problem.field: problem.code for problem in outcome.problems}


# What loads


def test_a_good_household_loads_as_it_is_written():
    [row] = read_all(a_line(a_household()))
    assert isinstance(row, Row)
    assert row.line == 1
    assert row.warnings == ()
    assert row.household == changed("/contacts/1/phone", "+212612345678")
    assert [(each.telephone.msisdn, each.telephone.kind, each.consent) for each in row.telephones] == [
        ("+212612345678", "mobile", True)]


def test_one_person_alone_is_a_household():
    [row] = read_all(a_line(a_household(members=[a_member()])))
    assert isinstance(row, Row)


def test_the_digest_is_that_of_the_facts_and_not_of_their_writing():
    household = a_household()
    reordered = dict(reversed(household.items()))
    rewritten = changed("/contacts/1/phone", "+212 6 12 34 56 78")
    spaced = json.dumps(household, indent=None, separators=(" , ", " : ")).encode() + b"\r\n"
    digests = {read_all(line)[0].content_digest for line in (a_line(household), a_line(reordered),
                                                             a_line(rewritten), spaced)}
    [row] = read_all(a_line(household))
    assert digests == {hashlib.sha256(rfc8785.dumps(row.household)).hexdigest()}
    assert read_all(a_line(a_household(language="fr-MA")))[0].content_digest not in digests


def test_blank_lines_a_byte_order_mark_and_a_missing_last_newline_are_passed_over():
    first, second = a_line(a_household()), a_line(a_household(household_number="4000000002"))
    outcomes = read_all(b"\xef\xbb\xbf", first, b"\n  \r\n", second.rstrip(b"\n"))
    assert [(type(outcome), outcome.line) for outcome in outcomes] == [(Row, 1), (Row, 4)]


def test_nothing_personal_shows_where_a_row_is_logged():
    [row] = read_all(a_line(a_household()))
    assert not re.search("[0-9]{9}|Khadija|خديجة", repr(row).replace(row.content_digest, ""))


# Telephones and identifiers: warnings, never refusals


@pytest.mark.parametrize("phone", ["", "06 12 3", "+33612345678", "x" * 41, 612345678, 6.1e8, None, {"a": [1.5]},
                                   ..., "061234\n5678"])
def test_an_unusable_telephone_costs_the_household_nothing_but_texts(phone):
    household = changed("/contacts/1/phone", phone)
    household["contacts"].append({"phone": "0522123456", "consent": False})
    [row] = read_all(a_line(household))
    assert isinstance(row, Row)
    assert [(warning.field, warning.code) for warning in row.warnings] == [
        ("/contacts/1/phone", "telephone_unusable")]
    assert [(each.telephone.kind, each.consent) for each in row.telephones] == [("landline", False)]
    assert row.household["contacts"] == [{"phone": "+212522123456", "consent": False}]


@pytest.mark.parametrize("consents", [(True, False), (False, True)])
def test_a_telephone_written_twice_is_kept_once_and_a_no_is_a_no(consents):
    contacts = [{"phone": phone, "consent": consent}
                for phone, consent in zip(["0612345678", "+212 612-345-678"], consents, strict=True)]
    [row] = read_all(a_line(a_household(contacts=contacts)))
    assert [each.consent for each in row.telephones] == [False]
    assert [warning.code for warning in row.warnings] == ["telephone_repeated"]


def test_a_wrong_check_digit_is_a_warning_only():
    [row] = read_all(a_line(changed("/members/2/idcs", "3141592657")))
    assert isinstance(row, Row)
    assert [(warning.field, warning.code) for warning in row.warnings] == [
        ("/members/2/idcs", "identifier_check_digit")]


# What is refused. Field, value written there (... takes it away), field blamed, code.


SPOILED = [
    ("/region", 13, "/region", "unknown_region"),
    ("/region", 0, "/region", "unknown_region"),
    ("/region", "6", "/region", "wrong_type"),
    ("/region", True, "/region", "wrong_type"),
    ("/region", 7, "/commune", "commune_elsewhere"),
    ("/commune", "06.141.01.99", "/commune", "unknown_commune"),
    ("/commune", "Anfa", "/commune", "unknown_commune"),
    ("/declarant", 2, "/declarant", "declarant_minor"),
    ("/declarant", 3, "/declarant", "declarant_unknown"),
    ("/declarant", 0, "/declarant", "out_of_range"),
    ("/declarant", 1.0, "/declarant", "decimal_number"),
    ("/members/2/idcs", ..., "/members/2/idcs", "identifier_missing"),
    ("/members/2/idcs", None, "/members/2/idcs", "identifier_missing"),
    ("/members/2/idcs", "", "/members/2/idcs", "identifier_missing"),
    ("/members/2/idcs", "314159265", "/members/2/idcs", "identifier_malformed"),
    ("/members/2/idcs", "31415926500", "/members/2/idcs", "identifier_malformed"),
    ("/members/2/idcs", "٣١٤١٥٩٢٦٥٠", "/members/2/idcs", "identifier_malformed"),
    ("/members/2/idcs", "3141592650\n", "/members/2/idcs", "unprintable"),
    ("/members/2/idcs", 3141592650, "/members/2/idcs", "wrong_type"),
    ("/members/2/idcs", 3141592650.0, "/members/2/idcs", "decimal_number"),
    ("/members/2/idcs", "2345678906", "/members/2/idcs", "identifier_repeated"),
    ("/members/2/birth_date", "2026-03-11", "/members/2/birth_date", "birth_in_future"),
    ("/members/1/birth_date", "2046-03-11", "/members/1/birth_date", "birth_in_future"),
    ("/members/2/birth_date", "1435-03-07", "/members/2/birth_date", "birth_too_long_ago"),
    ("/members/2/birth_date", "2015-02-29", "/members/2/birth_date", "not_a_date"),
    ("/members/2/birth_date", "0000-02-28", "/members/2/birth_date", "not_a_date"),
    ("/members/2/birth_date", "30/09/2015", "/members/2/birth_date", "not_a_date"),
    ("/members/2/birth_date", 2015, "/members/2/birth_date", "wrong_type"),
    ("/members/2/relation", "head", "/members", "head_not_single"),
    ("/members/1/relation", "sibling", "/members", "head_not_single"),
    ("/members/2/relation", "spouse", "/members/2/relation", "spouse_unmarried"),
    ("/members/2/relation", "cousin", "/members/2/relation", "not_listed"),
    ("/members/2/literate", "yes", "/members/2/literate", "wrong_type"),
    ("/members/2/name_ar", "  ", "/members/2/name_ar", "missing"),
    ("/members/2/name_ar", "آ" * 121, "/members/2/name_ar", "too_long"),
    ("/members/2/name_latin", "A\u0000B", "/members/2/name_latin", "unprintable"),
    ("/members/2/nickname", "Doudou", "/members/2", "unexpected"),
    ("/members/2", "Adam Bennani", "/members/2", "wrong_type"),
    ("/members", [], "/members", "too_few"),
    ("/registered_on", "2026-03-11", "/registered_on", "registration_in_future"),
    ("/registered_on", "2026-13-01", "/registered_on", "not_a_date"),
    ("/registered_on", None, "/registered_on", "wrong_type"),
    ("/household_number", "400000000", "/household_number", "malformed"),
    ("/household_number", ..., "/household_number", "missing"),
    ("/address/postal_code", "2025", "/address/postal_code", "malformed"),
    ("/address/postal_code", 2.5, "/address/postal_code", "decimal_number"),
    ("/address/lines/1", "a\u2028b", "/address/lines/1", "unprintable"),
    ("/address/lines", ["x"] * 5, "/address/lines", "too_many"),
    ("/contacts", [{"phone": "0612345678", "consent": True}] * 6, "/contacts", "too_many"),
    ("/contacts/1/consent", ..., "/contacts/1/consent", "missing"),
    ("/spending/butane", "-5.00", "/spending/butane", "negative_amount"),
    ("/spending/butane", "\u22125", "/spending/butane", "negative_amount"),
    ("/spending/butane", -5, "/spending/butane", "negative_amount"),
    ("/spending/butane", "5,00", "/spending/butane", "malformed"),
    ("/spending/butane", 5.25, "/spending/butane", "decimal_number"),
    ("/spending/butane", "NaN", "/spending/butane", "malformed"),
    ("/property/cows", -1, "/property/cows", "out_of_range"),
    ("/property/cows", 10 ** 400, "/property/cows", "out_of_range"),
    ("/dwelling/rooms", ..., "/dwelling/rooms", "missing"),
    ("/dwelling/rooms", 61, "/dwelling/rooms", "out_of_range"),
    ("/dwelling", None, "/dwelling", "wrong_type"),
]

WHOLE_LINES = [
    (b'{"household_number": "\xff\xfe"}', "not_utf8"),
    (b'{"household_number": "\\ud83d"}', "not_utf8"),
    (b'{"household_number": "400000', "not_json"),
    (b'{"a": NaN}', "not_json"),
    (b'{"a": Infinity}', "not_json"),
    (b'{"a": -Infinity}', "not_json"),
    (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
    (b"{} {}", "not_json"),
    (b"household_number;area", "not_json"),
    (b"[" * 100_000, "too_large"),
    (b"[" * 10 + b"]" * 10, "too_large"),
    (b"[" + b"1," * 5000 + b"1]", "too_large"),
    (b"x" * (extract.LONGEST_LINE + 1), "line_too_long"),
    (b"[]", "wrong_type"),
    (b"null", "wrong_type"),
]


@pytest.mark.parametrize(("path", "value", "field", "code"), SPOILED)
def test_one_wrong_field_alone_is_refused_by_name_and_the_others_load(path, value, field, code):
    before, after = a_household(household_number="4000000002"), a_household(household_number="4000000003")
    outcomes = read_all(a_line(before), a_line(changed(path, value)), a_line(after))
    assert [type(outcome) for outcome in outcomes] == [Row, Refusal, Row]
    assert outcomes[1].line == 2
    assert [(problem.field, problem.code) for problem in outcomes[1].problems] == [(field, code)]


@pytest.mark.parametrize(("line", "code"), WHOLE_LINES)
def test_a_line_that_is_no_household_is_refused_and_the_others_load(line, code):
    outcomes = read_all(line + b"\n", a_line(a_household()))
    assert [type(outcome) for outcome in outcomes] == [Refusal, Row]
    assert [(problem.field, problem.code) for problem in outcomes[0].problems] == [("", code)]
    assert outcomes[1].line == 2


def test_a_key_written_twice_is_refused():
    line = a_line(a_household()).replace(b'"rooms": 2', b'"rooms": 2, "rooms": 3')
    assert refused(line) == {"/dwelling": "repeated_key"}


def test_a_line_may_be_as_long_as_the_limit_and_no_longer():
    line = a_line(a_household()).rstrip(b"\n")
    longest = line + b" " * (extract.LONGEST_LINE - len(line))
    assert isinstance(read_all(longest + b"\n")[0], Row)
    assert isinstance(read_all(longest)[0], Row)
    assert refused(longest + b" \n") == refused(longest + b" ") == {"": "line_too_long"}


def test_a_household_twice_in_a_file_is_loaded_once():
    line = a_line(a_household())
    outcomes = read_all(line, a_line(a_household(household_number="4000000002")), line)
    assert [type(outcome) for outcome in outcomes] == [Row, Row, Refusal]
    assert [(p.field, p.code) for p in outcomes[2].problems] == [("/household_number", "household_repeated")]


def test_a_household_that_was_refused_may_be_written_again_further_down():
    outcomes = read_all(a_line(changed("/region", 13)), a_line(a_household()))
    assert [type(outcome) for outcome in outcomes] == [Refusal, Row]


def test_everything_that_is_wrong_with_a_row_is_said_at_once():
    household = changed("/region", 13)
    household["spending"]["butane"] = "-1"
    household["members"][0]["idcs"] = "234567890"
    household["members"][1]["birth_date"] = "2030-01-01"
    del household["dwelling"]
    assert refused(a_line(household)) == {
        "/region": "unknown_region", "/members/1/idcs": "identifier_malformed",
        "/members/2/birth_date": "birth_in_future", "/spending/butane": "negative_amount",
        "/dwelling": "missing"}


@pytest.mark.parametrize(("born", "adult"), [("2008-03-06", True), ("2008-03-07", False), ("2008-02-29", True)])
def test_the_declarant_is_an_adult_from_the_eighteenth_birthday(born, adult):
    [outcome] = read_all(a_line(changed("/members/1/birth_date", born)))
    assert isinstance(outcome, Row) == adult


@pytest.mark.parametrize(("head", "spouse", "good"), [("married", "married", True), ("married", "divorced", False),
                                                      ("widowed", "married", False)])
def test_a_spouse_is_married_and_so_is_the_head(head, spouse, good):
    members = [a_member(marital_status=head),
               a_member("3141592650", relation="spouse", marital_status=spouse)]
    [outcome] = read_all(a_line(a_household(members=members)))
    assert isinstance(outcome, Row) == good


def test_every_commune_has_a_code_that_the_schema_takes_and_lies_in_its_region():
    pattern = re.compile(schema()["properties"]["commune"]["pattern"])
    assert len(communes()) == 1503 + 41
    assert all(pattern.search(code) and int(code[:2]) == place.region for code, place in communes().items())
    assert commune("01.511.01.0").name_fr == "Tanger"
    assert commune("06.141.01.01").within == "06.141.01.0"
    assert commune("001511010") is None


# No reason holds a value


@pytest.mark.parametrize(("path", "value", "field", "code"), SPOILED)
def test_no_reason_and_no_field_name_repeats_what_was_written(path, value, field, code):
    household = changed(path, value)
    [refusal] = read_all(a_line(household))
    told = " ".join(problem.field + problem.reason for problem in refusal.problems)
    for text in texts(household):
        assert text not in told


def texts(value):
    """Every value that could be somebody's: text of five characters and more, but for the schema's own words."""
    words = set(re.findall(r'"([a-zA-Z_-]+)"', json.dumps(schema())))
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from texts(child)
    elif len(str(value).strip()) > 4 and str(value) not in words and not isinstance(value, bool):
        yield str(value)


def test_a_name_that_the_schema_does_not_know_is_not_repeated_either():
    household = a_household() | {"0612345678": {"Khadija": 1.5}}
    assert refused(a_line(household)) == {"": "unexpected", "/?/?": "decimal_number"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)


def every_path(value, path=""):
    yield path
    for step, child in value.items() if isinstance(value, dict) else enumerate(value, 1):
        if isinstance(child, dict | list):
            yield from every_path(child, f"{path}/{step}")
        else:
            yield f"{path}/{step}"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([path for path in every_path(a_household()) if path]), json_values)
@example("/members/1", {"idcs": []})
@example("/contacts/1/phone", float("inf"))
def test_whatever_stands_in_a_field_a_row_is_loaded_or_refused_for_a_field_there_is(path, value):
    [outcome] = read_all(json.dumps(changed(path, value)).encode())
    if isinstance(outcome, Row):
        assert extract._validator().is_valid(outcome.household)
    else:
        assert outcome.problems
        assert len({problem.field for problem in outcome.problems}) == len(outcome.problems)
        assert {problem.code for problem in outcome.problems} <= extract.SENTENCES.keys()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.from_regex(rb'[\[\]{}",:0-9a\\u\n -]{0,40}', fullmatch=True)))
@example([b"\xef\xbb\xbf\xef\xbb\xbf{}"])
@example([b"1e999", b"\r", b"\x00", b'"\\ud800"'])
def test_no_bytes_at_all_raise(lines):
    for outcome in read_all(b"\n".join(lines)):
        assert isinstance(outcome, Row | Refusal)


# Streams


class Endless(io.RawIOBase):
    """A stream that is written while it is read; `written` counts the lines that were asked for."""

    def __init__(self):
        self.written = 0

    def readline(self, size=-1):
        self.written += 1
        return a_line(a_household(household_number=f"{4 * 10 ** 9 + self.written}"))


def test_rows_come_while_the_file_is_still_being_written():
    stream = Endless()
    for row in itertools.islice(read(stream, TODAY), 50):
        assert isinstance(row, Row)
        assert stream.written == row.line


class OneLongLine(io.RawIOBase):
    """A line of 100 MiB that was never in memory, and then a household."""

    def __init__(self):
        self.left, self.most = 100 << 20, 0

    def readline(self, size=-1):
        assert size > 0
        self.most = max(self.most, size)
        if self.left > 0:
            self.left -= size
            return b"x" * size
        self.left, line = -1, {0: b"\n", -1: b""}.get(self.left, b"\n")
        return line


def test_a_line_of_any_length_is_refused_without_being_held():
    stream = OneLongLine()
    [refusal] = list(read(stream, TODAY))
    assert [problem.code for problem in refusal.problems] == ["line_too_long"]
    assert stream.most <= extract.LONGEST_LINE + 1


# The report and the page


def test_the_report_says_line_level_field_code_and_reason(tmp_path):
    warned = changed("/contacts/1/phone", "06")
    spoiled, good = a_household(household_number="4000000002", region=13), a_household(household_number="4000000003")
    write_report(tmp_path / "report.jsonl", read_all(a_line(warned), a_line(spoiled), a_line(good)))
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [["line", "level", "field", "code", "reason"]] * 2
    assert [(line["line"], line["level"], line["field"]) for line in lines] == [
        (1, "warning", "/contacts/1/phone"), (2, "refused", "/region")]


def test_a_reason_says_whose_field_it_is():
    [refusal] = read_all(a_line(changed("/members/2/sex", "x")))
    assert refusal.problems == (
        Problem("/members/2/sex", "not_listed", "Member 2: Write one of these words: female, male."),)


def schema_keywords(part):
    rules = {"type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern",
             "format", "required", "additionalProperties"}
    yield from rules & part.keys()
    parts = [*part.get("properties", {}).values(), *part.get("$defs", {}).values()]
    for child in [*parts, part["items"]] if "items" in part else parts:
        yield from schema_keywords(child)


def test_every_rule_of_the_schema_has_a_sentence_of_ours():
    assert set(schema_keywords(schema())) == set(extract.KEYWORDS)


def test_the_page_explains_every_field():
    def fields(part, path):
        for name, child in part.get("properties", {}).items():
            yield f"{path}{name}"
            yield from fields(child, f"{path}{name}.")
        if "items" in part:
            yield from fields(part["items"], path)
    assert [name for name in fields(schema(), "") if f"| `{name}` |" not in PAGE] == []


def test_the_page_explains_every_code_and_no_other():
    tables = re.findall(r"^\| `([a-z_0-9]+)` \| (?:refused|warning) \|", PAGE, re.MULTILINE)
    assert sorted(tables) == sorted(extract.SENTENCES)


def test_the_page_names_every_term_of_the_formula():
    named = set(re.findall(r"\b[UR][0-9]{1,2}\b", PAGE))
    assert named == {f"U{n}" for n in range(1, 36)} | {f"R{n}" for n in range(1, 29)}


def test_the_examples_load_without_a_warning_and_the_page_shows_the_first():
    example_lines = (DOCS / "extract.example.jsonl").read_bytes()
    rows = read_all(example_lines, today=date(2026, 1, 31))
    assert len(rows) == 3
    assert all(isinstance(row, Row) and not row.warnings for row in rows)
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(shown[1]) == json.loads(example_lines.splitlines()[0])
