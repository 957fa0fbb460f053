"""Slip: the form that a household has torn off its letter and sent back, as a clerk types it in.

Each box that is ticked becomes what the household could have asked for by telephone; the channel is `post`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from gateway import outbox
from gateway.outbox import CannotBe, Tracked, subject_of
from gateway.registry import complaint, review, score
from gateway.registry.clock import day_of
from gateway.registry.events import ComplaintReceived, ReviewAsked
from gateway.registry.review import Window
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.tellings import OF_A_SCORE

CHANNEL = "post"
# The boxes in the order of the form, and what those of a complaint complain of.
REVIEW = "review"
COMPLAINTS = {"complaint": "other", "wrong-data": "data_wrong", "phone-changed": "phone_problem"}
BOXES = (REVIEW, *COMPLAINTS)
NO_LETTER = "No letter that was printed bears this code; read the slip again."
NO_SLIP = "The letter of this code has no slip; what the household wants is filed at a desk."
SEVERAL = "Several letters bear this code: add --of and its run, one of {runs}."

# A letter that was printed, whatever became of it then: it may have been handed over at a centre.
PRINTED = ("sent", "handed", "delivered", "returned")


@dataclass(frozen=True)
class Outdated:
    """The letter tells an index that counts no more. Of the one that does its household hears, and may contest that."""


Filed = ReviewAsked | ComplaintReceived | Window | Outdated


def take(runtime: Runtime, code: str, boxes: Collection[str], sent_on: date, *, by: str, text: str | None = None,
         contested: Sequence[str] = (), of_run: str | None = None) -> dict[str, Filed]:
    """File what these `boxes` of the slip of the letter of this code ask for. Returns what became of each.

    `sent_on` is the day of its postmark, or on which it was handed in: a review that was sent within its sixty days is
    in time. Where none can be asked for, its `Window` or `Outdated` says why; the other boxes are filed all the same.
    The same slip typed again is answered the same again. Raises `NotAllowed`, and then files nothing.
    """
    now = runtime.clock()
    with runtime.database.write() as session:
        try:
            letter = outbox.one_of(outbox.track(session, [code]), of_run)
        except CannotBe as error:
            raise NotAllowed(SEVERAL.format(**error.facts) if error.facts else NO_LETTER) from None
        _check(letter, sent_on, now)
        home, slip = letter.message.household_id, f"slip/{letter.message.id}"
        assert home is not None
        filed: dict[str, Filed] = {}
        for box in (box for box in BOXES if box in boxes):
            if box == REVIEW:
                filed[box] = Outdated() if _outdated(session, letter) else review.ask(
                    session, runtime.vault, home, channel=CHANNEL, asked_by=slip, contested=contested, by=by,
                    answer_within=timedelta(days=runtime.settings.review_answer_days), now=now, sent_on=sent_on)
            else:
                filed[box] = complaint.file(
                    session, runtime.vault, household_id=home, category=COMPLAINTS[box], channel=CHANNEL,
                    msisdn_blind=None, asked_by=f"{slip}/{box}", named=True, text=text, by=by, now=now)
        runtime.teller.tell(session, list(_news(filed.values())), now)
    return filed


def _news(filed: Collection[Filed]) -> Iterator[ReviewAsked | ComplaintReceived]:
    yield from (one for one in filed if not isinstance(one, Window | Outdated))


def _outdated(session: Session, letter: Tracked) -> bool:
    current = score.latest(session, letter.message.household_id) if letter.message.household_id else None
    return str(current and current.id) != subject_of(letter.message.subject)


def _check(letter: Tracked, sent_on: date, now: datetime) -> None:
    if letter.message.household_id is None or letter.message.state not in PRINTED:
        raise NotAllowed(NO_LETTER)
    if letter.message.notice not in OF_A_SCORE:
        raise NotAllowed(NO_SLIP)
    if not day_of(letter.printing.started_at) <= sent_on <= day_of(now):
        raise NotAllowed("The slip cannot have been sent on that day: its letter was printed on "
                         f"{day_of(letter.printing.started_at)}, and today is {day_of(now)}.")
