"""Notifications: whether households can be reached, and whether what is sent arrives."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from gateway.figures.figure import Figure, Line
from gateway.figures.scope import Cases, Scope
from gateway.outbox import Message
from gateway.registry.household import Contact
from gateway.registry.review import Review
from gateway.registry.update import DataUpdate

# Over these a request is only taken from whoever has proved the household by its PIN.
BY_PIN = ("ussd", "voice")
# Days after its posting until which a letter may come back. No source gives the post's own figure: a choice.
COMES_BACK_WITHIN = 30
UNDER_WAY = ("created", "sending", "unknown", "sent", "handed")


def not_01(scope: Scope) -> Figure:
    """Households of which something was heard by telephone."""
    received = sa.select(Message.household_id).where(
        Message.medium == "sms", Message.state == "delivered", Message.household_id.is_not(None),
        scope.within(Message.changed_at)).distinct()
    proved = [sa.select(model.household_id).where(model.channel.in_(BY_PIN), scope.within(model.asked_at))
              for model in (Review, DataUpdate)]
    lines = [line for measure, active in (
        ("a text received, or a request with the PIN", (received, *proved)),
        ("a text received", (received,)),
        ("a request with the PIN", proved),
    ) for line in _of_numbered(scope, measure, sa.union(*active).subquery())]
    return Figure("NOT-01", "Heads of household active by telephone", "% of households with a number", tuple(lines),
                  note="The first line counts a household once: the other two do not add up to it. A PIN that was "
                       "typed and no request made is not counted.")


def not_02(scope: Scope) -> Figure:
    """Letters that do not come back: the post tells of no other."""
    letters = Cases(Message, Message.household_id, (Message.medium == "letter", scope.within(Message.created_at)))
    posted, back = Message.state == "delivered", Message.state == "returned"
    stayed = scope.passed(Message.changed_at, COMES_BACK_WITHIN)
    lines = scope.share("did not come back", letters.only(sa.or_(back, sa.and_(posted, stayed))), posted)
    lines += [line for measure, which in (
        ("posted lately, may come back", sa.and_(posted, ~stayed)),
        ("under way to the post", Message.state.in_(UNDER_WAY)),
        ("could not be printed", Message.state == "failed"),
    ) for line in scope.count(measure, letters.only(which))]
    return Figure("NOT-02", "Letters delivered by the post", "% of letters posted a month ago or returned",
                  tuple(lines), note="The post reports returns alone: a letter that it lost counts as delivered.")


def sms_01(scope: Scope) -> Figure:
    """Texts that arrive."""
    texts = Cases(Message, Message.household_id, (Message.medium == "sms", scope.within(Message.created_at)))
    lines = scope.share("delivered", texts.only(Message.state.in_(("delivered", "failed"))),
                        Message.state == "delivered")
    lines += scope.count("still under way", texts.only(Message.state.in_(UNDER_WAY)))
    return Figure("SMS-01", "Texts delivered", "% of texts delivered or failed", tuple(lines))


def _of_numbered(scope: Scope, measure: str, active: Any) -> list[Line]:
    """Of the households that have a number, those that are among the `active`, a union: each stands in it once."""
    numbered = sa.select(Contact.household_id).distinct().subquery()
    source = sa.outerjoin(numbered, active, active.c.household_id == numbered.c.household_id)
    return scope.share(measure, Cases(source, numbered.c.household_id), active.c.household_id.is_not(None))


FIGURES = (not_01, not_02, sms_01)
