"""Conversation: one turn of a session, from what was typed to the next screen, whatever the network did to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from channels.base import Screen, Turn
from channels.text import USSD, Budget
from channels.ussd.africastalking import typed
from gateway.dialogue.acts import Performer
from gateway.dialogue.engine import Caller, Position, play, replay, screen, settle
from gateway.dialogue.household import HOUSEHOLD
from gateway.runtime import Runtime
from gateway.web import limits

LOOK_UPS_A_DAY = 20
CHANNEL = "ussd"


def converse(runtime: Runtime, turn: Turn) -> Screen:
    """The screen for this turn. A callback that comes again gets the same one, and nothing is done twice.

    Raises `Busy` when another turn of this session is still being answered.
    """
    memory = runtime.memory
    key = memory.key(turn.provider, turn.session_id, turn.msisdn)
    with memory.turn(key):
        before = memory.recall(key)
        new = typed(memory.previous(key, before, turn.text), turn.text)
        if new.kind == "duplicate" and before is not None:
            return before.screen
        if new.kind == "input" and before is not None and not before.screen.final:
            shown, position = _go_on(runtime, turn, key, Position.from_json(before.position), _inputs(*new.inputs))
        else:
            shown, position = _begin(runtime, turn, key)
        memory.remember(key, turn.text, position.to_json(), shown)
        return shown


def _begin(runtime: Runtime, turn: Turn, key: str) -> tuple[Screen, Position]:
    """From the start: a new session, one that Redis forgot, or one whose history the network rewrote."""
    dialled = turn.service_code.strip("*#").split("*")[len(runtime.settings.service_code.strip("*#").split("*")):]
    inputs = [*dialled, *_inputs(turn.text)]
    with runtime.database.write() as session:
        performer = _performer(runtime, session, turn, key)
        caller = Caller(performer.locale(), {"service_code": runtime.settings.service_code})
        step = replay(HOUSEHOLD, inputs, caller, performer)
    return screen(HOUSEHOLD, step.position, runtime.words, _budget(runtime, turn)), step.position


def _go_on(runtime: Runtime, turn: Turn, key: str, position: Position,
           inputs: Sequence[str]) -> tuple[Screen, Position]:
    with runtime.database.write() as session:
        performer = _performer(runtime, session, turn, key)
        caller = Caller(position.locale, {"service_code": runtime.settings.service_code})
        for one in inputs:
            step = settle(HOUSEHOLD, play(HOUSEHOLD, position, one, caller), caller, performer)
            position = step.position
    return screen(HOUSEHOLD, position, runtime.words, _budget(runtime, turn)), position


def _budget(runtime: Runtime, turn: Turn) -> Budget:
    """What a screen holds on this caller's network."""
    known = runtime.settings.ussd_budgets.get(turn.network)
    return Budget(*known) if known else USSD


def _inputs(*typed_at_once: str) -> list[str]:
    """What was typed, one by one, the same with and without memory. Nothing typed is no mistake: the screen stays."""
    return [part for text in typed_at_once for part in text.split("*") if part]


def _performer(runtime: Runtime, session: Session, turn: Turn, key: str) -> Performer:
    def may_look_up(number: str) -> bool:
        return limits.allows(runtime, "look-up", turn.msisdn, number, LOOK_UPS_A_DAY)

    return Performer(session, runtime.teller, CHANNEL, hashlib.sha256(key.encode()).hexdigest(),
                     runtime.clock(), may_look_up, timedelta(days=runtime.settings.review_answer_days), turn.msisdn)


def farewell(runtime: Runtime) -> Screen:
    """Said when the fault is ours, and we cannot look up in which language to say it."""
    return Screen(runtime.words.say("ar-MA", "sorry.text", service_code=runtime.settings.service_code), final=True)
