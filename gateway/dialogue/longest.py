"""Longest: the facts of each screen as long as they can really be, and what its pages cost on the air then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from channels.base import Screen
from channels.text import USSD, Budget, Encoding, encoding, units
from gateway.dialogue.engine import Effect, Fact, Outcome, Position, screen
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import Do, End
from gateway.registry.complaint_category import BY_TELEPHONE
from gateway.words import Words

# Every date is ten signs, every number nine; an index above ten is the longest that was ever seen.
LONGEST: Mapping[str, Fact] = {
    "language": "fr-MA",
    "proof": "household",
    "index": Decimal("10.1234567"),
    "programmes": [{"key": "asd", "below": False}, {"key": "amo-tadamon", "below": False}],
    "last_day": date(2026, 12, 31),
    "due": date(2026, 12, 31),
    "deadline": date(2026, 12, 31),
    "number": "987654321",
    "answer_by": date(2026, 12, 31),
    "kind": "review",
    "state": "in_progress",
    "date": date(2026, 12, 31),
    "category": "other",
}
COARSE = ("received", "in_progress", "answered", "withdrawn")
SHOWN = tuple(name for name, state in HOUSEHOLD.states.items() if not isinstance(state, Do))
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
        drawn = [list(pages_of(position, words, budget)) for position in positions(state, locale)]
        dearest = max((page.text for pages in drawn for page in pages),
                      key=lambda text: units(text) / getattr(budget, encoding(text)))
        yield Cost(state, locale, network, encoding(dearest), units(dearest), getattr(budget, encoding(dearest)),
                   max(map(len, drawn)))


def facts_for(state: str, service_code: str = "*580#") -> Iterator[dict[str, Fact]]:
    """The longest facts of a state, with every other value of those that choose between words."""
    whole = {**LONGEST, "service_code": service_code}
    yield whole
    if state.startswith("complaint"):
        yield from ({**whole, "category": category} for category in BY_TELEPHONE)
    if state == "request.found":
        for kind, stands, by in itertools.product(("review", "complaint"), COARSE, (None, LONGEST["answer_by"])):
            yield {**whole, "kind": kind, "state": stands, "answer_by": by}
    if state == "index":
        below = [{"key": programme["key"], "below": True} for programme in LONGEST["programmes"]]
        yield {**whole, "programmes": below, "last_day": None}
        yield {**whole, "programmes": []}


def positions(state: str, locale: str) -> Iterator[Position]:
    """A state as it can be met: after a mistake and without one, near to home and far from it."""
    trails: list[tuple[str, ...]] = [()]
    if not isinstance(HOUSEHOLD.states[state], End):
        trails += [("home",), ("home", "other")]
    for facts, trail, mistakes in itertools.product(facts_for(state), trails, (0, 1)):
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


def agreeable(effect: Effect) -> Outcome:
    """Everything goes well, and brings the longest facts."""
    name, promised = next(iter(HOUSEHOLD.effects[effect.name].items()))
    facts = {fact: LONGEST[fact] for fact in promised}
    return Outcome(name, facts | ({"language": effect.argument} if effect.name == "choose_language" else {}))
