"""Conversation: one turn of a session, from what was typed to the next screen, whatever the network did to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from channels.base import Screen, Turn
from channels.text import USSD, Budget
from channels.ussd.africastalking import Typed, typed
from gateway.dialogue.acts import perform
from gateway.dialogue.acts.call import Call
from gateway.dialogue.acts.telephones import language
from gateway.dialogue.engine import Caller, Position, play, replay, screen, settle, shown_in
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.memory import Remembered
from gateway.dialogue.states import GO_ON
from gateway.runtime import Runtime
from gateway.web import departures, limits
from gateway.words import SCREENS

LOOK_UPS_A_DAY = 20
CHANNEL = "ussd"


def converse(runtime: Runtime, turn: Turn) -> Screen:
    """The screen for this turn. A callback that comes again gets the same one, and nothing is done twice.

    Raises `Busy` when another turn of this session is still being answered.
    """
    memory, now = runtime.memory, runtime.clock()
    key = memory.key(turn.provider, turn.session_id, turn.msisdn)
    with memory.turn(key) as kept:
        before = kept.before
        new = _since(runtime, key, before, turn, now)
        if new.kind == "duplicate" and before is not None:
            return before.screen
        budget = _budget(runtime, turn)
        if new.kind == "input" and before is not None and not before.screen.final:
            position = go_on(runtime, call_of(runtime, CHANNEL, key, turn.msisdn),
                             Position.from_json(before.position), _parts(*new.inputs), latin=not budget.ucs2)
        else:
            position = _begin(runtime, turn, key, fresh=new.kind == "first", latin=not budget.ucs2)
        shown = screen(HOUSEHOLD, position, runtime.words, budget)
        kept.remember(_told(turn), position.to_json(), shown, now, order=turn.order)
        kept.leave(turn.msisdn, () if shown.final else position.way)
        departures.shown(kept, CHANNEL, position, turn.network, final=shown.final)
        return shown


def call_of(runtime: Runtime, channel: str, key: str, msisdn: str, *,
            placed: bool = False) -> Callable[[Session], Call]:
    """Who acts, once there is a transaction to act in."""
    def may_look_up(number: str) -> bool:
        return limits.allows(runtime, "look-up", msisdn, number, LOOK_UPS_A_DAY)

    def call(session: Session) -> Call:
        return Call(session, runtime.teller, channel, hashlib.sha256(key.encode()).hexdigest(), runtime.clock(),
                    may_look_up, timedelta(days=runtime.settings.review_answer_days), msisdn, placed)

    return call


def go_on(runtime: Runtime, call: Callable[[Session], Call], position: Position, inputs: Sequence[str], *,
          in_writing: bool = False, latin: bool = False) -> Position:
    """From where the conversation stands, by what was typed since. A screen that asks for nothing opens no database."""
    caller = Caller(position.locale, {"service_code": runtime.settings.service_code}, in_writing=in_writing,
                    latin=latin)
    for one in inputs:
        step = play(HOUSEHOLD, position, one, caller)
        if step.effect:
            with runtime.database.write() as session:
                step = settle(HOUSEHOLD, step, caller, perform(call(session)))
        position = step.position
    return position


def begin_with(runtime: Runtime, call: Callable[[Session], Call], inputs: Sequence[str], shortcut: str = "", *,
               way: tuple[str, ...] = (), in_writing: bool = False, dialled: bool = False,
               latin: bool = False, locale: str | None = None, spoken: Collection[str] = SCREENS) -> Position:
    """From the start. Where the inputs were `dialled` behind the code, the first of them may be a shortcut.

    A telephone that has chosen no language is asked for it, unless it is told by `locale`; so is one that has chosen
    none of those that are `spoken`.
    """
    with runtime.database.write() as session:
        here = call(session)
        chosen, chosen_here = language(here)
        locale = (chosen if chosen in spoken else None) or locale
        if dialled and inputs and not chosen_here and inputs[0] in (*HOUSEHOLD.shortcuts, *HOUSEHOLD.retired):
            shortcut, inputs = inputs[0], inputs[1:]
        elif dialled and inputs[:1] == [GO_ON] and locale:
            # A call that broke off was gone on with, and where it led to is forgotten.
            inputs = []
        caller = Caller(locale, {"service_code": runtime.settings.service_code}, () if inputs else way, in_writing,
                        latin)
        return replay(HOUSEHOLD, inputs, caller, perform(here), shortcut).position


def _begin(runtime: Runtime, turn: Turn, key: str, *, fresh: bool, latin: bool) -> Position:
    """A new session, one that Redis forgot, or one whose history the network rewrote."""
    dialled = turn.service_code.strip("*#").split("*")[len(runtime.settings.service_code.strip("*#").split("*")):]
    inputs = [*dialled, *_parts(turn.text)]
    way = runtime.memory.left(turn.msisdn) if fresh and not inputs else ()
    return begin_with(runtime, call_of(runtime, CHANNEL, key, turn.msisdn), inputs, way=way, dialled=True,
                      latin=latin)


def _since(runtime: Runtime, key: str, before: Remembered | None, turn: Turn, now: datetime) -> Typed:
    """What was typed since the turn before, from an operator that sends it all, or from one that sends the last."""
    memory = runtime.memory
    if not turn.only_last:
        return typed(memory.previous(key, before, turn.text), turn.text)
    if before is None:
        return Typed("first")
    if memory.repeats(key, before, _told(turn), now, numbered=bool(turn.order)) or _is_past(turn, before):
        return Typed("duplicate")
    if turn.last is None:
        return Typed("first")
    return Typed("input", (turn.last,))


def _is_past(turn: Turn, before: Remembered) -> bool:
    """A turn that an operator counts before the last one, which came late: it is over."""
    return turn.order.isdecimal() and before.order.isdecimal() and int(turn.order) < int(before.order)


def _told(turn: Turn) -> str:
    """By what this turn is known again."""
    return f"{turn.order}/{turn.last}" if turn.only_last else turn.text


def _budget(runtime: Runtime, turn: Turn) -> Budget:
    """What a screen holds on this caller's network."""
    known = runtime.settings.ussd_budgets.get(turn.network)
    return Budget(*known) if known else USSD


def _parts(*typed_at_once: str) -> list[str]:
    """What was typed, one by one, the same with and without memory. Nothing typed is no mistake: the screen stays."""
    return [part for text in typed_at_once for part in text.split("*") if part]


def text_follows(runtime: Runtime, turn: Turn) -> None:
    """Whoever was told that it takes too long, and that a text comes, gets one: call again."""
    key = runtime.memory.key(turn.provider, turn.session_id, turn.msisdn)
    with runtime.database.write() as session:
        call = call_of(runtime, CHANNEL, key, turn.msisdn)(session)
        call.text("call_again", language(call)[0] or HOUSEHOLD.locale, call.conversation)


def farewell(runtime: Runtime, turn: Turn, says: str = "sorry.text") -> Screen:
    """Said when the fault is ours, and we cannot look up in which language to say it."""
    locale = shown_in(HOUSEHOLD.locale, latin=not _budget(runtime, turn).ucs2)
    return Screen(runtime.words.say(locale, says, service_code=runtime.settings.service_code), final=True)
