"""Measures: what the terms of a formula count in one household, on one day.

The variables are those of annexes 1 and 2 of BO 7011 (9 August 2021). Where its wording leaves a choice, the
choice is written beside the measure. An occupation is the present one: who has none carries `none`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import cached_property
from typing import Any, Literal

# The one arithmetic of the index, so that no caller's own context moves a digit.
ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, capitals=1, clamp=0,
                     flags=[], traps=[InvalidOperation, DivisionByZero, Overflow])

ShareDenominator = Literal["members", "aged_15"]
Per = Literal["one", "share", "member_year"]
Member = Mapping[str, Any]
Count = Callable[["Census"], int]


class CannotCompute(Exception):
    """This household has no index. `reason` is fit for the record: it holds nothing personal."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Measure:
    """What is counted, as a whole number, and what the count is divided by.

    `one`: by nothing. `share`: by all members, or by those aged 15 and over (the formula's `share_denominator`); 0
    where the count is 0. `member_year`: the count is the centimes that the household spends a month, the value is
    dirhams a year for each member. `reads` are the facts that it depends on; `members.…` is said of every member.
    """

    count: Count
    per: Per
    reads: tuple[str, ...]


def measure(
    names: Iterable[str], facts: Mapping[str, Any], on: date, *, share_denominator: ShareDenominator = "members"
) -> dict[str, Decimal]:
    """Each named measure of a household (one row of an extract) as it stands on the day `on`.

    Shares are divided by `share_denominator`: all members, or those aged 15 and over. Raises `CannotCompute`.
    """
    census = Census(facts, on, share_denominator)
    with localcontext(ARITHMETIC):
        return {name: _measured(name, census) for name in names}


def age_on(birth: date, on: date) -> int:
    """Completed years. Who is born on 29 February completes a year on 1 March when there is no 29th."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


@dataclass(frozen=True)
class Census:
    """One household counted on one day."""

    facts: Mapping[str, Any]
    on: date
    share_denominator: ShareDenominator

    @cached_property
    def aged(self) -> tuple[tuple[int, Member], ...]:
        """Every member with the age in completed years."""
        aged = tuple((age_on(date.fromisoformat(member["birth_date"]), self.on), member)
                     for member in self.facts["members"])
        if any(age < 0 for age, _ in aged):
            raise CannotCompute("a member is born after the day of the computation")
        return aged

    @cached_property
    def head(self) -> tuple[int, Member]:
        """The one member whose relation is `head`, with the age."""
        heads = [(age, member) for age, member in self.aged if member["relation"] == "head"]
        if len(heads) != 1:
            raise CannotCompute("more than one member is the head" if heads else "no member is the head")
        return heads[0]

    @property
    def size(self) -> int:
        return len(self.facts["members"])

    def count(self, first: int, last: int = 200) -> int:
        """Members from `first` to `last` years old, both included."""
        return sum(first <= age <= last for age, _ in self.aged)


def counted(name: str, census: Census) -> int:
    """The whole number that a measure counts, before it is divided. Raises `CannotCompute`."""
    try:
        return MEASURES[name].count(census)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        # The cause is not chained: its message may hold what the household declared.
        raise CannotCompute(f"{name}: cannot be read from the facts") from None


def _measured(name: str, census: Census) -> Decimal:
    per, count = MEASURES[name].per, counted(name, census)
    if per == "one" or not count:
        return Decimal(count)
    if per == "member_year":
        return Decimal(count * 12) / (100 * census.size)
    return Decimal(count) / (census.size if census.share_denominator == "members" else census.count(15))


def _has(section: str, *fields: str) -> Measure:
    """1 where the household has it, or has at least one of it; else 0. Of several fields, any of them."""
    return Measure(
        lambda census: int(max(census.facts[section][field] > 0 for field in fields)),
        "one",
        tuple(f"{section}.{field}" for field in fields),
    )


def _number(section: str, field: str) -> Measure:
    return Measure(lambda census: int(census.facts[section][field]), "one", (f"{section}.{field}",))


def _rank(section: str, field: str, *values: str) -> Measure:
    """The place of the household's kind among `values`, from 0: a formula gives points by such places."""
    return Measure(lambda census: values.index(census.facts[section][field]), "one", (f"{section}.{field}",))


