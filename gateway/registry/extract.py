"""Extract: a registry extract read one household a line, each row loaded or refused with its reasons.

What a row holds is `docs/extract.schema.json`; what each field and each code means is `docs/extract.md`.
Memory stays constant but for the numbers of the households already loaded, some 100 bytes each, which find
a household that stands twice in the file. No reason holds a value of the row: reports travel further.

The rules are those of the registry: every member has an identifier, the declarant is an adult member
(decree 2-21-582, article 2), and a household is one person or more with one head.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import jsonschema_rs
import rfc8785
from stdnum import verhoeff

from gateway.registry.communes import commune
from gateway.registry.phones import NotATelephone, Telephone, telephone

SCHEMA = Path(__file__).parents[2] / "docs" / "extract.schema.json"

LONGEST_LINE = 1 << 20
# Forty members and everything else make some 750 values, five levels deep.
MOST_VALUES = 2_000
DEEPEST = 6
ADULT = 18
OLDEST = 130

# JSON Schema keyword -> our code, and what to do about it. {limit}, {options} and {types} are the schema's.
KEYWORDS = {
    "required": ("missing", "This field is missing or empty; fill it in."),
    "additionalProperties": ("unexpected", "There is a field here that the schema does not know; remove it."),
    "type": ("wrong_type", "Write {types} here."),
    "enum": ("not_listed", "Write one of these words: {options}."),
    "minimum": ("out_of_range", "This number is too small; the least is {limit}."),
    "maximum": ("out_of_range", "This number is too large; the most is {limit}."),
    "minLength": ("missing", "This field is missing or empty; fill it in."),
    "maxLength": ("too_long", "This text is too long; shorten it to {limit} characters."),
    "minItems": ("too_few", "This list is empty; it needs at least {limit}."),
    "maxItems": ("too_many", "This list is too long; the most is {limit}."),
    "pattern": ("malformed", "This text has not the form that the schema asks for."),
    "format": ("not_a_date", "Write a day that exists, as year-month-day: 2026-01-31."),
}
TYPES = {"string": "text in quotes", "integer": "a whole number", "boolean": "true or false",
         "array": "a list", "object": "an object", "null": "null"}

# Codes of our own rules.
REFUSALS = {
    "line_too_long": "The line is longer than 1 MiB and was not read; one line holds one household.",
    "not_utf8": "The line is not UTF-8 text; export the file again as UTF-8.",
    "not_json": "The line is not whole, valid JSON{where}; it may be cut off. Export this household again.",
    "too_large": "The line holds far more than one household; one line holds one household.",
    "repeated_key": "A field is written twice in this object; keep one of them.",
    "decimal_number": "Write a whole number without a decimal point; an amount in dirhams is text in quotes.",
    "unprintable": "This text holds a control character or a line break; remove it.",
    "household_repeated": "An earlier line of this file holds this household; keep one of them.",
    "unknown_region": "There is no such region; the regions are 1 to 12.",
    "unknown_commune": "There is no such commune; write the planning commission's code (HCP), with dots.",
    "commune_elsewhere": "This commune lies in another region; correct the region or the commune.",
    "registration_in_future": "The day of registration has not come yet; correct it.",
    "identifier_missing": "There is no identifier; the person registers in the population register first.",
    "identifier_malformed": "An identifier has exactly 10 digits, 0 to 9; compare it with the document.",
    "identifier_repeated": "An earlier member of this household has this identifier; correct one of the two.",
    "birth_in_future": "The birth date has not come yet; correct it.",
    "birth_too_long_ago": "The birth date is more than 130 years ago; use the Gregorian calendar.",
    "head_not_single": "A household has exactly one head; set the relation of the others.",
    "spouse_unmarried": "A spouse and the head are both married; correct a marital status or the relation.",
    "declarant_unknown": "There is no member at this position; positions count from 1.",
    "declarant_minor": "The declarant was under 18 on the day of registration; name an adult member.",
    "negative_amount": "Spending cannot be negative; write 0 or more.",
}
WARNINGS = {
    "telephone_unusable": "The household is loaded without this telephone. {why}",
    "telephone_repeated": "This telephone stands twice; it is kept once, without consent if either had none.",
    "identifier_check_digit": "The last digit does not fit the others; the identifier may be mistyped.",
}
# What to write where the form is wrong, better than the schema's pattern can say it.
FORMS = {
    "household_number": "A household number has exactly 10 digits, 0 to 9.",
    "idcs": REFUSALS["identifier_malformed"],
    "postal_code": "A postal code has exactly 5 digits, 0 to 9, or is null.",
    "butane": "Write dirhams as text, with a point and at most two decimals: \"120.50\".",
    "water_electricity": "Write dirhams as text, with a point and at most two decimals: \"120.50\".",
    "phone_internet": "Write dirhams as text, with a point and at most two decimals: \"120.50\".",
}

TELEPHONE = re.compile(r"/contacts/[0-9]+/phone(/.*)?")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SENTENCES = {**dict(KEYWORDS.values()), **REFUSALS, **WARNINGS}
UNMARRIED = ("single", "divorced", "widowed")

Step = str | int
Household = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field. `field` is a path whose positions count from 1: `/members/2/idcs`.

    The whole line is the empty path. A name that the schema does not know is written `?`.
    """

    field: str
    code: str
    reason: str


