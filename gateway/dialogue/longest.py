"""Longest: the facts of each screen as long as they can really be, and what its pages cost on the air then."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import get_args

from channels.base import Screen
from channels.text import USSD, Budget, Encoding, encoding, units
from gateway import reasons
from gateway.dialogue.engine import Effect, Fact, Outcome, Position, screen
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import LONGEST_WORDS, Do, End, Return
from gateway.registry.complaint_category import BY_TELEPHONE
from gateway.registry.explain import Direction, Line, Movement, Why
from gateway.registry.measures import MEASURES
from gateway.registry.programme import Programme
from gateway.registry.standing import NEXT_STEPS, Standing
from gateway.registry.things import GROUPS, UNITS, Source, Value, unit_of
from gateway.whereabouts import whereabouts
from gateway.words import NoSuchWords, Wording, Words

DAY = date(2026, 12, 31)
# Every date is ten signs, every number nine; an index above ten is the longest that was ever seen.
LONGEST: Mapping[str, Fact] = {
    "language": "fr-MA",
    "proof": "household",
    "new_pin": "a hash",
    "homes": ["417", "803", "926"],
    "index": Decimal("10.1234567"),
    "old": Decimal("10.7654321"),
    "programmes": [{"key": "asd", "below": False}, {"key": "amo-tadamon", "below": False}],
    "last_day": DAY,
    "due": DAY,
    "deadline": DAY,
    "number": "987654321",
    "by": DAY,
    "kind": "review",
    "state": "in_progress",
    "date": DAY,
    "category": "other",
    "words": "w" * LONGEST_WORDS,
    "home": "417",
    "things": ["head_retired_or_with_private_income", "children_in_private_school", "share_with_technical_diploma",
               "member_with_other_health_cover"],
    "thing": "head_retired_or_with_private_income",
    "programme": "asd",
    "standing": "not_published",
    "unmet": ["no_public_employee_or_pensioner"],
    "apply": "local_authority",
    "change": "members",
    "rating": "1",
}
SOURCES = ("declaration", "operator", "population_register", "water_electricity", "telecom", "road_safety",
           "land_registry", "cnss")
STATES = ("pre_registered", "registered", "verifying", "scored", "notified", "withdrawn", "struck_off")
COARSE = ("received", "in_progress", "answered", "withdrawn")
SHOWN = tuple(name for name, state in HOUSEHOLD.states.items() if not isinstance(state, Do | Return))
# The networks' gateways differ: what most take, and what the standard allows.
NETWORKS: Mapping[str, Budget] = {"160/70": USSD, "182/80": Budget(182, 80)}


@dataclass(frozen=True)
class Cost:
    """A screen at its longest, in one language on one network: its pages, and the units of the longest of them."""

    state: str
    locale: str
    network: str
    alphabet: Encoding
    units: int
    limit: int
    pages: int


def costs(words: Words, locale: str) -> Iterator[Cost]:
    """Each screen on each network. Raises `DoesNotFit` for one that has no page breaks where it needs them."""
    for state, (network, budget) in itertools.product(SHOWN, NETWORKS.items()):
        drawn = [list(pages_of(position, words, budget)) for position in positions(state, words, locale)]
        dearest = max((page.text for pages in drawn for page in pages),
                      key=lambda text: units(text) / getattr(budget, encoding(text)))
        yield Cost(state, locale, network, encoding(dearest), units(dearest), getattr(budget, encoding(dearest)),
                   max(map(len, drawn)))


def facts_for(state: str, words: Wording, locale: str, service_code: str = "*580#") -> Iterator[dict[str, Fact]]:
    """The longest facts of a state, with every other value of those that choose between words."""
    whole = {**LONGEST, "service_code": service_code, "lines": _lines(state, words, locale)}
    yield whole
    for name, values in CHOICES.get(state, ()):
        yield from ({**whole, name: value} for value in values)
    if state == "request.found":
        for kind, stands, by in itertools.product(("review", "complaint", "update"), COARSE, (None, DAY)):
            yield {**whole, "kind": kind, "state": stands, "by": by}
    if state == "programme":
        for programme in Programme.load_all():
            for condition in programme.conditions:
                yield {**whole, "programme": programme.key, "unmet": [condition.name],
                       "apply": programme.where_to_apply}


BELOW: list[Fact] = [{"key": "asd", "below": True}, {"key": "amo-tadamon", "below": True}]
CHOICES: Mapping[str, tuple[tuple[str, Sequence[Fact]], ...]] = {
    "complaint.sure": (("category", BY_TELEPHONE),),
    "index": (("programmes", (BELOW, [])),),
    "review": (("things", ([],)),),
    "review.already": (("state", COARSE), ("by", (None,))),
    "review.withdrawn": (("last_day", (None,)),),
    "programme": (("standing", ("below", "below_near", "above")), ("unmet", ([],))),
}


def _lines(state: str, words: Wording, locale: str) -> list[str]:
    """The sentences of the screens that an effect words: the longest of them."""
    if state == "file":
        here = Standing("987654321", "verifying", DAY, "partners_answer", DAY,
                        waits_for=("water_electricity", "telecom", "land_registry"))
        return whereabouts(words, locale, here)
    sources = {"water_electricity": "water_electricity", "phone_internet": "telecom", "cars": "road_safety"}
    value = {"water_electricity": Value(Decimal("1234.56")), "phone_internet": Value(Decimal("1234.56")),
             "cars": Value(Decimal(12))}
    if state == "index.changed":
        return [reasons.moved(words, locale, Movement(
            thing, (), unit_of(thing), "values", value[thing], value[thing], Decimal(1), "raises", "value",
            Source(body, DAY))) for thing, body in sources.items()]
    return [reasons.said(words, locale, Line(thing, (), unit_of(thing), "values", value[thing], Decimal(1), "raises",
                                             Source(body, DAY))) for thing, body in sources.items()]


def positions(state: str, words: Words, locale: str) -> Iterator[Position]:
    """A state as it can be met: after a mistake and without one, near to home and far from it."""
    trails: list[tuple[str, ...]] = [()]
    if not isinstance(HOUSEHOLD.states[state], End):
        trails += [("home",), ("home", "more")]
    for facts, trail, mistakes in itertools.product(facts_for(state, words, locale), trails, (0, 1)):
        yield Position(state, locale, trail=trail, facts=facts, mistakes=mistakes)


def pages_of(position: Position, words: Words, budget: Budget) -> Iterator[Screen]:
    """Every page of a position's screen, once."""
    first = screen(HOUSEHOLD, replace(position, page=0), words, budget)
    yield first
    for page in itertools.count(1):
        following = screen(HOUSEHOLD, replace(position, page=page), words, budget)
        if following == first:
            return
        yield following


