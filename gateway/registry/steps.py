"""Steps: a state moves by a table, in one conditional UPDATE; whatever the table does not list is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import Base

Row = TypeVar("Row", bound=Base)
# What a row is called in a sentence, where its table has another name.
NAMES = {"data_update": "update"}
Transitions = Mapping[str, frozenset[str]]


class NotAllowed(Exception):
    """This cannot be done now. Its words say what stands in the way and what may be done instead.

    They hold nothing personal: they are shown to clerks and kept in logs.
    """


def step(session: Session, model: type[Row], row_id: UUID, to: str, transitions: Transitions,
         *conditions: sa.ColumnElement[bool], **values: Any) -> Row:
    """Move the row to the state `to` and set `values` with it. Of two who try at once, one is refused.

    `conditions` must hold as well. Raises `NotAllowed` with what is allowed from where the row stands.
    """
    table: Any = model
    starts = [start for start, ends in transitions.items() if to in ends]
    moved = session.scalar(sa.update(model).where(table.id == row_id, table.state.in_(starts), *conditions)
                           .values(state=to, **values).returning(table.id))
    if moved is not None:
        return session.get_one(model, moved, populate_existing=True)
    stands = session.scalar(sa.select(table.state).where(table.id == row_id))
    raise NotAllowed(refusal(model.__tablename__, stands, to, transitions))


def refusal(what: str, stands: str | None, to: str, transitions: Transitions) -> str:
    """The sentence for a step that the table does not list, or whose conditions do not hold."""
    what = NAMES.get(what, what)
    if stands is None:
        return f"There is no such {what}."
    allowed = sorted(transitions[stands])
    if to in allowed:
        return _said(f"This {what} is {stands}; what makes it {to} is not given.")
    next_states = " or ".join(allowed) or "nothing else any more"
    refused = " already" if stands == to else f", so it cannot be {to}"
    return _said(f"This {what} is {stands}{refused}; it can be {next_states}.")


def _said(sentence: str) -> str:
    return sentence.replace("_", " ")