@dataclass(frozen=True)
class DeclaredTelephone:
    """A telephone of the household, and whether it agreed to texts there."""

    telephone: Telephone
    consent: bool


@dataclass(frozen=True)
class Row:
    """A household that can be loaded. `line` counts from 1.

    `household` is the object of the schema, its contacts those of `telephones` alone, in E.164.
    `content_digest` is the SHA-256 of its canonical JSON (RFC 8785): equal for equal facts.
    """

    line: int
    household: Household = field(repr=False)
    telephones: tuple[DeclaredTelephone, ...]
    content_digest: str
    warnings: tuple[Problem, ...]

    def report(self) -> Iterator[dict[str, Any]]:
        """Its warnings as lines of the report."""
        return entries(self.line, "warning", self.warnings)


@dataclass(frozen=True)
class Waiting:
    """A household that can be registered once the members at these positions are in the population register."""

    household_number: str = field(repr=False)
    registered_on: date
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Refusal:
    """A row that is not loaded, with everything that is wrong with it, at most one problem a field.

    `waiting` is there when nothing is wrong but that members have no identifier yet: the household is pre-registered.
    """

    line: int
    problems: tuple[Problem, ...]
    waiting: Waiting | None = None

    def report(self) -> Iterator[dict[str, Any]]:
        """Its problems as lines of the report."""
        return entries(self.line, "refused", self.problems)


class Reported(Protocol):
    """What became of one line."""

    def report(self) -> Iterator[dict[str, Any]]: ...


def read(stream: BinaryIO, today: date) -> Iterator[Row | Refusal]:
    """Every line that is not blank, in order: a `Row`, or the `Refusal` of it. No content of a line raises.

    Of a household that stands twice, the first line that can be loaded counts.
    """
    loaded: set[int] = set()
    for number, line in lines(stream):
        try:
            outcome = _checked(number, parsed(line), today, loaded)
        except Unreadable as unreadable:
            outcome = Refusal(number, (_problem((), unreadable.code, where=unreadable.where),))
        if isinstance(outcome, Row):
            loaded.add(int(outcome.household["household_number"]))
        yield outcome


def write_report(path: Path, outcomes: Iterable[Reported]) -> None:
    """Write refusals and warnings as JSON Lines: line, level (refused, warning), field, code, reason."""
    with path.open("w", encoding="utf-8") as out:
        for outcome in outcomes:
            out.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in outcome.report())


@cache
def schema() -> dict[str, Any]:
    """The contract of one row, as JSON Schema 2020-12."""
    return json.loads(SCHEMA.read_bytes())  # type: ignore[no-any-return]


