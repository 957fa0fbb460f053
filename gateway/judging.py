"""Judging: every household judged again by the limits and conditions in force today, a page in each transaction.

A limit that takes effect, a programme that is new or whose conditions have changed: the indexes stand, the decisions
may not, and who is judged otherwise is told.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa

from gateway.registry import audit
from gateway.registry.registration import taking_part
from gateway.registry.score import CurrentScore
from gateway.runtime import Runtime

PAGE = 200
FIRST = UUID(int=0)


def judge_again(runtime: Runtime, by: str, progress: Callable[[int], None]) -> tuple[int, int]:
    """Returns how many households were judged, and how many notices posted. Run again, it goes on without harm."""
    judged = posted = 0
    last = FIRST
    while True:
        now = runtime.clock()
        with runtime.database.write() as session:
            homes = session.scalars(sa.select(CurrentScore.id).where(
                CurrentScore.id > last, taking_part(CurrentScore.id)).order_by(CurrentScore.id).limit(PAGE)).all()
            if homes:
                events = runtime.scorer.judge(session, homes, now)
                posted += runtime.teller.tell(session, events, now)
            else:
                audit.record(session, runtime.vault, "decisions.judged_again", by=by, now=now, households=judged)
                return judged, posted
        judged, last = judged + len(homes), homes[-1]
        progress(judged)
