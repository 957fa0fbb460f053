"""Figures: how well the register serves its households, counted from its own rows.

The eighteen process figures that teams of the Unified Social Registry use among themselves (ACC-01 to CQD-02) and
five of complaints and texts. What each counts, and what it leaves out, is written in docs/figures.md.

Never an average of averages, never a sum of stocks: a share is one count over another, a delay is the distribution
over all cases, households are counted once. A total is counted from the rows, not from the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from gateway.figures import contests, fraud, notifications, registrations, renewals
from gateway.figures.figure import Figure
from gateway.figures.scope import KEYS, Scope

GROUPS = tuple(KEYS)


def figures(session: Session, first: date, last: date, by: Sequence[str] = (), *, today: date) -> list[Figure]:
    """Every figure of the days `first` to `last`, both included, as a whole and for each group.

    `by` names what to group by, together: `region`, `area`, `sex` (of the head of the household). `today` is the
    day it is counted on. Raises `ValueError`, with a sentence, for a period or a group that there is not.
    """
    if last < first:
        raise ValueError("the last day lies before the first: a period begins before it ends")
    if last > today:
        raise ValueError(f"the last day is still to come: figures are counted until {today}")
    unknown = [name for name in by if name not in KEYS]
    if unknown or len(set(by)) < len(by):
        raise ValueError(f"figures are grouped by {', '.join(KEYS)}, each once; not by {', '.join(unknown or by)}")
    scope = Scope(session, first, last, today, tuple(by))
    rooms = (registrations, renewals, notifications, contests, fraud)
    return [count(scope) for room in rooms for count in room.FIGURES]