def every_line(words: Wording, locale: str) -> Iterator[str]:
    """Sentences that effects word, each thing, unit, source, state and next step once: all that may be heard."""
    for thing in dict.fromkeys((*UNITS, *GROUPS, *MEASURES)):
        unit = unit_of(thing) if thing != "constant" else "kind"
        for amount in (0, 1) if unit in ("yes_no", "kind") else (2,):
            with suppress(NoSuchWords):  # A kind that is none here, or a measure that is part of a thing.
                yield reasons.said(words, locale, Line(thing, (), unit, "values", Value(Decimal(amount), 3), Decimal(1),
                                                       "raises", Source("declaration", DAY)))
    for body in SOURCES:
        yield reasons.said(words, locale, Line("cars", (), "count", "values", Value(Decimal(1)), Decimal(1), "raises",
                                               Source(body, DAY)))
    for way, why in itertools.product(get_args(Direction), get_args(Why)):
        yield reasons.moved(words, locale, Movement("cars", (), "count", "values", Value(Decimal(1)), Value(Decimal(2)),
                                                    Decimal(1), way, why, Source("declaration", DAY)))
        yield reasons.said(words, locale, Line("cars", (), "count", "directions", None, None, way,
                                               Source("declaration", DAY)))
    for state, step, late in itertools.product(STATES, NEXT_STEPS, (False, True)):
        yield from whereabouts(words, locale, Standing("987654321", state, DAY, step, DAY, late, ("telecom",), (1,)))


def agreeable(words: Words, locale: str) -> Callable[[Effect], Outcome]:
    """Everything goes well, and brings the longest facts."""
    def perform(effect: Effect) -> Outcome:
        name, promised = next(iter(HOUSEHOLD.effects[effect.name].items()))
        state = {"my_file": "file", "file_by_number": "file", "compare_index": "index.changed"}.get(effect.name, "")
        facts = {**LONGEST, "lines": _lines(state, words, locale), "language": effect.given.get("language", locale)}
        return Outcome(name, {fact: facts[fact] for fact in promised})

    return perform
