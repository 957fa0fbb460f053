"""Index: the published formula, and the exact sum that it makes of a household's measures.

The index is a constant of the area, a constant of the region in that area, and the sum of coefficient times
value over the terms (annexes 1 and 2 of BO 7011, 9 August 2021). Lower means poorer.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import jsonschema_rs
import rfc8785

from gateway.registry.measures import ARITHMETIC, MEASURES, CannotCompute, ShareDenominator, measure

__all__ = ["BadFormula", "CannotCompute", "Contribution", "Equation", "Formula", "Index", "Term",
           "UnknownTerm", "compute", "displayed", "formulas", "pack", "score", "unpack"]

FOLDER = Path(__file__).with_name("formulas")
SHOWN = Decimal("1E-7")
# Amounts are fixed-point and bounded, so that 28 digits hold their sum: it is exact, in any order.
FINEST = Decimal("1E-16")
TOO_LARGE = Decimal("1E+8")

TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "string", "pattern": r"^-?[0-9]{1,2}(\.[0-9]{1,12})?$"}
REGIONS = [str(region) for region in range(1, 13)]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False}


EQUATION_FILE = _object({
    "expected_terms": {"type": "integer", "minimum": 1},
    "constant": NUMBER,
    "regions": _object(dict.fromkeys(REGIONS, NUMBER)),
    "terms": {"type": "array", "items": _object({
        "name": {"type": "string", "pattern": "^[A-Z][0-9]{1,2}$"},
        "measure": {"enum": list(MEASURES)},
        "coefficient": NUMBER,
        "label": TEXT,
    })},
})
FORMULA_FILE = jsonschema_rs.validator_for(_object({
    "id": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
    "title": TEXT,
    "source": TEXT,
    "effective_from": {"type": "string", "format": "date"},
    "checked": {"type": "boolean"},
    "share_denominator": {"enum": ["members", "aged_15"]},
    "notes": {"type": "array", "items": TEXT},
    "urban": EQUATION_FILE,
    "rural": EQUATION_FILE,
}), validate_formats=True)
# What tells about the formula and does not enter into any index.
DESCRIPTIVE = {"title", "source", "checked", "notes", "label"}


class BadFormula(Exception):
    """A formula file that must not be computed with; the message names the place."""


class UnknownTerm(Exception):
    """A value was given for a term that the equation does not have."""


@dataclass(frozen=True)
class Term:
    """`coefficient` for each unit of what `measure` counts (gateway.registry.measures)."""

    name: str
    measure: str
    coefficient: Decimal
    label: str


@dataclass(frozen=True)
class Equation:
    """The sum of one area. `regions` has the constant of each region, 1 to 12."""

    constant: Decimal
    regions: Mapping[int, Decimal]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Formula:
    """One published version. `digest` tells it from any other that could yield another number.

    `checked` is whether the file was compared with the gazette itself. `share_denominator` is what the shares
    of members aged 15 and over are divided by.
    """

    id: str
    title: str
    source: str
    effective_from: date
    checked: bool
    share_denominator: ShareDenominator
    notes: tuple[str, ...]
    equations: Mapping[str, Equation]
    digest: str
    content: Mapping[str, Any] = field(repr=False)

    def displayed(self, value: Decimal) -> Decimal:
        """The value as it is told: with 7 decimals, as the thresholds are published."""
        with localcontext(ARITHMETIC):
            return value.quantize(SHOWN)

    @classmethod
    def load(cls, id: str) -> Formula:
        """Read and check `formulas/<id>.toml`. Raises `BadFormula`."""
        file = next((file for file in FOLDER.glob("*.toml") if file.stem == id), None)
        if file is None:
            raise BadFormula("there is no formula of this id")
        try:
            formula = cls.parse(tomllib.loads(file.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadFormula(f"{file.name}: {error}") from None
        if formula.id != id:
            raise BadFormula(f"{file.name}: id: is not the file's name")
        return formula

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Formula:
        """Check a whole file's content. Raises `BadFormula` naming the first place that is wrong."""
        content = json.loads(json.dumps(document, default=str))
        for error in FORMULA_FILE.iter_errors(content):
            raise BadFormula(f"{'.'.join(map(str, error.instance_path)) or 'file'}: {error.message}")
        return cls(
            id=content["id"],
            title=content["title"],
            source=content["source"],
            effective_from=date.fromisoformat(content["effective_from"]),
            checked=content["checked"],
            share_denominator=content["share_denominator"],
            notes=tuple(content["notes"]),
            equations={area: _equation(area, content[area]) for area in ("urban", "rural")},
            digest=_digest(content),
            content=content,
        )


@dataclass(frozen=True)
class Contribution:
    """`value` times `coefficient` is `amount`. The constants are the terms `K` and `REGION`, of value 1."""

    term: str
    measure: str
    value: Decimal = field(repr=False)
    coefficient: Decimal
    amount: Decimal = field(repr=False)

    def as_text(self) -> dict[str, str]:
        """For the record: the numbers as exact text."""
        return {"term": self.term, "measure": self.measure, "value": f"{self.value:f}",
                "coefficient": f"{self.coefficient:f}", "amount": f"{self.amount:f}"}


