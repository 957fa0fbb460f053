"""Files: where a household's file is, and whether a message is ours; for whoever has the telephone or number."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome
from gateway.outbox import Message
from gateway.registry.clock import day_of
from gateway.registry.numbers import kind_of, read_number
from gateway.registry.standing import standing
from gateway.whereabouts import whereabouts


def mine(call: Call, effect: Effect) -> Outcome:
    """Of the household that this telephone gets its texts for; they tell no less. Otherwise by the slip's number."""
    homes = call.homes(effect.given.get("home")) if call.certain else []
    if len(homes) > 1:
        return Outcome("which", {"homes": call.tails(homes)})
    return _stands(call, effect.locale, homes[0].id) if homes else Outcome("none")


def by_number(call: Call, effect: Effect) -> Outcome:
    """Of a registration, by the number on its slip."""
    number = read_number(effect.typed)
    if number is None:
        return Outcome("check")
    if not call.may_look_up(number) or kind_of(number) != "registration":
        return Outcome("unknown")
    found = _stands(call, effect.locale, number)
    return found if found.name == "found" else Outcome("unknown")


def message(call: Call, effect: Effect) -> Outcome:
    """Whether a code is that of a text or letter of ours."""
    number = read_number(effect.typed)
    if number is None:
        return Outcome("check")
    if not call.may_look_up(number):
        return Outcome("unknown")
    sent = call.session.scalar(sa.select(sa.func.max(Message.created_at)).where(Message.reference == number))
    return Outcome("ours", {"date": day_of(sent)}) if sent else Outcome("unknown")


def _stands(call: Call, locale: str, whose: UUID | str) -> Outcome:
    here = standing(call.session, call.vault, whose, call.now)
    return Outcome("found", {"lines": whereabouts(call.words, locale, here)}) if here else Outcome("none")
