"""Row: a campaign as it is kept, and the table by which it moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, UtcDateTime, new_id
from gateway.registry.steps import NotAllowed, Transitions

# approved: its messages may be made, held. running: they are let go as they fall due. finished: all have been.
TRANSITIONS: Transitions = {
    "draft": frozenset({"approved", "cancelled"}),
    "approved": frozenset({"running", "cancelled"}),
    "running": frozenset({"paused", "finished", "cancelled"}),
    "paused": frozenset({"running", "cancelled"}),
    "finished": frozenset(),
    "cancelled": frozenset(),
}


class Campaign(Base):
    """One text to all of an `audience`, between `starts_at` and `ends_at`, at most `per_minute` in a minute.

    `texts` are the words of each language with their reference, as they were approved. `recipients`, `parts` and
    `price` (ten-thousandths of a dirham, by the dearest route) are those that were approved; `total` is how many
    messages were made, from `first_id` to `last_id`, and `let_go` how many of them were. Up to `paced_at` the even
    spread has been seen to; `in_minute` have been let go in the `minute` of the clock.
    """

    __tablename__ = "campaign"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    notice: Mapped[str] = mapped_column(sa.String(40))
    audience: Mapped[dict[str, Any]] = mapped_column(JSON)
    texts: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    per_minute: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(12), default="draft", index=True)
    asked_by: Mapped[str] = mapped_column(sa.String(80))
    approved_by: Mapped[str | None] = mapped_column(sa.String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recipients: Mapped[int] = mapped_column(default=0)
    unreached: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    price: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    total: Mapped[int] = mapped_column(default=0)
    let_go: Mapped[int] = mapped_column(default=0)
    first_id: Mapped[UUID | None]
    last_id: Mapped[UUID | None]
    paced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    minute: Mapped[datetime | None] = mapped_column(UtcDateTime)
    in_minute: Mapped[int] = mapped_column(default=0)
    waits_for: Mapped[str | None] = mapped_column(sa.String(12))
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def wordings(self) -> dict[str, Wording]:
        """The text of each language."""
        return {locale: Wording(**text) for locale, text in self.texts.items()}


@dataclass(frozen=True)
class Wording:
    """The text of a campaign in one language; the same for all, reference included."""

    reference: str
    body: str = field(repr=False)


def find(session: Session, name: str) -> Campaign:
    """The campaign of this name. Raises `NotAllowed` where there is none."""
    found = session.scalars(sa.select(Campaign).where(Campaign.name == name)).first()
    if found is None:
        raise NotAllowed(f"There is no campaign {name}: `mouachir campaign list` names them.")
    return found
