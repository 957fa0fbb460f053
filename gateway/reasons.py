"""Reasons: one line of an explanation or a comparison, as it is said to a household."""

from __future__ import annotations

from gateway.registry.explain import Comparison, Explanation, Line, Movement
from gateway.registry.things import Source, Unit, Value
from gateway.words import Wording


def said(words: Wording, locale: str, line: Line) -> str:
    """`Telephone and internet: 120 DH a month, telecom operator 03/03/2027`; without its value, where it pulls.

    What the household itself declared bears no source.
    """
    name = words.say(locale, f"term.{line.thing}")
    value = (
        words.say(locale, f"reason.{line.direction}")
        if line.value is None
        else _value(words, locale, line.thing, line.unit, line.value)
    )
    return words.say(locale, "reason.line", name=name, value=value, **_source(words, locale, line.source))


def moved(words: Wording, locale: str, movement: Movement) -> str:
    """`Cars: 1 in place of 0, road safety 03/03/2027`; where no value changed, what did."""
    name = words.say(locale, f"term.{movement.thing}")
    source = _source(words, locale, movement.source)
    if movement.level != "values":
        way = words.say(locale, f"reason.{movement.direction}")
        return words.say(locale, "reason.line", name=name, value=way, **source)
    if movement.why != "value":
        return words.say(locale, f"reason.{movement.why}", name=name)
    old, new = (
        value and _value(words, locale, movement.thing, movement.unit, value) for value in (movement.old, movement.new)
    )
    how = "gone" if new is None else "came" if old is None else "moved"
    return words.say(locale, f"reason.{how}", name=name, old=old, new=new, **source)


def weight(words: Wording, locale: str, line: Line) -> dict[str, object]:
    """What a letter tells of a line: the line itself, the way it pulls where it does not say so, and whether the
    household declared it."""
    way = "" if line.value is None else line.direction
    return {"said": said(words, locale, line), "way": way, "declared": line.source.by == "declaration"}


def withheld(words: Wording, locale: str, told: Explanation | Comparison) -> str:
    """How many more there are; empty when there are none."""
    return words.say(locale, "reason.withheld", number=told.withheld) if told.withheld else ""


def _value(words: Wording, locale: str, thing: str, unit: Unit, value: Value) -> str:
    if unit == "kind":
        return words.say(locale, f"term_kind.{thing}.{int(value.amount)}")
    if unit == "yes_no":
        return words.say(locale, f"term_value.{'yes' if value.amount else 'no'}")
    # A whole number agrees with its noun; of dirhams the centimes are said where there are any.
    whole = value.amount == value.amount.to_integral_value()
    amount = int(value.amount) if whole else f"{value.amount:.2f}".replace(".", ",")
    return words.say(locale, f"term_value.{unit}", amount=amount, of=value.of)


def _source(words: Wording, locale: str, source: Source) -> dict[str, object]:
    declared = source.by == "declaration"
    return {"source": "" if declared else words.say(locale, f"source.{source.by}"), "on": source.on}
