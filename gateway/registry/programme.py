"""Programmes: who may have which support, by a dated threshold and a programme's own conditions.

To be registered is not to be entitled: a household still applies to the programme itself. Lower means poorer
(law 72-18 and decree 2-21-582: eligible is whose index is less than the programme's threshold).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import le, lt
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs

FILE = Path(__file__).with_name("programmes.toml")

Facts = Mapping[str, Any]
Comparator = Literal["below", "at_or_below"]
PASSES: dict[Comparator, Callable[[Decimal, Decimal], bool]] = {"below": lt, "at_or_below": le}


def _no_member(field: str, *values: str) -> Callable[[Facts], bool]:
    return lambda facts: all(member[field] not in values for member in facts["members"])


CONDITIONS: dict[str, Callable[[Facts], bool]] = {
    # Direct social aid excludes pay from the State, a local authority or a public body, and any pension:
    # who is retired is taken to draw one.
    "no_public_employee_or_pensioner": _no_member("activity", "public_employee", "retired"),
    "no_other_health_cover": _no_member("health_cover", "other"),
}

TEXT = {"type": "string", "minLength": 1}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties.keys() - {*optional}),
            "additionalProperties": False}


PROGRAMMES_FILE = jsonschema_rs.validator_for(_object({
    "programmes": {"type": "array", "minItems": 1, "items": _object({
        "key": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "comparator": {"enum": list(PASSES)},
        "conditions": {"type": "array", "items": {"enum": list(CONDITIONS)}, "uniqueItems": True},
        "where_to_apply": {"type": "string", "pattern": "^[a-z_]+$"},
        "thresholds": {"type": "array", "items": _object({
            "value": {"type": "string", "pattern": r"^[0-9]{1,2}(\.[0-9]{1,12})?$"},
            "from": {"type": "string", "format": "date"},
            "source": TEXT,
        })},
    }, optional=("comparator",))},
}), validate_formats=True)


class BadProgramme(Exception):
    """A programmes file that must not be decided with; the message names the place."""


@dataclass(frozen=True)
class Threshold:
    """The limit of the index from the day `since` on, until a later threshold."""

    value: Decimal
    since: date
    source: str


@dataclass(frozen=True)
class Programme:
    """One support programme. `where_to_apply` names the sentence that says where.

    `thresholds` stand in the order of their dates. Conditions are names in `CONDITIONS`.
    """

    key: str
    comparator: Comparator
    conditions: tuple[str, ...]
    where_to_apply: str
    thresholds: tuple[Threshold, ...]
    digest: str = ""

    @classmethod
    def load_all(cls) -> tuple[Programme, ...]:
        """Every programme of `programmes.toml`, in its order. Raises `BadProgramme`."""
        try:
            return cls.parse_all(tomllib.loads(FILE.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadProgramme(f"{FILE.name}: {error}") from None

    @classmethod
    def parse_all(cls, document: Mapping[str, Any]) -> tuple[Programme, ...]:
        """Check a whole file's content. Raises `BadProgramme` naming the first place that is wrong."""
        content = json.loads(json.dumps(document, default=str))
        for error in PROGRAMMES_FILE.iter_errors(content):
            raise BadProgramme(f"{'.'.join(map(str, error.instance_path)) or 'file'}: {error.message}")
        programmes = tuple(_programme(row) for row in content["programmes"])
        keys = [programme.key for programme in programmes]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise BadProgramme(f"programmes.{position}.key: {key} stands there twice")
        return programmes

    def threshold_on(self, on: date) -> Threshold | None:
        """The threshold in force on the day, or None when none was published yet."""
        return next((threshold for threshold in reversed(self.thresholds) if threshold.since <= on), None)


@dataclass(frozen=True)
class Reason:
    """One thing that was asked, and whether the household meets it."""

    code: str
    met: bool


@dataclass(frozen=True)
class Decision:
    """How a programme judges an index. Eligible only when every reason is met.

    `below` says whether the index passes the threshold (with `at_or_below`, equality passes too); it and the
    threshold are None when no threshold was in force.
    """

    programme: str
    threshold: Decimal | None
    comparator: Comparator
    below: bool | None
    eligible: bool | None
    reasons: tuple[Reason, ...]
    since: date | None = None
    digest: str = ""

    def as_codes(self) -> list[dict[str, Any]]:
        """The reasons, for the record."""
        return [{"code": reason.code, "met": reason.met} for reason in self.reasons]


def decide(programme: Programme, value: Decimal, facts: Facts, on: date) -> Decision:
    """Judge the exact index `value` (not the displayed one) of a household on the day `on`."""
    threshold = programme.threshold_on(on)
    if threshold is None:
        limit, below, first = None, None, Reason("threshold_not_published", False)
    else:
        limit, below = threshold.value, PASSES[programme.comparator](value, threshold.value)
        first = Reason(f"{programme.comparator}_threshold", below)
    reasons = (first, *(Reason(name, CONDITIONS[name](facts)) for name in programme.conditions))
    eligible = all(reason.met for reason in reasons)
    return Decision(programme.key, limit, programme.comparator, below, eligible, reasons,
                    threshold.since if threshold else None, programme.digest)


def _programme(row: Mapping[str, Any]) -> Programme:
    thresholds = tuple(Threshold(Decimal(each["value"]), date.fromisoformat(each["from"]), each["source"])
                       for each in row["thresholds"])
    days = [threshold.since for threshold in thresholds]
    if days != sorted(set(days)):
        raise BadProgramme(f"{row['key']}.thresholds: from: every date must be later than the one before")
    return Programme(row["key"], row.get("comparator", "below"), tuple(row["conditions"]),
                     row["where_to_apply"], thresholds)
