"""Whereabouts: where a household stands, as it is told: the state and its day, what happens next, and by when."""

from __future__ import annotations

from gateway.registry.standing import Standing
from gateway.words import Wording


def whereabouts(words: Wording, locale: str, here: Standing) -> list[str]:
    """A few sentences, the state first."""
    comma = words.say(locale, "standing.comma") + " "
    facts = {"since": here.since, "by": here.by, "late": here.late,
             "bodies": comma.join(words.say(locale, f"source.{body}") for body in here.waits_for),
             "positions": comma.join(map(str, here.missing))}
    said = [words.say(locale, f"standing.state.{here.state}", **facts)]
    if here.late:
        said.append(words.say(locale, "standing.late", **facts))
    return [*said, words.say(locale, f"standing.next.{here.next_step}", **facts)]
