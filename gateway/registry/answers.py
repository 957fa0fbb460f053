"""Answers: what partner bodies say of declared items, read one a line, each read or refused with its reasons.

What a line holds is `docs/answers.schema.json`; what each field and each code means is `docs/answers.md`. No reason
holds a value of a line: reports travel further.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, BinaryIO

import jsonschema_rs

from gateway.registry import extract
from gateway.registry.extract import Problem, Refusal
from gateway.registry.inquiry import PARTNERS

SCHEMA = extract.SCHEMA.with_name("answers.schema.json")
LONGEST_LINE = 4_096

REFUSALS = {
    "line_too_long": "The line is longer than 4 KiB and was not read; one line holds one answer.",
    "not_utf8": "The line is not UTF-8 text; write it again as UTF-8.",
    "not_json": "The line is not whole, valid JSON{where}; it may be cut off. Send this answer again.",
    "too_large": "The line holds far more than one answer; one line holds one answer.",
    "repeated_key": "A field is written twice; keep one of them.",
    "unprintable": "This text holds a control character or a line break; remove it.",
    "not_this_partner": "This body does not answer about this item. It answers about: {items}.",
    "member_missing": "An item of members needs the identifier (idcs) of the member.",
    "member_unexpected": "Only an item of members has an identifier (idcs); remove it.",
    "value_missing": "A corrected answer needs the value that is right.",
    "value_unexpected": "Only a corrected answer has a value; remove it.",
    "answered_in_future": "The day of the answer has not come yet; correct it.",
    "unknown_household": "No household has this number here; compare it with the question.",
    "unknown_member": "No member of this household has this identifier; compare it with the question.",
}
WARNINGS = {
    "answered_before_asked": "The answer is kept, but the question is younger and stays open; answer it once more."
}
SENTENCES = {**REFUSALS, **WARNINGS}


@dataclass(frozen=True)
class Answer:
    """One body's word on one item of one household. `value` is there when `outcome` is corrected."""

    line: int
    partner: str
    household_number: str = field(repr=False)
    item: str
    idcs: str | None = field(repr=False)
    outcome: str
    value: Any = field(repr=False)
    answered_on: date
    reference: str

    def report(self) -> Iterator[dict[str, Any]]:
        """Nothing: there is nothing to be said of it."""
        yield from ()


@dataclass(frozen=True)
class Remark:
    """An answer that was kept, and what its sender should know."""

    line: int
    problems: tuple[Problem, ...]

    def report(self) -> Iterator[dict[str, Any]]:
        """Its warnings as lines of the report."""
        return extract.entries(self.line, "warning", self.problems)


def read(stream: BinaryIO, today: date) -> Iterator[Answer | Refusal]:
    """Every line that is not blank, in order: an `Answer`, or the `Refusal` of it. No content of a line raises."""
    for number, line in extract.lines(stream, LONGEST_LINE):
        try:
            document = extract.parsed(line)
        except extract.Unreadable as unreadable:
            yield refusal(number, "", unreadable.code, where=unreadable.where)
        else:
            yield check(number, document, today)


def check(line: int, document: object, today: date) -> Answer | Refusal:
    """One answer, already parsed. `line` is its place among those that came together, from 1."""
    problems: dict[str, Problem] = {}
    for error in _validator().iter_errors(document):
        problem = _worded(error)
        problems.setdefault(problem.field, problem)
    if problems or not isinstance(document, dict):
        return Refusal(line, tuple(problems.values()))
    for problem in _broken(document, today):
        problems.setdefault(problem.field, problem)
    if problems:
        return Refusal(line, tuple(problems.values()))
    return Answer(line, document["partner"], document["household_number"], document["item"], document.get("idcs"),
                  document["outcome"], document.get("value"), date.fromisoformat(document["answered_on"]),
                  document["reference"])


def refusal(line: int, name: str, code: str, **facts: str) -> Refusal:
    """The answer on this line is refused for one thing. `name` is a field, or empty for the whole line."""
    return Refusal(line, (_problem(name, code, **facts),))


def remark(line: int, name: str, code: str) -> Remark:
    """The answer on this line is kept, with a warning."""
    return Remark(line, (_problem(name, code),))


@cache
def schema() -> dict[str, Any]:
    """The contract of one answer, as JSON Schema 2020-12."""
    return json.loads(SCHEMA.read_bytes())  # type: ignore[no-any-return]


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)


def _broken(answer: dict[str, Any], today: date) -> Iterator[Problem]:
    """What the schema cannot see."""
    partner, item, corrected = answer["partner"], answer["item"], answer["outcome"] == "corrected"
    if isinstance(answer, extract.Repeated):
        yield _problem("", "repeated_key")
    if extract.UNPRINTABLE.search(answer["reference"]):
        yield _problem("reference", "unprintable")
    if date.fromisoformat(answer["answered_on"]) > today:
        yield _problem("answered_on", "answered_in_future")
    if item not in PARTNERS[partner]:
        yield _problem("item", "not_this_partner", items=", ".join(PARTNERS[partner]))
        return
    if item.startswith("members.") != ("idcs" in answer):
        yield _problem("idcs", "member_unexpected" if "idcs" in answer else "member_missing")
    if corrected != ("value" in answer):
        yield _problem("value", "value_missing" if corrected else "value_unexpected")
    elif corrected:
        problem = extract.check_field(item.replace("members.", "members.1."), answer["value"])
        if problem:
            yield Problem("/value", problem.code, problem.reason)


def _worded(error: jsonschema_rs.ValidationError) -> Problem:
    path, code, sentence = extract.worded(error)
    name = path[0] if path and path[0] in schema()["properties"] else "?" if path else ""
    return Problem(f"/{name}" if name else "", code, sentence)


def _problem(name: str, code: str, **facts: str) -> Problem:
    return Problem(f"/{name}" if name else "", code, SENTENCES[code].format(**facts))