def _head(field: str, *values: str) -> Measure:
    """1 where the head's `field` is one of `values`; else 0."""
    return Measure(lambda census: int(census.head[1][field] in values), "one", ("members.relation", f"members.{field}"))


def _anyone(field: str, *values: str) -> Measure:
    return Measure(
        lambda census: int(any(member[field] in values for _, member in census.aged)), "one", (f"members.{field}",)
    )


def _aged(first: int, last: int = 200) -> Measure:
    """Members from `first` to `last` years old."""
    return Measure(lambda census: census.count(first, last), "one", ("members.birth_date",))


def _members_with(field: str, *values: str | bool, first: int = 0, last: int = 200) -> Measure:
    """Members from `first` to `last` years old whose `field` is one of `values`."""
    return Measure(
        lambda census: sum(first <= age <= last and member[field] in values for age, member in census.aged),
        "one",
        ("members.birth_date", f"members.{field}"),
    )


def _share(field: str, *values: str | bool) -> Measure:
    """Members aged 15 and over whose `field` is one of `values`, over all members; 0 where there are none."""
    return replace(_members_with(field, *values, first=15), per="share")


def _yearly_per_member(field: str) -> Measure:
    """Dirhams a year for each member, from the dirhams that the household spends a month."""

    def centimes(census: Census) -> int:
        monthly = census.facts["spending"][field]
        if not isinstance(monthly, str):
            raise TypeError("an amount is decimal text")
        with localcontext(ARITHMETIC):
            hundredfold = Decimal(monthly) * 100
            if hundredfold % 1:
                raise ValueError("an amount has whole centimes")
            return int(hundredfold)

    return Measure(centimes, "member_year", (f"spending.{field}",))


def _single_or_childless_couple(census: Census) -> int:
    """One person, or exactly a head and a spouse."""
    relations = sorted(member["relation"] for _, member in census.aged)
    return int(census.size == 1 or relations == ["head", "spouse"])


def _persons_per_room(more_than: int, at_most: int) -> Measure:
    """1 where more than `more_than` and at most `at_most` persons share a room; else 0."""

    def shared(census: Census) -> int:
        rooms = census.facts["dwelling"]["rooms"]
        return int(more_than * rooms < census.size <= at_most * rooms)

    return Measure(shared, "one", ("members", "dwelling.rooms"))


def _durable(census: Census) -> int:
    return int(census.facts["dwelling"]["type"] in ("villa", "apartment", "traditional_house", "rural_house_stone"))


