"""Programmes: who may have which support, by a dated threshold and a programme's own conditions.

To be registered is not to be entitled: a household still applies to the programme itself. Lower means poorer
(law 72-18 and decree 2-21-582: eligible is whose index is less than the programme's threshold).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from functools import cache
from operator import gt, le, lt
from pathlib import Path
from typing import Any, Literal, Protocol

import jsonschema_rs
import rfc8785

from gateway.registry.condition import BadCondition, Condition, Facts, Known, facts_for
from gateway.registry.measures import ARITHMETIC

FILE = Path(__file__).with_name("programmes.toml")

Comparator = Literal["below", "at_or_below", "above"]
PASSES: Mapping[str, Callable[[Decimal, Decimal], bool]] = {"below": lt, "at_or_below": le, "above": gt}
NOT_PUBLISHED = "threshold_not_published"

TEXT = {"type": "string", "minLength": 1}
WORD = {"type": "string", "pattern": "^[a-z_]{1,40}$"}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties.keys() - {*optional}),
            "additionalProperties": False}


PROGRAMMES_FILE = jsonschema_rs.validator_for(_object({
    "programmes": {"type": "array", "minItems": 1, "items": _object({
        "key": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "comparator": {"enum": list(PASSES)},
        "in_texts": {"type": "boolean"},
        "where_to_apply": WORD,
        "documents": {"type": "array", "items": WORD, "uniqueItems": True},
        "thresholds": {"type": "array", "items": _object({
            "value": {"type": "string", "pattern": r"^[0-9]{1,2}(\.[0-9]{1,12})?$"},
            "from": {"type": "string", "format": "date"},
            "source": TEXT,
        })},
        "conditions": {"type": "array", "items": _object({"name": WORD, "expression": TEXT, "source": TEXT})},
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
    """One support programme. `thresholds` stand in the order of their dates; without any, the limit is not published.

    `where_to_apply` and `documents` name the words that say where and with what. `in_texts`: it is named in an SMS,
    where there is room for very few. `digest` tells it from any other that could decide otherwise.
    """

    key: str
    comparator: Comparator
    conditions: tuple[Condition, ...]
    where_to_apply: str
    thresholds: tuple[Threshold, ...]
    documents: tuple[str, ...] = ()
    in_texts: bool = False
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
        programmes = tuple(_programme(f"programmes.{position}", row)
                           for position, row in enumerate(content["programmes"]))
        _no_name_twice(programmes)
        return programmes

    def threshold_on(self, on: date) -> Threshold | None:
        """The threshold in force on the day, or None when none was published yet."""
        return next((threshold for threshold in reversed(self.thresholds) if threshold.since <= on), None)


@dataclass(frozen=True)
class Reason:
    """One thing that was asked, and whether the household meets it: None when that cannot be told."""

    code: str
    met: bool | None


@dataclass(frozen=True)
class Decision:
    """How a programme judges an index. The first reason is that of the threshold, the others are the conditions.

    `below` says whether the index lies on the poorer side of the limit; whether a limit itself does is the
    comparator's word. It and the threshold are None when no threshold was in force.

    `eligible` is None when it cannot be told: the household asks at its centre.
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


class Judged(Protocol):
    """A decision, just made or as it was stored."""

    @property
    def threshold(self) -> Decimal | None: ...
    @property
    def comparator(self) -> str: ...


def decide(programme: Programme, value: Decimal, facts: Facts, on: date) -> Decision:
    """Judge the exact index `value` (not the displayed one) of a household on the day `on`."""
    [decision] = decide_all((programme,), value, facts, on)
    return decision


def decide_all(programmes: Sequence[Programme], value: Decimal, facts: Facts, on: date) -> list[Decision]:
    """The decision of each programme. A household's facts are made ready once, and a condition that several
    programmes share is asked once."""
    if not isinstance(value, Decimal):
        raise TypeError("an index is a Decimal")
    conditions = [condition for programme in programmes for condition in programme.conditions]
    known = facts_for(facts, on, conditions)
    return [_decide(programme, value, known, on) for programme in programmes]