@dataclass(frozen=True)
class Index:
    """An index, exact, with all that it is the sum of."""

    formula: str
    digest: str
    area: str
    region: int
    value: Decimal = field(repr=False)
    contributions: tuple[Contribution, ...] = field(repr=False)


def formulas() -> tuple[Formula, ...]:
    """Every formula there is, the one that took effect last at the end. Raises `BadFormula`."""
    loaded = (Formula.load(file.stem) for file in FOLDER.glob("*.toml"))
    return tuple(sorted(loaded, key=lambda formula: (formula.effective_from, formula.id)))


def score(formula: Formula, facts: Mapping[str, Any], on: date) -> Index:
    """The index of a household (one row of an extract) as it stands on the day `on`.

    Raises `CannotCompute` with a reason; there is never a number that the facts do not carry.
    """
    area, region = facts.get("area", ""), facts.get("region", 0)
    equation = _equation_of(formula, area, region)
    measured = measure((term.measure for term in equation.terms), facts, on,
                       share_denominator=formula.share_denominator)
    return compute(formula, area, region, {term.name: measured[term.measure] for term in equation.terms})


def pack(contributions: Sequence[Contribution]) -> bytes:
    """The amounts as whole numbers of 1E-16, eight bytes each, the lowest byte last.

    Raises `CannotCompute` for an amount of 922 or more: no term of a household comes near it.
    """
    with localcontext(ARITHMETIC):
        units = [int(line.amount / FINEST) for line in contributions]
    try:
        return struct.pack(f">{len(units)}q", *units)
    except struct.error:
        raise CannotCompute("a contribution is far too large") from None


def unpack(formula: Formula, facts: Mapping[str, Any], on: date, packed: bytes) -> tuple[Contribution, ...]:
    """The contributions of a score once more, with the amounts that were stored."""
    units = struct.unpack(f">{len(packed) // 8}q", packed)
    lines = score(formula, facts, on).contributions
    with localcontext(ARITHMETIC):
        return tuple(replace(line, amount=(unit * FINEST).normalize())
                     for line, unit in zip(lines, units, strict=True))


def compute(formula: Formula, area: str, region: int, values: Mapping[str, Decimal]) -> Index:
    """The index of these values, by term name; a term without value counts 0.

    Raises `UnknownTerm`, and `CannotCompute` for an area or region that is not there or a value that is
    negative, far too large or not a number.
    """
    equation = _equation_of(formula, area, region)
    unknown = sorted(values.keys() - {term.name for term in equation.terms})
    if unknown:
        raise UnknownTerm(f"no such term in the {area} formula: {', '.join(unknown)}")
    for name, value in values.items():
        if not value.is_finite() or not 0 <= value < TOO_LARGE:
            raise CannotCompute(f"{name}: is negative, far too large or not a number")
    with localcontext(ARITHMETIC):
        one = Decimal(1)
        lines = (
            _contribution("K", "constant", one, equation.constant),
            _contribution("REGION", f"region_{region}", one, equation.regions[region]),
            *(_contribution(term.name, term.measure, values.get(term.name, Decimal(0)), term.coefficient)
              for term in equation.terms),
        )
        total = sum((line.amount for line in lines), Decimal(0))
    return Index(formula.id, formula.digest, area, region, total, lines)


def displayed(value: Decimal) -> str:
    """An index or threshold with 7 decimals and a point, as the thresholds are published."""
    with localcontext(ARITHMETIC):
        return f"{value.quantize(SHOWN):f}"


def _equation_of(formula: Formula, area: str, region: int) -> Equation:
    equation = formula.equations.get(area)
    if equation is None or region not in equation.regions:
        raise CannotCompute("the formula has no such area or region")
    return equation


def _contribution(term: str, measured: str, value: Decimal, coefficient: Decimal) -> Contribution:
    amount = (value * coefficient).quantize(FINEST).normalize()
    return Contribution(term, measured, value, coefficient, amount)


def _equation(area: str, content: Mapping[str, Any]) -> Equation:
    terms = tuple(Term(row["name"], row["measure"], Decimal(row["coefficient"]), row["label"])
                  for row in content["terms"])
    for column in ("name", "measure"):
        seen = [row[column] for row in content["terms"]]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice:
            raise BadFormula(f"{area}.terms: {column} {twice} stands there twice")
    if len(terms) != content["expected_terms"]:
        raise BadFormula(f"{area}.terms: {len(terms)} terms, expected {content['expected_terms']}")
    regions = {int(region): Decimal(text) for region, text in content["regions"].items()}
    return Equation(Decimal(content["constant"]), regions, terms)


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of all that decides a number, coefficients as written."""
    return hashlib.sha256(rfc8785.dumps(_without_description(content))).hexdigest()


def _without_description(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_description(value) for key, value in content.items() if key not in DESCRIPTIVE}
    if isinstance(content, list):
        return [_without_description(item) for item in content]
    return content
