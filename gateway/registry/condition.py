"""Condition: what a programme asks of a household besides its index, as an expression over the household's facts.

An expression is written in CEL (Common Expression Language, cel.dev) and yields true or false:

    members.all(m, m.health_cover != "other")
    members.exists(m, m.age >= 6 && m.age <= 15)

It may name what `docs/extract.md` calls `area`, `region`, `size` (how many members), the fields of `dwelling`,
`equipment` and `property`, and of each of the `members` every word, yes or no and the `age` in completed years on the
day of the decision. No amount, no name and no date of birth is ever given to it, and no number with a point.

What is not known is not guessed: a fact that is missing, or that the extract would refuse, is not given to the
expression. Whether it is met cannot be told then, unless that was settled before it came to look at that fact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import cel

from gateway.registry.extract import SCHEMA
from gateway.registry.measures import age_on

Facts = Mapping[str, Any]
Rules = Mapping[str, Mapping[str, Any]]

SECTIONS = ("dwelling", "equipment", "property")
OLDEST = 130
SAMPLED_ON = date(2026, 1, 1)
# Operators, the macros that read a list, and its size: all that an expression may do. No text is taken apart, nothing
# is converted, and there is no clock.
ALLOWED = {"!_", "_&&_", "_||_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "@in",
           "@not_strictly_false", "size"}
CANNOT_BE_TOLD = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError)

TEXT = re.compile(r"""\w*(?:"[^"]*"|'[^']*')""")
PLAIN_TEXT = re.compile(r"""["'](\w+)["']""")
WITH_A_POINT = re.compile(r"\.\d|\d\.|\b\d+[eE]")
# Both would make of an unknown fact a known one.
GUESS = re.compile(r"\b(?:has|null)\b")
SELECTED = re.compile(r"\.\s*([A-Za-z_]\w*)\b(?!\s*\()")
BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*(\w+)\s*,")


class BadCondition(Exception):
    """An expression that must not be decided with; the message says what is wrong in it."""


@dataclass(frozen=True)
class Condition:
    """One condition. `source` is the text it comes from, and what is doubtful in it.

    `names` are the facts that the expression may look at: no other is given to it.
    """

    name: str
    expression: str
    source: str
    names: frozenset[str] = field(repr=False, compare=False)
    program: cel.Program = field(repr=False, compare=False)

    @classmethod
    def parse(cls, name: str, expression: str, source: str) -> Condition:
        """Compile and check. Raises `BadCondition`."""
        try:
            program = cel.compile(expression)
        except ValueError as error:
            raise BadCondition(str(error).partition("\n")[0]) from None
        for fault in _faults(expression, program):
            raise BadCondition(fault)
        condition = cls(name, expression, source, frozenset(re.findall(r"\w+", expression)), program)
        for sample in _samples():
            condition._answer(facts_for(sample, SAMPLED_ON, [condition]))
        return condition

    def met(self, known: Known) -> bool | None:
        """Whether the household meets it, or None when its facts do not tell."""
        if self.expression not in known.answers:
            try:
                known.answers[self.expression] = self._answer(known)
            except BadCondition:
                known.answers[self.expression] = None
        return known.answers[self.expression]

    def _answer(self, known: Known) -> bool:
        """Raises `BadCondition`; where every fact is known, as in a sample, the fault is the expression's own."""
        try:
            answer = self.program.execute(known.context)
        except CANNOT_BE_TOLD as error:
            raise BadCondition(f"fails on a household whose facts are all known: {str(error)[:120]}") from None
        if not isinstance(answer, bool):
            raise BadCondition(f"yields {type(answer).__name__}; a condition yields true or false")
        return answer


@dataclass(frozen=True)
class Known:
    """What is known of one household on one day, as expressions see it. Each is answered once."""

    context: cel.Context = field(repr=False)
    answers: dict[str, bool | None] = field(default_factory=dict, repr=False)


