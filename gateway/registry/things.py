"""Things: what a person calls what a formula measures, its value in a person's units, and where that comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from typing import Any, Literal

from gateway.registry.measures import ARITHMETIC, MEASURES, CannotCompute, Census, counted

Unit = Literal["count", "yes_no", "share", "years", "monthly", "kind"]
Sources = Mapping[str, Mapping[str, str]]

# Measures that are one thing to a person. Its value is that of the first, whichever of them a formula has. Every
# other measure is a thing of its own name.
GROUPS: dict[str, tuple[str, ...]] = {
    "household_size": ("household_size", "household_size_squared"),
    "head_age": ("head_age", "head_age_squared"),
    "rooms": ("rooms", "at_most_two_persons_per_room", "two_to_three_persons_per_room"),
    "cars": ("cars", "car"),
    "motorcycles": ("motorcycles", "motorcycle"),
    "butane": ("yearly_butane_per_member",),
    "water_electricity": ("yearly_water_electricity_per_member",),
    "phone_internet": ("yearly_phone_internet_per_member",),
}
OF_GROUP = {name: thing for thing, names in GROUPS.items() for name in names}
# All that is counted once and divided by nothing is yes or no, but for these.
UNITS: dict[str, Unit] = {
    **dict.fromkeys(
        (
            "household_size",
            "members_aged_19_to_29",
            "members_aged_30_to_59",
            "members_aged_60_and_over",
            "children_in_private_school",
            "children_in_public_school",
            "rooms",
            "cars",
            "motorcycles",
            "mobile_phones",
            "cows",
            "members_of_10_unable_to_read_and_write",
            "members_working",
        ),
        "count",
    ),
    "head_age": "years",
    **dict.fromkeys(("stove", "television", "area", "region"), "kind"),
}
AREAS = ("urban", "rural")


@dataclass(frozen=True)
class Value:
    """In a person's units: dirhams a month, years, how many, how many `of` whom; 1 and 0 for yes and no.

    Of a kind, its number: the place on the formula's list, the region's number, 0 for urban and 1 for rural.
    """

    amount: Decimal = field(repr=False)
    of: int | None = None


@dataclass(frozen=True)
class Source:
    """Who gave what counts: `declaration`, a partner body, or `operator` (a clerk's correction); and when."""

    by: str
    on: date


def thing_of(measure: str) -> str:
    """What a person calls a measure; the two constants are the `area` and the `region`."""
    if measure == "constant":
        return "area"
    return "region" if measure.startswith("region_") else OF_GROUP.get(measure, measure)


def unit_of(thing: str) -> Unit:
    if thing in UNITS:
        return UNITS[thing]
    per = MEASURES[_measures(thing)[0]].per
    return "share" if per == "share" else "monthly" if per == "member_year" else "yes_no"


def value_of(thing: str, census: Census) -> Value | None:
    """None when the facts do not tell."""
    if thing == "area":
        return Value(Decimal(AREAS.index(census.facts["area"])))
    if thing == "region":
        return Value(Decimal(census.facts["region"]))
    try:
        count = counted(_measures(thing)[0], census)
    except CannotCompute:
        return None
    unit = unit_of(thing)
    if unit == "share":
        return Value(Decimal(count), census.size if census.share_denominator == "members" else census.count(15))
    with localcontext(ARITHMETIC):
        return Value(Decimal(count) / 100 if unit == "monthly" else Decimal(count))


def source_of(thing: str, facts: Mapping[str, Any], sources: Sources) -> Source:
    """The latest correction of any fact that the thing is read from; without one, the declaration.

    `sources` are those of `evidence.Evidence`.
    """
    corrected = [one for item, one in sources.items() if _reads(thing, item, facts)]
    # A clerk's correction of the same day stands over a partner's.
    latest = max(corrected, key=lambda one: (one["on"], one["by"] == "operator"), default=sources["*"])
    return Source(latest["by"], date.fromisoformat(latest["on"]))


def items_of(thing: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The single facts that a thing is read from, as `equipment.cars` or `members.2.activity`; none that is not told.

    Of what is counted over whole members (how many they are), there is none.
    """
    if thing in ("area", "region"):
        return (thing,)
    positions = tuple(_heads(facts)) if thing.startswith("head_") else tuple(range(1, len(facts["members"]) + 1))
    found = []
    for path in dict.fromkeys(path for name in _measures(thing) for path in MEASURES[name].reads):
        section, _, name = path.partition(".")
        if section == "members":
            found += [f"members.{position}.{name}" for position in positions
                      if facts["members"][position - 1].get(name) is not None]
        elif facts.get(section, {}).get(name) is not None:
            found.append(path)
    return tuple(found)


def _measures(thing: str) -> tuple[str, ...]:
    return GROUPS.get(thing, (thing,))


def _reads(thing: str, item: str, facts: Mapping[str, Any]) -> bool:
    """Whether this item (`equipment.cars`, `members.2.activity`) enters into the thing."""
    if thing in ("area", "region"):
        return item == thing
    position = re.match(r"members\.(\d+)\.", item)
    if position and thing.startswith("head_") and int(position[1]) not in _heads(facts):
        return False
    path = item.replace(f".{position[1]}.", ".", 1) if position else item
    return any(path in MEASURES[name].reads for name in _measures(thing))


def _heads(facts: Mapping[str, Any]) -> Iterable[int]:
    return [position for position, member in enumerate(facts["members"], 1) if member.get("relation") == "head"]
