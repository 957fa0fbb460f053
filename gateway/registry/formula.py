"""Formula: one published version of the index, read from its file and checked whole before it may be computed with.

Coefficients and points are text in the file: a binary fraction would move the last digits.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import rfc8785

from gateway.registry.measures import ARITHMETIC, MEASURES, ShareDenominator

FOLDER = Path(__file__).with_name("formulas")
AREAS = ("urban", "rural")
REGIONS = tuple(range(1, 13))
# What tells about the formula and does not enter into any index.
DESCRIPTIVE = {"title", "source", "approver", "checked", "notes", "label"}
DECIMALS = 7

TEXT = {"type": "string", "minLength": 1}
DATE = {"type": "string", "format": "date"}
NUMBER = {"type": "string", "pattern": r"^-?[0-9]{1,2}(\.[0-9]{1,12})?$"}
POSITIVE = {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,6})?$"}


class BadFormula(Exception):
    """A formula file that must not be computed with; the message names the place."""


@dataclass(frozen=True)
class Term:
    """`coefficient` for each unit of what `measure` counts (gateway.registry.measures), or points by `bands` of it.

    A band is the value from which it runs, up to the next, and its points; the first runs from 0.
    """

    name: str
    measure: str
    coefficient: Decimal | None
    label: str
    bands: tuple[tuple[Decimal, Decimal], ...] = ()

    def amount(self, value: Decimal) -> Decimal:
        """What a value, 0 or more, adds to the index."""
        if self.coefficient is not None:
            return value * self.coefficient
        return next(points for start, points in reversed(self.bands) if start <= value)


@dataclass(frozen=True)
class Equation:
    """The sum of one area. `regions` has the constant of each region, 1 to 12: 0 where the formula has none."""

    constant: Decimal
    regions: Mapping[int, Decimal]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Formula:
    """One published version. `digest` tells it from any other that could yield another number.

    `approver` is who put it in force, and by what act. `checked` is whether the file was compared with the gazette
    itself. `effective_to` is its last day, None while no end is known. `share_denominator` is what the shares of
    members aged 15 and over are divided by; `decimals` is how many are told.
    """

    id: str
    title: str
    source: str
    approver: str
    effective_from: date
    effective_to: date | None
    checked: bool
    share_denominator: ShareDenominator
    decimals: int
    notes: tuple[str, ...]
    equations: Mapping[str, Equation]
    digest: str
    content: Mapping[str, Any] = field(repr=False)

    def displayed(self, value: Decimal) -> Decimal:
        """The value as it is told: with the formula's decimals; a tie goes to the even digit."""
        with localcontext(ARITHMETIC):
            return value.quantize(Decimal(1).scaleb(-self.decimals))

    def in_effect(self, on: date) -> bool:
        """Whether the day lies between its first day and its last."""
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)

    @classmethod
    def load(cls, id: str) -> Formula:
        """Read and check `formulas/<id>.toml`. Raises `BadFormula`."""
        files = {file.stem: file for file in FOLDER.glob("*.toml")}
        if id not in files:
            raise BadFormula(f"there is no formula of this id, but {', '.join(sorted(files))}")
        file = files[id]
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
        return _parsed(json.dumps(document, default=str))


def formulas() -> tuple[Formula, ...]:
    """Every formula there is, the one that took effect last at the end. Raises `BadFormula`.

    Which of them counts is a setting (FORMULA): a formula may be published long before it is law, or never be.
    """
    loaded = (Formula.load(file.stem) for file in FOLDER.glob("*.toml"))
    return tuple(sorted(loaded, key=lambda formula: (formula.effective_from, formula.id)))