def facts_for(facts: Facts, on: date, conditions: Iterable[Condition]) -> Known:
    """The facts that these conditions look at, of one household on the day `on`: made once for all of them."""
    names = frozenset[str]().union(*(condition.names for condition in conditions))
    of_household, of_member = _rules()
    given = _known(facts, _named(of_household[""], names))
    for section in SECTIONS:
        if section in names:
            given[section] = _known(facts.get(section, {}), _named(of_household[section], names))
    members = facts.get("members")
    if members:
        given["size"] = len(members)
    if members and "members" in names:
        rules = _named(of_member, names)
        aged = "age" in names
        given["members"] = [_known(member, rules) | (_age(member, on) if aged else {}) for member in members]
    return Known(cel.Context(given))


def _named(rules: Rules, names: frozenset[str]) -> Rules:
    return {name: rule for name, rule in rules.items() if name in names}


def _known(given: Facts, rules: Rules) -> dict[str, Any]:
    """Of the fields that have a rule, those whose value the extract would take."""
    return {name: given[name] for name, rule in rules.items() if name in given and _fits(given[name], rule)}


def _age(member: Facts, on: date) -> dict[str, int]:
    try:
        age = age_on(date.fromisoformat(member["birth_date"]), on)
    except (KeyError, TypeError, ValueError):
        return {}
    return {"age": age} if 0 <= age <= OLDEST else {}


def _fits(value: Any, rule: Mapping[str, Any]) -> bool:
    if "enum" in rule:
        return value in rule["enum"]
    if rule["type"] == "boolean":
        return isinstance(value, bool)
    # 1.0 and True are no counts.
    return type(value) is int and rule["minimum"] <= value <= rule["maximum"]


def _faults(expression: str, program: cel.Program) -> Iterator[str]:
    """What can be seen without evaluating: CEL leaves out half of an `or`, and a wrong word merely never fits."""
    of_household, of_member = _rules()
    fields = {"age", *of_member, *(name for section in SECTIONS for name in of_household[section])}
    words = {word for rules in (of_member, *of_household.values()) for rule in rules.values()
             for word in rule.get("enum", ())}
    bare = TEXT.sub("", expression)
    yield from (f"{text} is not a word of the extract" for text in TEXT.findall(expression)
                if not (plain := PLAIN_TEXT.fullmatch(text)) or plain[1] not in words)
    if WITH_A_POINT.search(bare):
        yield "has a number with a point; numbers are whole"
    if guess := GUESS.search(bare):
        yield f"{guess[0]}: what is not known cannot be told; leave it out"
    yield from (f"there is no fact {name}" for name in SELECTED.findall(bare) if name not in fields)
    known = {"members", "size", *SECTIONS, *of_household[""], *BOUND.findall(bare)}
    yield from (f"there is no fact {name}" for name in program.variables() if name not in known)
    yield from (f"{name} is not for conditions" for name in program.functions() if name not in ALLOWED)


@cache
def _rules() -> tuple[Mapping[str, Rules], Rules]:
    """What the extract's schema says of each field: by section of the household ("" is the household itself), and of
    a member. Free text, numbers of persons, dates and amounts are not among them."""
    schema = json.loads(SCHEMA.read_bytes())["properties"]

    def usable(properties: Rules) -> Rules:
        return {name: rule for name, rule in properties.items()
                if "enum" in rule or rule.get("type") in ("boolean", "integer")}

    household = {section: usable(schema[section]["properties"]) for section in SECTIONS}
    household[""] = {name: schema[name] for name in ("area", "region")}
    return household, usable(schema["members"]["items"]["properties"])


@cache
def _samples() -> tuple[Facts, ...]:
    """Households of two in which each field takes each of its values."""
    of_household, of_member = _rules()
    most = max(len(_values(rule)) for rule in of_member.values())
    people = [{"birth_date": f"{SAMPLED_ON.year - 9 * turn}-01-01", **_turn(of_member, turn)}
              for turn in range(most + 1)]
    homes = [{**_turn(of_household[""], turn),
              **{section: _turn(of_household[section], turn) for section in SECTIONS}} for turn in range(most)]
    return tuple({**home, "members": people[turn:turn + 2]} for turn, home in enumerate(homes))


def _turn(rules: Rules, turn: int) -> dict[str, Any]:
    return {name: _values(rule)[turn % len(_values(rule))] for name, rule in rules.items()}


def _values(rule: Mapping[str, Any]) -> list[Any]:
    if "enum" in rule:
        return list(rule["enum"])
    return [False, True] if rule["type"] == "boolean" else [rule["minimum"], rule["maximum"]]
