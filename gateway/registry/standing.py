"""Standing: where a household stands on its way, since when, what happens next and by when. Never "under review"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import inquiry, review, score
from gateway.registry.clock import day_of
from gateway.registry.registration import OUT, UNSCORED, Registration, find
from gateway.vault import Vault

# What happens next, in words of every language (templates/words/standing.*.toml):
# identify_members: the household, in the population register.   partners_answer: bodies that were asked.
# data_check: a clerk looks why there is no index yet.            notice: the message or letter is on its way.
# review: the household may still ask for one.                    review_answer: we owe it an answer.
# keep_current: the household says what changes.                  register_again, ask_centre: where else to go.
NEXT_STEPS = ("identify_members", "partners_answer", "data_check", "notice", "review", "review_answer",
              "keep_current", "register_again", "ask_centre")


@dataclass(frozen=True)
class Standing:
    """A state, the day it began, and the next step. `by` is the last day promised for it, where there is one.

    `late` is a household that was not told within ten days, or that the clock shows will not be. `waits_for` are the
    bodies that owe an answer; `missing` the positions of members without an identifier.
    """

    number: str
    state: str
    since: date
    next_step: str
    by: date | None
    late: bool = False
    waits_for: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()


def standing(session: Session, vault: Vault, household: UUID | str, now: datetime) -> Standing | None:
    """Of a household (its id), or of a slip or household number as it was typed. None when it is not known."""
    row = (find(session, vault, household) if isinstance(household, str) else
           session.scalar(sa.select(Registration).where(Registration.household_id == household)))
    if row is None:
        return None
    since = row.registered_on if row.state in UNSCORED else day_of(row.since)
    here = Standing(row.number, row.state, since, "identify_members", None, missing=tuple(row.missing))
    if row.state in OUT:
        return replace(here, next_step="register_again" if row.state == "withdrawn" else "ask_centre", missing=())
    if row.household_id is None:
        return here
    return _on_its_way(session, here, row, row.household_id, now)


def _on_its_way(session: Session, here: Standing, row: Registration, household_id: UUID, now: datetime) -> Standing:
    waits_for = inquiry.waits_for(session, [household_id])[household_id]
    if row.state == "notified":
        next_step, by = _after(session, household_id, now)
        return replace(here, since=row.notified_on or here.since, next_step=next_step, by=by, waits_for=waits_for)
    waiting = "partners_answer" if waits_for else "data_check"
    warned = row.state in UNSCORED and row.late_told_at is not None
    return replace(here, next_step="notice" if row.state == "scored" else waiting, by=row.promised_on,
                   late=warned or day_of(now) > row.promised_on, waits_for=waits_for)


def _after(session: Session, household_id: UUID, now: datetime) -> tuple[str, date | None]:
    """What a household that was told its index may do, or waits for."""
    window = review.window(session, household_id, now)
    if window.review and window.review.state not in ("decided", "notified"):
        return "review_answer", window.review.promised_by
    if window.score_id and score.notified(session, window.score_id) is None:
        return "notice", None  # a newer index is on its way
    return ("review", window.last_day) if window.state == "open" else ("keep_current", None)