def field_schema(item: str) -> dict[str, Any]:
    """What the schema asks of one field, named as in evidence: `equipment.cars`, `members.2.activity`.

    Raises `KeyError` when there is no such field.
    """
    found = schema()
    for step in item.split("."):
        found = found["items"] if step.isdecimal() else found["properties"][step]
    return schema()["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found


def check_field(item: str, value: object) -> Problem | None:
    """What is wrong with this value for one field; None when nothing is. Raises `KeyError` as `field_schema`."""
    if isinstance(value, float):
        return _problem((), "decimal_number")
    last = item.rpartition(".")[2]
    wanted = {"properties": {last: field_schema(item)}}
    errors = jsonschema_rs.Draft202012Validator(wanted, validate_formats=True).iter_errors({last: value})
    return next(map(_translated, errors), None)


# One line, before it is a household


class Unreadable(Exception):
    """The line is no object at all; `code` says why. `where` is the place in it, or empty."""

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(code)
        self.code, self.where = code, where


class Repeated(dict[str, Any]):
    """An object in which a key was written twice."""


def lines(stream: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[tuple[int, bytes | None]]:
    """Lines that are not blank, with their number; None for one of more than `longest` bytes."""
    for number in count(1):
        line = stream.readline(longest + 1)
        if not line:
            return
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > longest and not line.endswith(b"\n"):
            while (rest := stream.readline(longest)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip():
            yield number, line


def parsed(line: bytes | None) -> object:
    """Any JSON value, its objects `Repeated` where a key stands twice. Raises `Unreadable`."""
    if line is None:
        raise Unreadable("line_too_long")
    try:
        value: object = json.loads(line.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        # Half a character may hide in an escape; nothing later could write it.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise Unreadable("not_utf8") from None
    except json.JSONDecodeError as error:
        raise Unreadable("not_json", where=f" at character {error.pos + 1}") from None
    except ValueError:
        raise Unreadable("not_json") from None
    except RecursionError:
        raise Unreadable("too_large") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(found)


def _no_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


# One household


def _checked(line: int, household: object, today: date, loaded: set[int]) -> Row | Refusal:
    problems: dict[str, Problem] = {}
    for problem in _problems(household, today, loaded):
        problems.setdefault(problem.field, problem)
    # An unusable telephone costs the household its texts, not its place: it will get a letter.
    unusable = {name: problems.pop(name) for name in list(problems) if TELEPHONE.fullmatch(name)}
    if problems or not isinstance(household, dict):
        return Refusal(line, tuple(problems.values()), _waiting(household, problems.values()))
    telephones, warnings = _telephones(household["contacts"], unusable)
    household = {**household, "contacts": [{"phone": each.telephone.msisdn, "consent": each.consent}
                                           for each in telephones]}
    digest = hashlib.sha256(rfc8785.dumps(household)).hexdigest()
    return Row(line, household, telephones, digest, (*warnings, *_mistyped(household)))


def _waiting(household: object, problems: Collection[Problem]) -> Waiting | None:
    if not isinstance(household, dict) or any(problem.code != "identifier_missing" for problem in problems):
        return None
    missing = sorted(int(problem.field.split("/")[2]) for problem in problems)
    return Waiting(household["household_number"], date.fromisoformat(household["registered_on"]), tuple(missing))


def _problems(household: object, today: date, loaded: set[int]) -> Iterator[Problem]:
    """Everything wrong, the more telling first: of two problems of one field the first is kept."""
    yield from _examined(household)
    if isinstance(household, dict):
        number = household.get("household_number")
        if isinstance(number, str) and _text(number, r"[0-9]{10}") and int(number) in loaded:
            yield _problem(("household_number",), "household_repeated")
        for rule in RULES:
            yield from rule(household, today)
    for error in _validator().iter_errors(household):
        yield _translated(error)


def _examined(household: object) -> Iterator[Problem]:
    """What a schema cannot see: a key written twice, a decimal point, blank text, control characters.

    Raises `Unreadable` when there is more than a household can hold: the rules need not guard themselves.
    """
    queue: list[tuple[tuple[Step, ...], object]] = [((), household)]
    for path, value in queue:
        if isinstance(value, str):
            yield from _examined_text(path, value)
        elif isinstance(value, dict):
            queue += [((*path, name), child) for name, child in value.items()]
            if isinstance(value, Repeated):
                yield _problem(path, "repeated_key")
        elif isinstance(value, list):
            queue += [((*path, position), child) for position, child in enumerate(value, 1)]
        elif isinstance(value, float):
            yield _problem(path, "decimal_number")
        if len(queue) > MOST_VALUES or len(path) > DEEPEST:
            raise Unreadable("too_large")


def _examined_text(path: tuple[Step, ...], text: str) -> Iterator[Problem]:
    if UNPRINTABLE.search(text):
        yield _problem(path, "unprintable")
    elif not text.strip() and path[-1:] != ("idcs",):
        yield _problem(path, "missing")


def _telephones(contacts: list[dict[str, Any]], unusable: Container[str]
                ) -> tuple[tuple[DeclaredTelephone, ...], list[Problem]]:
    found: dict[str, DeclaredTelephone] = {}
    warnings = []
    for position, contact in enumerate(contacts, 1):
        path = ("contacts", position, "phone")
        try:
            if _name(path) in unusable:
                raise NotATelephone("Write it as text of at most 40 characters.")
            one = telephone(contact["phone"])
        except NotATelephone as error:
            warnings.append(_problem(path, "telephone_unusable", why=error.reason))
            continue
        consent = contact["consent"]
        if one.msisdn in found:
            warnings.append(_problem(path, "telephone_repeated"))
            consent = consent and found[one.msisdn].consent
        found[one.msisdn] = DeclaredTelephone(one, consent)
    return tuple(found.values()), warnings


def _mistyped(household: Household) -> Iterator[Problem]:
    # The population register is built on MOSIP, whose identifiers end so (docs.mosip.io, id-generator);
    # no Moroccan text says it, so it is never more than a warning.
    for position, member in _members(household):
        if not verhoeff.is_valid(member["idcs"]):
            yield _problem(("members", position, "idcs"), "identifier_check_digit")


# Rules. Each is given a household that may be broken elsewhere, and passes over what it cannot read


def _place(household: Household, _: date) -> Iterator[Problem]:
    region, code = household.get("region"), household.get("commune")
    if type(region) is int and not 1 <= region <= 12:
        yield _problem(("region",), "unknown_region")
        region = None
    if isinstance(code, str):
        found = commune(code)
        if found is None:
            yield _problem(("commune",), "unknown_commune")
        elif type(region) is int and region != found.region:
            yield _problem(("commune",), "commune_elsewhere")


def _identifiers(household: Household, _: date) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, member in _members(household):
        idcs, path = member.get("idcs"), ("members", position, "idcs")
        if idcs is None or _text(idcs, r"\s*"):
            yield _problem(path, "identifier_missing")
        elif not isinstance(idcs, str):
            continue
        elif not _text(idcs, r"[0-9]{10}"):
            yield _problem(path, "identifier_malformed")
        elif idcs in seen:
            yield _problem(path, "identifier_repeated")
        else:
            seen.add(idcs)


def _dates(household: Household, today: date) -> Iterator[Problem]:
    registered = _date(household.get("registered_on"))
    if registered is None and isinstance(household.get("registered_on"), str):
        yield _problem(("registered_on",), "not_a_date")
    elif registered and registered > today:
        yield _problem(("registered_on",), "registration_in_future")
    for position, member in _members(household):
        code = birth(member.get("birth_date"), today)
        if code:
            yield _problem(("members", position, "birth_date"), code)


def birth(value: object, today: date) -> str | None:
    """The code of what is wrong with a day of birth, or None. A child may be born after the registration."""
    born = _date(value)
    if born is None:
        return "not_a_date" if isinstance(value, str) else None
    if born > today:
        return "birth_in_future"
    return "birth_too_long_ago" if born.year < today.year - OLDEST else None


def _roles(household: Household, _: date) -> Iterator[Problem]:
    members = _members(household)
    heads = [member for _, member in members if member.get("relation") == "head"]
    if members and len(heads) != 1:
        yield _problem(("members",), "head_not_single")
        return
    for position, member in members:
        statuses = (member.get("marital_status"), heads[0].get("marital_status"))
        if member.get("relation") == "spouse" and any(status in UNMARRIED for status in statuses):
            yield _problem(("members", position, "relation"), "spouse_unmarried")


def _declarant(household: Household, today: date) -> Iterator[Problem]:
    position, members = household.get("declarant"), household.get("members")
    if type(position) is not int or position < 1 or not isinstance(members, list) or not members:
        return
    if position > len(members):
        yield _problem(("declarant",), "declarant_unknown")
        return
    declarant = members[position - 1]
    registered = _date(household.get("registered_on"))
    born = _date(declarant.get("birth_date")) if isinstance(declarant, dict) else None
    if registered and born and born <= today and _age(born, registered) < ADULT:
        yield _problem(("declarant",), "declarant_minor")


def _amounts(household: Household, _: date) -> Iterator[Problem]:
    spending = household.get("spending")
    for name, value in spending.items() if isinstance(spending, dict) else ():
        if _text(value, r"\s*[-\u2212].*") or (type(value) is int and value < 0):
            yield _problem(("spending", name), "negative_amount")


RULES: tuple[Callable[[Household, date], Iterator[Problem]], ...] = (
    _place, _identifiers, _dates, _roles, _declarant, _amounts)


def _members(household: Household) -> list[tuple[int, dict[str, Any]]]:
    members = household.get("members")
    return [(position, member) for position, member in enumerate(members, 1)
            if isinstance(member, dict)] if isinstance(members, list) else []


def _text(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def _date(value: object) -> date | None:
    if not isinstance(value, str) or not _text(value, r"[0-9]{4}-[0-9]{2}-[0-9]{2}"):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _age(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


# Words


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)


def _translated(error: jsonschema_rs.ValidationError) -> Problem:
    return _said(*worded(error))


def worded(error: jsonschema_rs.ValidationError) -> tuple[tuple[Step, ...], str, str]:
    """Path, code and sentence. The library's own message quotes the value; ours says what to write."""
    keyword, facts = error.kind.name, error.kind.as_dict()
    path = tuple(step + 1 if isinstance(step, int) else step for step in error.instance_path)
    code, sentence = KEYWORDS[keyword]
    if keyword == "required":
        path = (*path, facts["property"])
    if keyword == "pattern":
        sentence = FORMS.get(str(path[-1]), sentence)
    return path, code, sentence.format(
        limit=facts.get("limit"), options=", ".join(map(str, facts.get("options", ()))),
        types=" or ".join(TYPES[name] for name in facts.get("types", ())))


def _problem(path: tuple[Step, ...], code: str, **facts: str) -> Problem:
    return _said(path, code, SENTENCES[code].format(**facts))


def _said(path: tuple[Step, ...], code: str, sentence: str) -> Problem:
    return Problem(_name(path), code, _whose(path) + sentence)


def _name(path: tuple[Step, ...]) -> str:
    """The path as text. A name that the schema does not know may be anybody's, and is not repeated."""
    return "".join(f"/{step if isinstance(step, int) or step in _known() else '?'}" for step in path)


def _whose(path: tuple[Step, ...]) -> str:
    kind = {"members": "Member", "contacts": "Contact"}.get(str(path[0])) if len(path) > 1 else None
    return f"{kind} {path[1]}: " if kind else ""


@cache
def _known() -> frozenset[str]:
    parts, names = [schema()], set()
    while parts:
        part = parts.pop()
        names.update(part.get("properties", ()))
        parts += [*part.get("properties", {}).values(), *([part["items"]] if "items" in part else [])]
    return frozenset(names)


def entries(line: int, level: str, problems: Iterable[Problem]) -> Iterator[dict[str, Any]]:
    """What a report says of one line, a problem a time."""
    for problem in problems:
        yield {"line": line, "level": level, "field": problem.field, "code": problem.code,
               "reason": problem.reason}