# The order is a storage format (the packed counts of gateway.registry.vector): new measures come last, and none is
# ever moved or taken out. Those that read optional facts of the extract cannot be counted where these are missing.
MEASURES: dict[str, Measure] = {
    "single_or_childless_couple": Measure(_single_or_childless_couple, "one", ("members", "members.relation")),
    "several_family_nuclei": Measure(
        lambda census: int(census.facts["dwelling"]["family_nuclei"] > 1), "one", ("dwelling.family_nuclei",)
    ),
    "household_size": Measure(lambda census: census.size, "one", ("members",)),
    "household_size_squared": Measure(lambda census: census.size**2, "one", ("members",)),
    "members_aged_19_to_29": _aged(19, 29),
    "members_aged_30_to_59": _aged(30, 59),
    "members_aged_60_and_over": _aged(60),
    "children_in_private_school": _members_with("schooling", "private", first=6, last=14),
    "children_in_public_school": _members_with("schooling", "public", first=6, last=14),
    # RAMED became AMO-Tadamon in December 2022: a member of either has no other cover.
    "member_with_other_health_cover": _anyone("health_cover", "other"),

    # The two are exclusive: "at most 3" is said of those whom "at most 2" does not count.
    "at_most_two_persons_per_room": _persons_per_room(0, 2),
    "two_to_three_persons_per_room": _persons_per_room(2, 3),
    "durable_dwelling": Measure(_durable, "one", ("dwelling.type",)),
    "bath_or_shower": _has("dwelling", "bath_or_shower"),
    "own_electricity_meter": _has("dwelling", "own_electricity_meter"),
    "head_age": Measure(lambda census: census.head[0], "one", ("members.relation", "members.birth_date")),
    "head_age_squared": Measure(lambda census: census.head[0] ** 2, "one", ("members.relation", "members.birth_date")),
    # The highest level reached is exactly this one: who went on to secondary school is not "basic".
    "head_with_basic_education": _head("education", "basic"),
    "head_with_higher_education": _head("education", "higher"),
    "head_senior_executive": _head("occupation", "senior_executive"),
    "head_middle_manager": _head("occupation", "middle_manager"),
    "head_machine_operator": _head("occupation", "machine_operator"),
    "head_craftsman": _head("occupation", "craftsman"),
    "head_farmer": _head("occupation", "farmer"),
    "head_employer": _head("activity", "employer"),
    "head_retired_or_with_private_income": _head("activity", "retired", "private_income"),

    "share_without_diploma": _share("diploma", "none"),
    "share_with_technical_diploma": _share("diploma", "technical"),
    "share_with_higher_diploma": _share("diploma", "higher"),
    "share_able_to_read_and_write": _share("literate", True),
    # Work that is paid: a family worker is not, and a pension or a rent is no work.
    "share_earning": _share("activity", "employee", "public_employee", "self_employed", "employer"),
    "share_machine_operators": _share("occupation", "machine_operator"),
    "share_senior_executives": _share("occupation", "senior_executive"),
    "share_in_trade": _share("occupation", "trade"),

    "computer": _has("equipment", "computers"),
    "satellite_dish": _has("equipment", "satellite_dish"),
    "fixed_telephone": _has("equipment", "fixed_telephone"),
    "car": _has("equipment", "cars"),
    "motorcycle": _has("equipment", "motorcycles"),
    "mobile_phones": _number("equipment", "mobile_phones"),
    "cars": _number("equipment", "cars"),
    "motorcycles": _number("equipment", "motorcycles"),

    "loan": _has("property", "loan"),
    "secondary_dwelling": _has("property", "secondary_dwelling"),
    "garage": _has("property", "garage"),
    "professional_premises": _has("property", "professional_premises"),
    "non_agricultural_land": _has("property", "non_agricultural_land"),
    "irrigated_land": _has("property", "irrigated_land"),
    "cows": _number("property", "cows"),

    "yearly_butane_per_member": _yearly_per_member("butane"),
    # The month is the mean of the last three bills already: the extract gives it so.
    "yearly_water_electricity_per_member": _yearly_per_member("water_electricity"),
    "yearly_phone_internet_per_member": _yearly_per_member("phone_internet"),

    # Of the poverty scorecard of 2013. Who works is whoever is employed, with pay or in the family, as HCP counts it.
    "members_of_10_unable_to_read_and_write": _members_with("literate", False, first=10),
    "members_working": _members_with(
        "activity", "employee", "public_employee", "self_employed", "employer", "family_worker"
    ),
    "rooms": _number("dwelling", "rooms"),
    "wash_basin": _has("equipment", "wash_basin"),
    "washing_machine": _has("equipment", "washing_machine"),
    "refrigerator": _has("equipment", "refrigerator"),
    "bicycle_motorcycle_or_car": _has("equipment", "bicycles", "motorcycles", "cars"),
    "stove": _rank("equipment", "stove", "none", "bread", "stand_alone", "both", "combo"),
    "television": _rank("equipment", "television", "none", "black_white", "colour", "colour_dish"),
}