def near(decision: Judged, value: Decimal, distance: Decimal) -> bool:
    """Whether the index `value` passes the limit by no more than `distance`: time for a warning, not yet a loss."""
    limit = decision.threshold
    if limit is None or not PASSES[decision.comparator](value, limit):
        return False
    with localcontext(ARITHMETIC):
        return abs(limit - value) <= distance


@cache
def in_texts() -> frozenset[str]:
    """The keys of the programmes that a text or a telephone's screen has room to name. Raises `BadProgramme`."""
    return frozenset(programme.key for programme in Programme.load_all() if programme.in_texts)


def _decide(programme: Programme, value: Decimal, known: Known, on: date) -> Decision:
    conditions = tuple(Reason(condition.name, condition.met(known)) for condition in programme.conditions)
    return judge(programme, value, conditions, on)


def judge(programme: Programme, value: Decimal, conditions: Sequence[Reason], on: date) -> Decision:
    """The decision, where it is known already which conditions the household meets."""
    threshold = programme.threshold_on(on)
    if threshold is None:
        return Decision(programme.key, None, programme.comparator, None, None,
                        (Reason(NOT_PUBLISHED, None), *conditions), None, programme.digest)
    passes = PASSES[programme.comparator](value, threshold.value)
    reasons = (Reason(f"{programme.comparator}_threshold", passes), *conditions)
    below = passes if programme.comparator != "above" else not passes
    return Decision(programme.key, threshold.value, programme.comparator, below, _all_met(reasons), reasons,
                    threshold.since, programme.digest)


def _all_met(reasons: Sequence[Reason]) -> bool | None:
    """One thing that is certainly missing settles it, whatever the others are."""
    answers = {reason.met for reason in reasons}
    if False in answers:
        return False
    return None if None in answers else True


def _programme(place: str, row: Mapping[str, Any]) -> Programme:
    thresholds = tuple(Threshold(Decimal(each["value"]), date.fromisoformat(each["from"]), each["source"])
                       for each in row["thresholds"])
    days = [threshold.since for threshold in thresholds]
    if days != sorted(set(days)):
        raise BadProgramme(f"{place}.thresholds: from: every date must be later than the one before")
    if row["in_texts"] and not thresholds:
        raise BadProgramme(f"{place}.in_texts: without a published threshold there is nothing to tell in a text")
    comparator = row.get("comparator", "below")
    conditions = tuple(_condition(f"{place}.conditions.{position}", each)
                       for position, each in enumerate(row["conditions"]))
    return Programme(row["key"], comparator, conditions, row["where_to_apply"], thresholds, tuple(row["documents"]),
                     row["in_texts"], _digest(row["key"], comparator, thresholds, conditions))


def _condition(place: str, row: Mapping[str, str]) -> Condition:
    try:
        return Condition.parse(row["name"], row["expression"], row["source"])
    except BadCondition as error:
        raise BadProgramme(f"{place}.expression: {error}") from None


def _no_name_twice(programmes: Sequence[Programme]) -> None:
    """A key names one programme, and a condition's name, for which there are words, means one thing everywhere."""
    keys, meaning = set[str](), dict[str, str]()
    for position, programme in enumerate(programmes):
        if programme.key in keys:
            raise BadProgramme(f"programmes.{position}.key: {programme.key} stands there twice")
        keys.add(programme.key)
        for condition in programme.conditions:
            if meaning.setdefault(condition.name, condition.expression) != condition.expression:
                raise BadProgramme(f"programmes.{position}.conditions: {condition.name} means something else above")


def _digest(key: str, comparator: str, thresholds: Sequence[Threshold], conditions: Sequence[Condition]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of all that decides, thresholds as exact text."""
    return hashlib.sha256(rfc8785.dumps({
        "key": key, "comparator": comparator,
        "thresholds": [{"value": f"{each.value:f}", "from": str(each.since)} for each in thresholds],
        "conditions": [{"name": each.name, "expression": each.expression} for each in conditions],
    })).hexdigest()