# Checking a file takes longer than computing an index: whoever goes through all scores meets the same few again.
@lru_cache(maxsize=16)
def _parsed(written: str) -> Formula:
    content = json.loads(written)
    for error in _form("everywhere" in content, content.get("regional", True) is not False).iter_errors(content):
        raise BadFormula(f"{'.'.join(map(str, error.instance_path)) or 'file'}: {error.message}")
    begins, ends = content["effective_from"], content.get("effective_to")
    if ends and ends < begins:
        raise BadFormula("effective_to: is before effective_from")
    return Formula(
        id=content["id"],
        title=content["title"],
        source=content["source"],
        approver=content.get("approver", ""),
        effective_from=date.fromisoformat(begins),
        effective_to=date.fromisoformat(ends) if ends else None,
        checked=content["checked"],
        share_denominator=content["share_denominator"],
        decimals=content.get("decimals", DECIMALS),
        notes=tuple(content["notes"]),
        equations={area: _equation(part, content[part]) for area, part in _parts(content)},
        digest=_digest(content),
        content=content,
    )


@cache
def _form(everywhere: bool, regional: bool) -> jsonschema_rs.Validator:
    """What a file must hold: two areas or one for everywhere; the constants of its regions, or none at all."""
    term = _object(
        {
            "name": {"type": "string", "pattern": "^[A-Z][0-9]{1,2}$"},
            "measure": {"enum": list(MEASURES)},
            "label": TEXT,
        },
        coefficient=NUMBER,
        bands={
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "prefixItems": [POSITIVE, NUMBER], "minItems": 2, "maxItems": 2},
        },
    )
    equation = _object(
        {
            "expected_terms": {"type": "integer", "minimum": 1},
            "constant": NUMBER,
            **({"regions": _object({str(region): NUMBER for region in REGIONS})} if regional else {}),
            "terms": {"type": "array", "items": term},
        }
    )
    return jsonschema_rs.validator_for(
        _object(
            {
                "id": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
                "title": TEXT,
                "source": TEXT,
                "effective_from": DATE,
                "checked": {"type": "boolean"},
                "share_denominator": {"enum": ["members", "aged_15"]},
                "notes": {"type": "array", "items": TEXT},
                **dict.fromkeys(("everywhere",) if everywhere else AREAS, equation),
            },
            approver=TEXT,
            effective_to=DATE,
            decimals={"type": "integer", "minimum": 0, "maximum": 10},
            regional={"type": "boolean"},
        ),
        validate_formats=True,
    )


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def _parts(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each area, and the part of the file that holds its equation."""
    for area in AREAS:
        yield area, "everywhere" if "everywhere" in content else area


def _equation(part: str, content: Mapping[str, Any]) -> Equation:
    terms = tuple(_term(f"{part}.terms.{place}", row) for place, row in enumerate(content["terms"]))
    for column in ("name", "measure"):
        seen = [row[column] for row in content["terms"]]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice:
            raise BadFormula(f"{part}.terms: {column} {twice} stands there twice")
    if len(terms) != content["expected_terms"]:
        raise BadFormula(f"{part}.terms: {len(terms)} terms, expected {content['expected_terms']}")
    constants = content.get("regions", {})
    return Equation(
        Decimal(content["constant"]), {region: Decimal(constants.get(str(region), 0)) for region in REGIONS}, terms
    )


def _term(place: str, row: Mapping[str, Any]) -> Term:
    if ("coefficient" in row) == ("bands" in row):
        raise BadFormula(f"{place}: has either a coefficient or bands")
    bands = tuple((Decimal(start), Decimal(points)) for start, points in row.get("bands", ()))
    starts = [start for start, _ in bands]
    if bands and starts[0] != 0:
        raise BadFormula(f"{place}.bands: leave a gap, for the first does not run from 0")
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise BadFormula(f"{place}.bands: overlap, for they do not ascend")
    coefficient = Decimal(row["coefficient"]) if "coefficient" in row else None
    return Term(row["name"], row["measure"], coefficient, row["label"], bands)


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of all that decides a number, coefficients as written."""
    return hashlib.sha256(rfc8785.dumps(_without_description(content))).hexdigest()


def _without_description(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_description(value) for key, value in content.items() if key not in DESCRIPTIVE}
    if isinstance(content, list):
        return [_without_description(item) for item in content]
    return content
