"""Indexes: the household's index, why it is so, what changed, and what it means for a programme. For who has a PIN."""

from __future__ import annotations

from uuid import UUID

from gateway import reasons
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome
from gateway.registry import audit, explain, score
from gateway.registry.household import Household
from gateway.registry.programme import NOT_PUBLISHED, Programme, in_texts, near
from gateway.registry.registration import TOLD_WITHIN
from gateway.registry.score import IndexScore
from gateway.tellings import heard_last

# So many things are told on a small screen: what weighs, or moved, most.
TOLD = 3


def show(call: Call, effect: Effect) -> Outcome:
    """The index, and whether it is below the limits."""
    current = _current(call, effect)
    if current is None:
        return _not_yet(call, effect)
    _seen(call, current, "index.seen")
    judged = score.decisions(call.session, [current.household_id])[current.household_id]
    programmes = [{"key": one.programme, "below": one.below}
                  for one in judged if one.below is not None and one.programme in in_texts()]
    return Outcome("ok", {"index": current.value, "programmes": programmes})


def explained(call: Call, effect: Effect) -> Outcome:
    """What weighs most, each with its source."""
    current = _current(call, effect)
    if current is None:
        return _not_yet(call, effect)
    _seen(call, current, "index.explained")
    told = explain.explained(call.session, current.id)
    return Outcome("ok", {"lines": [reasons.said(call.words, effect.locale, line) for line in told.lines[:TOLD]]})


def compared(call: Call, effect: Effect) -> Outcome:
    """What moved since the index that the household heard of last, and by whose data."""
    current = _current(call, effect)
    before = heard_last(call.session, current) if current else None
    if current is None or before is None:
        return Outcome("first")
    _seen(call, current, "index.compared")
    moved = explain.compare(explain.account_of(call.session, before.id), explain.account_of(call.session, current.id))
    lines = [reasons.moved(call.words, effect.locale, movement) for movement in moved.movements[:TOLD]]
    return Outcome("ok", {"old": before.value, "lines": lines})


def judged(call: Call, effect: Effect) -> Outcome:
    """Below or above, which condition is missing, and where to apply."""
    household_id, key = UUID(effect.proof), str(effect.given["programme"])
    found = next((one for one in score.decisions(call.session, [household_id])[household_id]
                  if one.programme == key), None)
    current = _current(call, effect)
    if found is None or current is None or current.value is None:
        return _not_yet(call, effect)
    standing = "not_published" if found.below is None else "below" if found.below else "above"
    if found.below and near(found, current.value, call.teller.reader.near):
        standing = "below_near"
    # The limit is said by the standing; what else was asked for has a name of its own.
    unmet = [reason["code"] for reason in found.reasons
             if reason["met"] is False and not reason["code"].endswith("_threshold")]
    programme = next(one for one in Programme.load_all() if one.key == key)
    known = found.eligible is not None and NOT_PUBLISHED not in {reason["code"] for reason in found.reasons}
    return Outcome("ok", {"standing": standing, "unmet": unmet,
                          "apply": programme.where_to_apply if known else "centre"})


def _not_yet(call: Call, effect: Effect) -> Outcome:
    """Promised for a day; or late."""
    due = call.session.get_one(Household, UUID(effect.proof)).registered_on + TOLD_WITHIN
    return Outcome("none", {"due": due}) if call.today <= due else Outcome("late")


def _current(call: Call, effect: Effect) -> IndexScore | None:
    """The score that counts, where it has an index."""
    found = score.latest(call.session, UUID(effect.proof))
    return found if found and found.value is not None else None


def _seen(call: Call, current: IndexScore, act: str) -> None:
    audit.record(call.session, call.vault, act, by="household", now=call.now, household_id=current.household_id,
                 subject=current.id, channel=call.channel)
